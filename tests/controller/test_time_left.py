"""The time left that people are told, where several NodeENIs wait for the same buckets."""

import re

from .conftest import OpenStage

# One Attach every ten seconds, after the first: all of them wait.
EACH = 10
BUCKETS = {"AttachNetworkInterface": (1, 1 / EACH)}
TOLD = re.compile(r"(\d+) nodes in progress.*: about (\d+) (s|minutes) at the rate that EC2 grants")


async def test_two_nodeenis_that_are_in_progress_share_what_ec2_grants(open_stage: OpenStage) -> None:
    async with open_stage(buckets=BUCKETS) as stage:
        for _ in range(6):
            await stage.node()
        async with stage.controller(f"--ec2-rate=AttachNetworkInterface=1/{1 / EACH}"):
            stage.apply("one", deviceIndex=2)
            stage.apply("two", deviceIndex=3)

            def is_shared(name: str) -> bool:
                """Its nodes alone would take ten seconds each; with the other's they take twice that."""
                found = TOLD.fullmatch(str(stage.condition("Progressing", name).get("message", "")))
                left = int(found[2]) * (60 if found[3] == "minutes" else 1) if found else 0
                return found is not None and left > 1.5 * EACH * int(found[1])

            await stage.until(lambda: is_shared("one") and is_shared("two"))

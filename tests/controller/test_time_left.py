"""The time left that people are told, where several NodeENIs wait for the same buckets."""

from .conftest import OpenStage

# One Attach every ten seconds, after the first: all of them wait.
BUCKETS = {"AttachNetworkInterface": (1, 0.1)}


async def test_two_nodeenis_that_are_in_progress_share_what_ec2_grants(open_stage: OpenStage) -> None:
    async with open_stage(buckets=BUCKETS) as stage:
        for _ in range(6):
            await stage.node()
        async with stage.controller("--ec2-rate=AttachNetworkInterface=1/0.1"):
            stage.apply("one", deviceIndex=2)
            stage.apply("two", deviceIndex=3)

            def told(name: str) -> str:
                return str(stage.condition("Progressing", name).get("message", ""))

            # 6 nodes of each are in progress: 12 at one in ten seconds, where one alone would take 60 s.
            await stage.until(lambda: "6 nodes in progress" in told("one"))
            await stage.until(
                lambda: any(
                    told(n).endswith("about 2 minutes at the rate that EC2 grants") for n in ("one", "two")
                )
            )

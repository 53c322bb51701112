"""What somebody else changes in a status is put right, our own echo is no work, a fight is slow and named."""

import asyncio
import copy
from typing import Any

import aiohttp
from tests.contract.servers import session

from nodeeni.api.crd import nodeeni_crd
from nodeeni.api.names import GROUP

from .conftest import NAME, Object, Stage

STATUS = f"/apis/{GROUP}/v1alpha1/nodeenis/{NAME}/status"


async def changed_by(http: aiohttp.ClientSession, who: str, status: Any) -> None:
    """A program patches the status."""
    headers = {"User-Agent": f"{who}/1.0", "Content-Type": "application/merge-patch+json"}
    async with http.patch(STATUS, json={"status": status}, headers=headers) as answer:
        assert answer.status == 200, await answer.text()


def writes(stage: Stage) -> int:
    return stage.kube.requests["patch", "nodeenis/status"]


def versions(stage: Stage) -> list[str]:
    """Of all that the controller writes; a real API server writes a Lease of its own meanwhile."""
    kinds = ((GROUP, "nodeenis"), (GROUP, "eninodes"), ("", "events"))
    return [obj["metadata"]["resourceVersion"] for kind in kinds for obj in stage.kube.objects(*kind)]


async def until_quiet(stage: Stage) -> Object:
    """The status, once nothing more is written."""
    while True:
        before = stage.world.nodeeni(NAME)
        await asyncio.sleep(1.5)
        if before == stage.world.nodeeni(NAME):
            return stage.status()


async def test_whatever_is_taken_away_or_made_up_is_as_it_was_a_moment_later(stage: Stage) -> None:
    nodes = [await stage.node() for _ in range(2)]
    stage.apply()
    async with stage.controller(), session(stage.kube) as http:
        await stage.until_attached(*nodes)
        right = await until_quiet(stage)
        for wrong in (
            {"attachments": None},
            {"attached": 99},
            {"conditions": [{**right["conditions"][0], "status": "False", "reason": "Nothing"}]},
            {"attachments": [{**right["attachments"][0], "eniID": "eni-0", "lastUpdated": None}]},
            None,
        ):
            await changed_by(http, "kubectl", wrong)
            assert stage.status() != right
            await stage.until(lambda: stage.status() == right, timeout=5)
    assert "StatusOverwritten" not in stage.reasons(), "by hand"


async def test_after_a_restart_with_nothing_to_say_it_is_the_same(stage: Stage) -> None:
    node = await stage.node()
    stage.apply()
    async with stage.controller():
        await stage.until_attached(node)
        right = await until_quiet(stage)
    async with stage.controller(), session(stage.kube) as http:
        assert await until_quiet(stage) == right
        before = writes(stage)
        await changed_by(http, "kubectl", {"attachments": None, "conditions": None})
        await stage.until(lambda: stage.status().get("attachments"))
        assert stage.status() == right, "with the times of before"
        assert writes(stage) == before + 2, "theirs and ours"


async def test_our_own_echo_is_no_work(stage: Stage) -> None:
    nodes = [await stage.node() for _ in range(3)]
    stage.apply()
    async with stage.controller():
        await stage.until_attached(*nodes)
        await until_quiet(stage)
        before = writes(stage), versions(stage)
        await stage.stays(lambda: (writes(stage), versions(stage)) == before, seconds=6.0)


async def test_conditions_of_others_are_none_of_our_business(stage: Stage) -> None:
    """Not even one without a time, which ours have: our own patches have to hold it as it is."""
    node = await stage.node()
    stage.apply()
    theirs = {"type": "Audited", "status": "True", "reason": "Fine", "message": "seen"}
    async with stage.controller(), session(stage.kube) as http:
        await stage.until_attached(node)
        right = await until_quiet(stage)
        await changed_by(http, "auditor", {"conditions": [*right["conditions"], theirs]})
        with_theirs, before = stage.status(), writes(stage)
        await stage.stays(lambda: stage.status() == with_theirs)
        assert writes(stage) == before
        stage.world.label(node.name, ng=None)
        await stage.until(lambda: stage.status().get("desired") == 0)
        assert stage.condition("Audited").items() >= theirs.items()


async def test_a_fight_is_slow_and_the_other_is_named(stage: Stage) -> None:
    node = await stage.node()
    stage.apply()
    async with stage.controller(), session(stage.kube) as http:
        await stage.until_attached(node)
        right = await until_quiet(stage)
        before = writes(stage)
        stage.guard.looks_away = True  # somebody else writes that status again and again

        async def fight() -> None:
            while True:
                if stage.status() == right:
                    await changed_by(http, "aws-multi-eni-controller", {"attached": None, "failed": 9})
                await asyncio.sleep(0.01)

        fighting = asyncio.create_task(fight())
        await stage.until(lambda: stage.told("StatusOverwritten"), timeout=30)
        so_far = writes(stage) - before
        assert so_far <= 2 * 7, "theirs and ours"
        await asyncio.sleep(6)
        fighting.cancel()
        assert writes(stage) - before <= so_far + 2, "the pauses double"
        ((kind, message),) = stage.told("StatusOverwritten")[:1]
        assert kind == "Warning"
        assert "'aws-multi-eni-controller'" in message
        await stage.until(lambda: stage.status() == right, timeout=40)


async def test_what_an_older_crd_does_not_know_is_told_once(stage: Stage) -> None:
    older = copy.deepcopy(nodeeni_crd())
    fields = older["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]
    del fields["linksUp"]
    del fields["attachments"]["items"]["properties"]["subnetCIDR"]
    stage.kube.apply(older)
    node = await stage.node()
    stage.apply()
    async with stage.controller(), session(stage.kube) as http:
        await stage.until_attached(node)
        stage.report_link(node, "Up")
        right = await until_quiet(stage)
        assert "linksUp" not in right
        before = writes(stage)
        await stage.stays(lambda: writes(stage) == before, seconds=4.0)
        await changed_by(http, "kubectl", {"attached": 99})
        await stage.until(lambda: stage.status() == right)
        assert writes(stage) == before + 2, "theirs and ours"

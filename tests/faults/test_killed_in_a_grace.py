"""Killed while something is given time: the next one gives it anew, and nothing that works is taken away."""

from pathlib import Path

import pytest
from tests.faults.processes import Zygote
from tests.faults.situation import NAME, Situation, situated

LONG = ("--label-grace=1h", "--mass-removal-delay=1h", "--node-grace-period=1h")


def _reasons(at: Situation) -> set[str]:
    """Of the rows, where a node has lost something."""
    rows = ((at.world.nodeeni(NAME) or {}).get("status") or {}).get("attachments", [])
    return {row["reason"] for row in rows if row.get("reason")}


def _identities(at: Situation) -> set[tuple[str, str, str]]:
    found = at.ec2.interfaces(NodeENI=NAME)
    return {(i.id, i.mac, i.attachment.id if i.attachment else "") for i in found}


def _told(at: Situation) -> int:
    """How often people were told that a removal is held."""
    events = at.kube.objects("", "events")
    return sum(int(e.get("count") or 1) for e in events if e["reason"] == "RemovalHeld")


def _take_off(at: Situation, count: int) -> None:
    for node in list(at.world.nodes)[:count]:
        at.world.label(node, ng=None)


def _put_on(at: Situation) -> None:
    for node in at.world.nodes:
        at.world.label(node, ng="multi-eni")


@pytest.mark.parametrize(("lost", "reason"), [(1, "LabelGone"), (3, "RemovalDelayed")])
async def test_a_label_that_comes_back_after_a_kill(
    zygote: Zygote, tmp_path: Path, lost: int, reason: str
) -> None:
    async with situated(zygote, tmp_path) as at:
        for _ in range(4):
            await at.node()
        at.apply()
        async with await at.start(*LONG) as first:
            await at.until_right()
            before = _identities(at)
            _take_off(at, lost)
            await at.until(lambda: _reasons(at) == {reason})
            first.kill()
            await first.ended()
        reads = at.ec2.calls.by_action["DescribeNetworkInterfaces"]
        async with await at.start(*LONG) as second:
            await at.until(lambda: at.ec2.calls.by_action["DescribeNetworkInterfaces"] > reads)
            second.kill()
            await second.ended()
        async with await at.start(*LONG):
            _put_on(at)
            assert await at.righted() == []
        assert _identities(at) == before
        assert at.ec2.calls.by_action["DetachNetworkInterface"] == 0


async def test_nodes_that_come_back_after_a_kill(zygote: Zygote, tmp_path: Path) -> None:
    async with situated(zygote, tmp_path) as at:
        for _ in range(4):
            await at.node()
        at.apply()
        async with await at.start(*LONG) as first:
            await at.until_right()
            before = _identities(at)
            names = list(at.world.nodes)[:3]
            manifests = [found for name in names if (found := at.kube.get("", "nodes", name))]
            for name in names:
                at.kube.delete("", "nodes", name)
            await at.until(lambda: _reasons(at) == {"RemovalHeld"})
            first.kill()
            await first.ended()
        told = _told(at)
        # With a grace that is soon over: the brake alone holds them.
        async with await at.start("--node-grace-period=100ms"):
            await at.until(lambda: _told(at) > told)
            assert _identities(at) == before
            for manifest in manifests:
                fresh = {key: manifest["metadata"][key] for key in ("name", "labels")}
                at.kube.create({**manifest, "metadata": fresh})
            assert await at.righted() == []
        assert _identities(at) == before
        assert at.ec2.calls.by_action["DetachNetworkInterface"] == 0

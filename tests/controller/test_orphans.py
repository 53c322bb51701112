"""Orphans: what is swept, how much of it at a time, and what a dry run does about it."""

import itertools

import pytest

from nodeeni.controller import sweeper
from nodeeni.sandbox.ec2 import Interface

from .conftest import NAME, Stage

FLAGS = ("--resync-period=500ms", "--orphan-grace-period=200ms")


def _plant(stage: Stage, count: int) -> list[Interface]:
    namespace = stage.kube.get("", "namespaces", "kube-system")
    assert namespace is not None
    tags = {
        "NodeENI": "gone",
        "kubernetes.io/cluster/managed-by": "nodeeni-controller",
        "nodeeni.networking.k8s.aws/cluster": namespace["metadata"]["uid"],
        "nodeeni.networking.k8s.aws/uid": "no-such-uid",
    }
    return [
        stage.ec2.plant_interface(stage.world.subnets["a"], tags={**tags, "Node": f"ip-10-9-9-{number}"})
        for number in range(count)
    ]


async def test_no_more_than_the_cap_goes_in_one_pass(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeper, "MOST_A_PASS", 2)
    _plant(stage, 5)
    left: list[int] = []

    def swept() -> bool:
        count = len(stage.ec2.secondary_interfaces())
        if not left or left[-1] != count:
            left.append(count)
        return count == 0

    async with stage.controller(*FLAGS):
        await stage.until(swept)
        await stage.until(lambda: len([r for r, _ in stage.events() if r == "ENIOrphanSwept"]) == 5)
    assert all(before - after <= 2 for before, after in itertools.pairwise(left))


async def test_a_dry_run_says_what_it_would_do_and_sweeps_nothing(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="nodeeni")
    orphans = _plant(stage, 2)
    async with stage.controller("--dry-run", *FLAGS):
        await stage.until(lambda: any("would: delete eni-" in r.message for r in caplog.records))
        await stage.stays(lambda: True, seconds=1.2)  # for two passes
    assert stage.ec2.secondary_interfaces() == orphans
    assert stage.events() == []
    assert stage.calls() == {}


async def test_the_api_server_is_asked_last_and_its_silence_spares_the_interface(stage: Stage) -> None:
    (orphan,) = _plant(stage, 1)
    stage.kube.faults.fail(503, verb="get", resource="nodeenis", times=1000)
    async with stage.controller(*FLAGS):
        await stage.stays(lambda: orphan in stage.ec2.secondary_interfaces(), seconds=2.5)
        stage.kube.faults.clear()
        await stage.until(lambda: stage.ec2.secondary_interfaces() == [])


async def test_a_successor_does_not_let_go_of_what_it_cannot_see_yet(lagging_stage: Stage) -> None:
    """The leader makes an interface and ends in order; EC2 shows it to the next one only a second later."""
    stage, leased = lagging_stage, ("--enable-leader-election", "--read-lag=1500ms")
    await stage.node()
    await stage.stays(lambda: True, seconds=1.1)  # until the instance itself is shown
    stage.apply()
    async with stage.controller(*leased):
        await stage.until(lambda: len(stage.ours()) == 1)
    stage.delete()
    async with stage.controller(*leased):
        await stage.until(lambda: stage.world.nodeeni(NAME) is None or stage.ours() == [])
        assert stage.ours() == []
        await stage.until_deleted()
    assert stage.ec2.secondary_interfaces() == []

"""Orphans: what is swept, how much of it at a time, and what a dry run does about it."""

import itertools

import pytest

from nodeeni.api.names import GROUP
from nodeeni.controller import sweeper
from nodeeni.plan.brake import hold_id
from nodeeni.sandbox.ec2 import Interface
from nodeeni.sandbox.world import WorldNode

from .conftest import NAME, Stage
from .holding import identities

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


async def _forgotten(stage: Stage, count: int) -> list[WorldNode]:
    """Somebody takes the finalizer off and deletes the NodeENI while no controller runs."""
    nodes = [await stage.node() for _ in range(count)]
    stage.apply()
    async with stage.controller():
        await stage.until_attached(*nodes)
    stage.guard.torn_away |= {n["metadata"]["uid"] for n in stage.kube.objects(GROUP, "nodeenis")}
    stage.kube.patch(GROUP, "nodeenis", NAME, {"metadata": {"finalizers": None}})
    stage.delete()
    await stage.until_deleted()
    return nodes


async def test_what_works_on_many_nodes_is_held(stage: Stage) -> None:
    """A NodeENI that is applied again takes it over."""
    nodes = await _forgotten(stage, 3)
    before = identities(stage)
    async with stage.controller(*FLAGS):
        await stage.until(lambda: "RemovalHeld" in stage.reasons())
        ((kind, message),) = stage.told("RemovalHeld")
        ids = {eni_id for eni_id, _, _ in before}
        assert kind == "Warning"
        assert message.endswith(f"to remove them: nodeeni cleanup --release-hold {hold_id(ids)}")
        await stage.stays(lambda: identities(stage) == before, 1.5)  # three passes
        stage.apply()
        await stage.until_attached(*nodes)
    assert identities(stage) == before
    assert "ENIOrphanSwept" not in stage.reasons()


async def test_what_works_on_many_nodes_is_held_to_the_last_of_them(stage: Stage) -> None:
    nodes = await _forgotten(stage, 2)
    async with stage.controller(*FLAGS):
        await stage.until(lambda: "RemovalHeld" in stage.reasons())
        stage.ec2.terminate(nodes[0].instance_id)
        await stage.until(lambda: len(stage.ours()) == 1)
        (left,) = stage.ours()
        await stage.stays(lambda: stage.ours() == [left], 1.5)


async def test_what_works_on_one_node_is_swept(stage: Stage) -> None:
    await _forgotten(stage, 1)
    async with stage.controller(*FLAGS):
        await stage.until(lambda: stage.ec2.secondary_interfaces() == [])


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

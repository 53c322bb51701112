"""Many Nodes go while their instances run on: nothing that works is taken away until somebody says so."""

import logging

import pytest

from .conftest import Stage
from .holding import annotate, annotation, bring_back, degraded, hold_id, identities, reasons, vanish


async def test_nodes_that_vanish_and_come_back_keep_what_they_have(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    nodes = [await stage.node() for _ in range(4)]
    stage.apply()
    async with stage.controller():
        await stage.until_attached(*nodes)
        before, calls = identities(stage), stage.calls()
        manifests = vanish(stage, *nodes[:3])
        await stage.until(lambda: "3 of 4 Nodes" in stage.condition("Degraded").get("message", ""))
        assert (degraded(stage), stage.condition("Degraded")["status"]) == ("RemovalHeld", "True")
        await stage.until(lambda: reasons(stage, nodes[:3]) == {"RemovalHeld"})
        await stage.until(lambda: [kind for kind, _ in stage.told("RemovalHeld")] == ["Warning"])
        await stage.stays(lambda: identities(stage) == before, 1.5)  # three times the grace
        bring_back(stage, manifests)
        await stage.until(lambda: (stage.status()["attached"], degraded(stage)) == (4, "AsDesired"))
        await stage.until(lambda: "no removal is held any more" in caplog.text)
    assert identities(stage) == before
    assert stage.calls()["DetachNetworkInterface"] == calls["DetachNetworkInterface"] == 0


async def test_nodes_that_come_back_one_by_one_hold_the_others_to_the_last(stage: Stage) -> None:
    nodes = [await stage.node() for _ in range(4)]
    stage.apply()
    async with stage.controller():
        await stage.until_attached(*nodes)
        before = identities(stage)
        manifests = vanish(stage, *nodes)
        await stage.until(lambda: "4 of 4" in stage.condition("Degraded").get("message", ""))
        bring_back(stage, manifests[:3])
        await stage.until(lambda: "1 of 4" in stage.condition("Degraded").get("message", ""))
        await stage.stays(lambda: identities(stage) == before, 1.5)
        bring_back(stage, manifests[3:])
        await stage.until(lambda: (stage.status()["attached"], degraded(stage)) == (4, "AsDesired"))
    assert identities(stage) == before


async def test_somebody_says_that_it_is_meant(stage: Stage) -> None:
    nodes = [await stage.node() for _ in range(3)]
    stage.apply()
    async with stage.controller():
        await stage.until_attached(*nodes)
        vanish(stage, *nodes[:2])
        await stage.until(lambda: "2 of 3" in stage.condition("Degraded").get("message", ""))
        annotate(stage, hold_id(stage))
        await stage.until(lambda: len(stage.ours()) == 1)
        await stage.until(lambda: annotation(stage) is None and degraded(stage) == "AsDesired")
    assert stage.ours(node=nodes[2])


async def test_the_id_of_a_hold_that_has_grown_lets_nothing_go(stage: Stage) -> None:
    nodes = [await stage.node() for _ in range(4)]
    stage.apply()
    async with stage.controller():
        await stage.until_attached(*nodes)
        before = identities(stage)
        vanish(stage, *nodes[:2])
        await stage.until(lambda: "2 of 4" in stage.condition("Degraded").get("message", ""))
        old = hold_id(stage)
        vanish(stage, nodes[2])
        await stage.until(lambda: "3 of 4" in stage.condition("Degraded").get("message", ""))
        annotate(stage, old)
        await stage.until(lambda: annotation(stage) is None)
        assert hold_id(stage) != old
        await stage.stays(lambda: identities(stage) == before, 1.0)


async def test_an_annotation_that_a_tool_keeps_lets_nothing_go_that_comes_later(stage: Stage) -> None:
    nodes = [await stage.node() for _ in range(6)]
    stage.apply()
    async with stage.controller():
        await stage.until_attached(*nodes)
        vanish(stage, *nodes[:2])
        await stage.until(lambda: "2 of 6" in stage.condition("Degraded").get("message", ""))
        released = hold_id(stage)
        annotate(stage, released)
        await stage.until(lambda: len(stage.ours()) == 4 and annotation(stage) is None)
        before = identities(stage)
        vanish(stage, *nodes[2:4])
        await stage.until(lambda: "2 of 4" in stage.condition("Degraded").get("message", ""))
        annotate(stage, released)
        await stage.until(lambda: annotation(stage) is None)
        await stage.stays(lambda: identities(stage) == before, 1.0)


async def test_what_is_absent_when_a_leader_starts_counts_as_lost_then(stage: Stage) -> None:
    """As where an old backup is restored: its Nodes are not those that run."""
    nodes = [await stage.node() for _ in range(3)]
    stage.apply()
    async with stage.controller():
        await stage.until_attached(*nodes)
    before = identities(stage)
    manifests = vanish(stage, *nodes)
    async with stage.controller():
        await stage.until(lambda: "3 of 3" in stage.condition("Degraded").get("message", ""))
        await stage.stays(lambda: identities(stage) == before, 1.5)
        bring_back(stage, manifests)
        await stage.until(lambda: (stage.status()["attached"], degraded(stage)) == (3, "AsDesired"))
    assert identities(stage) == before


async def test_a_hold_ends_with_the_instances(stage: Stage) -> None:
    nodes = [await stage.node() for _ in range(3)]
    stage.apply()
    async with stage.controller("--resync-period=1s"):
        await stage.until_attached(*nodes)
        vanish(stage, *nodes[:2])
        await stage.until(lambda: "2 of 3" in stage.condition("Degraded").get("message", ""))
        for node in nodes[:2]:
            stage.ec2.terminate(node.instance_id)
        await stage.until(lambda: degraded(stage) == "AsDesired" and len(stage.ours()) == 1)
    assert stage.calls()["DetachNetworkInterface"] == 0


@pytest.mark.parametrize("delete_on_termination", [True, False])
async def test_a_scale_in_raises_no_alarm(stage: Stage, delete_on_termination: bool) -> None:
    nodes = [await stage.node() for _ in range(4)]
    stage.apply(deleteOnTermination=delete_on_termination)
    async with stage.controller("--resync-period=1s"):
        await stage.until_attached(*nodes)
        for node in nodes[:3]:
            stage.ec2.terminate(node.instance_id)
        vanish(stage, *nodes[:3])
        await stage.until(lambda: len(stage.ours()) == 1)
        await stage.until(lambda: stage.status()["desired"] == 1)
        assert degraded(stage) == "AsDesired"
        assert not stage.told("RemovalHeld")


async def test_a_warm_pool_raises_no_alarm(stage: Stage) -> None:
    """Instances that stop, whose Nodes go, keep what they have anyway."""
    nodes = [await stage.node() for _ in range(3)]
    stage.apply()
    async with stage.controller():
        await stage.until_attached(*nodes)
        before = identities(stage)
        for node in nodes:
            stage.ec2.stop_instance(node.instance_id)
        await stage.until(lambda: all(stage.ec2.instance(n.instance_id).state == "stopped" for n in nodes))
        vanish(stage, *nodes)
        await stage.until(lambda: reasons(stage, nodes) == {"NodeGone"})
        await stage.stays(lambda: identities(stage) == before, 1.5)
        assert degraded(stage) == "AsDesired"
        assert not stage.told("RemovalHeld")


async def test_a_deletion_of_the_nodeeni_is_a_persons_word(stage: Stage) -> None:
    nodes = [await stage.node() for _ in range(3)]
    stage.apply()
    async with stage.controller("--node-grace-period=1h"):
        await stage.until_attached(*nodes)
        vanish(stage, *nodes)
        await stage.until(lambda: degraded(stage) == "RemovalHeld")
        stage.delete()
        await stage.until_deleted()
    assert stage.ours() == []


async def test_a_control_plane_that_goes_first_touches_nothing(stage: Stage) -> None:
    nodes = [await stage.node() for _ in range(3)]
    stage.apply()
    async with stage.controller():
        await stage.until_attached(*nodes)
        before = identities(stage)
        stage.kube.refuse_connections()
        await stage.stays(lambda: identities(stage) == before, 1.5)
        await stage.kube.listen()
        await stage.until_attached(*nodes)
    assert identities(stage) == before

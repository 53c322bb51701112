"""Nodes that die: EC2 does the work where it can, and nothing of ours outlives them."""

import pytest

from .conftest import Stage


async def test_a_terminated_instance_takes_its_interface_along_without_a_call(stage: Stage) -> None:
    dying, staying = await stage.node(), await stage.node()
    stage.apply()
    async with stage.controller():
        await stage.until_attached(dying, staying)
        await stage.until(lambda: stage.calls()["ModifyNetworkInterfaceAttribute"] == 2)
        before = stage.calls()
        stage.ec2.terminate(dying.instance_id)
        await stage.until(lambda: not stage.row(dying))
        await stage.until(lambda: stage.status()["desired"] == 1)
        assert stage.calls() == before
    assert len(stage.ours()) == 1
    assert stage.ours(node=dying) == []


async def test_an_interface_that_survives_its_instance_is_deleted(stage: Stage) -> None:
    node = await stage.node()
    stage.apply(deleteOnTermination=False)
    async with stage.controller():
        await stage.until_attached(node)
        stage.ec2.terminate(node.instance_id)
        await stage.until(lambda: stage.ec2.secondary_interfaces() == [])
        await stage.until(lambda: not stage.row(node))
    assert stage.calls()["DetachNetworkInterface"] == 0
    assert stage.calls()["DeleteNetworkInterface"] == 1


async def test_a_node_object_that_vanishes_and_comes_back_keeps_its_interface(stage: Stage) -> None:
    node = await stage.node()
    stage.apply()
    async with stage.controller("--node-grace-period=30s"):
        await stage.until_attached(node)
        (interface,) = stage.ours()
        manifest = stage.kube.get("", "nodes", node.name)
        assert manifest is not None
        stage.kube.delete("", "nodes", node.name)
        await stage.until(lambda: stage.status()["desired"] == 0)
        await stage.stays(lambda: stage.ours()[0].attachment is not None)
        fresh = {key: manifest["metadata"][key] for key in ("name", "labels")}
        stage.kube.create({**manifest, "metadata": fresh})
        await stage.until_attached(node)
    assert [i.id for i in stage.ours()] == [interface.id]
    assert "DetachNetworkInterface" not in stage.calls()


async def test_a_node_object_that_stays_away_loses_its_interface_after_the_grace_period(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="nodeeni")
    node = await stage.node()
    stage.apply()
    async with stage.controller("--node-grace-period=1s"):
        await stage.until_attached(node)
        stage.kube.delete("", "nodes", node.name)
        await stage.stays(lambda: stage.ours()[0].attachment is not None, seconds=0.5)
        (interface,) = stage.ours()
        await stage.until(lambda: stage.ec2.secondary_interfaces() == [])
    said = [record.getMessage() for record in caplog.records if record.name.endswith("departures")]
    assert said[0] == (
        f"node {node.name} is gone: what it had ({interface.id}) goes with its instance, or is removed "
        "in 1 s unless the Node comes back, or is held where many went"
    )


async def test_an_instance_terminated_while_attaching_leaves_nothing(stage: Stage) -> None:
    node = await stage.node()
    stage.ec2.faults.delay("CreateNetworkInterface", 0.5)
    stage.apply()
    async with stage.controller():
        await stage.until(lambda: len(stage.ours()) == 1)
        stage.ec2.terminate(node.instance_id)
        await stage.until(lambda: stage.ec2.secondary_interfaces() == [])
        await stage.until(lambda: not stage.row(node))


async def test_a_node_of_the_same_name_on_another_instance_gets_its_own(stage: Stage) -> None:
    old = await stage.node()
    stage.apply()
    async with stage.controller():
        await stage.until_attached(old)
        (first,) = stage.ours()
        stage.ec2.terminate(old.instance_id)
        await stage.until(lambda: stage.kube.get("", "nodes", old.name) is None)
        new = await stage.world.add_node(old.name, labels={"ng": "multi-eni"})
        await stage.until(lambda: stage.row(new).get("instanceID") == new.instance_id)
        await stage.until_attached(new)
        await stage.until(lambda: len(stage.ec2.secondary_interfaces()) == 1)
    (second,) = stage.ours()
    assert second.id != first.id
    assert second.attachment is not None
    assert second.attachment.instance_id == new.instance_id


async def test_a_node_being_drained_keeps_its_interface_until_it_is_gone(stage: Stage) -> None:
    node = await stage.node()
    stage.kube.patch("", "nodes", node.name, {"metadata": {"finalizers": ["karpenter.sh/termination"]}})
    stage.apply()
    async with stage.controller():
        await stage.until_attached(node)
        stage.kube.delete("", "nodes", node.name)  # the finalizer keeps it: its pods are being moved
        await stage.stays(lambda: stage.ours()[0].attachment is not None)
        assert stage.row(node)["status"] == "attached"
        stage.ec2.terminate(node.instance_id)
        stage.kube.patch("", "nodes", node.name, {"metadata": {"finalizers": None}})
        await stage.until(lambda: stage.ec2.secondary_interfaces() == [])
    assert "DetachNetworkInterface" not in stage.calls()

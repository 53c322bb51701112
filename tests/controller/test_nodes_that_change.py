"""Nodes that stop and start, come again on another instance, or move from one NodeENI to another."""

from .conftest import Stage


async def test_an_instance_that_stops_and_starts_keeps_its_interface(stage: Stage) -> None:
    node = await stage.node()
    stage.apply()
    async with stage.controller("--resync-period=300ms"):
        await stage.until_attached(node)
        (before,) = stage.ours()
        stage.ec2.stop_instance(node.instance_id)
        await stage.until(lambda: stage.ec2.instance(node.instance_id).state == "stopped")
        await stage.stays(lambda: stage.ours()[0].attachment == before.attachment, seconds=0.7)
        stage.ec2.start_instance(node.instance_id)
        await stage.until(lambda: stage.ec2.instance(node.instance_id).state == "running")
        await stage.stays(lambda: stage.ours()[0].attachment == before.attachment, seconds=0.7)
        assert stage.row(node)["status"] == "attached"
    assert stage.calls() == {
        "CreateNetworkInterface": 1,
        "AttachNetworkInterface": 1,
        "ModifyNetworkInterfaceAttribute": 1,
    }


async def test_a_node_of_the_same_name_while_the_old_instance_lives_on(stage: Stage) -> None:
    old = await stage.node()
    stage.apply()
    async with stage.controller("--node-grace-period=1s"):
        await stage.until_attached(old)
        (first,) = stage.ours()
        stage.kube.delete("", "nodes", old.name)
        new = await stage.world.add_node(old.name, labels={"ng": "multi-eni"})
        await stage.until(lambda: stage.row(new).get("instanceID") == new.instance_id)
        await stage.until_attached(new)
        await stage.until(lambda: first.id not in {i.id for i in stage.ec2.secondary_interfaces()})
    (second,) = stage.ours()
    assert second.attachment is not None
    assert second.attachment.instance_id == new.instance_id


async def test_a_node_that_moves_between_nodeenis_of_one_index(stage: Stage) -> None:
    node = await stage.node(matching=False)
    stage.apply("red", nodeSelector={"colour": "red"})
    stage.apply("blue", nodeSelector={"colour": "blue"})
    stage.world.label(node.name, colour="red")
    async with stage.controller():
        await stage.until_attached(node, name="red")
        stage.world.label(node.name, colour="blue")
        await stage.until_attached(node, name="blue")
        await stage.until(lambda: not stage.row(node, "red"))
    assert stage.ours("red") == []
    (interface,) = stage.ours("blue")
    assert interface.attachment is not None
    assert interface.attachment.device_index == 2


async def test_a_node_out_of_service_is_left_to_its_instance(stage: Stage) -> None:
    node = await stage.node()
    stage.apply(deleteOnTermination=False)
    async with stage.controller("--node-grace-period=100ms", "--resync-period=300ms"):
        await stage.until_attached(node)
        taint = {"key": "node.kubernetes.io/out-of-service", "value": "nodeshutdown", "effect": "NoExecute"}
        stage.kube.patch("", "nodes", node.name, {"spec": {"taints": [taint]}})
        await stage.stays(lambda: stage.ours()[0].attachment is not None)
        stage.ec2.terminate(node.instance_id)
        await stage.until(lambda: stage.ec2.secondary_interfaces() == [])
    assert "DetachNetworkInterface" not in stage.calls()

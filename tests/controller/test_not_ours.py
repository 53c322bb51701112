"""Interfaces of others, however much they look like ours, are never changed, detached or deleted."""

import msgspec
import pytest

from .conftest import NAME, Stage


async def test_look_alikes_of_another_cluster_and_of_others_are_left_alone(stage: Stage) -> None:
    node = await stage.node()
    instance = stage.ec2.instance(node.instance_id)
    subnet = stage.world.subnets["a"]
    stage.apply()
    tags = {"NodeENI": NAME, "Node": node.name, "kubernetes.io/cluster/managed-by": "nodeeni-controller"}
    foreign = [
        stage.ec2.vpc_cni_interface(instance, 1),
        stage.ec2.plant_interface(subnet, tags=tags),
        stage.ec2.plant_interface(
            subnet,
            tags={
                **tags,
                "nodeeni.networking.k8s.aws/cluster": "another",
                "nodeeni.networking.k8s.aws/uid": "uid-in-the-other",
            },
        ),
        stage.ec2.plant_interface(subnet, tags={"Name": f"nodeeni-{NAME}-{node.name}"}),
    ]
    async with stage.controller("--resync-period=300ms", "--orphan-grace-period=100ms"):
        await stage.until_attached(node)
        stage.delete()
        await stage.until_deleted()
        await stage.stays(lambda: True, seconds=0.7)  # for two resyncs
    assert [msgspec.to_builtins(stage.ec2.interface(i.id)) for i in foreign] == [
        msgspec.to_builtins(i) for i in foreign
    ]


async def test_an_interface_of_v1_1_0_in_the_status_is_adopted_by_tagging(stage: Stage) -> None:
    node = await stage.node()
    instance = stage.ec2.instance(node.instance_id)
    older = stage.ec2.plant_interface(
        stage.world.subnets["a"],
        instance=instance,
        device_index=2,
        group_ids=[stage.world.group.id],
        description="Multus ENI for secondary network interfaces",
        tags={
            "Name": f"nodeeni-{NAME}-{node.name}",
            "NodeENI": NAME,
            "Node": node.name,
            "kubernetes.io/cluster/managed-by": "nodeeni-controller",
            "node.k8s.amazonaws.com/no_manage": "true",
        },
    )
    assert older.attachment is not None
    stage.apply()
    entry = {
        "nodeID": node.name,
        "instanceID": node.instance_id,
        "eniID": older.id,
        "attachmentID": older.attachment.id,
        "status": "attached",
        "lastUpdated": "2026-11-24T02:23:14Z",
    }
    stage.kube.patch(
        "networking.k8s.aws", "nodeenis", NAME, {"status": {"attachments": [entry]}}, subresource="status"
    )
    async with stage.controller():
        await stage.until_attached(node)
        await stage.until(lambda: "nodeeni.networking.k8s.aws/cluster" in stage.ours()[0].tags)
        assert stage.calls() == {"CreateTags": 1}
        stage.delete()
        await stage.until_deleted()
    assert stage.ec2.secondary_interfaces() == []


async def test_an_orphan_of_ours_is_swept_and_one_with_an_owner_is_not(stage: Stage) -> None:
    cluster_id = stage.kube.get("", "namespaces", "kube-system")["metadata"]["uid"]  # type: ignore[index]
    node = await stage.node()
    orphan = stage.ec2.plant_interface(
        stage.world.subnets["a"],
        tags={
            "NodeENI": "gone",
            "Node": "ip-10-9-9-9",
            "kubernetes.io/cluster/managed-by": "nodeeni-controller",
            "nodeeni.networking.k8s.aws/cluster": cluster_id,
            "nodeeni.networking.k8s.aws/uid": "no-such-uid",
        },
    )
    stage.apply()
    async with stage.controller("--resync-period=300ms", "--orphan-grace-period=500ms"):
        await stage.until_attached(node)
        await stage.until(lambda: orphan.id not in {i.id for i in stage.ec2.secondary_interfaces()})
        await stage.until(lambda: "ENIOrphanSwept" in stage.reasons())
    assert len(stage.ours()) == 1


async def test_moved_by_hand_is_reported_and_not_fought(stage: Stage) -> None:
    node, other = await stage.node(), await stage.node(matching=False)
    stage.apply()
    async with stage.controller("--resync-period=300ms"):
        await stage.until_attached(node)
        (interface,) = stage.ours()
        assert interface.attachment is not None
        moved = msgspec.structs.replace(
            interface.attachment, instance_id=other.instance_id, id="eni-attach-0hand"
        )
        stage.ec2.account.put(msgspec.structs.replace(interface, attachment=moved))
        await stage.until(lambda: stage.row(node).get("reason") == "AttachedElsewhere")
        await stage.stays(lambda: len(stage.ec2.secondary_interfaces()) == 1)
    assert "DetachNetworkInterface" not in stage.calls()


async def test_deleted_by_hand_is_made_again(stage: Stage) -> None:
    node = await stage.node()
    stage.apply()
    async with stage.controller("--resync-period=300ms"):
        await stage.until_attached(node)
        (first,) = stage.ours()
        stage.ec2.remove_interface(first.id)
        await stage.until(lambda: [i.id for i in stage.ours()] not in ([], [first.id]))
        await stage.until_attached(node)
    assert len(stage.ours()) == 1


@pytest.mark.parametrize(
    "taken_off", ["Node", "nodeeni.networking.k8s.aws/uid", "nodeeni.networking.k8s.aws/instance"]
)
async def test_a_tag_taken_off_by_hand_is_put_back_and_the_interface_kept(
    stage: Stage, taken_off: str
) -> None:
    node = await stage.node()
    stage.apply()
    async with stage.controller("--resync-period=300ms", "--orphan-grace-period=100ms"):
        await stage.until_attached(node)
        (interface,) = stage.ours()
        left = {key: value for key, value in interface.tags.items() if key != taken_off}
        stage.ec2.account.put(msgspec.structs.replace(stage.ec2.interface(interface.id), tags=left))
        await stage.until(lambda: stage.ec2.interface(interface.id).tags == interface.tags)
        await stage.stays(lambda: len(stage.ec2.secondary_interfaces()) == 1)
    assert "DetachNetworkInterface" not in stage.calls()


async def test_the_tag_taken_off_cannot_be_put_back_and_the_node_goes(stage: Stage) -> None:
    """The interface tells no node's name, and the Node that its instance named tells nobody any more."""
    node = await stage.node()
    stage.apply()
    async with stage.controller("--resync-period=300ms"):
        await stage.until_attached(node)
        await stage.until(lambda: stage.calls()["ModifyNetworkInterfaceAttribute"] == 1)
        (interface,) = stage.ours()
        stage.ec2.faults.error("CreateTags", "TagPolicyViolation", times=None)
        left = {key: value for key, value in interface.tags.items() if key != "Node"}
        stage.ec2.account.put(msgspec.structs.replace(stage.ec2.interface(interface.id), tags=left))
        await stage.until(lambda: stage.calls()["CreateTags"])
        stage.kube.delete("", "nodes", node.name)
        await stage.until(lambda: stage.ec2.secondary_interfaces() == [])


async def test_the_tag_taken_off_and_the_node_gone_leaves_nothing(stage: Stage) -> None:
    node = await stage.node()
    stage.apply(deleteOnTermination=False)
    async with stage.controller("--resync-period=300ms"):
        await stage.until_attached(node)
        (interface,) = stage.ours()
        left = {key: value for key, value in interface.tags.items() if key != "Node"}
        stage.ec2.terminate(node.instance_id)
        stage.ec2.account.put(msgspec.structs.replace(stage.ec2.interface(interface.id), tags=left))
        await stage.until(lambda: stage.ec2.secondary_interfaces() == [])

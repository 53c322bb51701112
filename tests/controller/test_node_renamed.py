"""The instance is the identity of a node: under another name, or registered anew, it keeps its ENI."""

from typing import Any

from nodeeni.sandbox.world import WorldNode

from .conftest import LABELS, NAME, Stage

NEW = "i-0123456789abcdef0.us-west-2.compute.internal"


def registered(stage: Stage, node: WorldNode, name: str) -> WorldNode:
    """Its kubelet registers under that name."""
    instance = stage.ec2.instance(node.instance_id)
    zone = stage.world.node_subnets["a"].zone
    labels = {**LABELS, "topology.kubernetes.io/zone": zone}
    made: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "spec": {"providerID": f"aws:///{zone}/{instance.id}"},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    }
    stage.kube.create(made)
    renamed = stage.world.nodes[name] = WorldNode(name, instance.id)
    return renamed


async def test_under_another_name_it_keeps_its_eni_and_only_tags_change(stage: Stage) -> None:
    node = await stage.node()
    stage.apply(description=None)
    async with stage.controller():
        await stage.until_attached(node)
        (before,) = stage.ours()
        calls = stage.calls()
        stage.kube.delete("", "nodes", node.name)
        del stage.world.nodes[node.name]
        renamed = registered(stage, node, NEW)
        await stage.until_attached(renamed)
        await stage.until(lambda: stage.ec2.interface(before.id).tags["Node"] == NEW)
        await stage.until(lambda: [row["nodeID"] for row in stage.status()["attachments"]] == [NEW])
        await stage.stays(lambda: stage.ec2.interface(before.id).attachment == before.attachment, seconds=0.7)
        eninode = stage.world.eninode(NEW)
        assert eninode is not None
        assert [entry["eniID"] for entry in eninode["spec"]["interfaces"]] == [before.id]
        after = stage.ec2.interface(before.id)
        assert (after.mac, after.private_ips) == (before.mac, before.private_ips)
        assert after.tags["Name"] == f"nodeeni-{NAME}-{NEW}"
        assert stage.calls() - calls == {"CreateTags": 1}
        stage.delete()
        await stage.until_deleted()
    assert stage.ec2.secondary_interfaces() == []


async def test_the_new_name_before_the_old_one_goes_is_two_nodes_of_one_instance_and_no_call(
    stage: Stage,
) -> None:
    node = await stage.node()
    stage.apply()
    async with stage.controller():
        await stage.until_attached(node)
        (before,) = stage.ours()
        calls = stage.calls()
        lost = {"status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}}
        stage.kube.patch("", "nodes", node.name, lost, subresource="status")
        renamed = registered(stage, node, NEW)
        both = (node, renamed)
        await stage.until(lambda: {stage.row(each).get("reason") for each in both} == {"InstanceHasTwoNodes"})
        message = stage.row(renamed)["message"]
        assert f"instance {node.instance_id} has 2 Nodes, " in message
        assert f"{node.name} (NotReady)" in message
        assert f"{NEW} (Ready)" in message
        assert stage.condition("Ready")["status"] == "False"
        await stage.stays(lambda: stage.ours() == [before], seconds=0.7)
        assert stage.calls() == calls
        stage.kube.delete("", "nodes", node.name)
        await stage.until_attached(renamed)
        await stage.until(lambda: stage.ec2.interface(before.id).tags["Node"] == NEW)
    assert stage.ec2.interface(before.id).attachment == before.attachment
    assert stage.calls() - calls == {"CreateTags": 1}


async def test_a_deletion_that_waits_for_two_nodes_of_one_instance_says_so(stage: Stage) -> None:
    node = await stage.node()
    stage.apply()
    async with stage.controller():
        await stage.until_attached(node)
        (before,) = stage.ours()
        renamed = registered(stage, node, NEW)
        await stage.until(lambda: stage.row(renamed).get("reason") == "InstanceHasTwoNodes")
        calls = stage.calls()
        stage.delete()
        await stage.until(lambda: stage.condition("Ready").get("reason") == "Deleting")
        await stage.until(lambda: stage.condition("Degraded").get("reason") == "InstanceHasTwoNodes")
        assert stage.row(node)["reason"] == "InstanceHasTwoNodes"
        assert "delete the one that is left over" in stage.condition("Degraded")["message"]
        assert stage.condition("Ready")["message"] == (
            "being deleted: removing the ENIs of 1 node, which cannot be done now on 1 of them"
        )
        assert (stage.ours(), stage.calls()) == ([before], calls)
        stage.kube.delete("", "nodes", NEW)
        await stage.until_deleted()
    assert stage.ec2.secondary_interfaces() == []


async def test_a_label_that_goes_from_two_nodes_of_one_instance_is_told_to_wait(stage: Stage) -> None:
    node = await stage.node()
    stage.apply()
    async with stage.controller():
        await stage.until_attached(node)
        renamed = registered(stage, node, NEW)
        await stage.until(lambda: stage.row(renamed).get("reason") == "InstanceHasTwoNodes")
        calls = stage.calls()
        for each in (node, renamed):
            stage.kube.patch("", "nodes", each.name, {"metadata": {"labels": dict.fromkeys(LABELS)}})
        await stage.until(lambda: stage.status()["desired"] == 0)
        await stage.until(lambda: stage.row(node).get("reason") == "InstanceHasTwoNodes")
        assert stage.condition("Degraded")["reason"] == "InstanceHasTwoNodes"
        assert stage.calls() == calls
        stage.kube.delete("", "nodes", NEW)
        await stage.until(lambda: not stage.status().get("attachments"))
    assert stage.ec2.secondary_interfaces() == []


async def test_two_nodes_of_one_instance_before_there_is_an_eni_get_none(stage: Stage) -> None:
    node = await stage.node()
    renamed = registered(stage, node, NEW)
    stage.apply()
    async with stage.controller():
        await stage.until(lambda: stage.status().get("failed") == 2)
        assert stage.row(node)["reason"] == stage.row(renamed)["reason"] == "InstanceHasTwoNodes"
        assert not stage.calls()
        stage.kube.delete("", "nodes", NEW)
        await stage.until_attached(node)
    assert len(stage.ours()) == 1


async def test_registered_anew_under_the_same_name_it_keeps_its_eni(stage: Stage) -> None:
    node = await stage.node()
    stage.apply()
    async with stage.controller():
        await stage.until_attached(node)
        (before,) = stage.ours()
        calls = stage.calls()
        stage.kube.delete("", "nodes", node.name)
        registered(stage, node, node.name)
        await stage.until_attached(node)
        await stage.stays(lambda: stage.ours() == [before], seconds=0.7)
    assert stage.calls() == calls


async def test_renamed_while_no_controller_runs(stage: Stage) -> None:
    node = await stage.node()
    stage.apply()
    async with stage.controller():
        await stage.until_attached(node)
    (before,) = stage.ours()
    stage.kube.delete("", "nodes", node.name)
    renamed = registered(stage, node, NEW)
    calls = stage.calls()
    async with stage.controller():
        await stage.until_attached(renamed)
        await stage.until(lambda: stage.ec2.interface(before.id).tags["Node"] == NEW)
    assert stage.calls() - calls == {"CreateTags": 1}
    assert stage.ec2.interface(before.id).attachment == before.attachment

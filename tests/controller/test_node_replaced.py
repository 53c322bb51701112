"""Another Node under the name of one that went: names are private DNS names, and addresses come again."""

import pytest

from .conftest import Stage


async def test_what_was_known_of_the_node_before_is_not_told_of_the_new_one(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    node, other = await stage.node(), await stage.node()
    stage.apply()
    async with stage.controller("--node-grace-period=30s"):
        await stage.until_attached(node, other)
        await stage.until(lambda: stage.condition("Ready").get("status") == "True")
        (before,) = stage.ours(node=node)
        launched, _ = stage.world.launch(type="m5.xlarge", labels={})
        manifest = stage.kube.get("", "nodes", node.name)
        assert manifest is not None
        stage.ec2.faults.delay("DescribeInstances", 4.0, times=None)
        stage.kube.delete("", "nodes", node.name)
        fresh = {key: manifest["metadata"][key] for key in ("name", "labels")}
        provider_id = f"aws:///us-west-2a/{launched.instance_id}"
        stage.kube.create({**manifest, "metadata": fresh, "spec": {"providerID": provider_id}})

        def is_true() -> bool:
            row = stage.row(node)
            takes_over = row.get("instanceID") == launched.instance_id and row.get("eniID") == before.id
            attached = any(
                i.attachment and i.attachment.instance_id == launched.instance_id for i in stage.ours()
            )
            return not takes_over and (attached or stage.condition("Ready")["status"] == "False")

        await stage.until(lambda: stage.condition("Ready")["status"] == "False", 3.0)
        await stage.stays(is_true, 6.0)
        stage.ec2.faults.clear()
        await stage.until(lambda: stage.row(node).get("instanceID") == launched.instance_id)
        await stage.until(lambda: stage.row(node).get("status") == "attached", 30)
        assert stage.row(node)["eniID"] != before.id
        eninode = stage.world.eninode(node.name)
        assert eninode is not None
        assert [entry["eniID"] for entry in eninode["spec"]["interfaces"]] == [stage.row(node)["eniID"]]
    assert "put right" not in caplog.text

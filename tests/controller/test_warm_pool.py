"""An instance of a warm pool stops, its Node goes, and both come back: with the same ENI."""

from .conftest import Stage
from .test_node_renamed import registered

# Far less than the instance stands still for.
FLAGS = ("--resync-period=300ms", "--node-grace-period=200ms")


async def test_the_eni_stays_while_the_instance_is_stopped(stage: Stage) -> None:
    node = await stage.node()
    stage.apply()
    async with stage.controller(*FLAGS):
        await stage.until_attached(node)
        await stage.until(lambda: stage.calls()["ModifyNetworkInterfaceAttribute"] == 1)
        (before,) = stage.ours()
        calls = stage.calls()
        stage.ec2.stop_instance(node.instance_id)
        await stage.until(lambda: stage.ec2.instance(node.instance_id).state == "stopped")
        stage.kube.delete("", "nodes", node.name)
        await stage.until(lambda: stage.row(node).get("reason") == "NodeGone")
        await stage.stays(lambda: stage.ours() == [before], seconds=1.5)  # seven graces
        stage.ec2.start_instance(node.instance_id)
        registered(stage, node, node.name)
        await stage.until_attached(node)
        await stage.until(lambda: not stage.row(node).get("reason"))
    assert stage.ours() == [before]
    assert stage.calls() == calls


async def test_of_one_that_runs_and_has_no_node_it_is_taken(stage: Stage) -> None:
    """It was called for, and its Node did not come: the grace counts from then on."""
    node = await stage.node()
    stage.apply()
    async with stage.controller(*FLAGS):
        await stage.until_attached(node)
        stage.ec2.stop_instance(node.instance_id)
        await stage.until(lambda: stage.ec2.instance(node.instance_id).state == "stopped")
        stage.kube.delete("", "nodes", node.name)
        await stage.until(lambda: stage.row(node).get("reason") == "NodeGone")
        assert "DetachNetworkInterface" not in stage.calls()
        stage.ec2.start_instance(node.instance_id)
        await stage.until(lambda: stage.ec2.secondary_interfaces() == [])

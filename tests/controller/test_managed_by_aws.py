"""Nodes whose instances an AWS service manages, as EKS Auto Mode does: told before any call."""

import pytest

from .conftest import NAME, OpenStage, Stage

AUTO = {"eks.amazonaws.com/compute-type": "auto"}


async def told(stage: Stage, says: str) -> None:
    await stage.until(lambda: "ENICreationFailed" in stage.reasons())
    await stage.until(lambda: stage.condition("Degraded").get("reason") == "NotPermitted")
    assert says in stage.condition("Degraded")["message"]
    assert stage.calls() == {}


async def test_a_node_of_auto_mode_is_known_by_its_label(stage: Stage) -> None:
    node, ordinary = await stage.node(matching=False), await stage.node()
    stage.world.label(node.name, ng="multi-eni", **AUTO)
    stage.apply()
    async with stage.controller():
        await stage.until_attached(ordinary)
        await stage.until(lambda: stage.row(node).get("status") == "failed")
        assert stage.row(node)["reason"] == "NotPermitted"
        assert "exclude such nodes by spec.matchExpressions" in stage.row(node)["message"]
        await stage.until(lambda: len(stage.ours()) == 1 and set(stage.calls().values()) == {1})
        without = [{"key": next(iter(AUTO)), "operator": "NotIn", "values": ["auto"]}]
        stage.kube.patch("networking.k8s.aws", "nodeenis", NAME, {"spec": {"matchExpressions": without}})
        await stage.until(lambda: stage.condition("Ready").get("status") == "True")
    assert [interface.tags["Node"] for interface in stage.ours()] == [ordinary.name]


@pytest.mark.parametrize("hidden", [False, True], ids=["shown", "hidden"])
async def test_an_instance_that_a_service_manages_is_known_by_ec2s_word(
    open_stage: OpenStage, hidden: bool
) -> None:
    """Also where the account's managed resource visibility hides it from who does not ask for it."""
    async with open_stage(hides_managed=hidden) as stage:
        node = await stage.node()
        stage.ec2.set_managed(node.instance_id)
        stage.apply()
        async with stage.controller():
            await told(
                stage, f"instance {node.instance_id} of node {node.name} is managed by eks.amazonaws.com"
            )

"""How many nodes a NodeENI is to serve is known by labels alone, whatever EC2 says, and whenever it does."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from nodeeni.sandbox.ec2 import Delay
from nodeeni.sandbox.world import WorldNode

from .conftest import NAME, OpenStage, Stage

READS = ("DescribeSubnets", "DescribeSecurityGroups", "DescribeInstances", "DescribeInstanceTypes")


@pytest.fixture
async def working_stage(stage: Stage) -> AsyncIterator[Stage]:
    """A controller that works already, on a node that nobody selects."""
    await stage.node(matching=False)
    async with stage.controller():
        stage.apply("first", nodeSelector={"is": "there"})
        await stage.until(lambda: stage.condition("Ready", "first").get("reason") == "NoMatchingNodes")
        yield stage


def slowly(stage: Stage, seconds: float = 5.0) -> None:
    for action in READS:
        stage.ec2.faults.delay(action, seconds, times=None)


def ready(stage: Stage) -> tuple[Any, str, str]:
    condition = stage.condition("Ready")
    return stage.status().get("desired"), condition.get("status", ""), condition.get("reason", "")


def never_ready_without(stage: Stage, nodes: list[WorldNode]) -> Callable[[], bool]:
    """Whether what is said of Ready is no lie at this moment."""

    def is_true() -> bool:
        attached = [i for i in stage.ours() if i.attachment and i.attachment.status == "attached"]
        return ready(stage)[1] != "True" or len(attached) == len(nodes)

    return is_true


async def test_nodes_count_while_ec2_is_still_being_read(working_stage: Stage) -> None:
    stage = working_stage
    nodes = [await stage.node() for _ in range(3)]
    slowly(stage)
    stage.apply()
    await stage.until(lambda: ready(stage) == (3, "False", "Attaching"), 4.0)
    assert {stage.row(node)["status"] for node in nodes} == {"creating"}
    assert "observedGeneration" not in stage.status()
    await stage.stays(never_ready_without(stage, nodes), 2.0)
    await stage.until_attached(*nodes)
    await stage.until(lambda: ready(stage) == (3, "True", "AllAttached"))
    assert stage.status()["observedGeneration"] == 1


async def test_a_node_that_loses_its_label_is_not_desired_from_that_moment_on(working_stage: Stage) -> None:
    stage = working_stage
    nodes = [await stage.node() for _ in range(2)]
    stage.apply()
    await stage.until_attached(*nodes)
    slowly(stage)
    stage.ec2.faults.delay("DetachNetworkInterface", 5.0)
    stage.world.label(nodes[0].name, ng=None)
    await stage.until(lambda: stage.status()["desired"] == 1, 4.0)
    await stage.until(lambda: len(stage.ours()) == 1)


async def test_an_edit_that_was_not_looked_at_is_not_observed(working_stage: Stage) -> None:
    stage = working_stage
    nodes = [await stage.node() for _ in range(2)]
    stage.apply()
    await stage.until_attached(*nodes)
    await stage.until(lambda: ready(stage)[1] == "True")
    group = stage.ec2.add_security_group(stage.world.vpc, group_name="second")
    slowly(stage)
    stage.apply(securityGroupIDs=[group.id])
    await stage.until(lambda: ready(stage) == (2, "False", "Updating"), 4.0)
    assert stage.status()["observedGeneration"] == 1
    await stage.until(lambda: ready(stage)[1] == "True")
    assert stage.status()["observedGeneration"] == 2
    assert {i.group_ids for i in stage.ours()} == {(group.id,)}


@pytest.mark.parametrize(
    "provider_id", ["k3s://one", "aws:///us-west-2a/0a1b/fargate-ip-10-0-0-1.us-west-2.compute.internal"]
)
async def test_a_node_that_is_no_instance_is_desired_and_told_what_it_is(
    working_stage: Stage, provider_id: str
) -> None:
    stage = working_stage
    node = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "one", "labels": {"ng": "multi-eni"}},
        "spec": {"providerID": provider_id},
    }
    stage.kube.create(node)
    stage.apply(nodeSelector={"ng": "multi-eni"})
    await stage.until(lambda: ready(stage) == (1, "False", "Failing"))
    (row,) = stage.status()["attachments"]
    assert (row["nodeID"], row["status"], row["reason"]) == ("one", "failed", "NotAnInstance")
    assert repr(provider_id) in row["message"]
    assert stage.calls() == {}


async def test_a_node_that_ends_is_told_as_such_and_raises_no_alarm(open_stage: OpenStage) -> None:
    async with open_stage(terminating=Delay(4.0)) as stage, stage.controller():
        node = await stage.node()
        stage.ec2.terminate(node.instance_id)
        stage.apply()
        await stage.until(lambda: ready(stage) == (0, "True", "NodesEnding"))
        row = stage.row(node)
        assert (row["status"], row["reason"]) == ("deleting", "NodeEnding")
        assert row["message"] == f"its instance {node.instance_id} is shutting-down"
        assert stage.condition("Degraded")["status"] == "False"
        assert stage.condition("Progressing")["status"] == "False"
        assert stage.told("ENICreationFailed") == []
        await stage.until(lambda: ready(stage) == (0, "True", "NoMatchingNodes"))  # its Node is gone
        assert not stage.status().get("attachments")


async def test_a_node_that_is_being_deleted_is_ending_also_while_its_eni_still_stands(
    working_stage: Stage,
) -> None:
    stage = working_stage
    nodes = [await stage.node() for _ in range(2)]
    stage.apply()
    await stage.until_attached(*nodes)
    stage.kube.patch("", "nodes", nodes[0].name, {"metadata": {"finalizers": ["example.com/wait"]}})
    stage.kube.delete("", "nodes", nodes[0].name)
    await stage.until(lambda: stage.row(nodes[0]).get("reason") == "NodeEnding")
    assert ready(stage) == (1, "True", "AllAttached")
    assert stage.condition("Degraded")["status"] == "False"
    stage.kube.patch("", "nodes", nodes[0].name, {"metadata": {"finalizers": None}})
    await stage.until(lambda: len(stage.ours()) == 1)
    assert stage.status(NAME)["desired"] == 1

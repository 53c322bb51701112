"""A Node comes to a cluster that stands: its ENI is made while its instance is looked at, by its labels."""

from typing import Any

import pytest

from nodeeni.api.core import INSTANCE_TYPE_LABEL, ZONE_LABEL
from nodeeni.sandbox.ec2.calls import OK
from nodeeni.sandbox.world import OTHER_SUBNETS, SUBNET, WorldNode

from .conftest import LABELS, NAME, Object, Stage

LOOK = 4.0  # seconds for which EC2 is not to answer about instances


async def standing(stage: Stage, **spec: Any) -> None:
    """From here on the controller knows all there is."""
    stage.apply(**spec)
    await stage.until_attached(*stage.world.nodes.values())


def born(stage: Stage, **labels: str | None) -> tuple[WorldNode, Object]:
    """An instance of zone a and its Node, not registered yet, with labels that say something else."""
    node, registration = stage.world.launch(labels=LABELS)
    told = {**registration["metadata"]["labels"], **labels}
    registration["metadata"]["labels"] = {key: value for key, value in told.items() if value is not None}
    return node, registration


def made_for(stage: Stage, node: WorldNode) -> list[str]:
    """Subnets of the ENIs that EC2 made for it, in their order."""
    calls = stage.ec2.calls.of("CreateNetworkInterface", OK)
    return [call.parameters["SubnetId"] for call in calls if node.instance_id in str(call.parameters)]


def moment(stage: Stage, action: str, node: WorldNode) -> float:
    return next(c.time for c in stage.ec2.calls.of(action, OK) if node.instance_id in str(c.parameters))


async def test_an_eni_is_made_beside_the_look_at_its_instance_and_attached_after_it(stage: Stage) -> None:
    await stage.node()
    async with stage.controller():
        await standing(stage)
        stage.ec2.faults.delay("DescribeInstances", LOOK)
        node, registration = born(stage)
        stage.kube.create(registration)
        await stage.until_attached(node)
    looked_at = moment(stage, "DescribeInstances", node)
    assert moment(stage, "CreateNetworkInterface", node) < looked_at + LOOK
    assert moment(stage, "AttachNetworkInterface", node) >= looked_at + LOOK
    assert (len(made_for(stage, node)), stage.told("ENIMadeInVain")) == (1, [])


async def test_of_several_nodeenis_one_is_made_before_the_instance_was_looked_at(stage: Stage) -> None:
    await stage.node()
    async with stage.controller():
        stage.apply("second", deviceIndex=3)
        await standing(stage)
        stage.ec2.faults.delay("DescribeInstances", LOOK)
        node, registration = born(stage)
        stage.kube.create(registration)
        await stage.until_attached(node)
        await stage.until_attached(node, name="second")
    answered = moment(stage, "DescribeInstances", node) + LOOK
    calls = stage.ec2.calls.of("CreateNetworkInterface", OK)
    times = [call.time for call in calls if node.instance_id in str(call.parameters)]
    assert [at < answered for at in sorted(times)] == [True, False]


async def test_one_that_was_made_in_vain_goes_and_the_next_nodes_are_looked_at_first(stage: Stage) -> None:
    """The one exception to a refusal that costs no call."""
    await stage.node()
    async with stage.controller():
        await standing(stage)
        (node, registration), (later, its_registration) = born(stage), born(stage)
        for one in (node, later):
            stage.ec2.vpc_cni_interface(stage.ec2.instance(one.instance_id), 2)
        stage.kube.create(registration)
        await stage.until(lambda: stage.row(node).get("reason") == "DeviceIndexTaken")
        await stage.until(lambda: stage.ours(node=node) == [])
        stage.kube.create(its_registration)
        await stage.until(lambda: stage.row(later).get("reason") == "DeviceIndexTaken")
    assert (made_for(stage, node), made_for(stage, later)) == ([SUBNET], [])
    ((kind, message),) = stage.told("ENIMadeInVain")
    assert kind == "Warning"
    assert message.startswith(
        f"{node.name}: an ENI was made for {node.instance_id} by the labels of its Node, before the instance "
        "had been looked at, and is deleted: device index 2"
    )
    assert message.endswith("for 10 minutes instances are looked at first")
    assert stage.calls()["AttachNetworkInterface"] == 1  # of the node that stood


async def test_of_several_that_were_made_in_vain_at_once_each_node_is_told_of(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever looks for why a node's ENI came and went finds it; the log has the cause once."""
    await stage.node()
    async with stage.controller():
        await standing(stage)
        stage.ec2.faults.delay("DescribeInstances", LOOK, times=3)
        nodes = [born(stage) for _ in range(3)]
        for node, registration in nodes:
            stage.ec2.vpc_cni_interface(stage.ec2.instance(node.instance_id), 2)
            stage.kube.create(registration)
        for node, _ in nodes:
            await stage.until(lambda: stage.row(node).get("reason") == "DeviceIndexTaken")  # noqa: B023
        told = [message.partition(":")[0] for _, message in stage.told("ENIMadeInVain")]
    assert sorted(told) == sorted(node.name for node, _ in nodes)
    assert sum("an ENI was made for" in line.getMessage() for line in caplog.records) == 1


async def test_a_zone_label_that_lies_costs_one_eni_and_the_node_has_its_own_all_the_same(
    stage: Stage,
) -> None:
    await stage.node()
    async with stage.controller():
        await standing(stage, subnetID=None, subnetIDs=[SUBNET, OTHER_SUBNETS["b"]])
        node, registration = born(stage, **{ZONE_LABEL: "us-west-2b"})
        stage.kube.create(registration)
        await stage.until_attached(node)
        await stage.until(lambda: len(stage.ours(node=node)) == 1)
    assert made_for(stage, node) == [OTHER_SUBNETS["b"], SUBNET]
    ((_, message),) = stage.told("ENIMadeInVain")
    assert f"{OTHER_SUBNETS['b']} is not of the instance's zone, where {SUBNET} is to be had" in message
    assert (stage.row(node)["status"], stage.told("ENICreationFailed")) == ("attached", [])


@pytest.mark.parametrize("label", [ZONE_LABEL, INSTANCE_TYPE_LABEL])
async def test_a_node_without_the_labels_is_looked_at_first(stage: Stage, label: str) -> None:
    await stage.node()
    async with stage.controller():
        await standing(stage)
        node, registration = born(stage, **{label: None})
        stage.kube.create(registration)
        await stage.until_attached(node)
    assert moment(stage, "DescribeInstances", node) < moment(stage, "CreateNetworkInterface", node)
    assert made_for(stage, node) == [SUBNET]


async def test_where_an_eni_may_have_come_with_the_launch_the_instance_is_looked_at_first(
    stage: Stage,
) -> None:
    await stage.node()
    async with stage.controller():
        await standing(stage)
        stage.apply(adoption="LaunchTime")
        node, registration = born(stage)
        stage.kube.create(registration)
        await stage.until_attached(node)
    assert moment(stage, "DescribeInstances", node) < moment(stage, "CreateNetworkInterface", node)


async def test_what_stood_when_the_controller_came_is_looked_at_first(stage: Stage) -> None:
    """It may be full since long ago: an ENI in vain after each restart would be told, and cost a call."""
    node = await stage.node()
    stage.ec2.vpc_cni_interface(stage.ec2.instance(node.instance_id), 2)
    stage.apply()
    for _ in range(2):
        async with stage.controller():
            await stage.until(lambda: stage.row(node).get("reason") == "DeviceIndexTaken")
    assert stage.calls() == {}


async def test_a_node_whose_instance_ec2_does_not_know_leaves_nothing(stage: Stage) -> None:
    await stage.node()
    async with stage.controller():
        await standing(stage)
        _, registration = born(stage)
        registration["spec"]["providerID"] = "aws:///us-west-2a/i-0123456789abcdef0"
        node = WorldNode(registration["metadata"]["name"], "i-0123456789abcdef0")
        stage.kube.create(registration)
        await stage.until(lambda: stage.row(node).get("reason") == "InstanceNotFound")
        await stage.until(lambda: stage.ours(node=node) == [])
    assert len(made_for(stage, node)) == 1
    assert len(stage.told("ENIMadeInVain")) == 1
    assert stage.row(node)["nodeID"] == node.name


async def test_a_controller_that_dies_in_between_leaves_nothing_that_the_next_one_does_not_find(
    stage: Stage,
) -> None:
    await stage.node()
    async with stage.controller() as first:
        await standing(stage)
        stage.ec2.faults.delay("DescribeInstances", LOOK)
        (node, registration), (full, its_registration) = born(stage), born(stage)
        stage.ec2.vpc_cni_interface(stage.ec2.instance(full.instance_id), 2)
        for each in (registration, its_registration):
            stage.kube.create(each)
        await stage.until(lambda: made_for(stage, node) and made_for(stage, full))
        first.cancel()
    async with stage.controller():
        await stage.until_attached(node)
        await stage.until(lambda: stage.row(full).get("reason") == "DeviceIndexTaken")
        await stage.until(lambda: stage.ours(node=full) == [])
    assert (len(made_for(stage, node)), len(made_for(stage, full))) == (1, 1)
    assert len(stage.ours(NAME)) == 2

"""An item of EC2's answers that lacks something spoils only who asked for it."""

import aiohttp
import pytest
from tests.ports import free_port

from nodeeni.sandbox.world import WorldNode

from .conftest import Stage

SECOND = "second"


def listed(stage: Stage, node: WorldNode) -> list[str]:
    eninode = stage.world.eninode(node.name) or {"spec": {"interfaces": []}}
    return [entry["eniID"] for entry in eninode["spec"]["interfaces"]]


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Of the item itself; that a NodeENI's plan is refused for it is a line of its own."""
    about = [r for r in caplog.records if r.name.endswith("health")]
    return [r.getMessage() for r in about if "cannot be read" in r.getMessage()]


@pytest.mark.parametrize(
    ("action", "member"),
    [("DescribeSubnets", "availabilityZone"), ("DescribeSecurityGroups", "groupName")],
)
async def test_a_subnet_or_group_without_a_member_refuses_those_who_named_it(
    stage: Stage, caplog: pytest.LogCaptureFixture, action: str, member: str
) -> None:
    node = await stage.node()
    group = stage.ec2.add_security_group(stage.world.vpc)
    subnet = stage.ec2.add_subnet(stage.world.vpc, "us-west-2a", "10.250.0.0/24")
    broken = subnet.id if action == "DescribeSubnets" else group.id
    stage.ec2.faults.lack(action, member, broken)
    async with stage.controller():
        stage.apply(SECOND, subnetID=subnet.id, securityGroupIDs=[group.id], deviceIndex=3)
        stage.apply()
        await stage.until_attached(node)
        await stage.until(lambda: stage.row(node, SECOND).get("status") == "failed")
    row = stage.row(node, SECOND)
    assert broken in row["message"]
    assert member.lower() in row["message"].lower()
    assert stage.condition("Ready", SECOND)["status"] == "False"
    assert stage.ours(SECOND) == []
    assert len(said(caplog)) == 1


async def test_an_instance_without_a_type_refuses_its_node_alone(stage: Stage) -> None:
    broken, node = await stage.node(), await stage.node()
    stage.ec2.faults.lack("DescribeInstances", "instanceType", broken.instance_id)
    stage.apply()
    async with stage.controller():
        await stage.until_attached(node)
        await stage.until(lambda: stage.row(broken).get("status") == "failed")
    assert broken.instance_id in stage.row(broken)["message"]
    assert stage.ours(node=broken) == []


@pytest.mark.parametrize("member", ["macAddress", "subnetId", "status"])
async def test_an_interface_that_cannot_be_read_any_more_is_there_all_the_same(
    stage: Stage, member: str
) -> None:
    """Neither taken for gone, nor made a second time; others are served, and it goes once it can be read."""
    node = await stage.node()
    stage.apply()
    async with stage.controller("--resync-period=200ms"):
        await stage.until_attached(node)
        (interface,) = stage.ours()
        stage.ec2.faults.lack("DescribeNetworkInterfaces", member, interface.id)
        reads = stage.ec2.calls.by_action["DescribeNetworkInterfaces"]
        await stage.until(lambda: stage.ec2.calls.by_action["DescribeNetworkInterfaces"] > reads + 6)
        other = await stage.node()
        await stage.until_attached(other)
        stage.delete()
        await stage.until(lambda: not stage.ours(node=other))
        stage.ec2.faults.clear()
        await stage.until_deleted()
    assert stage.ec2.secondary_interfaces() == []
    assert stage.calls()["CreateNetworkInterface"] == 2


async def test_one_that_was_never_readable_is_given_no_second_beside_it(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    node = await stage.node()
    stage.apply()
    async with stage.controller():
        await stage.until_attached(node)
    (interface,) = stage.ours()
    stage.ec2.faults.lack("DescribeNetworkInterfaces", "macAddress", interface.id)
    port = free_port()
    async with stage.controller(f"--metrics-addr=127.0.0.1:{port}"):
        other = await stage.node()
        await stage.until_attached(other)
        await stage.until(lambda: stage.row(node).get("status") == "failed")
        async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{port}/metrics") as answer:
            metrics = await answer.text()
        assert interface.id in stage.row(node)["message"]
        assert listed(stage, node) == [interface.id], "its ENI manager goes on"
        stage.ec2.faults.clear()
        await stage.until_attached(node, other, timeout=30)
    assert [i.id for i in stage.ours(node=node)] == [interface.id]
    assert 'nodeeni_ec2_unreadable_items_total{shape="NetworkInterface"}' in metrics
    (line,) = said(caplog)
    assert line.startswith(f"EC2's answer on NetworkInterface {interface.id} cannot be read: ")
    assert "`MacAddress`" in line
    async with stage.controller():
        await stage.until_attached(node, other)
        stage.delete()
        await stage.until_deleted()
    assert stage.ec2.secondary_interfaces() == []

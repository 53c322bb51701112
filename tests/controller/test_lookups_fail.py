"""EC2 does not answer a question that a plan asks: who asked is told of it, everybody else goes on."""

import pytest

from nodeeni.sandbox.ec2 import Fault

from .conftest import Stage

DENIED = "UnauthorizedOperation"


def other_subnet(stage: Stage) -> str:
    return stage.ec2.add_subnet(stage.world.vpc, "a", "10.30.0.0/24").id


def asking(subnet_id: str) -> dict[str, str]:
    """The parameters of a describe whose first value is this subnet."""
    return {"Filter.1.Value.1": subnet_id}


@pytest.mark.parametrize(
    ("code", "reason", "words"),
    [
        (DENIED, "NotAuthorized", "grant ec2:DescribeSubnets"),
        ("RequestLimitExceeded", "Throttled", "RequestLimitExceeded"),
        ("InternalError", "EC2Error", "InternalError"),
    ],
)
async def test_subnets_cannot_be_read_and_the_row_says_why(
    stage: Stage, code: str, reason: str, words: str
) -> None:
    node = await stage.node()
    stage.ec2.faults.error("DescribeSubnets", code, times=None)
    stage.apply()
    async with stage.controller():
        await stage.until(lambda: words in stage.row(node).get("message", ""))
        assert (stage.row(node)["status"], stage.row(node)["reason"]) == ("failed", reason)
        assert stage.status()["desired"] == 1
        assert stage.condition("Ready")["status"] == "False"
        assert stage.condition("Degraded")["reason"] == reason
        assert stage.ours() == []


@pytest.mark.parametrize("action", ["DescribeSecurityGroups", "DescribeInstances", "DescribeInstanceTypes"])
async def test_no_look_up_that_is_refused_leaves_a_node_without_a_row(stage: Stage, action: str) -> None:
    node = await stage.node()
    stage.ec2.faults.error(action, DENIED, times=None)
    stage.apply()
    async with stage.controller():
        await stage.until(lambda: stage.row(node).get("reason") == "NotAuthorized")
        assert f"grant ec2:{action}" in stage.row(node)["message"]
        assert stage.condition("Ready")["status"] == "False"
        assert any(f"grant ec2:{action}" in message for _, message in stage.told("ENICreationFailed"))
        assert stage.ours() == []
        stage.ec2.faults.clear()
        stage.world.label(node.name, touched="yes")
        await stage.until_attached(node)


async def test_removal_needs_no_subnet(stage: Stage) -> None:
    nodes = [await stage.node() for _ in range(2)]
    stage.apply("a")
    async with stage.controller():
        await stage.until_attached(*nodes, name="a")
        stage.ec2.faults.error("DescribeSubnets", DENIED, times=None)
        stage.apply("b", subnetID=other_subnet(stage), deviceIndex=3)
        await stage.until(lambda: all(stage.row(n, "b").get("reason") == "NotAuthorized" for n in nodes))
        stage.delete("a")
        await stage.until_deleted("a")
    assert stage.ours("a") == []
    assert stage.ours("b") == []


async def test_removal_needs_no_instance(stage: Stage) -> None:
    node = await stage.node()
    stage.apply("a")
    async with stage.controller():
        await stage.until_attached(node, name="a")
    stage.ec2.faults.error("DescribeInstances", DENIED, times=None)
    stage.apply("b", deviceIndex=3)
    async with stage.controller():
        await stage.until(lambda: stage.row(node, "b").get("reason") == "NotAuthorized")
        assert stage.row(node, "a")["eniID"]
        stage.delete("a")
        await stage.until_deleted("a")
    assert stage.ours("a") == []


async def test_the_other_nodeenis_of_the_node_go_on(stage: Stage) -> None:
    node, elsewhere = await stage.node(), other_subnet(stage)
    stage.ec2.faults.add(Fault("DescribeSubnets", times=None, match=asking(elsewhere), code=DENIED))
    stage.apply("a")
    async with stage.controller():
        await stage.until_attached(node, name="a")
        stage.apply("b", subnetID=elsewhere, deviceIndex=3)
        await stage.until(lambda: stage.row(node, "b").get("reason") == "NotAuthorized")
        stage.apply("c", deviceIndex=4)
        await stage.until_attached(node, name="c")
        assert stage.row(node, "a")["status"] == "attached"
        assert stage.condition("Ready", "a")["status"] == "True"


async def test_what_is_half_made_is_kept_while_its_subnet_cannot_be_read(stage: Stage) -> None:
    node = await stage.node()
    stage.ec2.faults.error("AttachNetworkInterface", "InternalError", times=None)
    stage.apply()
    async with stage.controller():
        await stage.until(lambda: [i.status for i in stage.ours()] == ["available"])
    stage.ec2.faults.error("DescribeSubnets", DENIED, times=None)
    async with stage.controller():
        await stage.until(lambda: stage.row(node).get("reason") == "NotAuthorized")
        await stage.stays(lambda: [i.status for i in stage.ours()] == ["available"])
        stage.ec2.faults.clear()
        stage.world.label(node.name, touched="yes")
        await stage.until_attached(node)
    assert stage.calls()["CreateNetworkInterface"] == 1


async def test_a_look_up_that_hangs_holds_up_its_nodeeni_alone(stage: Stage) -> None:
    node, elsewhere = await stage.node(), other_subnet(stage)
    stage.apply("a")
    async with stage.controller():
        await stage.until_attached(node, name="a")
        stage.ec2.faults.add(Fault("DescribeSubnets", times=None, match=asking(elsewhere), hang=True))
        stage.apply("b", subnetID=elsewhere, deviceIndex=3)
        await stage.until(lambda: "not answered" in stage.row(node, "b").get("message", ""))
        stage.apply("c", deviceIndex=4)
        await stage.until_attached(node, name="c")
        stage.delete("a")
        await stage.until_deleted("a")
    assert stage.ours("a") == []
    assert stage.ours("b") == []


async def test_a_subnet_without_ipv4_spoils_nobody_elses_plan(stage: Stage) -> None:
    node = await stage.node()
    ipv6_only = stage.ec2.add_subnet(stage.world.vpc, "a", "")
    stage.apply("b", subnetID=ipv6_only.id, deviceIndex=3)
    stage.apply("a")
    async with stage.controller():
        await stage.until_attached(node, name="a")
        await stage.until(lambda: stage.row(node, "b").get("reason") == "SubnetFull")
    assert stage.ours("b") == []

"""ENIs in another VPC of the account: made, edited, removed, and what cannot be had there."""

import asyncio
import os
import signal
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from nodeeni.sandbox.ec2.faults import Fault
from nodeeni.sandbox.ec2.model import SecurityGroup, Subnet, Vpc
from nodeeni.sandbox.world import SECURITY_GROUP, SUBNET, WorldNode, process_environment

from .conftest import NAME, QUICK, Stage

USABLE = "GetSecurityGroupsForVpc"


class Abroad:
    """A second VPC with a subnet in each of two zones and a group of its own."""

    def __init__(self, stage: Stage) -> None:
        self.vpc: Vpc = stage.ec2.add_vpc(cidr="172.16.0.0/12", name="user-plane")
        self.subnet: Subnet = stage.ec2.add_subnet(self.vpc, "a", "172.16.1.0/24", name="user-plane-a")
        self.far: Subnet = stage.ec2.add_subnet(self.vpc, "b", "172.16.2.0/24", name="user-plane-b")
        self.group: SecurityGroup = stage.ec2.add_security_group(self.vpc, group_name="user-plane")
        self.by_id: dict[str, Any] = {"subnetID": self.subnet.id, "securityGroupIDs": [self.group.id]}
        self.by_name: dict[str, Any] = {
            "subnetID": None,
            "subnetName": self.subnet.tags["Name"],
            "securityGroupIDs": None,
            "securityGroupNames": [self.group.group_name],
            "vpcID": self.vpc.id,
        }


@pytest.fixture
def abroad(stage: Stage) -> Abroad:
    return Abroad(stage)


def places(stage: Stage) -> list[tuple[str, str, tuple[str, ...], bool]]:
    """VPC, subnet, groups, and whether it is attached."""
    return [(i.vpc_id, i.subnet_id, i.group_ids, i.attachment is not None) for i in stage.ours()]


def stands_at(stage: Stage, place: tuple[str, str, tuple[str, ...], bool]) -> bool:
    return places(stage) == [place]


def edit(stage: Stage, **spec: Any) -> None:
    """Change these fields; None takes one away."""
    stage.kube.patch("networking.k8s.aws", "nodeenis", NAME, {"spec": spec})


async def at_rest(stage: Stage, *nodes: WorldNode) -> None:
    await stage.until_attached(*nodes)
    await stage.until(lambda: stage.condition("Progressing").get("status") == "False")


@pytest.mark.parametrize("by", ["by_id", "by_name"])
async def test_one_is_made_there_with_three_calls_and_told_as_any_other(
    stage: Stage, abroad: Abroad, by: str
) -> None:
    nodes = [await stage.node() for _ in range(3)]
    stage.apply(**getattr(abroad, by))
    async with stage.controller():
        await at_rest(stage, *nodes)
        row = stage.row(nodes[0])
        shown = getattr(abroad, by)
        assert stage.status()["subnets"] == (shown["subnetID"] or shown["subnetName"])
    assert places(stage) == [(abroad.vpc.id, abroad.subnet.id, (abroad.group.id,), True)] * 3
    assert (row["subnetID"], row["subnetCIDR"]) == (abroad.subnet.id, "172.16.1.0/24")
    assert set(stage.calls().values()) == {3}
    assert stage.ec2.calls.by_action[USABLE] == 0


async def test_an_associated_group_is_asked_for_once_for_all_nodes(stage: Stage, abroad: Abroad) -> None:
    stage.ec2.associate_security_group(stage.world.group, abroad.vpc)
    nodes = [await stage.node() for _ in range(5)]
    stage.apply(subnetID=abroad.subnet.id)
    async with stage.controller():
        await at_rest(stage, *nodes)
    assert places(stage) == [(abroad.vpc.id, abroad.subnet.id, (SECURITY_GROUP,), True)] * 5
    assert (set(stage.calls().values()), stage.ec2.calls.by_action[USABLE]) == ({5}, 1)


async def test_the_nodes_own_vpc_is_taken_first_and_the_other_when_that_is_full(
    stage: Stage, abroad: Abroad
) -> None:
    own = stage.ec2.add_subnet(stage.world.vpc, "a", "10.77.0.0/28")  # 11 addresses
    stage.ec2.associate_security_group(stage.world.group, abroad.vpc)
    nodes = [await stage.node() for _ in range(13)]
    stage.apply(subnetID=None, subnetIDs=[abroad.subnet.id, own.id])
    async with stage.controller():
        await at_rest(stage, *nodes)
    taken = [interface.subnet_id for interface in stage.ours()]
    assert (taken.count(own.id), taken.count(abroad.subnet.id)) == (11, 2)


@pytest.mark.parametrize("by", ["by_id", "by_name"])
async def test_an_edit_moves_it_there_and_an_edit_brings_it_back(
    stage: Stage, abroad: Abroad, by: str
) -> None:
    node = await stage.node()
    stage.apply()
    home = (stage.world.vpc.id, SUBNET, (SECURITY_GROUP,), True)
    there = (abroad.vpc.id, abroad.subnet.id, (abroad.group.id,), True)
    async with stage.controller():
        await at_rest(stage, node)
        for spec, place in ((getattr(abroad, by), there), ({}, home)):
            left = dict.fromkeys(("subnetName", "securityGroupNames", "vpcID"))
            edit(stage, **{**left, "subnetID": SUBNET, "securityGroupIDs": [SECURITY_GROUP], **spec})
            await stage.until(partial(stands_at, stage, place))
        stage.delete()
        await stage.until_deleted()
    assert stage.ours() == []
    calls = stage.calls()
    assert (calls["CreateNetworkInterface"], calls["DeleteNetworkInterface"]) == (3, 3)


async def test_a_name_in_two_vpcs_follows_an_edit_of_the_vpc_alone(stage: Stage, abroad: Abroad) -> None:
    twin = stage.ec2.add_subnet(stage.world.vpc, "a", "10.78.0.0/24", name="user-plane-a")
    own = stage.ec2.add_security_group(stage.world.vpc, group_name="user-plane")
    node = await stage.node()
    stage.apply(**{**abroad.by_name, "vpcID": None})
    async with stage.controller():
        await at_rest(stage, node)
        assert places(stage) == [(stage.world.vpc.id, twin.id, (own.id,), True)]
        stage.apply(**abroad.by_name)
        there = (abroad.vpc.id, abroad.subnet.id, (abroad.group.id,), True)
        await stage.until(lambda: places(stage) == [there])


async def test_a_group_that_is_associated_later_is_put_on_in_place(stage: Stage, abroad: Abroad) -> None:
    node = await stage.node()
    stage.apply(**abroad.by_id)
    stage.ec2.associate_security_group(stage.world.group, abroad.vpc)
    async with stage.controller():
        await at_rest(stage, node)
        (made,) = stage.ours()
        stage.apply(**{**abroad.by_id, "securityGroupIDs": [abroad.group.id, SECURITY_GROUP]})
        await stage.until(lambda: set(stage.ours()[0].group_ids) == {abroad.group.id, SECURITY_GROUP})
    assert [interface.id for interface in stage.ours()] == [made.id]


@pytest.mark.parametrize(
    "action",
    ["CreateNetworkInterface", "AttachNetworkInterface", "DetachNetworkInterface", "DeleteNetworkInterface"],
)
async def test_killed_between_two_calls_of_a_move_to_another_vpc(
    stage: Stage, abroad: Abroad, tmp_path: Path, action: str
) -> None:
    """Detach and Delete of the old one, Create and Attach of the new one: each done, and nobody was told."""
    node = await stage.node()
    stage.apply()
    async with stage.controller():
        await at_rest(stage, node)
    stage.ec2.faults.hang(action, phase="after")
    edit(stage, **abroad.by_name)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "nodeeni.cli.main", "controller", *QUICK),
        env={**os.environ, **process_environment(stage.world, tmp_path / "kubeconfig")},
        stderr=asyncio.subprocess.DEVNULL,
    )
    await stage.until(lambda: not stage.ec2.faults.pending(), timeout=60)
    process.send_signal(signal.SIGKILL)
    await process.wait()
    async with stage.controller():
        there = (abroad.vpc.id, abroad.subnet.id, (abroad.group.id,), True)
        await stage.until(lambda: places(stage) == [there])
        stage.delete()
        await stage.until_deleted()
    assert stage.ec2.secondary_interfaces() == []
    made = {call.parameters["ClientToken"] for call in stage.ec2.calls.of("CreateNetworkInterface")}
    assert len(made) == 2


# -- what cannot be had ------------------------------------------------------------------------------


REFUSED = {
    "a group of the node's VPC": (
        {"securityGroupIDs": [SECURITY_GROUP]},
        "SecurityGroupInOtherVPC",
        "aws ec2 associate-security-group-vpc --group-id sg-05da196f3314d4af8",
    ),
    "a group name of the node's VPC": (
        {"securityGroupIDs": None, "securityGroupNames": ["my-security-group"]},
        "SecurityGroupInOtherVPC",
        "aws ec2 associate-security-group-vpc --group-id sg-05da196f3314d4af8",
    ),
    "a group that no VPC has": (
        {"securityGroupIDs": ["sg-0123456789abcdef0"]},
        "SecurityGroupNotFound",
        "correct spec.securityGroupIDs",
    ),
    "a name without the VPC that has it": (
        {"subnetID": None, "subnetName": "user-plane-a"},
        "SubnetInOtherVPC",
        "set spec.vpcID to the VPC that is meant",
    ),
    "a VPC that is not there": (
        {"subnetID": None, "subnetName": "user-plane-a", "vpcID": "vpc-0123456789abcdef0"},
        "SubnetInOtherVPC",
        "does not exist in vpc-0123456789abcdef0 (spec.vpcID)",
    ),
    "one of another zone": (
        {"subnetID": "the far one"},
        "NoSubnetInZone",
        "instance {instance} is in us-west-2a, and an ENI can only be attached in its own zone",
    ),
}


@pytest.mark.parametrize(("spec", "reason", "says"), REFUSED.values(), ids=REFUSED.keys())
async def test_what_cannot_be_had_there_is_told_and_no_call_is_made(
    stage: Stage, abroad: Abroad, spec: dict[str, Any], reason: str, says: str
) -> None:
    node = await stage.node()
    if spec.get("subnetID"):
        spec = {"subnetID": abroad.far.id}
    stage.apply(**{**abroad.by_id, **spec})
    async with stage.controller():
        await stage.until(lambda: stage.row(node).get("status") == "failed")
        await stage.until(lambda: "ENICreationFailed" in stage.reasons())
        row = stage.row(node)
    assert row["reason"] == reason
    assert says.format(instance=node.instance_id) in row["message"]
    assert stage.calls() == {}


@pytest.mark.parametrize(("spec", "reason", "says"), REFUSED.values(), ids=REFUSED.keys())
async def test_an_edit_to_what_cannot_be_had_takes_nothing_down(
    stage: Stage, abroad: Abroad, spec: dict[str, Any], reason: str, says: str
) -> None:
    node = await stage.node()
    stage.apply()
    async with stage.controller():
        await at_rest(stage, node)
        before, calls = stage.ours(), stage.calls()
        if spec.get("subnetID"):
            spec = {"subnetID": abroad.far.id}
        edit(stage, **{**abroad.by_id, **spec})
        await stage.until(lambda: stage.row(node).get("reason") == reason)
    assert (stage.ours(), stage.calls()) == (before, calls)


async def test_where_ec2_alone_knows_ec2_decides_and_its_words_are_kept(stage: Stage, abroad: Abroad) -> None:
    node = await stage.node()
    said = f"Security group {abroad.group.id} and subnet {abroad.subnet.id} belong to different networks."
    stage.ec2.faults.error("CreateNetworkInterface", "InvalidParameter", message=said, times=None)
    stage.apply(**abroad.by_id)
    async with stage.controller():
        await stage.until(lambda: said.removesuffix(".") in stage.row(node).get("message", ""))
        assert stage.row(node)["reason"] == "InvalidReference"
    assert stage.ours() == []


async def test_without_the_permission_to_ask_it_is_named_and_what_stands_stays(
    stage: Stage, abroad: Abroad
) -> None:
    stage.ec2.associate_security_group(stage.world.group, abroad.vpc)
    stage.ec2.faults.add(Fault(action=USABLE, denied="no identity-based policy", times=None))
    node, other = await stage.node(), await stage.node()
    stage.apply()
    stage.apply("abroad", subnetID=abroad.subnet.id, deviceIndex=3)
    async with stage.controller():
        await stage.until_attached(node, other)
        await stage.until(lambda: stage.row(node, "abroad").get("reason") == "NotAuthorized")
        assert f"ec2:{USABLE}" in stage.row(node, "abroad")["message"]
        assert stage.ours("abroad") == []
        stage.ec2.faults.clear()
        await stage.until_attached(node, other, name="abroad")
    assert len(stage.ours()) == 2


# -- shared subnets ----------------------------------------------------------------------------------


OWNER = "210987654321"


async def test_a_subnet_that_another_account_shares_is_judged_by_the_zones_id(stage: Stage) -> None:
    """The other account calls us-west-2a us-west-2d, and what it calls us-west-2a is our us-west-2b."""
    vpc = stage.ec2.add_vpc(cidr="172.16.0.0/12")
    here = stage.ec2.add_subnet(vpc, "a", "172.16.1.0/24", owner_id=OWNER, owners_zone="d")
    far = stage.ec2.add_subnet(vpc, "b", "172.16.2.0/24", owner_id=OWNER, owners_zone="a")
    group = stage.ec2.add_security_group(vpc)
    node = await stage.node()
    stage.apply(subnetID=far.id, securityGroupIDs=[group.id])
    async with stage.controller():
        await stage.until(lambda: stage.row(node).get("status") == "failed")
        message = stage.row(node)["message"]
        assert stage.row(node)["reason"] == "NoSubnetInZone"
        assert f"arn:aws:ec2:us-west-2:{OWNER}:subnet/{far.id} is in usw2-az2" in message
        assert "is in us-west-2a (usw2-az1)" in message
        assert stage.calls() == {}
        stage.apply(subnetID=here.id, securityGroupIDs=[group.id])
        await stage.until_attached(node)
    assert places(stage) == [(vpc.id, here.id, (group.id,), True)]


async def test_a_wildcard_in_a_name_has_candidates_in_each_zone(stage: Stage, abroad: Abroad) -> None:
    """As in v1.1.0, which passed the name on to EC2's filter."""
    nodes = {zone: await stage.node(zone) for zone in "ab"}
    stage.apply(**{**abroad.by_name, "subnetName": "user-plane-?"})
    async with stage.controller():
        await stage.until_attached(*nodes.values())
    assert {i.tags["Node"]: i.subnet_id for i in stage.ours()} == {
        nodes["a"].name: abroad.subnet.id,
        nodes["b"].name: abroad.far.id,
    }

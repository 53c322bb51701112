"""The IAM policy that we ship and what the controller does: enough, nothing to spare, nothing of others.

Every test of this folder runs under that policy (conftest.py). That IAM itself decides as the sandbox does is
AWS's documentation read by us; no AWS account has been asked.
"""

from collections.abc import AsyncIterator, Iterator
from itertools import product
from typing import Any

import msgspec
import pytest
from tests.contract import permitted
from tests.faults.right import addresses

from nodeeni.ec2.attributes import (
    DELETE_ON_TERMINATION,
    DESCRIPTION,
    GROUPS,
    SOURCE_DEST_CHECK,
    InterfaceRequest,
)
from nodeeni.ec2.client import EC2Client
from nodeeni.ec2.errors import EC2Error, ErrorClass
from nodeeni.sandbox.ec2 import Interface, LaunchInterface, Policy, Statement, Subnet
from nodeeni.sandbox.world import SECURITY_GROUP, SUBNET

from .conftest import LABELS, NAME, Stage

MANAGED_BY = "kubernetes.io/cluster/managed-by"
CLUSTER = "nodeeni.networking.k8s.aws/cluster"


async def all_the_work(stage: Stage) -> None:
    """Once through everything that the controller asks of EC2."""
    group = stage.ec2.add_security_group(stage.ec2.add_vpc())
    stage.ec2.associate_security_group(group, stage.world.vpc)
    node = await stage.node()
    subnet = stage.ec2.add_subnet(stage.world.vpc, "a", "10.20.0.0/16", ipv6_cidr="2001:db8:0:1::/64")
    asked: dict[str, Any] = {"secondaryPrivateIPCount": 1, "ipv6AddressCount": 1}
    stage.apply(subnetID=subnet.id, tags={"team": "radio"}, adoption="LaunchTime", **asked)
    launched, registration = stage.world.launch(labels=LABELS, brought=[_as_asked(subnet)])
    stage.kube.create(registration)
    async with stage.controller():
        await stage.until_attached(node, launched)
        stage.apply(
            subnetID=subnet.id,
            secondaryPrivateIPCount=0,
            ipv4PrefixCount=1,
            ipv6AddressCount=0,
            ipv6PrefixCount=1,
            securityGroupIDs=[SECURITY_GROUP, group.id],
            description="edited",
            deleteOnTermination=False,
            tags={"team": None, "cost": "1"},
        )
        await stage.until(lambda: all(map(_is_edited, stage.ours())))
        stage.delete()
        await stage.until_deleted()
    assert stage.ours() == []


def _as_asked(subnet: Subnet) -> LaunchInterface:
    """What a launch template brings, to be taken over."""
    return LaunchInterface(
        subnet=subnet,
        device_index=2,
        group_ids=(SECURITY_GROUP,),
        tags={"node.k8s.amazonaws.com/no_manage": "true"},
        counts={"SecondaryPrivateIpAddressCount": "1", "Ipv6AddressCount": "1"},
    )


def _is_edited(interface: Interface) -> bool:
    return (
        interface.description == "edited"
        and len(interface.group_ids) == 2
        and (interface.tags.get("team"), interface.tags.get("cost")) == (None, "1")
        and list(map(len, addresses(interface).values())) == [0, 1, 0, 1]
        and interface.attachment is not None
        and not interface.attachment.delete_on_termination
    )


def each_pair(policy: Policy) -> Iterator[Statement]:
    """Every action of every statement with every resource of it, by itself."""
    for statement in policy.statement:
        for action, resource in product(_listed(statement.action), _listed(statement.resource)):
            yield msgspec.structs.replace(statement, action=action, resource=resource)


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


async def test_without_any_one_grant_something_that_is_done_would_be_refused(stage: Stage) -> None:
    await all_the_work(stage)
    asked = list(stage.policy.asked)
    pairs = list(each_pair(stage.policy))
    assert all(map(Policy(stage.policy.version, pairs).allows, asked))
    spare = [
        f"{left.sid}: {left.action} on {left.resource}"
        for left in pairs
        if all(map(Policy(stage.policy.version, [p for p in pairs if p is not left]).allows, asked))
    ]
    assert spare == []


@pytest.fixture
async def client(stage: Stage) -> AsyncIterator[EC2Client]:
    """Calls with the controller's credentials."""
    async with EC2Client.connect(stage.ec2.account.region, endpoint_url=stage.ec2.url) as client:
        yield client


async def test_of_interfaces_that_are_not_managed_by_us_none_can_be_changed(
    stage: Stage, client: EC2Client
) -> None:
    node = await stage.node()
    instance = stage.ec2.instance(node.instance_id)
    cni = stage.ec2.vpc_cni_interface(instance, 1)
    free = stage.ec2.plant_interface(stage.world.subnets["a"], tags={"NodeENI": NAME, CLUSTER: "c"})
    assert cni.attachment is not None
    request = InterfaceRequest(
        subnet_id=SUBNET,
        values={GROUPS: (SECURITY_GROUP,), DESCRIPTION: ""},
        client_token="t",
        tags={"a": "b"},
    )
    before = stage.ec2.interfaces()
    for call in (
        client.create_interface(request),
        client.attach(free.id, instance.id, 2),
        client.detach(cni.attachment.id, force=True),
        client.delete(free.id),
        client.modify(cni.id, GROUPS, (SECURITY_GROUP,)),
        client.modify(cni.id, DESCRIPTION, "ours"),
        client.modify(cni.id, SOURCE_DEST_CHECK, False),
        client.modify(cni.id, DELETE_ON_TERMINATION, False, cni.attachment.id),
        client.create_tags([free.id], {MANAGED_BY: "nodeeni-controller"}),
        client.create_tags([instance.id, SUBNET], {MANAGED_BY: "nodeeni-controller"}),
        client.delete_tags([cni.id], ["node.k8s.amazonaws.com/createdAt"]),
    ):
        with pytest.raises(EC2Error) as refused:
            await call
        assert refused.value.error_class is ErrorClass.DENIED, refused.value
    assert stage.ec2.interfaces() == before
    stage.policy.asked.clear()


async def test_what_came_with_a_launch_is_tagged_only_where_it_says_so_and_is_no_controllers(
    stage: Stage, client: EC2Client
) -> None:
    no_manage, ours = {"node.k8s.amazonaws.com/no_manage": "true"}, {MANAGED_BY: "nodeeni-controller"}
    subnet = stage.world.subnets["a"]
    adoption = {"nodeeni.networking.k8s.aws/adoption": "LaunchTime", **ours}
    for tags, given in (
        ({}, adoption),  # not marked in the launch template
        ({"node.k8s.amazonaws.com/no_manage": "false"}, adoption),
        ({**no_manage, CLUSTER: "another"}, adoption),
        ({**no_manage, MANAGED_BY: "another"}, adoption),
        (no_manage, ours),  # by another way than adoption
    ):
        interface = stage.ec2.plant_interface(subnet, tags=tags)
        with pytest.raises(EC2Error) as refused:
            await client.create_tags([interface.id], given)
        assert refused.value.error_class is ErrorClass.DENIED, (tags, given)
        assert stage.ec2.interface(interface.id).tags == tags
    free = stage.ec2.plant_interface(subnet, tags=no_manage)
    with pytest.raises(EC2Error):
        await client.delete(free.id)
    await client.create_tags([free.id], adoption)
    assert stage.ec2.interface(free.id).tags == {**no_manage, **adoption}
    stage.policy.asked.clear()


async def test_the_stricter_conditions_of_the_page_leave_enough_to_work_with(stage: Stage) -> None:
    """`deploy/iam/README.md`: one cluster only, one VPC only."""
    cluster = stage.kube.get("", "namespaces", "kube-system")["metadata"]["uid"]  # type: ignore[index]
    account = stage.ec2.account
    vpc = f"arn:aws:ec2:{account.region}:{account.id}:vpc/{stage.world.vpc.id}"
    conditions = {
        "ChangeOnlyOurs": {"StringEquals": {f"aws:ResourceTag/{CLUSTER}": cluster}},
        "CreateInAnySubnetWithAnyGroup": {"ArnEquals": {"ec2:Vpc": vpc}},
    }
    stage.policy.statement = [
        msgspec.structs.replace(each, condition=conditions.get(each.sid, each.condition))
        for each in stage.policy.statement
    ]
    await all_the_work(stage)


def test_a_policy_that_says_what_is_not_understood_is_refused() -> None:
    document = permitted.POLICY.read_text()
    for said, other in (("StringEquals", "StringLike"), ("Allow", "Deny"), ("Resource", "NotResource")):
        with pytest.raises(msgspec.ValidationError):
            Policy.read(document.replace(f'"{said}"', f'"{other}"'))

"""Dual-stack and IPv6-only subnets: which one is taken, what an ENI of it has, and what cannot be had."""

from typing import Any

import pytest

from .conftest import NAME, Stage

ONE, OTHER = "2001:db8:0:1::/64", "2001:db8:0:2::/64"


def ipv6_only(stage: Stage) -> str:
    return stage.ec2.add_subnet(stage.world.vpc, "a", "", ipv6_cidr=ONE).id


def dual_stack(stage: Stage, **more: Any) -> str:
    return stage.ec2.add_subnet(stage.world.vpc, "a", "10.20.0.0/16", ipv6_cidr=OTHER, **more).id


async def test_an_ipv6_only_subnet_has_no_free_ipv4_address_and_is_not_full(stage: Stage) -> None:
    node = await stage.node()
    stage.apply(subnetID=ipv6_only(stage))
    async with stage.controller():
        await stage.until_attached(node)
        (interface,) = stage.ours()
        row = stage.row(node)
        assert row["ipv6Addresses"] == list(interface.ipv6_addresses)
        assert len(interface.ipv6_addresses) == 1
        assert (row["subnetCIDR"], "privateIPAddress" in row) == (ONE, False)
        await stage.until(lambda: stage.calls()["ModifyNetworkInterfaceAttribute"] == 1)
        eninode = stage.world.eninode(node.name)
        assert eninode is not None
        (entry,) = eninode["spec"]["interfaces"]
        assert (entry["ipv6Addresses"], entry["subnetCIDR"]) == (row["ipv6Addresses"], ONE)
        await stage.stays(lambda: sum(stage.calls().values()) == 3)


async def test_prefixes_of_an_ipv6_only_subnet_come_beside_its_address(stage: Stage) -> None:
    """EC2 makes an ENI with addresses or prefixes, and one without IPv4 needs an address: 1 call more."""
    node = await stage.node()
    stage.apply(subnetID=ipv6_only(stage), ipv6PrefixCount=2, enablePrimaryIPv6=True)
    async with stage.controller():
        await stage.until(lambda: len(stage.row(node).get("ipv6Prefixes", [])) == 2)
        await stage.until(lambda: stage.condition("Ready").get("status") == "True")
        (interface,) = stage.ours()
        assert (len(interface.ipv6_addresses), interface.primary_ipv6) == (1, True)
        assert stage.calls()["AssignIpv6Addresses"] == 1
        await stage.stays(lambda: sum(stage.calls().values()) == 4)


@pytest.mark.parametrize(("count", "addresses"), [(None, 1), (0, 0), (3, 3)])
async def test_a_count_says_more_than_a_subnet_that_gives_one(
    stage: Stage, count: int | None, addresses: int
) -> None:
    node = await stage.node()
    stage.apply(subnetID=dual_stack(stage, gives_ipv6=True), ipv6AddressCount=count)
    async with stage.controller():
        await stage.until_attached(node)
        await stage.stays(lambda: len(stage.ours()[0].ipv6_addresses) == addresses)
        assert "AssignIpv6Addresses" not in stage.calls()


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"ipv6AddressCount": 1}, "has no IPv6 CIDR block, which spec.ipv6AddressCount needs"),
        ({"ipv6PrefixCount": 1}, "has no IPv6 CIDR block, which spec.ipv6PrefixCount needs"),
        ({"enablePrimaryIPv6": True}, "has no IPv6 CIDR block, which spec.enablePrimaryIPv6 needs"),
    ],
    ids=lambda each: next(iter(each)) if isinstance(each, dict) else "",
)
async def test_without_ipv6_in_any_candidate_nothing_is_made(
    stage: Stage, spec: dict[str, Any], told: str
) -> None:
    node = await stage.node()
    stage.apply(**spec)
    async with stage.controller():
        await stage.until(lambda: stage.row(node).get("reason") == "AddressFamilyMissing")
        assert told in stage.row(node)["message"]
        await stage.stays(lambda: not stage.calls())


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"secondaryPrivateIPCount": 1}, "has IPv6 only: leave out spec.secondaryPrivateIPCount"),
        ({"ipv4PrefixCount": 1}, "has IPv6 only: leave out spec.ipv4PrefixCount"),
        ({"ipv6AddressCount": 0}, "has IPv6 only, so that an ENI of it needs an address"),
    ],
    ids=lambda each: next(iter(each)) if isinstance(each, dict) else "",
)
async def test_an_ipv6_only_subnet_gives_no_ipv4(stage: Stage, spec: dict[str, Any], told: str) -> None:
    node = await stage.node()
    stage.apply(subnetID=ipv6_only(stage), **spec)
    async with stage.controller():
        await stage.until(lambda: stage.row(node).get("reason") == "AddressFamilyMissing")
        assert told in stage.row(node)["message"]
        await stage.stays(lambda: not stage.calls())


async def test_of_the_candidates_one_that_has_the_family_is_taken(stage: Stage) -> None:
    """Though the others have more free addresses."""
    only, both = ipv6_only(stage), dual_stack(stage)
    node = await stage.node()
    four = stage.ec2.add_subnet(stage.world.vpc, "a", "10.64.0.0/12").id
    stage.apply(subnetID=None, subnetIDs=[four, only, both], ipv6AddressCount=1, secondaryPrivateIPCount=1)
    async with stage.controller():
        await stage.until_attached(node)
    (interface,) = stage.ours()
    assert (interface.subnet_id, len(interface.private_ips), len(interface.ipv6_addresses)) == (both, 2, 1)


async def test_a_primary_ipv6_address_comes_with_the_interface_or_by_an_edit(stage: Stage) -> None:
    node = await stage.node()
    subnet = dual_stack(stage)
    stage.apply(subnetID=subnet, ipv6AddressCount=2, enablePrimaryIPv6=True)
    stage.apply("later", subnetID=subnet, deviceIndex=3)
    async with stage.controller():
        await stage.until_attached(node)
        await stage.until_attached(node, name="later")
        assert stage.ours()[0].primary_ipv6
        (before,) = stage.ours("later")
        stage.apply("later", subnetID=subnet, deviceIndex=3, ipv6AddressCount=1, enablePrimaryIPv6=True)
        await stage.until(lambda: stage.ours("later")[0].primary_ipv6)
        await stage.until(lambda: stage.status("later").get("observedGeneration") == 2)
    (after,) = stage.ours("later")
    assert after.id == before.id
    assert stage.row(node)["ipv6Addresses"] == list(stage.ours()[0].ipv6_addresses)


async def test_a_primary_ipv6_address_is_never_given_back(stage: Stage) -> None:
    node = await stage.node()
    subnet = dual_stack(stage)
    stage.apply(subnetID=subnet, ipv6AddressCount=3, enablePrimaryIPv6=True)
    async with stage.controller():
        await stage.until_attached(node)
        (made,) = stage.ours()
        stage.apply(subnetID=subnet, ipv6AddressCount=1, enablePrimaryIPv6=True)
        await stage.until(lambda: stage.ours()[0].ipv6_addresses == made.ipv6_addresses[:1])
        change = {"spec": {"enablePrimaryIPv6": None, "ipv6AddressCount": 0}}
        stage.kube.patch("networking.k8s.aws", "nodeenis", NAME, change)
        await stage.until(lambda: stage.row(node).get("status") == "failed")
        calls = stage.calls()
        told = (
            f"{made.ipv6_addresses[0]} is the primary IPv6 address of {made.id}, which cannot be given back"
        )
        assert told in stage.row(node)["message"]
        assert "stays attached as it was" in stage.row(node)["message"]
        await stage.stays(lambda: stage.calls() == calls)
    assert stage.ours()[0].ipv6_addresses == made.ipv6_addresses[:1]


async def test_what_ec2_does_not_take_back_is_replaced_one_node_at_a_time(stage: Stage) -> None:
    nodes = [await stage.node() for _ in range(2)]
    subnet = dual_stack(stage)
    stage.apply(subnetID=subnet, ipv6AddressCount=1, enablePrimaryIPv6=True)
    async with stage.controller():
        await stage.until_attached(*nodes)
        before = {interface.id for interface in stage.ours()}
        stage.apply(subnetID=subnet, ipv6AddressCount=1, enablePrimaryIPv6=False)
        first, _ = await stage.until_one_detaches(nodes)
        assert "made anew" in str(stage.row(first)) or stage.row(first)["status"] == "detaching"
        await stage.until(lambda: not before & {interface.id for interface in stage.ours()})
        await stage.until(lambda: stage.condition("Ready").get("status") == "True")
    assert [interface.primary_ipv6 for interface in stage.ours()] == [False, False]


async def test_a_primary_ipv6_address_without_any_is_refused_before_any_call(stage: Stage) -> None:
    node = await stage.node()
    subnet = dual_stack(stage)
    stage.apply(subnetID=subnet, enablePrimaryIPv6=True)
    async with stage.controller():
        await stage.until(lambda: stage.row(node).get("reason") == "InvalidReference")
        assert "spec.enablePrimaryIPv6 needs an IPv6 address" in stage.row(node)["message"]
        await stage.stays(lambda: not stage.calls())
        stage.apply(subnetID=subnet, enablePrimaryIPv6=True, ipv6AddressCount=1)
        await stage.until_attached(node)
    assert stage.ours()[0].primary_ipv6

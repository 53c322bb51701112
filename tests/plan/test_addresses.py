"""How many addresses an interface is to have, by its type, its subnet and what it has: deciding alone."""

from typing import Any

import msgspec
import pytest

from nodeeni.api.reasons import RowReason
from nodeeni.ec2.addresses import ADDRESS_KINDS, IPV6_ADDRESSES, IPV6_PREFIXES, SECONDARY_IPS, creation
from nodeeni.ec2.types import InstanceType, Interface, Subnet
from nodeeni.plan.actions import Assign, Create, Unassign
from nodeeni.plan.diff import diff
from nodeeni.plan.network import Network

from . import build
from .build import GROUP, SUBNET, VPC, ZONE, attachment, desire, interface, nodeeni, plan, texts

KIND = InstanceType("m5.xlarge", 4, (4,), addresses={4: 15, 6: 15})
DUAL = msgspec.structs.replace(SUBNET, ipv6_cidr="2001:db8::/64")
ONLY6 = Subnet("subnet-6", VPC, ZONE, "", 0, "six", ipv6_cidr="2001:db8:0:6::/64", gives_ipv6=True)
V6 = tuple(f"2001:db8::{number}" for number in range(1, 5))


def network(*subnets: Subnet) -> Network:
    return Network(subnets, (GROUP,))


def attached(**changes: Any) -> Interface:
    return interface(attached=attachment(), **changes)


def in_place(having: Interface, **spec: Any) -> list[str]:
    wanted = nodeeni(**spec)
    seen = build.observed(having, nodeenis=[wanted], instance_type=KIND)
    found = diff(desire(wanted, network=network(DUAL, ONLY6)), seen)
    return texts(found.actions)


def test_what_is_missing_is_assigned_and_what_is_too_much_goes_from_the_end() -> None:
    having = attached(private_ips=("10.1.0.9", "10.1.0.10", "10.1.0.11"), ipv6_addresses=V6)
    assert in_place(having, secondary_private_ip_count=5, ipv6_address_count=2) == [
        "assign 3 secondary IPv4 addresses to eni-1",
        f"give back the IPv6 addresses {V6[3]}, {V6[2]} of eni-1",
    ]
    assert in_place(having, secondary_private_ip_count=1, ipv6_address_count=5) == [
        "give back the secondary IPv4 address 10.1.0.11 of eni-1",
        "assign 1 IPv6 address to eni-1",
    ]
    assert in_place(having, secondary_private_ip_count=2, ipv6_address_count=4) == []
    assert in_place(having) == [], "absent: nothing is asked for"


def test_the_primary_address_of_either_family_is_never_given_back() -> None:
    having = attached(private_ips=("10.1.0.9", "10.1.0.10"), ipv6_addresses=V6[:2], primary_ipv6=True)
    assert SECONDARY_IPS.spare(having) == ("10.1.0.10",)
    assert IPV6_ADDRESSES.spare(having) == (V6[1],)
    assert in_place(having, secondary_private_ip_count=0, ipv6_address_count=0) == [
        "give back the secondary IPv4 address 10.1.0.10 of eni-1",
        f"give back the IPv6 address {V6[1]} of eni-1",
    ]


def test_a_primary_ipv6_address_is_set_once_there_is_an_address() -> None:
    spec = {"ipv6_address_count": 1, "enable_primary_ipv6": True}
    assert in_place(attached(), **spec) == ["assign 1 IPv6 address to eni-1"]
    assert in_place(attached(ipv6_addresses=V6[:1]), **spec) == [
        "set the primary IPv6 address of eni-1 to true"
    ]
    assert in_place(attached(ipv6_addresses=V6[:1], primary_ipv6=True), **spec) == []


def test_what_is_not_taken_back_makes_the_interface_anew() -> None:
    having = attached(ipv6_addresses=V6[:1], primary_ipv6=True)
    assert in_place(having, enable_primary_ipv6=False) == [
        "detach eni-1: it is made anew, since EC2 does not take back the primary IPv6 address"
    ]
    assert in_place(having) == []


def test_what_is_too_much_of_a_family_goes_before_more_of_it_comes() -> None:
    """The interface may hold no more before: each address given back is a place for a prefix."""
    having = attached(private_ips=("10.1.0.9", "10.1.0.10"))
    asked = {"secondary_private_ip_count": 0, "ipv4_prefix_count": 14, "ipv6_address_count": 1}
    assert in_place(having, **asked) == [
        "give back the secondary IPv4 address 10.1.0.10 of eni-1",
        "assign 1 IPv6 address to eni-1",
    ]


def test_what_is_not_counted_takes_room_from_what_is() -> None:
    """Secondary addresses were replaced by prefixes in the spec, and the interface is full of them."""
    held = tuple(f"10.1.0.{9 + number}" for number in range(15))
    having = attached(private_ips=held)
    wanted = nodeeni(ipv4_prefix_count=2)
    seen = build.observed(having, nodeenis=[wanted], instance_type=KIND)
    found = diff(desire(wanted, network=network(DUAL)), seen)
    assert found.actions == (), "EC2 would refuse it"
    (row,) = found.rows
    assert row.reason is RowReason.TOO_MANY_ADDRESSES
    assert row.message == (
        "m5.xlarge (i-1) holds 15 IPv4 addresses and prefixes an interface, and eni-1 has 14 secondary IPv4 "
        "addresses that the spec does not count: no room for 2 IPv4 prefixes; set "
        "spec.secondaryPrivateIPCount to 0, which gives them back, or lower spec.ipv4PrefixCount; eni-1 "
        "stays attached as it was"
    )
    assert in_place(attached(private_ips=held[:13]), ipv4_prefix_count=2) == [
        "assign 2 IPv4 prefixes to eni-1"
    ], "there is room for both"


def test_an_interface_is_not_taken_away_for_one_that_cannot_be_made() -> None:
    gives = msgspec.structs.replace(DUAL, id="subnet-gives", gives_ipv6=True)
    having = attached(subnet_id=gives.id, ipv6_addresses=V6[:1], primary_ipv6=True)
    wanted = nodeeni(enable_primary_ipv6=True)
    seen = build.observed(having, nodeenis=[wanted], instance_type=KIND)
    found = diff(desire(wanted, network=network(DUAL, gives)), seen)
    assert found.actions == ()
    (row,) = found.rows
    assert row.reason is RowReason.INVALID_REFERENCE
    assert row.message.endswith("set spec.ipv6AddressCount to 1 or more; eni-1 stays attached as it was")


def test_of_several_candidates_one_that_gives_the_primary_address_is_taken() -> None:
    gives = msgspec.structs.replace(
        DUAL, id="subnet-gives", gives_ipv6=True, free_addresses=DUAL.free_addresses - 1
    )
    wanted = nodeeni(subnet_ids=[gives.id], enable_primary_ipv6=True)
    seen = build.observed(nodeenis=[wanted], instance_type=KIND)
    (create,) = diff(desire(wanted, network=network(DUAL, gives)), seen).actions
    assert isinstance(create, Create)
    assert create.request.subnet_id == gives.id


def test_prefixes_in_place_of_the_address_that_a_primary_one_needs() -> None:
    wanted = nodeeni(enable_primary_ipv6=True, ipv6_prefix_count=1)
    seen = build.observed(nodeenis=[wanted], instance_type=KIND)
    (row,) = diff(desire(wanted, network=network(DUAL)), seen).rows
    assert "in place of spec.ipv6PrefixCount, set spec.ipv6AddressCount to 1 or more" in row.message


@pytest.mark.parametrize(
    ("counts", "sent"),
    [
        ({}, {}),
        (
            {"secondaryPrivateIPCount": 2, "ipv4PrefixCount": 0},
            {"SecondaryPrivateIpAddressCount": 2},
        ),
        ({"ipv6AddressCount": 0}, {"Ipv6AddressCount": 0}),
        ({"ipv6AddressCount": 0, "ipv6PrefixCount": 1}, {"Ipv6PrefixCount": 1}),
        ({"ipv6AddressCount": 2, "ipv6PrefixCount": 0}, {"Ipv6AddressCount": 2}),
        ({"ipv4PrefixCount": 1, "ipv6PrefixCount": 2}, {"Ipv4PrefixCount": 1, "Ipv6PrefixCount": 2}),
    ],
)
def test_a_create_sends_one_form_of_each_family(counts: dict[str, int], sent: dict[str, int]) -> None:
    assert creation({kind: counts[kind.name] for kind in ADDRESS_KINDS if kind.name in counts}) == sent


def test_a_type_of_which_ec2_does_not_tell_is_left_to_ec2() -> None:
    silent = InstanceType("m5.xlarge", 4, (4,))
    assert plan(nodeeni(secondary_private_ip_count=200), instance_type=silent).actions == (), "SUBNET has 100"
    (create,) = plan(nodeeni(secondary_private_ip_count=90), instance_type=silent).actions
    assert isinstance(create, Create)
    assert create.request.parameters["SecondaryPrivateIpAddressCount"] == 90


def test_a_type_without_ipv6_holds_none() -> None:
    wanted = nodeeni(ipv6_prefix_count=1)
    without = msgspec.structs.replace(KIND, addresses={4: 15, 6: 0})
    seen = build.observed(nodeenis=[wanted], instance_type=without)
    found = diff(desire(wanted, network=network(DUAL)), seen)
    assert found.actions == ()
    (row,) = found.rows
    assert row.reason is RowReason.TOO_MANY_ADDRESSES
    assert "lower spec.ipv6PrefixCount (leave it out)" in row.message


def test_a_subnet_without_a_free_block_is_avoided_for_prefixes_alone() -> None:
    second = msgspec.structs.replace(DUAL, id="subnet-second", free_addresses=50)
    for count, taken in ((1, second.id), (0, SUBNET.id)):
        wanted = nodeeni(subnet_ids=[second.id], ipv4_prefix_count=count)
        fragmented = frozenset({SUBNET.id})
        seen = build.observed(nodeenis=[wanted], instance_type=KIND, fragmented_subnets=fragmented)
        (create,) = diff(desire(wanted, network=network(DUAL, second)), seen).actions
        assert isinstance(create, Create)
        assert create.request.subnet_id == taken


def test_each_kind_is_a_piece_of_work_of_its_own() -> None:
    of = {"node": "n1", "nodeeni": "multus", "uid": "uid-multus", "eni_id": "eni-1"}
    assigned = [Assign(kind=kind, count=1, **of) for kind in ADDRESS_KINDS]
    given_back = [Unassign(kind=kind, addresses=("x",), **of) for kind in ADDRESS_KINDS]
    works: list[Any] = [*assigned, *given_back]
    assert len({action.key for action in works}) == len(works)
    assert assigned[0].key == ("AssignSecondaryPrivateIP", "eni-1")
    assert given_back[3].call == IPV6_PREFIXES.unassign

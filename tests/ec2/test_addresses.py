"""Each kind of addresses: what is sent is what EC2 takes, and what EC2 answers is what is read."""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel

from nodeeni.api.v1alpha1 import NodeENISpec
from nodeeni.ec2.addresses import (
    ADDRESS_KINDS,
    IPV6_ADDRESSES,
    SECONDARY_IPS,
    AddressKind,
)
from nodeeni.ec2.attributes import PRIMARY_IPV6, InterfaceRequest
from nodeeni.ec2.client import EC2Client
from nodeeni.ec2.overlay import Record
from nodeeni.ec2.types import Interface, read_instance_type, read_interface, read_subnet

from .conftest import Site

LAG, GAP = 10.0, 1.0
ENI = Interface("eni-1", "in-use", "subnet-1", "vpc-1", "02:00:00:00:00:01", private_ips=("10.0.0.4",))
each_kind = pytest.mark.parametrize("kind", ADDRESS_KINDS, ids=repr)


@pytest.fixture(scope="module")
def whole() -> ServiceModel:
    return ServiceModel(Loader().load_service_model("ec2", "service-2"), "ec2")


@each_kind
def test_its_parameters_and_answers_are_those_of_ec2s_model(kind: AddressKind, whole: ServiceModel) -> None:
    assert kind.count in whole.operation_model("CreateNetworkInterface").input_shape.members
    assign = whole.operation_model(kind.assign)
    assert kind.count in assign.input_shape.members
    listed, member = kind.answered
    items = assign.output_shape.members[listed].member
    assert member is None if items.type_name == "string" else member in items.members
    assert kind.listed in whole.operation_model(kind.unassign).input_shape.members


@each_kind
def test_it_stands_on_a_field_of_the_spec_and_one_of_the_interface(kind: AddressKind) -> None:
    (field,) = [f for f in msgspec.structs.fields(NodeENISpec) if f.name == kind.field]
    assert (field.encode_name, kind.held in Interface.__struct_fields__) == (kind.name, True)


@each_kind
async def test_they_are_assigned_and_given_back(kind: AddressKind, site: Site) -> None:
    subnet = site.ec2.add_subnet(site.vpc, "a", "10.20.0.0/16", ipv6_cidr="2001:db8:0:1::/64")
    request: InterfaceRequest = msgspec.structs.replace(
        site.request("token-1"), subnet_id=subnet.id, counts={kind: 2}
    )
    made = await site.client.create_interface(request)
    assert len(kind.on(made)) == 2
    added = await site.client.assign(made.id, kind, 3)
    assert kind.on(await seen(site.client, made.id)) == (*kind.on(made), *added)
    await site.client.unassign(made.id, kind, [added[1], kind.on(made)[0]])
    assert kind.on(await seen(site.client, made.id)) == (kind.on(made)[1], added[0], added[2])


async def test_a_primary_ipv6_address_comes_first_and_cannot_be_taken_back(site: Site) -> None:
    subnet = site.ec2.add_subnet(site.vpc, "a", "10.20.0.0/16", ipv6_cidr="2001:db8:0:1::/64")
    request = msgspec.structs.replace(
        site.request("token-1"), subnet_id=subnet.id, counts={IPV6_ADDRESSES: 2}
    )
    made = await site.client.create_interface(request)
    await site.client.modify(made.id, PRIMARY_IPV6, True)
    now = await seen(site.client, made.id)
    assert (now.primary_ipv6, now.ipv6_addresses) == (True, made.ipv6_addresses)
    assert PRIMARY_IPV6.stands_in_the_way(now, False)
    assert not PRIMARY_IPV6.stands_in_the_way(now, None)


async def seen(client: EC2Client, eni_id: str) -> Interface:
    [[found]] = [page async for page in client.describe_interfaces({"network-interface-id": [eni_id]})]
    return found


ANSWER = {
    "NetworkInterfaceId": "eni-1",
    "Status": "in-use",
    "SubnetId": "subnet-1",
    "VpcId": "vpc-1",
    "MacAddress": "02:00:00:00:00:01",
}


@pytest.mark.parametrize(
    ("more", "held"),
    [
        ({}, ((), (), (), (), False)),
        ({"Ipv6Addresses": [{"Ipv6Address": "::2"}]}, ((), (), ("::2",), (), False)),
        (
            {"Ipv6Addresses": [{"Ipv6Address": "::2"}, {"Ipv6Address": "::3", "IsPrimaryIpv6": True}]},
            ((), (), ("::3", "::2"), (), True),
        ),
        (
            {"Ipv4Prefixes": [{"Ipv4Prefix": "10.0.0.16/28"}], "Ipv6Prefixes": [{"Ipv6Prefix": "::/80"}]},
            ((), ("10.0.0.16/28",), (), ("::/80",), False),
        ),
    ],
)
def test_an_answer_that_lacks_what_is_optional_is_read(
    more: Mapping[str, Any], held: tuple[Any, ...]
) -> None:
    read = read_interface({**ANSWER, **more})
    shown = (read.private_ips, read.ipv4_prefixes, read.ipv6_addresses, read.ipv6_prefixes, read.primary_ipv6)
    assert shown == held


def test_subnets_tell_their_families() -> None:
    answer = {
        "SubnetId": "subnet-1",
        "VpcId": "vpc-1",
        "AvailabilityZone": "us-west-2a",
        "AvailableIpAddressCount": 0,
    }
    block = {"Ipv6CidrBlock": "2001:db8::/64", "Ipv6CidrBlockState": {"State": "associated"}}
    gone = {"Ipv6CidrBlock": "2001:db8:1::/64", "Ipv6CidrBlockState": {"State": "disassociated"}}
    only = read_subnet({**answer, "Ipv6CidrBlockAssociationSet": [gone, block]})
    assert (only.ipv6_only, only.ipv6_cidr, only.cidr) == (True, "2001:db8::/64", "")
    assert not read_subnet({**answer, "Ipv6CidrBlockAssociationSet": [gone]}).ipv6_only
    assert not read_subnet(answer).ipv6_only, "of one that tells nothing nothing is made up"
    both = read_subnet({**answer, "CidrBlock": "10.0.0.0/24", "Ipv6CidrBlockAssociationSet": [block]})
    assert (both.ipv6_only, both.gives_ipv6) == (False, False)


def test_types_tell_how_many_they_hold_or_nothing() -> None:
    def held(**network: Any) -> dict[int, int]:
        info = {"MaximumNetworkInterfaces": 3, **network}
        return read_instance_type({"InstanceType": "m5.large", "NetworkInfo": info}).addresses

    assert held() == {}
    assert held(Ipv4AddressesPerInterface=10, Ipv6AddressesPerInterface=10) == {4: 10, 6: 10}
    assert held(Ipv4AddressesPerInterface=4, Ipv6Supported=False) == {4: 4, 6: 0}


def test_what_was_assigned_and_given_back_stands_over_reads_that_do_not_show_it() -> None:
    record = Record(ENI)
    record.addresses_write(1.0, SECONDARY_IPS, ("10.0.0.5", "10.0.0.6"), ())
    record.addresses_write(2.0, SECONDARY_IPS, (), ("10.0.0.6",))
    assert record.view.private_ips == ("10.0.0.4", "10.0.0.5")
    record.read(ENI, 3.0, LAG, GAP)
    assert record.view.private_ips == ("10.0.0.4", "10.0.0.5"), "the read is older than the write"
    shown = msgspec.structs.replace(ENI, private_ips=("10.0.0.4", "10.0.0.5"))
    record.read(shown, 4.0, LAG, GAP)
    by_hand = msgspec.structs.replace(ENI, private_ips=("10.0.0.4", "10.0.0.9"))
    record.read(by_hand, 5.0, LAG, GAP)
    assert record.view.private_ips == by_hand.private_ips, "what was shown once is somebody else's since"


def test_what_is_never_shown_is_given_up_after_the_lag() -> None:
    record = Record(ENI)
    record.addresses_write(1.0, IPV6_ADDRESSES, ("2001:db8::1",), ())
    record.read(ENI, 10.0, LAG, GAP)
    assert record.view.ipv6_addresses == ("2001:db8::1",)
    record.read(ENI, 11.5, LAG, GAP)
    assert record.view == ENI


def test_addresses_are_known_once_a_read_began_after_the_lag() -> None:
    record = Record(ENI, unsure_until=10.0)
    record.read(ENI, 9.0, LAG, GAP)
    assert record.unsure_until == 10.0
    record.read(ENI, 10.0, LAG, GAP)
    assert record.unsure_until == float("-inf")
    record.is_unsure(30.0)
    assert record.unsure_until == 30.0

"""Addresses and prefixes of both families: what EC2 gives, takes back, and refuses, as boto3 sees it."""

from typing import Any

import pytest

from .conftest import Cloud

IPV6 = "2001:db8:0:1::/64"


def dual_stack(cloud: Cloud, **more: Any) -> str:
    return cloud.ec2.add_subnet(cloud.vpc, "a", "10.7.0.0/24", ipv6_cidr=IPV6, **more).id


async def test_an_interface_comes_with_one_form_of_each_family(cloud: Cloud) -> None:
    eni_id = await cloud.create(SubnetId=dual_stack(cloud), Ipv4PrefixCount=2, Ipv6AddressCount=2)
    [shown] = (await cloud.boto("describe_network_interfaces", NetworkInterfaceIds=[eni_id]))[
        "NetworkInterfaces"
    ]
    assert [each["Ipv4Prefix"] for each in shown["Ipv4Prefixes"]] == ["10.7.0.16/28", "10.7.0.32/28"]
    addresses = [each["Ipv6Address"] for each in shown["Ipv6Addresses"]]
    assert len(set(addresses)) == 2
    assert all(address.startswith("2001:db8:0:1:") for address in addresses)
    assert [each["IsPrimaryIpv6"] for each in shown["Ipv6Addresses"]] == [False, False]


async def test_a_subnet_without_ipv4_is_told_as_ec2_tells_it(cloud: Cloud) -> None:
    subnet = cloud.ec2.add_subnet(cloud.vpc, "a", "", ipv6_cidr=IPV6)
    [shown] = (await cloud.boto("describe_subnets", SubnetIds=[subnet.id]))["Subnets"]
    assert "CidrBlock" not in shown
    assert (shown["AvailableIpAddressCount"], shown["Ipv6Native"]) == (0, True)
    assert [each["Ipv6CidrBlock"] for each in shown["Ipv6CidrBlockAssociationSet"]] == [IPV6]
    eni_id = await cloud.create(SubnetId=subnet.id)
    [interface] = (await cloud.boto("describe_network_interfaces", NetworkInterfaceIds=[eni_id]))[
        "NetworkInterfaces"
    ]
    assert "PrivateIpAddress" not in interface
    assert interface["Ipv6Address"] == interface["Ipv6Addresses"][0]["Ipv6Address"]


async def test_a_subnet_that_gives_an_ipv6_address_is_overridden_by_a_count(cloud: Cloud) -> None:
    subnet = dual_stack(cloud, gives_ipv6=True)
    counts = [await cloud.create(SubnetId=subnet, **more) for more in ({}, {"Ipv6AddressCount": 0})]
    assert [len(cloud.ec2.interface(eni_id).ipv6_addresses) for eni_id in counts] == [1, 0]


async def test_prefixes_come_and_go(cloud: Cloud) -> None:
    eni_id = await cloud.create(SubnetId=dual_stack(cloud))
    four = await cloud.boto("assign_private_ip_addresses", NetworkInterfaceId=eni_id, Ipv4PrefixCount=2)
    six = await cloud.boto("assign_ipv6_addresses", NetworkInterfaceId=eni_id, Ipv6PrefixCount=2)
    blocks = [each["Ipv4Prefix"] for each in four["AssignedIpv4Prefixes"]]
    assert cloud.ec2.interface(eni_id).ipv4_prefixes == tuple(blocks)
    assert cloud.ec2.interface(eni_id).ipv6_prefixes == tuple(six["AssignedIpv6Prefixes"])
    await cloud.boto("unassign_private_ip_addresses", NetworkInterfaceId=eni_id, Ipv4Prefixes=blocks[:1])
    await cloud.boto(
        "unassign_ipv6_addresses", NetworkInterfaceId=eni_id, Ipv6Prefixes=six["AssignedIpv6Prefixes"][1:]
    )
    left = cloud.ec2.interface(eni_id)
    assert (left.ipv4_prefixes, left.ipv6_prefixes) == ((blocks[1],), (six["AssignedIpv6Prefixes"][0],))
    again = await cloud.boto("assign_private_ip_addresses", NetworkInterfaceId=eni_id, Ipv4PrefixCount=1)
    assert again["AssignedIpv4Prefixes"] == [{"Ipv4Prefix": blocks[0]}]


async def test_a_prefix_needs_a_block_in_one_piece_which_a_reservation_keeps(cloud: Cloud) -> None:
    subnet = cloud.ec2.add_subnet(cloud.vpc, "a", "10.8.0.0/26")
    reserved = cloud.ec2.add_subnet(cloud.vpc, "a", "10.9.0.0/26")
    cloud.ec2.reserve_for_prefixes(reserved, "10.9.0.32/28")
    for each in (subnet, reserved):
        for _ in range(29):
            await cloud.create(SubnetId=each.id)
    refusal = await cloud.boto.refused("create_network_interface", SubnetId=subnet.id, Ipv4PrefixCount=1)
    assert refusal.code == "InsufficientCidrBlocks"
    free = cloud.ec2.account.pools[subnet.id].free
    assert free == 30, "what was refused took nothing"
    eni_id = await cloud.create(SubnetId=reserved.id, Ipv4PrefixCount=1)
    assert cloud.ec2.interface(eni_id).ipv4_prefixes == ("10.9.0.32/28",)


async def test_what_the_type_does_not_hold_is_refused_once_it_is_attached(cloud: Cloud) -> None:
    """An m5.large holds 10; of an interface that is attached nowhere EC2 does not know yet."""
    many = await cloud.create(SecondaryPrivateIpAddressCount=10)
    refusal = await cloud.boto.refused(
        "attach_network_interface",
        NetworkInterfaceId=many,
        InstanceId=cloud.instance.id,
        DeviceIndex=1,
    )
    assert refusal.code == "PrivateIpAddressLimitExceeded"
    few = await cloud.create(SecondaryPrivateIpAddressCount=9)
    await cloud.boto(
        "attach_network_interface", NetworkInterfaceId=few, InstanceId=cloud.instance.id, DeviceIndex=1
    )
    free = cloud.ec2.account.pools[cloud.subnet.id].free
    refusal = await cloud.boto.refused(
        "assign_private_ip_addresses", NetworkInterfaceId=few, SecondaryPrivateIpAddressCount=1
    )
    assert refusal.code == "PrivateIpAddressLimitExceeded"
    assert cloud.ec2.account.pools[cloud.subnet.id].free == free


async def test_a_primary_ipv6_address_is_for_good(cloud: Cloud) -> None:
    eni_id = await cloud.create(SubnetId=dual_stack(cloud), Ipv6AddressCount=2, EnablePrimaryIpv6=True)
    first = cloud.ec2.interface(eni_id).ipv6_addresses[0]
    for call, parameters in (
        ("modify_network_interface_attribute", {"EnablePrimaryIpv6": False}),
        ("unassign_ipv6_addresses", {"Ipv6Addresses": [first]}),
    ):
        refusal = await cloud.boto.refused(call, NetworkInterfaceId=eni_id, **parameters)
        assert refusal.code == "InvalidParameterValue"
    without = await cloud.create(SubnetId=dual_stack(cloud))
    refusal = await cloud.boto.refused(
        "modify_network_interface_attribute", NetworkInterfaceId=without, EnablePrimaryIpv6=True
    )
    assert refusal.code == "InvalidParameterCombination"


@pytest.mark.parametrize(
    ("call", "parameters"),
    [
        ("assign_private_ip_addresses", {"SecondaryPrivateIpAddressCount": 1, "Ipv4PrefixCount": 1}),
        ("assign_private_ip_addresses", {}),
        ("assign_ipv6_addresses", {"Ipv6AddressCount": 1, "Ipv6PrefixCount": 1}),
        ("unassign_ipv6_addresses", {}),
        ("unassign_private_ip_addresses", {}),
    ],
)
async def test_one_form_at_a_time(cloud: Cloud, call: str, parameters: dict[str, Any]) -> None:
    eni_id = await cloud.create(SubnetId=dual_stack(cloud))
    before = cloud.ec2.interface(eni_id)
    refusal = await cloud.boto.refused(call, NetworkInterfaceId=eni_id, **parameters)
    assert refusal.code in ("InvalidParameterCombination", "MissingParameter")
    assert cloud.ec2.interface(eni_id) == before

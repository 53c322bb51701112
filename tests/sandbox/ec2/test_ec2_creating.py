"""CreateNetworkInterface and DeleteNetworkInterface: what they answer, and what EC2 refuses."""

from typing import Any

import pytest
from tests.sandbox.ec2.conftest import Cloud, MakeCloud, Refusal, eventually

from nodeeni.sandbox.ec2 import quick_settings

TAGS = [{"ResourceType": "network-interface", "Tags": [{"Key": "NodeENI", "Value": "a & <b>"}]}]


async def test_the_answer_holds_id_mac_address_and_tags(cloud: Cloud) -> None:
    answer = await cloud.boto(
        "create_network_interface",
        SubnetId=cloud.subnet.id,
        Groups=[cloud.group.id],
        Description="Multus ENI",
        TagSpecifications=TAGS,
        ClientToken="t-1",
    )
    stored = cloud.ec2.secondary_interfaces()[0]
    assert answer["ClientToken"] == "t-1"
    assert answer["NetworkInterface"] == {
        "NetworkInterfaceId": stored.id,
        "MacAddress": stored.mac,
        "PrivateIpAddress": "10.0.0.5",
        "PrivateDnsName": "ip-10-0-0-5.us-west-2.compute.internal",
        "PrivateIpAddresses": [
            {
                "PrivateIpAddress": "10.0.0.5",
                "PrivateDnsName": "ip-10-0-0-5.us-west-2.compute.internal",
                "Primary": True,
            }
        ],
        "Ipv6Addresses": [],
        "SubnetId": cloud.subnet.id,
        "VpcId": cloud.vpc.id,
        "AvailabilityZone": "us-west-2a",
        "AvailabilityZoneId": "usw2-az1",
        "Description": "Multus ENI",
        "Groups": [{"GroupId": cloud.group.id, "GroupName": "multus"}],
        "TagSet": [{"Key": "NodeENI", "Value": "a & <b>"}],
        "Status": "pending",
        "SourceDestCheck": True,
        "InterfaceType": "interface",
        "OwnerId": "123456789012",
        "RequesterManaged": False,
        "Operator": {"Managed": False},
    }
    await eventually(lambda: cloud.ec2.interface(stored.id).status == "available")


async def test_the_same_token_gives_the_same_interface(cloud: Cloud) -> None:
    first = await cloud.create(ClientToken="t", TagSpecifications=TAGS)
    assert await cloud.create(ClientToken="t", TagSpecifications=TAGS) == first
    assert [each.id for each in cloud.ec2.secondary_interfaces()] == [first]


async def test_a_token_is_remembered_longer_than_its_interface(cloud: Cloud) -> None:
    first = await cloud.create(ClientToken="t")
    await cloud.boto("delete_network_interface", NetworkInterfaceId=first)
    assert await cloud.create(ClientToken="t") == first
    assert cloud.ec2.secondary_interfaces() == []


async def test_a_token_with_other_parameters_is_refused(cloud: Cloud) -> None:
    await cloud.create(ClientToken="t")
    refusal = await cloud.boto.refused(
        "create_network_interface", SubnetId=cloud.subnet.id, ClientToken="t", Description="other"
    )
    assert (refusal.code, refusal.status) == ("IdempotentParameterMismatch", 400)


_TOO_MANY_TAGS = [
    {"ResourceType": "network-interface", "Tags": [{"Key": f"k{n}", "Value": ""} for n in range(51)]}
]
_AWS_TAG = [{"ResourceType": "network-interface", "Tags": [{"Key": "aws:x", "Value": "y"}]}]


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"SubnetId": "subnet-00000001"}, "InvalidSubnetID.NotFound", "'subnet-00000001' does not exist"),
        ({"SubnetId": "net-1"}, "InvalidSubnetID.Malformed", 'Invalid id: "net-1"'),
        ({"Groups": ["sg-00000001"]}, "InvalidSecurityGroupID.NotFound", "'sg-00000001' does not exist"),
        ({"Description": "x" * 256}, "InvalidParameterValue", "at most 255 characters"),
        ({"ClientToken": "x" * 65}, "InvalidParameterValue", "at most 64"),
        ({"TagSpecifications": _AWS_TAG}, "InvalidParameterValue", "reserved"),
        ({"TagSpecifications": _TOO_MANY_TAGS}, "TagLimitExceeded", "limit"),
        ({"PrivateIpAddress": "10.9.0.1"}, "InvalidParameterValue", "subnet's address range"),
        ({"PrivateIpAddress": "10.0.0.4"}, "InvalidIPAddress.InUse", "in use"),
        ({"DryRun": True}, "DryRunOperation", "would have succeeded"),
        ({"Ipv6AddressCount": 1}, "InvalidParameterValue", "has no IPv6 CIDR block"),
        ({"EnablePrimaryIpv6": True}, "InvalidParameterCombination", "needs an IPv6 address"),
        (
            {"Ipv4PrefixCount": 1, "SecondaryPrivateIpAddressCount": 1},
            "InvalidParameterCombination",
            "Specify only one",
        ),
        ({"Ipv6Prefixes": [{"Ipv6Prefix": "fd00::/80"}]}, "UnknownParameter", "Ipv6Prefix is not recognized"),
    ],
)
async def test_a_bad_create_is_refused_and_makes_nothing(
    cloud: Cloud, change: dict[str, Any], code: str, words: str
) -> None:
    asked = {"SubnetId": cloud.subnet.id, "Groups": [cloud.group.id]} | change
    refusal = await cloud.boto.refused("create_network_interface", **asked)
    assert refusal.code == code
    assert words in refusal.message
    assert cloud.ec2.secondary_interfaces() == []


async def test_a_group_of_another_vpc_is_refused(cloud: Cloud) -> None:
    foreign = cloud.ec2.add_security_group(cloud.ec2.add_vpc(), group_name="foreign")
    assert await cloud.boto.refused(
        "create_network_interface", SubnetId=cloud.subnet.id, Groups=[foreign.id]
    ) == Refusal(
        "InvalidParameter",
        f"Security group {foreign.id} and subnet {cloud.subnet.id} belong to different networks.",
        400,
    )


async def test_more_than_16_groups_are_refused(cloud: Cloud) -> None:
    groups = [cloud.ec2.add_security_group(cloud.vpc, group_name=f"g{n}").id for n in range(17)]
    await cloud.create(Groups=groups[:16])
    refusal = await cloud.boto.refused("create_network_interface", SubnetId=cloud.subnet.id, Groups=groups)
    assert refusal.code == "SecurityGroupsPerInterfaceLimitExceeded"


async def test_a_full_subnet_refuses_until_an_interface_goes(cloud: Cloud) -> None:
    small = cloud.ec2.add_subnet(cloud.vpc, "a", "10.1.0.0/28")
    made = [await cloud.create(SubnetId=small.id) for _ in range(11)]
    refusal = await cloud.boto.refused("create_network_interface", SubnetId=small.id)
    assert refusal.code == "InsufficientFreeAddressesInSubnet"
    shown = await cloud.boto("describe_subnets", SubnetIds=[small.id])
    assert shown["Subnets"][0]["AvailableIpAddressCount"] == 0
    await cloud.boto("delete_network_interface", NetworkInterfaceId=made[3])
    await cloud.create(SubnetId=small.id)


async def test_the_regional_quota_refuses(make_cloud: MakeCloud) -> None:
    cloud = await make_cloud(quick_settings(interface_quota=2))  # the instance's primary is one
    await cloud.create()
    refusal = await cloud.boto.refused("create_network_interface", SubnetId=cloud.subnet.id)
    assert refusal.code == "NetworkInterfaceLimitExceeded"


async def test_a_deleted_interface_is_not_found(cloud: Cloud) -> None:
    eni_id = await cloud.create()
    await cloud.boto("delete_network_interface", NetworkInterfaceId=eni_id)
    assert await cloud.boto.refused("delete_network_interface", NetworkInterfaceId=eni_id) == Refusal(
        "InvalidNetworkInterfaceID.NotFound", f"The networkInterface ID '{eni_id}' does not exist", 400
    )


async def test_secondary_addresses_come_and_go(cloud: Cloud) -> None:
    eni_id = await cloud.create(SecondaryPrivateIpAddressCount=1)
    answer = await cloud.boto(
        "assign_private_ip_addresses", NetworkInterfaceId=eni_id, SecondaryPrivateIpAddressCount=2
    )
    new = [each["PrivateIpAddress"] for each in answer["AssignedPrivateIpAddresses"]]
    assert cloud.ec2.interface(eni_id).private_ips == ("10.0.0.5", "10.0.0.6", *new)
    await cloud.boto("unassign_private_ip_addresses", NetworkInterfaceId=eni_id, PrivateIpAddresses=new[:1])
    assert cloud.ec2.interface(eni_id).private_ips == ("10.0.0.5", "10.0.0.6", new[1])
    refusal = await cloud.boto.refused(
        "unassign_private_ip_addresses", NetworkInterfaceId=eni_id, PrivateIpAddresses=["10.0.0.5"]
    )
    assert refusal.code == "InvalidParameterValue"


async def test_tags_are_added_replaced_and_deleted(cloud: Cloud) -> None:
    eni_id = await cloud.create(TagSpecifications=TAGS)
    new = [{"Key": "NodeENI", "Value": "other"}, {"Key": "Node", "Value": "n1"}]
    await cloud.boto("create_tags", Resources=[eni_id, cloud.instance.id], Tags=new)
    assert cloud.ec2.interface(eni_id).tags == {"NodeENI": "other", "Node": "n1"}
    doomed = [{"Key": "NodeENI", "Value": "not this"}, {"Key": "Node"}]
    await cloud.boto("delete_tags", Resources=[eni_id], Tags=doomed)
    shown = await cloud.boto("describe_tags", Filters=[{"Name": "key", "Values": ["Node*"]}])
    assert shown["Tags"] == [
        {"Key": "NodeENI", "ResourceId": eni_id, "ResourceType": "network-interface", "Value": "other"},
        {"Key": "Node", "ResourceId": cloud.instance.id, "ResourceType": "instance", "Value": "n1"},
        {"Key": "NodeENI", "ResourceId": cloud.instance.id, "ResourceType": "instance", "Value": "other"},
    ]
    refusal = await cloud.boto.refused("create_tags", Resources=["eni-00000001"], Tags=new)
    assert refusal.code == "InvalidNetworkInterfaceID.NotFound"

"""EC2's answers, as botocore decodes them, into our types: nothing here knows the network.

Strings that repeat in thousands of interfaces (zones, tag keys, group ids) are interned, which is most of
what 5,000 interfaces weigh.
"""

from collections.abc import Iterable, Mapping
from sys import intern
from typing import Any

from nodeeni.ec2.types import (
    Attachment,
    Instance,
    InstanceSlot,
    InstanceType,
    Interface,
    SecurityGroup,
    Subnet,
)

Answer = Mapping[str, Any]

# What is read below, by the names of EC2's shapes: nothing else of an answer is parsed (see models.py).
# Times above all are dear, and 5,000 interfaces and instances have 15,000 of them.
READ: Mapping[str, frozenset[str]] = {
    "NetworkInterface": frozenset(
        {
            "NetworkInterfaceId",
            "Status",
            "SubnetId",
            "VpcId",
            "AvailabilityZone",
            "MacAddress",
            "PrivateIpAddresses",
            "Description",
            "Groups",
            "TagSet",
            "SourceDestCheck",
            "Attachment",
        }
    ),
    "NetworkInterfaceAttachment": frozenset(
        {
            "AttachmentId",
            "InstanceId",
            "DeviceIndex",
            "NetworkCardIndex",
            "Status",
            "DeleteOnTermination",
        }
    ),
    "NetworkInterfacePrivateIpAddress": frozenset({"PrivateIpAddress", "Primary"}),
    "Reservation": frozenset({"Instances"}),
    "Instance": frozenset(
        {"InstanceId", "InstanceType", "State", "Placement", "VpcId", "SubnetId", "NetworkInterfaces"}
    ),
    "Placement": frozenset({"AvailabilityZone"}),
    "InstanceNetworkInterface": frozenset({"NetworkInterfaceId", "Attachment"}),
    "InstanceNetworkInterfaceAttachment": frozenset({"DeviceIndex", "NetworkCardIndex", "Status"}),
    "InstanceTypeInfo": frozenset({"InstanceType", "NetworkInfo"}),
    "NetworkInfo": frozenset({"MaximumNetworkInterfaces", "NetworkCards"}),
    "NetworkCardInfo": frozenset({"NetworkCardIndex", "MaximumNetworkInterfaces"}),
    "Subnet": frozenset(
        {"SubnetId", "VpcId", "AvailabilityZone", "CidrBlock", "AvailableIpAddressCount", "Tags"}
    ),
    "SecurityGroup": frozenset({"GroupId", "VpcId", "GroupName", "Tags"}),
}


def interface(answer: Answer) -> Interface:
    """One `NetworkInterface`, of DescribeNetworkInterfaces or CreateNetworkInterface."""
    return Interface(
        id=answer["NetworkInterfaceId"],
        status=intern(answer["Status"]),
        subnet_id=intern(answer["SubnetId"]),
        vpc_id=intern(answer["VpcId"]),
        zone=intern(answer["AvailabilityZone"]),
        mac=answer["MacAddress"].lower(),
        private_ips=_private_ips(answer),
        description=answer.get("Description", ""),
        group_ids=tuple(intern(group["GroupId"]) for group in answer.get("Groups", ())),
        tags=tags(answer.get("TagSet", ())),
        source_dest_check=answer.get("SourceDestCheck", True),
        attachment=_attachment(answer.get("Attachment")),
    )


def instance(answer: Answer) -> Instance:
    """One `Instance` of DescribeInstances. A terminated one has neither subnet nor VPC: empty strings."""
    return Instance(
        id=answer["InstanceId"],
        type=intern(answer["InstanceType"]),
        state=intern(answer["State"]["Name"]),
        zone=intern(answer["Placement"]["AvailabilityZone"]),
        vpc_id=intern(answer.get("VpcId", "")),
        subnet_id=intern(answer.get("SubnetId", "")),
        slots=tuple(_slot(item) for item in answer.get("NetworkInterfaces", ()) if item.get("Attachment")),
    )


def instance_type(answer: Answer) -> InstanceType:
    """One `InstanceTypeInfo` of DescribeInstanceTypes."""
    network = answer["NetworkInfo"]
    cards = sorted(network.get("NetworkCards", ()), key=lambda card: int(card["NetworkCardIndex"]))
    return InstanceType(
        name=answer["InstanceType"],
        max_interfaces=network["MaximumNetworkInterfaces"],
        max_interfaces_by_card=tuple(card["MaximumNetworkInterfaces"] for card in cards)
        or (network["MaximumNetworkInterfaces"],),
    )


def subnet(answer: Answer) -> Subnet:
    """One `Subnet` of DescribeSubnets."""
    return Subnet(
        id=answer["SubnetId"],
        vpc_id=answer["VpcId"],
        zone=answer["AvailabilityZone"],
        cidr=answer["CidrBlock"],
        free_addresses=answer["AvailableIpAddressCount"],
        name=tags(answer.get("Tags", ())).get("Name", ""),
    )


def security_group(answer: Answer) -> SecurityGroup:
    """One `SecurityGroup` of DescribeSecurityGroups."""
    return SecurityGroup(
        id=answer["GroupId"],
        vpc_id=answer.get("VpcId", ""),
        group_name=answer["GroupName"],
        name=tags(answer.get("Tags", ())).get("Name", ""),
    )


def tags(pairs: Iterable[Answer]) -> dict[str, str]:
    return {intern(pair["Key"]): intern(pair["Value"]) for pair in pairs}


def tag_pairs(values: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags as EC2's calls take them, in one order whatever the mapping's: they count as parameters."""
    return [{"Key": key, "Value": values[key]} for key in sorted(values)]


def _private_ips(answer: Answer) -> tuple[str, ...]:
    """The primary address first."""
    listed = sorted(answer.get("PrivateIpAddresses", ()), key=lambda item: not item.get("Primary", False))
    return tuple(item["PrivateIpAddress"] for item in listed)


def _attachment(answer: Answer | None) -> Attachment | None:
    """None unless it is attached to an instance: NAT gateways and the like have no instance."""
    if not answer or not answer.get("InstanceId") or answer["Status"] == "detached":
        return None
    return Attachment(
        id=answer["AttachmentId"],
        instance_id=answer["InstanceId"],
        device_index=answer["DeviceIndex"],
        network_card_index=answer.get("NetworkCardIndex", 0),
        status=intern(answer["Status"]),
        delete_on_termination=answer.get("DeleteOnTermination", False),
    )


def _slot(answer: Answer) -> InstanceSlot:
    attachment = answer["Attachment"]
    return InstanceSlot(
        eni_id=answer["NetworkInterfaceId"],
        device_index=attachment["DeviceIndex"],
        network_card_index=attachment.get("NetworkCardIndex", 0),
        status=intern(attachment["Status"]),
    )

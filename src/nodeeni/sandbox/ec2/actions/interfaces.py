"""Creating, describing and deleting network interfaces."""

from collections.abc import Callable, Mapping

from nodeeni.sandbox.ec2.account import Account, check_id, fingerprint
from nodeeni.sandbox.ec2.errors import EC2Error, invalid_value
from nodeeni.sandbox.ec2.filters import INTERFACE_FILTERS, zone_id
from nodeeni.sandbox.ec2.model import (
    INTERFACE_ATTRIBUTES,
    Attachment,
    Attribute,
    Interface,
    shown_attributes,
)
from nodeeni.sandbox.ec2.paging import select
from nodeeni.sandbox.ec2.wire import Parameters, Raw, render_members

from .addresses import given_at_creation
from .registry import Request, action
from .tags import tag_set, tags_for

_TRACKING = "ConnectionTrackingSpecification"
_PLAIN_TYPES = ("interface", "efa", "efa-only")


@action(
    "CreateNetworkInterface",
    without="Ipv4Prefix Ipv6Addresses Ipv6Prefix Operator",
)
def create_network_interface(request: Request) -> Mapping[str, object]:
    account, asked = request.account, request.parameters
    token = asked.text("ClientToken")
    if len(token) > 64 or not token.isascii():
        raise EC2Error("InvalidParameterValue", "Invalid value for clientToken: at most 64 ASCII characters")
    mark = fingerprint((key, value) for key, value in asked.flat.items() if key != "ClientToken")
    if token:
        known = account.remembered("CreateNetworkInterface", token, mark)
        if known is not None:
            return _answer_again(account, known, token)
    interface = _create(request)
    if token:
        account.remember("CreateNetworkInterface", token, mark, interface.id)
        account.created[interface.id] = interface
    return {"networkInterface": interface_xml(account, interface), "clientToken": token or None}


def _answer_again(account: Account, interface_id: str, token: str) -> Mapping[str, object]:
    """The first answer, with the interface as it is now; if it is gone, as it was: the token outlives it."""
    interface = account.interfaces.get(interface_id) or account.created[interface_id]
    return {"networkInterface": interface_xml(account, interface), "clientToken": token}


def _create(request: Request) -> Interface:
    account, asked = request.account, request.parameters
    subnet = account.subnet(asked.required("SubnetId"))
    group_ids = account.groups_in(subnet.vpc_id, asked.texts("SecurityGroupId"), f"subnet {subnet.id}")
    kind = asked.text("InterfaceType", "interface")
    if kind not in _PLAIN_TYPES:
        raise invalid_value(kind, "interfaceType")
    description = checked_description(asked.text("Description"))
    tags = tags_for("network-interface", asked)
    set_with_it: dict[str, object] = {}
    if _TRACKING in asked.names():
        set_with_it = sent_attributes(INTERFACE_ATTRIBUTES, _TRACKING, asked)
    if len(account.interfaces) >= account.settings.interface_quota:
        raise EC2Error("NetworkInterfaceLimitExceeded")
    interface = account.new_interface(
        subnet,
        **given_at_creation(account, subnet, asked),
        group_ids=group_ids or default_group(account, subnet.vpc_id),
        description=description,
        tags=tags,
        interface_type=kind,
        pending=True,
        **set_with_it,
    )
    request.lifecycle.created(interface, request.reply)
    return interface


def default_group(account: Account, vpc_id: str) -> tuple[str, ...]:
    return tuple(
        group.id
        for group in account.groups.values()
        if group.vpc_id == vpc_id and group.group_name == "default"
    )


def checked_description(text: str) -> str:
    if len(text) > 255:
        raise EC2Error(
            "InvalidParameterValue", "Invalid value for description: it must be at most 255 characters long"
        )
    return text


def sent_attributes(
    attributes: Mapping[str, tuple[type, Attribute]], parameter: str, asked: Parameters
) -> dict[str, object]:
    """By field, the values that were sent under one parameter, of which there has to be one."""
    read: dict[type, Callable[[str], object]] = {
        bool: asked.boolean,
        int: asked.integer,
        str: asked.text,
    }
    under = {
        field: (kind, attribute.parameter)
        for field, (kind, attribute) in attributes.items()
        if attribute.parameter.startswith(f"{parameter}.")
    }
    sent = {field: read[kind](path) for field, (kind, path) in under.items() if path in asked.flat}
    for field, value in sent.items():
        _check_range(attributes[field][1], value)
    if not sent:
        _, path = next(iter(under.values()))
        named = ".".join(word[0].lower() + word[1:] for word in path.split("."))
        raise EC2Error("MissingParameter", f"The request must contain the parameter {named}")
    return sent


def _check_range(attribute: Attribute, value: object) -> None:
    if attribute.values is None or not isinstance(value, int):
        return
    least, most = attribute.values
    if not least <= value <= most:
        name = attribute.parameter.rpartition(".")[2]
        raise EC2Error(
            "InvalidParameterValue",
            f"Value ({value}) for parameter {name} is invalid. It must be between {least} and {most}.",
        )


@action("DeleteNetworkInterface")
def delete_network_interface(request: Request) -> Mapping[str, object]:
    interface = request.account.interface(request.parameters.required("NetworkInterfaceId"))
    if interface.attachment is not None:
        raise EC2Error("InvalidParameterValue", f"Network interface '{interface.id}' is currently in use.")
    request.account.drop_interface(interface)
    return {"return": True}


@action("DescribeNetworkInterfaces")
def describe_network_interfaces(request: Request) -> Mapping[str, object]:
    account = request.account
    ids = request.parameters.texts("NetworkInterfaceId")
    for each in ids:
        check_id("InvalidNetworkInterfaceId", each, "eni")
    page, token = select(
        account,
        request.parameters,
        account.interfaces,
        INTERFACE_FILTERS,
        ids=ids,
        stem="InvalidNetworkInterfaceID",
    )
    items = [interface_xml(account, interface) for interface in page]
    return {"networkInterfaceSet": items, "nextToken": token}


@action("DescribeNetworkInterfaceAttribute", required="Attribute")
def describe_network_interface_attribute(request: Request) -> Mapping[str, object]:
    account, asked = request.account, request.parameters
    interface = account.interface(asked.required("NetworkInterfaceId"))
    attribute = asked.required("Attribute")
    attributes: dict[str, object] = {
        "description": {"value": interface.description},
        "groupSet": group_set(account, interface.group_ids),
        "sourceDestCheck": {"value": interface.source_dest_check},
        "attachment": attachment_xml(account, interface.attachment),
    }
    if attribute not in attributes:
        raise invalid_value(attribute, "attribute")
    return {"networkInterfaceId": interface.id, attribute: attributes[attribute]}


def interface_xml(account: Account, interface: Interface) -> Raw:
    """The members of EC2's NetworkInterface, kept until the interface changes: pages of 200 cost little."""
    kept = account.rendered.get(interface.id)
    if kept is not None and kept[0] is interface:
        return kept[1]
    rendered = render_members(
        {
            "networkInterfaceId": interface.id,
            "subnetId": interface.subnet_id,
            "vpcId": interface.vpc_id,
            "availabilityZone": interface.zone,
            "availabilityZoneId": zone_id(interface.zone),
            "ownerId": account.id,
            "requesterId": interface.requester_id or None,
            "requesterManaged": interface.requester_managed,
            "operator": {"managed": bool(interface.managed_by), "principal": interface.managed_by or None},
            "status": interface.status,
            "macAddress": interface.mac,
            **primary_address(account, interface),
            **shown_attributes(interface),
            "groupSet": group_set(account, interface.group_ids),
            "attachment": attachment_xml(account, interface.attachment),
            "tagSet": tag_set(interface.tags),
            "privateIpAddressesSet": private_addresses(account, interface.private_ips),
            "ipv4PrefixSet": [{"ipv4Prefix": block} for block in interface.ipv4_prefixes] or None,
            "ipv6AddressesSet": [
                {"ipv6Address": address, "isPrimaryIpv6": interface.primary_ipv6 and not position}
                for position, address in enumerate(interface.ipv6_addresses)
            ],
            "ipv6PrefixSet": [{"ipv6Prefix": block} for block in interface.ipv6_prefixes] or None,
            "interfaceType": interface.interface_type,
        }
    )
    account.rendered[interface.id] = (interface, rendered)
    return rendered


def primary_address(account: Account, interface: Interface) -> Mapping[str, object]:
    """One of an IPv6-only subnet has none of IPv4."""
    for address in interface.private_ips[:1]:
        return {"privateIpAddress": address, "privateDnsName": account.dns_name(address)}
    return {"ipv6Address": interface.ipv6_addresses[0], "ipv6Native": True}


def private_addresses(account: Account, addresses: tuple[str, ...]) -> list[Mapping[str, object]]:
    return [
        {
            "privateIpAddress": address,
            "privateDnsName": account.dns_name(address),
            "primary": position == 0,
        }
        for position, address in enumerate(addresses)
    ]


def group_set(account: Account, group_ids: tuple[str, ...]) -> list[Mapping[str, str]]:
    return [{"groupId": each, "groupName": account.groups[each].group_name} for each in group_ids]


def attachment_xml(account: Account, attachment: Attachment | None) -> Mapping[str, object] | None:
    if attachment is None:
        return None
    return {
        "attachmentId": attachment.id,
        "instanceId": attachment.instance_id,
        "instanceOwnerId": account.id,
        "deviceIndex": attachment.device_index,
        "networkCardIndex": attachment.network_card_index,
        "status": attachment.status,
        "attachTime": attachment.attached_at,
        **shown_attributes(attachment),
    }

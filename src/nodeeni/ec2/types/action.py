"""EC2's actions that change something, and what they are rehearsed on."""

from enum import StrEnum

import msgspec


class Action(StrEnum):
    """The EC2 actions that change something, by their API names (which are also their IAM names)."""

    CREATE = "CreateNetworkInterface"
    ATTACH = "AttachNetworkInterface"
    DETACH = "DetachNetworkInterface"
    DELETE = "DeleteNetworkInterface"
    MODIFY = "ModifyNetworkInterfaceAttribute"
    CREATE_TAGS = "CreateTags"
    DELETE_TAGS = "DeleteTags"
    ASSIGN_IPV4 = "AssignPrivateIpAddresses"
    UNASSIGN_IPV4 = "UnassignPrivateIpAddresses"
    ASSIGN_IPV6 = "AssignIpv6Addresses"
    UNASSIGN_IPV6 = "UnassignIpv6Addresses"


class Rehearsal(msgspec.Struct, frozen=True, kw_only=True):
    """What the calls are rehearsed on. EC2 looks at these before it asks IAM, so they should exist."""

    subnet_id: str
    eni_id: str
    instance_id: str
    attachment_id: str
    tags: dict[str, str]

"""EC2's objects as the rest of the code sees them: frozen, small, in EC2's own words.

Everything here is data without behaviour of its own beyond reading itself, so that `plan/`, which may
not touch the network, can work on it.
"""

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


class Attachment(msgspec.Struct, frozen=True):
    """The attachment of a network interface to an instance.

    `status` is `attaching`, `attached` or `detaching`; `detached` is no attachment at all (None in
    `Interface.attachment`).
    """

    id: str
    instance_id: str
    device_index: int
    network_card_index: int = 0
    status: str = "attached"
    delete_on_termination: bool = False


class Interface(msgspec.Struct, frozen=True):
    """A network interface (ENI) as DescribeNetworkInterfaces shows it.

    `status` is EC2's: `pending`, `available`, `attaching`, `in-use`, `detaching`.
    """

    id: str
    status: str
    subnet_id: str
    vpc_id: str
    zone: str
    mac: str
    private_ips: tuple[str, ...] = ()
    description: str = ""
    group_ids: tuple[str, ...] = ()
    tags: dict[str, str] = msgspec.field(default_factory=dict)
    source_dest_check: bool = True
    attachment: Attachment | None = None


class InterfaceRequest(msgspec.Struct, frozen=True):
    """One CreateNetworkInterface. The same token with the same fields gives the same interface."""

    subnet_id: str
    group_ids: tuple[str, ...]
    description: str
    tags: dict[str, str]
    client_token: str  # at most 64 ASCII characters


class Rehearsal(msgspec.Struct, frozen=True, kw_only=True):
    """What the calls are rehearsed on. EC2 looks at these before it asks IAM, so they should exist."""

    subnet_id: str
    eni_id: str
    instance_id: str
    attachment_id: str
    tags: dict[str, str]


class InstanceSlot(msgspec.Struct, frozen=True):
    """One occupied device index of an instance, whoever occupies it."""

    eni_id: str
    device_index: int
    network_card_index: int
    status: str


class Instance(msgspec.Struct, frozen=True):
    """An instance as DescribeInstances shows it.

    `state` is EC2's: `pending`, `running`, `shutting-down`, `terminated`, `stopping`, `stopped`.
    """

    id: str
    type: str
    state: str
    zone: str
    vpc_id: str
    subnet_id: str
    slots: tuple[InstanceSlot, ...] = ()


class InstanceType(msgspec.Struct, frozen=True):
    """What an instance type allows: interfaces in all, and by network card (card index is the position)."""

    name: str
    max_interfaces: int
    max_interfaces_by_card: tuple[int, ...]


class Subnet(msgspec.Struct, frozen=True):
    id: str
    vpc_id: str
    zone: str
    cidr: str
    free_addresses: int
    name: str = ""  # the tag `Name`


class SecurityGroup(msgspec.Struct, frozen=True):
    id: str
    vpc_id: str
    group_name: str
    name: str = ""  # the tag `Name`

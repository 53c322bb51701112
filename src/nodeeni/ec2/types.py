"""EC2's objects: what of an answer is read, and what the rest of the code sees of it, in EC2's own words.

A struct whose name ends in `Shape` is a shape of EC2's answers: botocore's answer is decoded by it, and
nothing that it does not name is even parsed (`READ`, see `models.py`). Beside it stands what is made of it:
frozen and small. All is data without behaviour of its own beyond reading itself, so that `plan/`, which may
not touch the network, can work on it.

Strings that repeat in thousands of interfaces (zones, tag keys, group ids) are interned, which is most of
what 5,000 interfaces weigh.
"""

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import lru_cache
from sys import intern
from typing import Any

import msgspec

from nodeeni.api.names import TAG_INSTANCE, TAG_NODE, TAG_UID
from nodeeni.api.v1alpha1 import ConnectionTracking, EnaExpress

Answer = Mapping[str, Any]  # as botocore decodes it


class Shape(msgspec.Struct, rename="pascal"):
    """What is read of one shape of EC2's model: the class's name without `Shape`."""


class TagShape(Shape):
    key: str
    value: str


def _tags(pairs: Iterable[TagShape]) -> dict[str, str]:
    return {intern(pair.key): intern(pair.value) for pair in pairs}


class Unreadable(msgspec.Struct, frozen=True):
    """An item of an answer to `action` that lacks something, and what of it could be read all the same.

    `shape` is EC2's name of it, `why` names what is missing, `known_by` are its id and names. `uid` and
    `node` are those of our tags, empty where unknown.
    """

    action: str
    shape: str
    id: str
    why: str
    known_by: tuple[str, ...] = ()
    uid: str = ""
    node: str = ""
    instance_id: str = ""

    @property
    def text(self) -> str:
        return f"EC2's answer on {self.shape} {self.id or 'without an id'} cannot be read: {self.why}"


def unreadable(action: str, shape: str, member: str, answer: Answer, why: str) -> Unreadable:
    """One whose id is what its `member` holds."""
    found = answer.get(member)
    pairs = _members(answer.get("TagSet")) + _members(answer.get("Tags"))
    tags = {str(pair.get("Key")): str(pair.get("Value", "")) for pair in pairs}
    known_by = (found, tags.get("Name"), answer.get("GroupName"))
    attachments = _members([answer.get("Attachment")])
    instance_id = next((str(each.get("InstanceId") or "") for each in attachments), "")
    return Unreadable(
        action=action,
        shape=shape,
        id=found if isinstance(found, str) else "",
        why=why,
        known_by=tuple(name for name in known_by if isinstance(name, str) and name),
        uid=tags.get(TAG_UID, ""),
        node=tags.get(TAG_NODE, ""),
        instance_id=instance_id or tags.get(TAG_INSTANCE, ""),
    )


def _members(answers: Any) -> list[Answer]:
    return [each for each in answers if isinstance(each, Mapping)] if isinstance(answers, list) else []


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


class AttachmentEnaSrdUdpSpecificationShape(Shape):
    ena_srd_udp_enabled: bool = False


class AttachmentEnaSrdSpecificationShape(Shape):
    ena_srd_enabled: bool = False
    ena_srd_udp_specification: AttachmentEnaSrdUdpSpecificationShape | None = None


class NetworkInterfaceAttachmentShape(Shape):
    """Where there is no instance, nothing else of it is needed, and need not be there."""

    attachment_id: str = ""
    device_index: int | None = None
    status: str = ""
    instance_id: str = ""
    network_card_index: int = 0
    delete_on_termination: bool = False
    ena_srd_specification: AttachmentEnaSrdSpecificationShape | None = None
    ena_queue_count: int = 0


class EnaQueues(msgspec.Struct, frozen=True):
    """How many ENA queues an attachment has; 0: EC2 does not tell. `by_default`, of a wanted value: it is to
    be the network card's default, which is `count`.
    """

    count: int = 0
    by_default: bool = False

    def __str__(self) -> str:
        return f"{self.count} (default)" if self.by_default else str(self.count)


NO_EXPRESS = EnaExpress()
UNKNOWN_QUEUES = EnaQueues()


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
    ena_express: EnaExpress = NO_EXPRESS
    ena_queues: EnaQueues = UNKNOWN_QUEUES


def _attachment(shown: NetworkInterfaceAttachmentShape | None) -> Attachment | None:
    """None unless it is attached to an instance: NAT gateways and the like have no instance."""
    if shown is None or not shown.instance_id or shown.status == "detached":
        return None
    if not shown.attachment_id or not shown.status or shown.device_index is None:
        raise msgspec.ValidationError(
            f"an attachment to {shown.instance_id} lacks id, status or device index"
        )
    return Attachment(
        id=shown.attachment_id,
        instance_id=shown.instance_id,
        device_index=shown.device_index,
        network_card_index=shown.network_card_index,
        status=intern(shown.status),
        delete_on_termination=shown.delete_on_termination,
        ena_express=_express(shown.ena_srd_specification),
        ena_queues=EnaQueues(shown.ena_queue_count) if shown.ena_queue_count else UNKNOWN_QUEUES,
    )


def _express(shown: AttachmentEnaSrdSpecificationShape | None) -> EnaExpress:
    if shown is None or not shown.ena_srd_enabled:
        return NO_EXPRESS
    udp = shown.ena_srd_udp_specification
    return EnaExpress(enabled=True, udp=udp is not None and udp.ena_srd_udp_enabled)


class GroupIdentifierShape(Shape):
    group_id: str


class NetworkInterfacePrivateIpAddressShape(Shape):
    private_ip_address: str
    primary: bool = False


class NetworkInterfaceIpv6AddressShape(Shape):
    ipv6_address: str
    is_primary_ipv6: bool = False


class Ipv4PrefixSpecificationShape(Shape):
    ipv4_prefix: str


class Ipv6PrefixSpecificationShape(Shape):
    ipv6_prefix: str


class ConnectionTrackingConfigurationShape(Shape):
    """Absent where none was ever set; of members, those that were not are."""

    tcp_established_timeout: int | None = None
    udp_stream_timeout: int | None = None
    udp_timeout: int | None = None


class NetworkInterfaceShape(Shape):
    network_interface_id: str
    status: str
    subnet_id: str
    vpc_id: str
    mac_address: str
    private_ip_addresses: tuple[NetworkInterfacePrivateIpAddressShape, ...] = ()
    ipv4_prefixes: tuple[Ipv4PrefixSpecificationShape, ...] = ()
    ipv6_addresses: tuple[NetworkInterfaceIpv6AddressShape, ...] = ()
    ipv6_prefixes: tuple[Ipv6PrefixSpecificationShape, ...] = ()
    description: str = ""
    groups: tuple[GroupIdentifierShape, ...] = ()
    tag_set: tuple[TagShape, ...] = ()
    source_dest_check: bool = True
    connection_tracking_configuration: ConnectionTrackingConfigurationShape | None = None
    attachment: NetworkInterfaceAttachmentShape | None = None


NO_TRACKING = ConnectionTracking()


class Interface(msgspec.Struct, frozen=True):
    """A network interface (ENI) as DescribeNetworkInterfaces shows it.

    `status` is EC2's: `pending`, `available`, `attaching`, `in-use`, `detaching`. `private_ips` has the
    primary address first, and `ipv6_addresses` too where it has one: `primary_ipv6`. One of an IPv6-only
    subnet has no `private_ips`. Of what `connection_tracking` does not have, the type's default holds.
    """

    id: str
    status: str
    subnet_id: str
    vpc_id: str
    mac: str
    private_ips: tuple[str, ...] = ()
    ipv4_prefixes: tuple[str, ...] = ()
    ipv6_addresses: tuple[str, ...] = ()
    ipv6_prefixes: tuple[str, ...] = ()
    primary_ipv6: bool = False
    description: str = ""
    group_ids: tuple[str, ...] = ()
    tags: dict[str, str] = msgspec.field(default_factory=dict)
    source_dest_check: bool = True
    attachment: Attachment | None = None
    connection_tracking: ConnectionTracking = NO_TRACKING


def read_interface(answer: Answer) -> Interface:
    """One `NetworkInterface`, of DescribeNetworkInterfaces or CreateNetworkInterface."""
    shown = msgspec.convert(answer, NetworkInterfaceShape)
    addresses = sorted(shown.private_ip_addresses, key=lambda item: not item.primary)
    of_ipv6 = sorted(shown.ipv6_addresses, key=lambda item: not item.is_primary_ipv6)
    return Interface(
        id=shown.network_interface_id,
        status=intern(shown.status),
        subnet_id=intern(shown.subnet_id),
        vpc_id=intern(shown.vpc_id),
        mac=shown.mac_address.lower(),
        private_ips=tuple(item.private_ip_address for item in addresses),
        ipv4_prefixes=tuple(item.ipv4_prefix for item in shown.ipv4_prefixes),
        ipv6_addresses=tuple(item.ipv6_address for item in of_ipv6),
        ipv6_prefixes=tuple(item.ipv6_prefix for item in shown.ipv6_prefixes),
        primary_ipv6=any(item.is_primary_ipv6 for item in of_ipv6),
        description=shown.description,
        group_ids=tuple(intern(group.group_id) for group in shown.groups),
        tags=_tags(shown.tag_set),
        source_dest_check=shown.source_dest_check,
        attachment=_attachment(shown.attachment),
        connection_tracking=_tracking(shown.connection_tracking_configuration),
    )


def _tracking(shown: ConnectionTrackingConfigurationShape | None) -> ConnectionTracking:
    if shown is None:
        return NO_TRACKING
    return ConnectionTracking(
        tcp_established_timeout=shown.tcp_established_timeout,
        udp_stream_timeout=shown.udp_stream_timeout,
        udp_timeout=shown.udp_timeout,
    )


class Rehearsal(msgspec.Struct, frozen=True, kw_only=True):
    """What the calls are rehearsed on. EC2 looks at these before it asks IAM, so they should exist."""

    subnet_id: str
    eni_id: str
    instance_id: str
    attachment_id: str
    tags: dict[str, str]


class InstanceNetworkInterfaceAttachmentShape(Shape):
    device_index: int | None = None
    status: str = ""
    network_card_index: int = 0
    ena_queue_count: int = 0


class InstanceNetworkInterfaceShape(Shape):
    network_interface_id: str
    owner_id: str = ""
    attachment: InstanceNetworkInterfaceAttachmentShape | None = None


class InstanceSecondaryInterfaceAttachmentShape(Shape):
    device_index: int | None = None
    network_card_index: int = 0
    status: str = ""


class InstanceSecondaryInterfaceShape(Shape):
    secondary_interface_id: str = ""
    attachment: InstanceSecondaryInterfaceAttachmentShape | None = None


class CpuOptionsShape(Shape):
    core_count: int = 0
    threads_per_core: int = 0


class InstanceStateShape(Shape):
    name: str


class PlacementShape(Shape):
    availability_zone: str
    availability_zone_id: str = ""


class EbsInstanceBlockDeviceShape(Shape):
    volume_id: str = ""


class InstanceBlockDeviceMappingShape(Shape):
    ebs: EbsInstanceBlockDeviceShape | None = None


class OperatorResponseShape(Shape):
    managed: bool = False
    principal: str = ""


class InstanceShape(Shape):
    """A terminated one has neither subnet nor VPC."""

    instance_id: str
    instance_type: str
    state: InstanceStateShape
    placement: PlacementShape
    vpc_id: str = ""
    subnet_id: str = ""
    network_interfaces: tuple[InstanceNetworkInterfaceShape, ...] = ()
    block_device_mappings: tuple[InstanceBlockDeviceMappingShape, ...] = ()
    secondary_interfaces: tuple[InstanceSecondaryInterfaceShape, ...] = ()
    cpu_options: CpuOptionsShape | None = None
    operator: OperatorResponseShape | None = None


class ReservationShape(Shape):
    instances: tuple[InstanceShape, ...] = ()


class InstanceSlot(msgspec.Struct, frozen=True):
    """One occupied device index of an instance, whoever occupies it. `secondary`: a secondary interface
    (RDMA, from launch on), which has its index and does not count among the network interfaces.
    """

    eni_id: str
    device_index: int
    network_card_index: int
    status: str
    queues: int = 0  # of ENA; 0: EC2 does not tell
    secondary: bool = False


class Instance(msgspec.Struct, frozen=True):
    """An instance as DescribeInstances shows it.

    `state` is EC2's: `pending`, `running`, `shutting-down`, `terminated`, `stopping`, `stopped`. `volumes` is
    how many EBS volumes are attached to it, `vcpus` how many it has; 0: EC2 does not tell. `zone_id` names
    the zone for every account, `zone` for ours; `owner_id` is the account of its interfaces. Empty: not told.
    `managed_by` is the AWS service that manages it, such as EKS Auto Mode; empty: none does.
    """

    id: str
    type: str
    state: str
    zone: str
    vpc_id: str
    subnet_id: str
    slots: tuple[InstanceSlot, ...] = ()
    volumes: int = 0
    zone_id: str = ""
    owner_id: str = ""
    vcpus: int = 0
    managed_by: str = ""


def read_instance(answer: Answer) -> Instance:
    """One `Instance` of a `Reservation` of DescribeInstances."""
    shown = msgspec.convert(answer, InstanceShape)
    return Instance(
        id=shown.instance_id,
        type=intern(shown.instance_type),
        state=intern(shown.state.name),
        zone=intern(shown.placement.availability_zone),
        vpc_id=intern(shown.vpc_id),
        subnet_id=intern(shown.subnet_id),
        slots=tuple(
            slot
            for slot in (
                *map(_slot, shown.network_interfaces),
                *map(_secondary_slot, shown.secondary_interfaces),
            )
            if slot is not None
        ),
        volumes=sum(each.ebs is not None for each in shown.block_device_mappings),
        zone_id=intern(shown.placement.availability_zone_id),
        managed_by=_manager(shown.operator),
        owner_id=intern(next((each.owner_id for each in shown.network_interfaces), "")),
        vcpus=cpus.core_count * cpus.threads_per_core if (cpus := shown.cpu_options) else 0,
    )


def _manager(operator: OperatorResponseShape | None) -> str:
    if operator is None or not operator.managed:
        return ""
    return intern(operator.principal or "an AWS service")


def _slot(shown: InstanceNetworkInterfaceShape) -> InstanceSlot | None:
    """None where the interface is not attached: without an attachment, or with an empty one."""
    attachment = shown.attachment
    if attachment is None or attachment == InstanceNetworkInterfaceAttachmentShape():
        return None
    if attachment.device_index is None or not attachment.status:
        raise msgspec.ValidationError(
            f"the attachment of {shown.network_interface_id} lacks status or device index"
        )
    return InstanceSlot(
        eni_id=shown.network_interface_id,
        device_index=attachment.device_index,
        network_card_index=attachment.network_card_index,
        status=intern(attachment.status),
        queues=attachment.ena_queue_count,
    )


def _secondary_slot(shown: InstanceSecondaryInterfaceShape) -> InstanceSlot | None:
    attachment = shown.attachment
    if attachment is None or attachment.device_index is None:
        return None
    return InstanceSlot(
        eni_id=shown.secondary_interface_id,
        device_index=attachment.device_index,
        network_card_index=attachment.network_card_index,
        status=intern(attachment.status),
        secondary=True,
    )


class NetworkCardInfoShape(Shape):
    network_card_index: int
    maximum_network_interfaces: int
    additional_flexible_network_interfaces: int = 0
    default_ena_queue_count_per_interface: int = 0
    maximum_ena_queue_count: int = 0
    maximum_ena_queue_count_per_interface: int = 0
    interface_types: tuple[str, ...] = ()


class DefaultConnectionTrackingConfigurationShape(Shape):
    default_tcp_established_timeout: int | None = None
    default_udp_stream_timeout: int | None = None
    default_udp_timeout: int | None = None


class NetworkInfoShape(Shape):
    maximum_network_interfaces: int
    network_cards: tuple[NetworkCardInfoShape, ...] = ()
    ipv4_addresses_per_interface: int | None = None
    ipv6_addresses_per_interface: int | None = None
    ipv6_supported: bool = True
    connection_tracking_configuration: DefaultConnectionTrackingConfigurationShape | None = None
    ena_srd_supported: bool | None = None
    flexible_ena_queues_support: str = ""


class EbsInfoShape(Shape):
    maximum_ebs_attachments: int = 0
    attachment_limit_type: str = ""


class InstanceTypeInfoShape(Shape):
    instance_type: str
    network_info: NetworkInfoShape
    ebs_info: EbsInfoShape | None = None


# Of types of which DescribeInstanceTypes does not tell. Source: "Security group connection tracking", EC2.
USUAL_TRACKING = ConnectionTracking(tcp_established_timeout=432000, udp_stream_timeout=180, udp_timeout=30)


class NetworkCard(msgspec.Struct, frozen=True):
    """What one network card of a type has; 0: EC2 does not tell. `additional` interfaces beyond its maximum
    fit where the others have fewer queues than by default. `plain`: it takes interfaces that are no EFA.
    """

    default_queues: int = 0
    most_queues: int = 0  # of an interface
    all_queues: int = 0  # of all its interfaces together
    additional: int = 0
    plain: bool = True


class InstanceType(msgspec.Struct, frozen=True):
    """What an instance type allows: interfaces in all, and by network card (card index is the position);
    `shared` attachments of EBS volumes and of interfaces but the primary together, 0 where each is counted
    apart. `addresses`, by family (4, 6): the most of an interface, prefixes included; one that EC2 does not
    tell is absent. `tracking` are the timeouts of an interface of which none are set. `cards`, by position,
    has what is known of ENA; `ena_express` and `flexible_queues`: whether it has these, None where EC2 does
    not tell.
    """

    name: str
    max_interfaces: int
    max_interfaces_by_card: tuple[int, ...]
    shared: int = 0
    addresses: dict[int, int] = msgspec.field(default_factory=dict)
    tracking: ConnectionTracking = USUAL_TRACKING
    cards: tuple[NetworkCard, ...] = ()
    ena_express: bool | None = None
    flexible_queues: bool | None = None

    def card(self, index: int) -> NetworkCard:
        return self.cards[index] if index < len(self.cards) else NetworkCard()


def read_instance_type(answer: Answer) -> InstanceType:
    """One `InstanceTypeInfo` of DescribeInstanceTypes."""
    shown = msgspec.convert(answer, InstanceTypeInfoShape)
    network, ebs = shown.network_info, shown.ebs_info
    cards = sorted(network.network_cards, key=lambda card: card.network_card_index)
    of_ipv6 = network.ipv6_addresses_per_interface if network.ipv6_supported else 0
    addresses = {4: network.ipv4_addresses_per_interface, 6: of_ipv6}
    return InstanceType(
        name=shown.instance_type,
        max_interfaces=network.maximum_network_interfaces,
        max_interfaces_by_card=tuple(card.maximum_network_interfaces for card in cards)
        or (network.maximum_network_interfaces,),
        shared=ebs.maximum_ebs_attachments if ebs and ebs.attachment_limit_type == "shared" else 0,
        addresses={family: most for family, most in addresses.items() if most is not None},
        tracking=_default_tracking(network.connection_tracking_configuration),
        cards=tuple(map(_card, cards)),
        ena_express=network.ena_srd_supported,
        flexible_queues=_FLEXIBLE.get(network.flexible_ena_queues_support),
    )


_FLEXIBLE = {"supported": True, "unsupported": False}


def _card(shown: NetworkCardInfoShape) -> NetworkCard:
    return NetworkCard(
        default_queues=shown.default_ena_queue_count_per_interface,
        most_queues=shown.maximum_ena_queue_count_per_interface,
        all_queues=shown.maximum_ena_queue_count,
        additional=shown.additional_flexible_network_interfaces,
        plain=not shown.interface_types or "interface" in shown.interface_types,
    )


def _default_tracking(shown: DefaultConnectionTrackingConfigurationShape | None) -> ConnectionTracking:
    if shown is None:
        return USUAL_TRACKING
    usual = USUAL_TRACKING
    return ConnectionTracking(
        tcp_established_timeout=shown.default_tcp_established_timeout or usual.tcp_established_timeout,
        udp_stream_timeout=shown.default_udp_stream_timeout or usual.udp_stream_timeout,
        udp_timeout=shown.default_udp_timeout or usual.udp_timeout,
    )


class SubnetCidrBlockStateShape(Shape):
    state: str = ""


class SubnetIpv6CidrBlockAssociationShape(Shape):
    ipv6_cidr_block: str = ""
    ipv6_cidr_block_state: SubnetCidrBlockStateShape | None = None


class SubnetShape(Shape):
    subnet_id: str
    vpc_id: str
    availability_zone: str
    available_ip_address_count: int
    cidr_block: str = ""
    ipv6_cidr_block_association_set: tuple[SubnetIpv6CidrBlockAssociationShape, ...] = ()
    assign_ipv6_address_on_creation: bool = False
    tags: tuple[TagShape, ...] = ()
    availability_zone_id: str = ""
    owner_id: str = ""
    subnet_arn: str = ""


class Subnet(msgspec.Struct, frozen=True):
    """`cidr` is that of IPv4, `ipv6_cidr` that of IPv6, and one of them may be empty. `free_addresses` are
    those of IPv4: an IPv6-only subnet has none, and is not full. `gives_ipv6`: an address to each new
    interface, unasked. `owner_id` is the account that may share it with ours, where a zone can have another
    name: `zone_id` names it for both.
    """

    id: str
    vpc_id: str
    zone: str
    cidr: str
    free_addresses: int
    name: str = ""  # the tag `Name`
    ipv6_cidr: str = ""
    gives_ipv6: bool = False
    zone_id: str = ""
    owner_id: str = ""
    arn: str = ""

    @property
    def ipv6_only(self) -> bool:
        return bool(self.ipv6_cidr) and not self.cidr


def read_subnet(answer: Answer) -> Subnet:
    """One `Subnet` of DescribeSubnets."""
    shown = msgspec.convert(answer, SubnetShape)
    blocks = (each.ipv6_cidr_block for each in shown.ipv6_cidr_block_association_set if _is_associated(each))
    return Subnet(
        id=shown.subnet_id,
        vpc_id=shown.vpc_id,
        zone=shown.availability_zone,
        cidr=shown.cidr_block,
        free_addresses=shown.available_ip_address_count,
        name=_tags(shown.tags).get("Name", ""),
        ipv6_cidr=next(blocks, ""),
        gives_ipv6=shown.assign_ipv6_address_on_creation,
        zone_id=shown.availability_zone_id,
        owner_id=shown.owner_id,
        arn=shown.subnet_arn,
    )


def _is_associated(shown: SubnetIpv6CidrBlockAssociationShape) -> bool:
    state = shown.ipv6_cidr_block_state
    return bool(shown.ipv6_cidr_block) and (state is None or state.state in ("", "associated"))


class SecurityGroupShape(Shape):
    group_id: str
    group_name: str
    vpc_id: str = ""
    tags: tuple[TagShape, ...] = ()


class SecurityGroup(msgspec.Struct, frozen=True):
    id: str
    vpc_id: str
    group_name: str
    name: str = ""  # the tag `Name`


def read_security_group(answer: Answer) -> SecurityGroup:
    """One `SecurityGroup` of DescribeSecurityGroups."""
    shown = msgspec.convert(answer, SecurityGroupShape)
    return SecurityGroup(
        id=shown.group_id,
        vpc_id=shown.vpc_id,
        group_name=shown.group_name,
        name=_tags(shown.tags).get("Name", ""),
    )


class SecurityGroupForVpcShape(Shape):
    group_id: str


def read_usable_group(answer: Answer) -> str:
    """The id of one `SecurityGroupForVpc` of GetSecurityGroupsForVpc."""
    return msgspec.convert(answer, SecurityGroupForVpcShape).group_id


@lru_cache(maxsize=1024)
def _filter_value(pattern: str) -> re.Pattern[str]:
    wild = {"*": ".*", "?": "."}
    parts = re.split(r"(\\.|\*|\?)", pattern)
    return re.compile(
        "".join(wild.get(part, re.escape(part.removeprefix("\\"))) for part in parts), re.DOTALL
    )


def fits(pattern: str, value: str) -> bool:
    """As the value of a filter of EC2 does: `*` is any characters, `?` is one, a backslash takes them as they
    are.
    """
    return _filter_value(pattern).fullmatch(value) is not None


# By EC2's name of the shape, what is read of it: nothing else of an answer is parsed. Times above all are
# dear, and 5,000 interfaces and instances have 15,000 of them.
READ: Mapping[str, frozenset[str]] = {
    shape.__name__.removesuffix("Shape"): frozenset(shape.__struct_encode_fields__)
    for shape in Shape.__subclasses__()
}

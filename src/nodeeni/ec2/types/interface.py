"""Network interfaces."""

from collections.abc import Mapping
from sys import intern

import msgspec

from nodeeni.api.packed import NO_ITEMS
from nodeeni.api.v1alpha1 import ConnectionTracking, EnaExpress
from nodeeni.ec2.types.instance import OperatorResponseShape, managed_by
from nodeeni.ec2.types.shape import Answer, Shape, TagShape, tags_of


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


class EnaQueues(msgspec.Struct, frozen=True, gc=False):
    """How many ENA queues an attachment has; 0: EC2 does not tell. `by_default`, of a wanted value: it is to
    be the network card's default, which is `count`.
    """

    count: int = 0
    by_default: bool = False

    def __str__(self) -> str:
        return f"{self.count} (default)" if self.by_default else str(self.count)


NO_EXPRESS = EnaExpress()

PLAIN = "interface"  # the type of one that is no EFA and the like

UNKNOWN_QUEUES = EnaQueues()


class Attachment(msgspec.Struct, frozen=True, gc=False):
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
        instance_id=intern(shown.instance_id),
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
    interface_type: str = PLAIN
    requester_managed: bool = False
    operator: OperatorResponseShape | None = None


NO_TRACKING = ConnectionTracking()


class Interface(msgspec.Struct, frozen=True, gc=False):
    """A network interface (ENI) as DescribeNetworkInterfaces shows it.

    `status` is EC2's: `pending`, `available`, `attaching`, `in-use`, `detaching`. `private_ips` has the
    primary address first, and `ipv6_addresses` too where it has one: `primary_ipv6`. One of an IPv6-only
    subnet has no `private_ips`. Of what `connection_tracking` does not have, the type's default holds. `kind`
    is EC2's type of it, such as `efa`; `managed_by` the AWS service that made or manages it, empty: none.
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
    tags: Mapping[str, str] = NO_ITEMS
    source_dest_check: bool = True
    attachment: Attachment | None = None
    connection_tracking: ConnectionTracking = NO_TRACKING
    kind: str = PLAIN
    managed_by: str = ""


def read_interface(answer: Answer) -> Interface:
    """One `NetworkInterface`, of DescribeNetworkInterfaces or CreateNetworkInterface."""
    shown = msgspec.convert(answer, NetworkInterfaceShape)
    addresses = sorted(shown.private_ip_addresses, key=lambda item: not item.primary)
    of_ipv6 = sorted(shown.ipv6_addresses, key=lambda item: not item.is_primary_ipv6)
    return Interface(
        id=intern(shown.network_interface_id),
        status=intern(shown.status),
        subnet_id=intern(shown.subnet_id),
        vpc_id=intern(shown.vpc_id),
        mac=intern(shown.mac_address.lower()),
        private_ips=tuple(item.private_ip_address for item in addresses),
        ipv4_prefixes=tuple(item.ipv4_prefix for item in shown.ipv4_prefixes),
        ipv6_addresses=tuple(item.ipv6_address for item in of_ipv6),
        ipv6_prefixes=tuple(item.ipv6_prefix for item in shown.ipv6_prefixes),
        primary_ipv6=any(item.is_primary_ipv6 for item in of_ipv6),
        description=intern(shown.description),
        group_ids=tuple(intern(group.group_id) for group in shown.groups),
        tags=tags_of(shown.tag_set),
        source_dest_check=shown.source_dest_check,
        attachment=_attachment(shown.attachment),
        connection_tracking=_tracking(shown.connection_tracking_configuration),
        kind=intern(shown.interface_type),
        managed_by=managed_by(shown.operator) or ("an AWS service" if shown.requester_managed else ""),
    )


def _tracking(shown: ConnectionTrackingConfigurationShape | None) -> ConnectionTracking:
    if shown is None:
        return NO_TRACKING
    return ConnectionTracking(
        tcp_established_timeout=shown.tcp_established_timeout,
        udp_stream_timeout=shown.udp_stream_timeout,
        udp_timeout=shown.udp_timeout,
    )

"""Instance types: what EC2 allows on each."""

import msgspec

from nodeeni.api.v1alpha1 import ConnectionTracking
from nodeeni.ec2.types.shape import Answer, Shape


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

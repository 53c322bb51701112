"""EC2's objects as the simulator keeps them: frozen, so that one can be shown as it was before."""

from typing import Annotated, Any, get_args, get_type_hints

import msgspec

INSTANCE_STATES = {
    "pending": 0,
    "running": 16,
    "shutting-down": 32,
    "terminated": 48,
    "stopping": 64,
    "stopped": 80,
}


class Attribute(msgspec.Struct, frozen=True):
    """What ModifyNetworkInterfaceAttribute changes and EC2 otherwise merely keeps and shows.

    It annotates the field that keeps it. `parameter` is the path of the parameter that sets it, `shown` that
    of the member that shows it, in NetworkInterface or its attachment; None is not shown. What no field names
    is refused.
    """

    parameter: str
    shown: str
    values: tuple[int, int] | None = None  # the least and the greatest that EC2 takes


def _timeout(name: str, least: int, most: int) -> Attribute:
    """Of connection tracking, in seconds; shown only once it was set."""
    return Attribute(
        f"ConnectionTrackingSpecification.{name}",
        f"connectionTrackingConfiguration.{name[0].lower()}{name[1:]}",
        (least, most),
    )


class Vpc(msgspec.Struct, frozen=True):
    id: str
    cidr: str
    tags: dict[str, str] = {}


class Subnet(msgspec.Struct, frozen=True):
    """`owner_id` is the account that shares it with ours, which calls its zone `owners_zone`; empty: ours."""

    id: str
    vpc_id: str
    zone: str
    cidr: str
    tags: dict[str, str] = {}
    ipv6_cidr: str = ""
    gives_ipv6: bool = False  # an address to each new interface, unasked
    owner_id: str = ""
    owners_zone: str = ""


class SecurityGroup(msgspec.Struct, frozen=True):
    """`associated` are VPCs beside its own in which it can be used."""

    id: str
    vpc_id: str
    group_name: str
    description: str = ""
    tags: dict[str, str] = {}
    associated: tuple[str, ...] = ()

    def usable_in(self, vpc_id: str) -> bool:
        return vpc_id == self.vpc_id or vpc_id in self.associated


class Attachment(msgspec.Struct, frozen=True):
    """`status` is `attaching`, `attached` or `detaching`; `attached_at` is EC2's time of the request."""

    id: str
    instance_id: str
    device_index: int
    network_card_index: int
    status: str
    delete_on_termination: Annotated[bool, Attribute("Attachment.DeleteOnTermination", "deleteOnTermination")]
    attached_at: str
    ena_srd_enabled: Annotated[
        bool | None, Attribute("EnaSrdSpecification.EnaSrdEnabled", "enaSrdSpecification.enaSrdEnabled")
    ] = None
    ena_srd_udp_enabled: Annotated[
        bool | None,
        Attribute(
            "EnaSrdSpecification.EnaSrdUdpSpecification.EnaSrdUdpEnabled",
            "enaSrdSpecification.enaSrdUdpSpecification.enaSrdUdpEnabled",
        ),
    ] = None
    ena_queue_count: Annotated[int | None, Attribute("Attachment.EnaQueueCount", "enaQueueCount")] = None


class Interface(msgspec.Struct, frozen=True):
    """A network interface; `private_ips` has the primary address first, `ipv6_addresses` where it has one."""

    id: str
    subnet_id: str
    vpc_id: str
    zone: str
    mac: str
    private_ips: tuple[str, ...]
    group_ids: tuple[str, ...]
    ipv4_prefixes: tuple[str, ...] = ()
    ipv6_addresses: tuple[str, ...] = ()
    ipv6_prefixes: tuple[str, ...] = ()
    primary_ipv6: bool = False
    description: Annotated[str, Attribute("Description.Value", "description")] = ""
    tags: dict[str, str] = {}
    source_dest_check: Annotated[bool, Attribute("SourceDestCheck.Value", "sourceDestCheck")] = True
    tcp_established_timeout: Annotated[int | None, _timeout("TcpEstablishedTimeout", 60, 432000)] = None
    udp_stream_timeout: Annotated[int | None, _timeout("UdpStreamTimeout", 60, 180)] = None
    udp_timeout: Annotated[int | None, _timeout("UdpTimeout", 30, 60)] = None
    interface_type: str = "interface"
    pending: bool = False
    requester_id: str = ""
    requester_managed: bool = False  # made by an AWS service for itself
    managed_by: str = ""  # the AWS service whose it is to manage
    attachment: Attachment | None = None

    @property
    def status(self) -> str:
        """EC2 says `in-use` from the attach request on; the attachment's own status tells the phase."""
        if self.attachment is not None:
            return "in-use"
        return "pending" if self.pending else "available"


class LaunchInterface(msgspec.Struct, frozen=True, kw_only=True):
    """A network interface that a launch brings beside the primary one, as a launch template says it. `counts`
    are EC2's parameters that say how many addresses or prefixes it has.
    """

    subnet: Subnet
    device_index: int = 1
    network_card_index: int = 0
    group_ids: tuple[str, ...] = ()
    description: str = ""
    tags: dict[str, str] = {}
    delete_on_termination: bool = True
    interface_type: str = "interface"
    counts: dict[str, str] = {}


def _attributes(of: type) -> dict[str, tuple[type, Attribute]]:
    """Field → its type, and how it is set and shown."""
    found = {}
    for field, hint in get_type_hints(of, include_extras=True).items():
        for note in getattr(hint, "__metadata__", ()):
            if isinstance(note, Attribute):
                kind, *_ = get_args(hint.__origin__) or (hint.__origin__,)  # of `bool | None` the first
                found[field] = (kind, note)
    return found


INTERFACE_ATTRIBUTES = _attributes(Interface)
ATTACHMENT_ATTRIBUTES = _attributes(Attachment)


def shown_attributes(of: Interface | Attachment) -> dict[str, Any]:
    """The members of the answer that show its attributes."""
    attributes = INTERFACE_ATTRIBUTES if isinstance(of, Interface) else ATTACHMENT_ATTRIBUTES
    members: dict[str, Any] = {}
    for field, (_, attribute) in attributes.items():
        value = getattr(of, field)
        if value is not None:
            *path, last = attribute.shown.split(".")
            within = members
            for name in path:
                within = within.setdefault(name, {})
            within[last] = value
    return members


class Instance(msgspec.Struct, frozen=True):
    id: str
    type: str
    state: str
    subnet_id: str
    vpc_id: str
    zone: str
    private_ip: str
    private_dns_name: str
    launched_at: str
    group_ids: tuple[str, ...] = ()
    image_id: str = "ami-0123456789abcdef0"
    node_name: str = ""
    tags: dict[str, str] = {}
    managed_by: str = ""  # the AWS service that alone may attach and detach
    volumes: tuple[str, ...] = ()  # attached EBS volumes, the root's first
    # Secondary interfaces, which are there from launch on: id, device index, network card.
    secondary: tuple[tuple[str, int, int], ...] = ()

"""EC2's objects as the simulator keeps them: frozen, so that one can be shown as it was before."""

import ipaddress
from collections.abc import Iterator
from typing import Annotated, Any, get_args, get_type_hints

import msgspec

from .errors import EC2Error

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


class Vpc(msgspec.Struct, frozen=True):
    id: str
    cidr: str
    tags: dict[str, str] = {}


class Subnet(msgspec.Struct, frozen=True):
    id: str
    vpc_id: str
    zone: str
    cidr: str
    tags: dict[str, str] = {}


class SecurityGroup(msgspec.Struct, frozen=True):
    id: str
    vpc_id: str
    group_name: str
    description: str = ""
    tags: dict[str, str] = {}


class Attachment(msgspec.Struct, frozen=True):
    """`status` is `attaching`, `attached` or `detaching`; `attached_at` is EC2's time of the request."""

    id: str
    instance_id: str
    device_index: int
    network_card_index: int
    status: str
    delete_on_termination: Annotated[bool, Attribute("Attachment.DeleteOnTermination", "deleteOnTermination")]
    attached_at: str


class Interface(msgspec.Struct, frozen=True):
    """A network interface; `private_ips` has the primary address first."""

    id: str
    subnet_id: str
    vpc_id: str
    zone: str
    mac: str
    private_ips: tuple[str, ...]
    group_ids: tuple[str, ...]
    description: Annotated[str, Attribute("Description.Value", "description")] = ""
    tags: dict[str, str] = {}
    source_dest_check: Annotated[bool, Attribute("SourceDestCheck.Value", "sourceDestCheck")] = True
    interface_type: str = "interface"
    pending: bool = False
    requester_id: str = ""
    attachment: Attachment | None = None

    @property
    def status(self) -> str:
        """EC2 says `in-use` from the attach request on; the attachment's own status tells the phase."""
        if self.attachment is not None:
            return "in-use"
        return "pending" if self.pending else "available"


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
    volumes: tuple[str, ...] = ()  # attached EBS volumes, the root's first


class AddressPool:
    """The free addresses of one subnet. EC2 keeps the first four and the last one for itself.

    An IPv6-only subnet (no `cidr`) has none.
    """

    def __init__(self, cidr: str) -> None:
        self._network = ipaddress.IPv4Network(cidr or "0.0.0.0/32")
        self._used: set[int] = set()
        self._last = 3

    @property
    def free(self) -> int:
        return max(0, self._network.num_addresses - 5 - len(self._used))

    def take(self, count: int) -> list[str]:
        """`count` addresses not in use, or `InsufficientFreeAddressesInSubnet` and none taken."""
        if count > self.free:
            raise EC2Error("InsufficientFreeAddressesInSubnet")
        offsets = self._next_free()
        taken = [next(offsets) for _ in range(count)]
        return [str(self._network[offset]) for offset in taken]

    def take_this(self, address: str) -> None:
        try:
            offset = int(ipaddress.IPv4Address(address)) - int(self._network.network_address)
        except ValueError:
            raise EC2Error("InvalidParameterValue", f"Invalid value '{address}' for privateIp.") from None
        if not 4 <= offset < self._network.num_addresses - 1:
            raise EC2Error("InvalidParameterValue", "Address does not fall within the subnet's address range")
        if offset in self._used:
            raise EC2Error("InvalidIPAddress.InUse", f"The address '{address}' is in use.")
        self._used.add(offset)

    def give_back(self, address: str) -> None:
        self._used.discard(int(ipaddress.IPv4Address(address)) - int(self._network.network_address))

    def _next_free(self) -> Iterator[int]:
        """Round the subnet, so that an address just given back is not the next one handed out."""
        highest = self._network.num_addresses - 2
        while True:
            self._last = self._last + 1 if self._last < highest else 4
            if self._last not in self._used:
                self._used.add(self._last)
                yield self._last

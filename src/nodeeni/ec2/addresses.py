"""What an interface has beside its primary address, as many as the spec says: a declaration a kind. Pure.

Everything else goes over `ADDRESS_KINDS`: what is wanted (`plan/desired.py`), what is missing or too much
(`plan/corrections.py`), what a type and a subnet can hold (`plan/addresses.py`), the calls (`client.py`), our
writes over stale reads (`overlay.py`), and the field's row in `docs/reference.md`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from msgspec.structs import replace

from nodeeni.ec2.types import Action, Interface


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class AddressKind:
    """Addresses or prefixes of one family. A spec without `field` asks for nothing: what there is stays.

    `name` is the field as users write it, `one` and `many` name such addresses for people. `held` is the
    field of `Interface` that has them; `first` is how many at its front are not counted.

    `count` is the parameter of CreateNetworkInterface and of `assign` that says how many, or how many more;
    `listed` that of `unassign` with those that are given back. `answered`: where the answer to `assign` lists
    the new ones, and how each item names it; None: it is the address itself.
    """

    name: str
    field: str
    one: str
    many: str
    family: Literal[4, 6]
    held: str
    first: int = 0
    of_blocks: bool = False  # each a block in one piece
    count: str
    assign: Action
    answered: tuple[str, str | None]
    unassign: Action
    listed: str

    def __repr__(self) -> str:
        return self.name

    def on(self, interface: Interface) -> tuple[str, ...]:
        """Those that count, in the order in which EC2 shows them."""
        held: tuple[str, ...] = getattr(interface, self.held)
        return held[self.first :]

    def spare(self, interface: Interface) -> tuple[str, ...]:
        """Those that may be given back, the first to go first: the last ones, and a primary one never."""
        kept = int(self is IPV6_ADDRESSES and interface.primary_ipv6)
        return self.on(interface)[kept:][::-1]

    def numbered(self, count: int) -> str:
        return f"{count} {self.one if count == 1 else self.many}"

    def written(self, interface: Interface, added: tuple[str, ...], removed: tuple[str, ...]) -> Interface:
        """The interface with those added and without those removed."""
        held: tuple[str, ...] = getattr(interface, self.held)
        kept = [each for each in held if each not in removed]
        return replace(interface, **{self.held: (*kept, *(each for each in added if each not in kept))})


SECONDARY_IPS = AddressKind(
    name="secondaryPrivateIPCount",
    field="secondary_private_ip_count",
    one="secondary IPv4 address",
    many="secondary IPv4 addresses",
    family=4,
    held="private_ips",
    first=1,
    count="SecondaryPrivateIpAddressCount",
    assign=Action.ASSIGN_IPV4,
    answered=("AssignedPrivateIpAddresses", "PrivateIpAddress"),
    unassign=Action.UNASSIGN_IPV4,
    listed="PrivateIpAddresses",
)

IPV4_PREFIXES = AddressKind(
    name="ipv4PrefixCount",
    field="ipv4_prefix_count",
    one="IPv4 prefix",
    many="IPv4 prefixes",
    family=4,
    held="ipv4_prefixes",
    of_blocks=True,
    count="Ipv4PrefixCount",
    assign=Action.ASSIGN_IPV4,
    answered=("AssignedIpv4Prefixes", "Ipv4Prefix"),
    unassign=Action.UNASSIGN_IPV4,
    listed="Ipv4Prefixes",
)

IPV6_ADDRESSES = AddressKind(
    name="ipv6AddressCount",
    field="ipv6_address_count",
    one="IPv6 address",
    many="IPv6 addresses",
    family=6,
    held="ipv6_addresses",
    count="Ipv6AddressCount",
    assign=Action.ASSIGN_IPV6,
    answered=("AssignedIpv6Addresses", None),
    unassign=Action.UNASSIGN_IPV6,
    listed="Ipv6Addresses",
)

IPV6_PREFIXES = AddressKind(
    name="ipv6PrefixCount",
    field="ipv6_prefix_count",
    one="IPv6 prefix",
    many="IPv6 prefixes",
    family=6,
    held="ipv6_prefixes",
    of_blocks=True,
    count="Ipv6PrefixCount",
    assign=Action.ASSIGN_IPV6,
    answered=("AssignedIpv6Prefixes", None),
    unassign=Action.UNASSIGN_IPV6,
    listed="Ipv6Prefixes",
)

# In the order in which they are put right.
ADDRESS_KINDS: tuple[AddressKind, ...] = (SECONDARY_IPS, IPV4_PREFIXES, IPV6_ADDRESSES, IPV6_PREFIXES)

Counts = Mapping[AddressKind, int]  # of those that the spec asks for


def creation(counts: Counts) -> dict[str, int]:
    """Parameters of CreateNetworkInterface. EC2 takes one form of each family, so what is 0 is not sent, save
    that 0 keeps a subnet from giving an IPv6 address by itself.
    """
    sent = {kind.count: count for kind, count in counts.items() if count}
    if counts.get(IPV6_ADDRESSES) == 0 and not counts.get(IPV6_PREFIXES):
        sent[IPV6_ADDRESSES.count] = 0
    return sent

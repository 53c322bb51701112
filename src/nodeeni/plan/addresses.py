"""How many addresses a wanted interface has: what its type holds, what is missing, what is too much. Pure."""

from collections.abc import Iterable

from nodeeni.api.reasons import EventReason, RowReason
from nodeeni.ec2.addresses import IPV6_ADDRESSES, IPV6_PREFIXES, AddressKind
from nodeeni.ec2.attributes import PRIMARY_IPV6
from nodeeni.ec2.types import Instance, InstanceType, Interface, Subnet
from nodeeni.plan.actions import Action, Assign, Unassign
from nodeeni.plan.desired import DesiredInterface
from nodeeni.plan.refusal import Refusal

TYPE_RETRY = 300.0  # seconds: an instance keeps its type while it runs
PRIMARY_RETRY = 300.0  # seconds: an edit comes first


def too_many(wanted: DesiredInterface, instance: Instance, kind: InstanceType | None) -> Refusal | None:
    """Why the type cannot hold what is wanted of either family; EC2 would say so as late as at the attach."""
    for family in (4, 6):
        most = kind.addresses.get(family) if kind is not None else None
        counts = {k: n for k, n in wanted.counts.items() if n and k.family == family}
        asked = sum(counts.values()) + (1 if family == 4 else 0)
        if most is None or not counts or asked <= most:
            continue
        beside = " beside the primary one" if family == 4 else ""
        fields = " and ".join(f"spec.{k}" for k in counts)
        way_out = f"{most - asked + sum(counts.values())} at most" if most else "leave it out"
        return Refusal.of(
            wanted,
            RowReason.TOO_MANY_ADDRESSES,
            f"{instance.type} ({instance.id}) holds {most} IPv{family} addresses and prefixes an interface, "
            f"and {' and '.join(k.numbered(n) for k, n in counts.items())}{beside} are asked for: lower "
            f"{fields} ({way_out}), or use a larger instance type",
            TYPE_RETRY,
        )
    return None


def needs(wanted: DesiredInterface) -> int:
    """IPv4 addresses that a subnet must have free for it; those of prefixes may be reserved for them."""
    return 1 + sum(n for kind, n in wanted.counts.items() if kind.family == 4 and kind.first)


def has_room(wanted: DesiredInterface, subnet: Subnet) -> bool:
    return subnet.ipv6_only or subnet.free_addresses >= needs(wanted)


def missing_primary(wanted: DesiredInterface, subnet: Subnet) -> Refusal | None:
    """A new interface of that subnet has no IPv6 address that could be the primary one."""
    count = wanted.counts.get(IPV6_ADDRESSES)
    gets_one = bool(count) or (count is None and not wanted.counts.get(IPV6_PREFIXES) and subnet.gives_ipv6)
    if not wanted.values[PRIMARY_IPV6] or gets_one or subnet.ipv6_only:
        return None
    return _without_address(wanted, f"an ENI of {subnet.id} is made with none")


def address_corrections(wanted: DesiredInterface, interface: Interface) -> Iterable[Action]:
    """Exactly as many as the spec says: what is missing is assigned, and what is too much given back."""
    of = {"node": wanted.node, "nodeeni": wanted.nodeeni, "uid": wanted.uid, "eni_id": interface.id}
    for kind, count in wanted.counts.items():
        there = len(kind.on(interface))
        if there < count:
            yield Assign(kind=kind, count=count - there, **of)
        elif goes := surplus(kind, interface, there - count):
            yield Unassign(kind=kind, addresses=goes, **of)


def surplus(kind: AddressKind, interface: Interface, many: int) -> tuple[str, ...]:
    """Which of them are given back where so many are too much: the last ones, and the primary one never."""
    return kind.spare(interface)[:many]


def cannot_be(wanted: DesiredInterface, interface: Interface) -> Refusal | None:
    """What of a standing interface's addresses cannot be as asked whatever is called."""
    if wanted.counts.get(IPV6_ADDRESSES) == 0 and interface.primary_ipv6:
        return Refusal.of(
            wanted,
            RowReason.INVALID_REFERENCE,
            f"{interface.ipv6_addresses[0]} is the primary IPv6 address of {interface.id}, which cannot be "
            "given back: set spec.ipv6AddressCount to 1 or more, or spec.enablePrimaryIPv6 to false, which "
            "makes the ENI anew",
            PRIMARY_RETRY,
            EventReason.ENI_UPDATE_FAILED,
        )
    if wanted.values[PRIMARY_IPV6] and not interface.ipv6_addresses and not wanted.counts.get(IPV6_ADDRESSES):
        return _without_address(wanted, f"{interface.id} has none")
    return None


def _without_address(wanted: DesiredInterface, why: str) -> Refusal:
    return Refusal.of(
        wanted,
        RowReason.INVALID_REFERENCE,
        f"spec.enablePrimaryIPv6 needs an IPv6 address, and {why}: set spec.ipv6AddressCount to 1 or more",
        PRIMARY_RETRY,
    )

"""How many addresses a wanted interface has: what its type holds, what is missing, what is too much. Pure."""

from collections.abc import Iterable

from nodeeni.api.reasons import EventReason, RowReason
from nodeeni.ec2.addresses import ADDRESS_KINDS, IPV6_ADDRESSES, IPV6_PREFIXES, AddressKind, Counts
from nodeeni.ec2.attributes import PRIMARY_IPV6
from nodeeni.ec2.types import Instance, InstanceType, Interface, Subnet
from nodeeni.plan.actions import Action, Assign, Unassign
from nodeeni.plan.desired import DesiredInterface
from nodeeni.plan.pods import Pods, named
from nodeeni.plan.refusal import Refusal

TYPE_RETRY = 300.0  # seconds: an instance keeps its type while it runs
PODS_RETRY = 300.0  # seconds: the ENI manager's word comes first
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


def too_many_beside(
    wanted: DesiredInterface, interface: Interface, instance: Instance, kind: InstanceType | None
) -> Refusal | None:
    """Why the type cannot hold what is wanted beside what the spec does not count, and so leaves there."""
    for family in (4, 6):
        kinds = [k for k in ADDRESS_KINDS if k.family == family]
        most = kind.addresses.get(family) if kind is not None else None
        counted = {k: wanted.counts[k] for k in kinds if k in wanted.counts}
        beside = {k: len(k.on(interface)) for k in kinds if k not in counted and k.on(interface)}
        primary = 1 if family == 4 else 0
        more = {k: n for k, n in counted.items() if n > len(k.on(interface))}
        asked = sum((*counted.values(), *beside.values(), primary))
        if most is None or not beside or not more or asked <= most:
            continue
        return Refusal.of(
            wanted,
            RowReason.TOO_MANY_ADDRESSES,
            f"{instance.type} ({instance.id}) holds {most} IPv{family} addresses and prefixes an interface, "
            f"and {interface.id} has {' and '.join(k.numbered(n) for k, n in beside.items())} that the spec "
            f"does not count: no room for {' and '.join(k.numbered(n) for k, n in more.items())}; "
            f"set {' and '.join(f'spec.{k} to 0' for k in beside)}, which gives them back, or lower "
            f"{' and '.join(f'spec.{k}' for k in more)}",
            TYPE_RETRY,
            EventReason.ENI_UPDATE_FAILED,
        )
    return None


def at_creation(wanted: DesiredInterface, subnet: Subnet) -> Counts:
    """What CreateNetworkInterface is asked for. An ENI of an IPv6-only subnet is made with an address, and
    EC2 makes one with addresses or with prefixes: those are assigned once it is attached.
    """
    if not subnet.ipv6_only:
        return wanted.counts
    return {kind: n for kind, n in wanted.counts.items() if kind is not IPV6_PREFIXES}


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


def address_corrections(wanted: DesiredInterface, interface: Interface, pods: Pods) -> Iterable[Action]:
    """Exactly as many as the spec says: what is too much is given back, once no pod has it, then what is
    missing assigned, since an interface holds so many of a family and no more.
    """
    of = {"node": wanted.node, "nodeeni": wanted.nodeeni, "uid": wanted.uid, "eni_id": interface.id}
    goes = given_back(wanted, interface, pods)
    for kind, count in wanted.counts.items():
        missing = count - len(kind.on(interface))
        if kind in goes:
            free = tuple(each for each in goes[kind] if not kind.of_blocks or not pods.hold(each))
            if free:
                yield Unassign(kind=kind, addresses=free, **of)
        elif missing > 0 and not any(each.family == kind.family for each in goes):
            yield Assign(kind=kind, count=missing, **of)


def given_back(
    wanted: DesiredInterface, interface: Interface, pods: Pods
) -> dict[AddressKind, tuple[str, ...]]:
    """What is too much, now or once no pod has it."""
    more = {
        kind: len(kind.on(interface)) - count
        for kind, count in wanted.counts.items()
        if kind not in wanted.at_least
    }
    return {k: goes for k, many in more.items() if many > 0 and (goes := surplus(k, interface, many, pods))}


def held_by_pods(wanted: DesiredInterface, goes: Iterable[str], pods: Pods) -> Refusal | None:
    """Why prefixes stay that are to be given back. What is only to be told by the ENI manager is no news."""
    held = [prefix for prefix in goes if pods.hold(prefix)]
    users = {prefix: pods.users(prefix) for prefix in held}
    if not held:
        return None
    used = [prefix for prefix in held if users[prefix]]
    if not used:
        message = (
            f"{', '.join(held)}: given back once the node's ENI manager has said that no pod has an address "
            "of it"
        )
        return Refusal.of(wanted, RowReason.UPDATING, message, PODS_RETRY, None)
    told = [
        f"{prefix} is given back once no pod has an address of it ({named(users[prefix])})" for prefix in used
    ]
    return Refusal.of(wanted, RowReason.PREFIX_IN_USE, "; ".join(told), PODS_RETRY, EventReason.PREFIX_IN_USE)


def surplus(kind: AddressKind, interface: Interface, many: int, pods: Pods) -> tuple[str, ...]:
    """Which of them are given back where so many are too much: those that no pod uses, the last ones, and the
    primary one never."""
    spare = kind.spare(interface)
    return tuple(pods.spared(spare) if kind.of_blocks else spare)[:many]


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
    instead = "in place of spec.ipv6PrefixCount, " if wanted.counts.get(IPV6_PREFIXES) else ""
    return Refusal.of(
        wanted,
        RowReason.INVALID_REFERENCE,
        f"spec.enablePrimaryIPv6 needs an IPv6 address, and {why}: {instead}set spec.ipv6AddressCount "
        "to 1 or more",
        PRIMARY_RETRY,
    )

"""Deciding, pure: from what is wanted and the links that are there to changes and a report of each.

No system call, clock or log. What must not be tried now (it failed, or someone fights over it) comes in as
`holds`, and its reason goes out in the report.
"""

import collections
import enum
import re
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from nodeeni.agent.departures import elsewhere, moved
from nodeeni.agent.links import ENI_KINDS, Link, LinkTable
from nodeeni.agent.spec import NodeSpec, WantedInterface


class Aspect(enum.Enum):
    FORMER = "former altname"
    ALTNAME = "altname"
    MTU = "mtu"
    ALIAS = "alias"
    UP = "up"


class Change(NamedTuple):
    """What to do to one link, in this order: a former alternative name off, another on, an MTU, an alias,
    up. None and False: leave it. In one change no name comes in the place of another: the former is what the
    link is known by until the kernel has taken the new one."""

    ifindex: int
    name: str
    altname: str | None = None
    mtu: int | None = None
    up: bool = False
    former: str | None = None
    listed: bool = True
    alias: str | None = None

    def aspects(self) -> list[tuple[Aspect, str]]:
        """(aspect, wanted value) of each part."""
        parts = [(Aspect.FORMER, self.former)] if self.former is not None else []
        parts += [(Aspect.ALTNAME, self.altname)] if self.altname is not None else []
        parts += [(Aspect.MTU, str(self.mtu))] if self.mtu is not None else []
        parts += [(Aspect.ALIAS, self.alias)] if self.alias is not None else []
        return parts + ([(Aspect.UP, "up")] if self.up else [])

    def __str__(self) -> str:
        parts = (
            value if aspect is Aspect.UP else f"{aspect.value} {value}" for aspect, value in self.aspects()
        )
        return f"{self.name}: {', '.join(parts)}"


class State(enum.Enum):
    MISSING = "Missing"
    DOWN = "Down"
    UP = "Up"


class Report(NamedTuple):
    """One entry of `status.interfaces`. `message` is empty when all is as wanted."""

    mac: str
    state: State
    link_name: str = ""
    mtu: int | None = None
    message: str = ""
    given_name: str = ""  # the alternative name that this agent put there
    note: str = ""  # what is to be known though all is as wanted
    # Where pods are to use it: whether it has its fixed name; None: nothing is known now, or a pod has it
    usable: bool | None = None
    in_pod: bool = False  # it was moved into another network namespace

    def __str__(self) -> str:
        return " ".join(filter(None, (self.mac, self.state.value, self.link_name, self.message)))


class Plan(NamedTuple):
    """`left`: links that were to be changed, and that are not to be touched now."""

    changes: tuple[Change, ...]
    reports: tuple[Report, ...]
    left: frozenset[int] = frozenset()

    def __str__(self) -> str:
        return "\n".join(map(str, (*self.changes, *self.reports)))


class Policy(NamedTuple):
    """Which unlisted links are brought up: `--manage-links`, `--eni-pattern`, `--ignore-interfaces`."""

    physical: bool = True
    pattern: re.Pattern[str] | None = None
    ignored: frozenset[str] = frozenset()

    def admits(self, link: Link) -> bool:
        return (
            self.physical
            and link.pci
            and not link.loopback
            and self.ignored.isdisjoint(link.names)
            and (self.pattern is None or any(map(self.pattern.search, link.names)))
        )


class Surroundings(NamedTuple):
    """All that a decision looks at besides the spec. `primary` None: not known yet, so nothing is touched.
    `hands_off`: links not to be touched now, and why; empty: for a moment, of which nothing is to be said."""

    links: LinkTable
    primary: frozenset[int] | None
    departed: Mapping[str, str] = {}
    holds: Mapping[tuple[int, Aspect, str], str] = {}
    given: Mapping[str, AbstractSet[str]] = {}  # MAC → alternative names that this agent put there
    hands_off: Mapping[int, str] = {}
    notes: Mapping[int, str] = {}  # what is to be known of links
    waiting_for: str = "no default route yet, so the primary is not known"  # where `primary` is None


def plan_links(
    spec: NodeSpec, around: Surroundings, policy: Policy, only: AbstractSet[str] | None = None
) -> Plan:
    """`only`: MAC addresses to look at, for an event that concerns a few links out of many; None: all."""
    changes, reports = [], []
    entries: dict[str, list[WantedInterface]] = {}
    for wanted in spec.interfaces:
        if only is None or wanted.mac in only:
            entries.setdefault(wanted.mac, []).append(wanted)
    for mac, same in entries.items():
        change, report = _listed(same[0], spec, around) if len(same) == 1 else _ambiguous(mac, same, around)
        if any(wanted.pod_network for wanted in same):
            report = report._replace(usable=_usable(same, around))
        reports.append(report)
        if change is not None:
            changes.append(change)
    by_mac = around.links.by_mac
    others = (by_mac.keys() if only is None else only) - entries.keys()
    changes += _unlisted((link for mac in others for link in by_mac.get(mac, ())), around, policy)
    left = frozenset(change.ifindex for change in changes) & around.hands_off.keys()
    return Plan(tuple(c for c in changes if c.ifindex not in left), tuple(reports), left)


def _ambiguous(mac: str, entries: Iterable[WantedInterface], around: Surroundings) -> tuple[None, Report]:
    """Which of two entries with one MAC address is meant nobody knows. One report, since a status has one a
    MAC address; what the link has it keeps."""
    eni_ids = " and ".join(wanted.eni_id for wanted in entries)
    message = f"listed more than once, for {eni_ids}: not touched, remove all but one"
    found = _bearers(mac, around)
    if len(found) != 1:
        return None, Report(mac, State.DOWN if found else State.MISSING, message=message)
    (link,) = found
    given = min(around.given.get(mac, frozenset()) & set(link.altnames), default="")
    state = State.UP if link.up else State.DOWN
    return None, Report(mac, state, link.name, link.mtu, message, given)


def _bearers(mac: str, around: Surroundings) -> list[Link]:
    """The links that can be the ENI with this MAC address."""
    same_mac = around.links.by_mac.get(mac, ())
    found = [link for link in same_mac if link.kind in ENI_KINDS and not link.loopback]
    return [link for link in found if link.permanent_address] or found


def _listed(wanted: WantedInterface, spec: NodeSpec, around: Surroundings) -> tuple[Change | None, Report]:
    same_mac = around.links.by_mac.get(wanted.mac, [])
    found = _bearers(wanted.mac, around)
    if not found:
        in_pod = moved(around.departed.get(wanted.mac, ""))
        message = _missing(wanted, same_mac, around)
        return None, Report(wanted.mac, State.MISSING, message=message, in_pod=in_pod)
    if len(found) > 1:
        names = " and ".join(sorted(link.name for link in found))
        return None, Report(
            wanted.mac, State.DOWN, message=f"{names} have this MAC address: neither is touched"
        )
    link = found[0]
    if around.primary is None:
        return None, _report(wanted, link, [f"not touched: {around.waiting_for}"])
    if link.ifindex in around.primary:
        return None, _report(wanted, link, ["not touched: this is the node's primary interface"])
    return _configure(wanted, link, spec, around)


def _missing(wanted: WantedInterface, same_mac: list[Link], around: Surroundings) -> str:
    if same_mac:
        link = same_mac[0]
        return f"only {link.name} has this MAC address, a {link.kind or 'loopback'} link and no ENI"
    return around.departed.get(wanted.mac, "no link with this MAC address yet")


def _configure(
    wanted: WantedInterface, link: Link, spec: NodeSpec, around: Surroundings
) -> tuple[Change | None, Report]:
    messages = []
    mtu = wanted.mtu if wanted.mtu != link.mtu else None
    if mtu is not None and (refusal := _mtu_refusal(mtu, link)):
        messages.append(refusal)
        mtu = None
    ours = around.given.get(wanted.mac, frozenset()) & set(link.altnames)
    former = min(ours - {wanted.interface_name}, default=None)
    altname = wanted.interface_name if wanted.interface_name not in ("", *link.names) else None
    goes = former is not None and (altname is None or _changes_places(wanted, spec, around))
    if altname is not None and (owner := around.links.by_name.get(altname)):
        messages.append(f"interfaceName {altname} is a name of link {owner.name}: choose another")
        altname = None
    given = wanted.interface_name if wanted.interface_name in ours else former or ""
    wish = Change(link.ifindex, link.name, altname, mtu, not link.up, former if goes else None)
    # One that somebody else gave it stays; its own name is what CNI's host-device (up to 1.5) leaves there.
    if link.alias in ("", link.name) and wanted.node_eni not in ("", link.alias):
        wish = wish._replace(alias=wanted.node_eni)
    change, held = _without_held(wish, around.holds)
    if change is not None and (reason := around.hands_off.get(link.ifindex)):
        messages.append(f"not touched: {reason}")
    note = around.notes.get(link.ifindex, "")
    return change, _report(wanted, link, messages + held)._replace(given_name=given, note=note)


def _usable(same: list[WantedInterface], around: Surroundings) -> bool | None:
    """Whether pods may use the link of these entries under its fixed name: no other link has that."""
    found = _bearers(same[0].mac, around)
    if around.primary is None:
        return None
    if not found:
        reason = around.departed.get(same[0].mac)
        return None if reason is None or elsewhere(reason) else False
    one = len(found) == len(same) == 1 and found[0].ifindex not in around.primary
    return one and same[0].interface_name in found[0].names


def _changes_places(wanted: WantedInterface, spec: NodeSpec, around: Surroundings) -> bool:
    """Whether its new name is the former one of a link that waits for the former one of another, and so on
    until one waits for this link: where each waited for the next, none would have its name."""
    entries = collections.Counter(each.mac for each in spec.interfaces)
    listed = {each.mac: each for each in spec.interfaces if entries[each.mac] == 1}
    name = wanted.interface_name
    for _ in listed:
        owner = around.links.by_name.get(name)
        holder = listed.get(owner.identity) if owner else None
        if owner is None or holder is None or owner.ifindex in (around.primary or ()):
            return False
        former = around.given.get(holder.mac, frozenset()) & set(owner.altnames) - {holder.interface_name}
        if name not in former:
            return False
        if holder is wanted:
            return True
        name = holder.interface_name
    return False


def _mtu_refusal(mtu: int, link: Link) -> str:
    if link.max_mtu and mtu > link.max_mtu:
        return f"mtu {mtu} is above what {link.name} allows, {link.max_mtu}"
    if mtu < link.min_mtu:
        return f"mtu {mtu} is below what {link.name} allows, {link.min_mtu}"
    return ""


def _without_held(
    wish: Change, holds: Mapping[tuple[int, Aspect, str], str]
) -> tuple[Change | None, list[str]]:
    """`wish` less what is held back, and the reasons; None when nothing is left to do."""
    held = {
        a: holds[wish.ifindex, a, value] for a, value in wish.aspects() if (wish.ifindex, a, value) in holds
    }
    change = wish._replace(
        former=None if Aspect.FORMER in held else wish.former,
        mtu=None if Aspect.MTU in held else wish.mtu,
        altname=None if Aspect.ALTNAME in held else wish.altname,
        alias=None if Aspect.ALIAS in held else wish.alias,
        up=wish.up and Aspect.UP not in held,
    )
    return (change if change.aspects() else None), list(held.values())


def _report(wanted: WantedInterface, link: Link, messages: list[str]) -> Report:
    state = State.UP if link.up else State.DOWN
    return Report(wanted.mac, state, link.name, link.mtu, "; ".join(messages))


def _unlisted(links: Iterable[Link], around: Surroundings, policy: Policy) -> Iterable[Change]:
    if around.primary is None:
        return
    for link in links:
        if not link.up and link.ifindex not in around.primary and policy.admits(link):
            change, _held = _without_held(
                Change(link.ifindex, link.name, up=True, listed=False), around.holds
            )
            if change is not None:
                yield change

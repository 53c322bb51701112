"""Deciding, pure: which CNI files are to be there, and what is told of each pod network.

No file is read or written here, and no clock.
"""

import collections
import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from nodeeni.agent.cni_config import NotYet, Unfit, file_text
from nodeeni.agent.cni_files import Directory, OwnFile
from nodeeni.agent.host_local import Address
from nodeeni.agent.link_plan import Report, State
from nodeeni.agent.network_report import NetworkReport, NetworkState
from nodeeni.agent.spec import PodNetwork, WantedInterface


class Verdict(NamedTuple):
    """Of one interface that is to be a pod network. `text` None: no file is to be there, and why."""

    wanted: WantedInterface
    network: PodNetwork
    text: str | None
    state: NetworkState = NetworkState.READY
    message: str = ""


def decide(wanted: Iterable[WantedInterface], links: Iterable[Report], directory: Directory) -> list[Verdict]:
    """One for each interface that has a pod network, in their order."""
    asked = [(each, each.pod_network) for each in wanted if each.pod_network is not None]
    claims: dict[str, list[WantedInterface]] = collections.defaultdict(list)
    for interface, network in asked:
        claims[network.name].append(interface)
    by_mac = {link.mac: link for link in links}
    return [
        _verdict(interface, network, claims[network.name], by_mac.get(interface.mac), directory)
        for interface, network in asked
    ]


def _verdict(
    wanted: WantedInterface,
    network: PodNetwork,
    claims: Sequence[WantedInterface],
    link: Report | None,
    directory: Directory,
) -> Verdict:
    try:
        text = file_text(wanted, network)
    except NotYet as reason:
        return Verdict(wanted, network, None, NetworkState.ABSENT, str(reason))
    except Unfit as reason:
        return Verdict(wanted, network, None, NetworkState.REFUSED, str(reason))
    if len(claims) > 1:
        who = " and ".join(sorted(f"{each.node_eni} ({each.eni_id})" for each in claims))
        message = f"{who} have one podNetwork.name on this node, {network.name}: choose another for one"
        return Verdict(wanted, network, None, NetworkState.REFUSED, message)
    if taken := directory.taken.get(network.name):
        return Verdict(wanted, network, None, NetworkState.REFUSED, taken)
    if waits := _link_waits(wanted, link, directory.own.get(network.name)):
        return Verdict(wanted, network, None, NetworkState.ABSENT, waits)
    return Verdict(wanted, network, text, message=directory.trouble(network.name))


def _link_waits(wanted: WantedInterface, link: Report | None, own: OwnFile | None) -> str:
    """What the file waits for, for people. A file that is there stays while a pod has the link, and while
    nothing is known of it; a pod that starts on a link that is down has no network, so none is made then."""
    there = own is not None and own.eni_id == wanted.eni_id
    if link is None or link.usable is None:
        return "" if there else (link.message if link else "") or "no link with this MAC address yet"
    if not link.usable:
        return link.message or f"the link has not got its name {wanted.interface_name} yet"
    if link.state is State.DOWN and not there:
        return link.message or "the link is not up yet"
    return ""


class Usage(NamedTuple):
    """What host-local's state says. None: it cannot be read, and `unknown` says why."""

    by_network: Mapping[str, frozenset[Address]] | None = None
    unknown: str = ""

    def by_prefix(self, prefixes: Iterable[str]) -> dict[str, set[Address]]:
        """The addresses of each prefix that pods have, of any network; no entry where there is none."""
        names = {_key(network): prefix for prefix, network in _networks(prefixes)}
        lengths = {(version, length) for version, length, _first in names}
        found: dict[str, set[Address]] = collections.defaultdict(set)
        for address in set().union(*(self.by_network or {}).values()):
            for version, length in lengths:
                if address.version == version:
                    rest = address.max_prefixlen - length
                    if prefix := names.get((version, length, int(address) >> rest << rest)):
                        found[prefix].add(address)
        return dict(found)

    def users(self, addresses: AbstractSet[Address]) -> list[str]:
        """The networks that have some of these."""
        return sorted(name for name, used in (self.by_network or {}).items() if used & addresses)


def _networks(prefixes: Iterable[str]) -> list[tuple[str, ipaddress.IPv4Network | ipaddress.IPv6Network]]:
    """Of those that are such: a file that somebody edited may say anything."""
    found = []
    for prefix in prefixes:
        try:
            found.append((prefix, ipaddress.ip_network(prefix)))
        except ValueError:
            continue
    return found


def _key(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> tuple[int, int, int]:
    return network.version, network.prefixlen, int(network.network_address)


def network_report(
    wanted: WantedInterface,
    verdict: Verdict | None,
    own: OwnFile | None,
    usage: Usage,
    settling: AbstractSet[str],
    error: str = "",
) -> NetworkReport | None:
    """What is told of one interface's pod network; None: there is none, and no pod has an address of it.

    `own` is its file as it is there now, `error` what kept it from being written or removed. `settling`:
    prefixes that have left the file so lately that a pod which was starting then may still get an address.
    """
    in_file = own.prefixes if own is not None else ()
    every = tuple(dict.fromkeys((*wanted.prefixes, *in_file)))
    used = usage.by_prefix(every)
    unknown = usage.by_network is None
    held = tuple(p for p in every if p in in_file or p in settling or p in used or (unknown and verdict))
    if not held and own is None and verdict is None:
        return None
    if own is not None:
        state = NetworkState.READY
    elif verdict is None:
        state = NetworkState.WITHDRAWN
    else:
        state = verdict.state if verdict.text is None else NetworkState.REFUSED
    addresses: frozenset[Address] = frozenset().union(*used.values())
    named = [verdict.network.name] if verdict else usage.users(addresses) or [wanted.node_eni]
    messages = (error or (verdict.message if verdict else ""), usage.unknown if held else "")
    return NetworkReport(
        wanted.mac,
        wanted.node_eni,
        named[0],
        state,
        "; ".join(filter(None, messages)),
        held,
        None if unknown else _most(addresses),
        None if unknown or own is None else _free(in_file, used),
        tuple(map(str, sorted(addresses, key=lambda address: (address.version, int(address))))),
    )


def _most(addresses: Iterable[Address]) -> int:
    counts = collections.Counter(address.version for address in addresses)
    return max(counts.values(), default=0)


def _free(prefixes: Iterable[str], used: Mapping[str, AbstractSet[Address]]) -> int:
    """How many pods more find an address, one of each family."""
    free: collections.Counter[int] = collections.Counter()
    for prefix, network in _networks(prefixes):
        free[network.version] += network.num_addresses - len(used.get(prefix, ()))
    return min(free.values(), default=0)

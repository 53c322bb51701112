"""Which links carry the node's default routes, the best first."""

import logging
import socket
import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from nodeeni.agent.links import Link
from nodeeni.agent.netlink import RTM_DELROUTE, RTM_GETROUTE, RTM_NEWROUTE, Message, RequestSocket, attributes

log = logging.getLogger(__name__)

_ROUTE = struct.Struct("=BBBBBBBBI")  # struct rtmsg
_U32 = struct.Struct("=I")
_NEXT_HOP = struct.Struct("=HBBi")  # struct rtnexthop
_OIF, _GATEWAY, _METRIC, _MULTIPATH, _TABLE = 4, 5, 6, 9, 15
_MAIN, _UNICAST = 254, 1
_IPV4, _IPV6 = 2, 10

# Addresses set aside for documentation (RFC 5737, RFC 3849): like any other outside address, the way to
# them is the default route, whatever table holds it.
_OUTSIDE = (("-4", "192.0.2.1"), ("-6", "2001:db8::1"))

# Kinds of link that lie on another one: who carries the default route over them carries it over that too.
_LAYERED = frozenset(("vlan", "macvlan", "macvtap", "ipvlan", "ipvtap", "macsec"))


class DefaultRoute(NamedTuple):
    ifindices: frozenset[int]  # of the links that it leads over
    text: str  # for people, as `ip route` shows it


class _Way(NamedTuple):
    """One next hop; `gateway` in network order, empty where there is none of the route's own family."""

    ifindex: int
    gateway: bytes

    def text(self, links: Mapping[int, Link]) -> str:
        link = links.get(self.ifindex)
        over = f"dev {link.name if link is not None else self.ifindex}"
        if not self.gateway:
            return over
        family = socket.AF_INET if len(self.gateway) == 4 else socket.AF_INET6
        return f"via {socket.inet_ntop(family, self.gateway)} {over}"


def mentions_default(messages: Iterable[Message]) -> bool:
    """Whether a default route came or went, so that `default_routes` is to be asked again."""
    return any(m.kind in (RTM_NEWROUTE, RTM_DELROUTE) and not m.data[m.start + 1] for m in messages)


def default_routes(requests: RequestSocket, links: Mapping[int, Link]) -> list[DefaultRoute]:
    """Of the main table: IPv4's by metric, then IPv6's. Those of one metric count as one route, as do the
    next hops of one: which of them is used changes from moment to moment."""
    found = []
    for family in (_IPV4, _IPV6):
        dumped = requests.dump(RTM_GETROUTE, _ROUTE.pack(family, 0, 0, 0, 0, 0, 0, 0, 0))
        by_metric: dict[int, list[_Way]] = {}
        for message in dumped:
            metric, ways = _default(message)
            by_metric.setdefault(metric, []).extend(ways)
        for metric, ways in sorted(by_metric.items()):
            if ways:
                text = " ".join(way.text(links) for way in ways) + (f" metric {metric}" if metric else "")
                found.append(DefaultRoute(frozenset(way.ifindex for way in ways), f"default {text}"))
    return found


def default_routes_by_command(by_name: Mapping[str, Link]) -> list[DefaultRoute]:
    """What `ip route get` answers: it follows routing rules to tables other than the main one."""
    import subprocess

    found = []
    for family, address in _OUTSIDE:
        try:
            answer = subprocess.run(
                ["ip", family, "-o", "route", "get", address], capture_output=True, text=True, timeout=2
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            log.debug("no ip command", extra={"error": str(error)})
            break
        words = answer.stdout.split()
        name = words[words.index("dev") + 1] if answer.returncode == 0 and "dev" in words[:-1] else "lo"
        if name != "lo" and (link := by_name.get(name)):
            found.append(DefaultRoute(frozenset((link.ifindex,)), f"ip route get {address}: dev {name}"))
    return found


def is_layered(link: Link) -> bool:
    """Whether the link lies on another one."""
    return link.kind in _LAYERED


def with_layers(primary: Iterable[int], links: Mapping[int, Link]) -> frozenset[int]:
    """`primary` and what lies below: the parent of a vlan, the ports of a bond or bridge."""
    found = set(primary)
    while True:
        below = {links[i].lower for i in found if i in links and is_layered(links[i]) and links[i].lower}
        below |= {link.ifindex for link in links.values() if link.master in found}
        if below <= found:
            return frozenset(found)
        found |= below


def _default(message: Message) -> tuple[int, list[_Way]]:
    """(metric, where it leads) of a default route in the main table; of all else (0, [])."""
    if message.kind != RTM_NEWROUTE:
        return 0, []
    data, start, end = message.data, message.start, message.end
    _family, prefix, _source, _tos, table, _protocol, _scope, kind, _flags = _ROUTE.unpack_from(data, start)
    if prefix or kind != _UNICAST:
        return 0, []
    metric, ways = 0, list[_Way]()
    ifindex, gateway = 0, b""
    for attribute, a, b in attributes(data, start + _ROUTE.size, end):
        if attribute == _TABLE:
            table = _U32.unpack_from(data, a)[0]
        elif attribute == _METRIC:
            metric = _U32.unpack_from(data, a)[0]
        elif attribute == _OIF:
            ifindex = _U32.unpack_from(data, a)[0]
        elif attribute == _GATEWAY:
            gateway = data[a:b]
        elif attribute == _MULTIPATH:
            ways += _next_hops(data, a, b)
    if ifindex:
        ways.append(_Way(ifindex, gateway))
    return (metric, ways) if table == _MAIN else (0, [])


def _next_hops(data: bytes, start: int, end: int) -> Iterator[_Way]:
    while start + _NEXT_HOP.size <= end:
        size, _flags, _hops, ifindex = _NEXT_HOP.unpack_from(data, start)
        inner = attributes(data, start + _NEXT_HOP.size, start + size)
        gateway = next((data[a:b] for kind, a, b in inner if kind == _GATEWAY), b"")
        yield _Way(ifindex, gateway)
        start += max((size + 3) & ~3, _NEXT_HOP.size)

"""Which links carry the node's default route: those are primary, and are never touched."""

import logging
import struct
from collections.abc import Iterable, Mapping

from nodeeni.agent.links import Link
from nodeeni.agent.netlink import RTM_DELROUTE, RTM_GETROUTE, RTM_NEWROUTE, Message, RequestSocket, attributes

log = logging.getLogger(__name__)

_ROUTE = struct.Struct("=BBBBBBBBI")  # struct rtmsg
_U32 = struct.Struct("=I")
_NEXT_HOP = struct.Struct("=HBBi")  # struct rtnexthop
_OIF, _MULTIPATH, _TABLE = 4, 9, 15
_MAIN, _UNICAST = 254, 1
_IPV4, _IPV6 = 2, 10

# Addresses set aside for documentation (RFC 5737, RFC 3849): like any other outside address, the way to
# them is the default route, whatever table holds it.
_OUTSIDE = (("-4", "192.0.2.1"), ("-6", "2001:db8::1"))

# Kinds of link that lie on another one: who carries the default route over them carries it over that too.
_LAYERED = frozenset(("vlan", "macvlan", "macvtap", "ipvlan", "ipvtap", "macsec"))


def mentions_default(messages: Iterable[Message]) -> bool:
    """Whether a default route came or went, so that `default_links` is to be asked again."""
    return any(m.kind in (RTM_NEWROUTE, RTM_DELROUTE) and not m.data[m.start + 1] for m in messages)


def default_links(requests: RequestSocket) -> set[int]:
    """Indices of the links of all IPv4 default routes in the main table; if there is none, of IPv6's."""
    for family in (_IPV4, _IPV6):
        dumped = requests.dump(RTM_GETROUTE, _ROUTE.pack(family, 0, 0, 0, 0, 0, 0, 0, 0))
        found = set().union(*(_outgoing(message) for message in dumped))
        if found:
            return found
    return set()


def default_link_names_by_command() -> set[str]:
    """What `ip route get` answers: it follows routing rules to tables other than the main one."""
    import subprocess

    names: set[str] = set()
    for family, address in _OUTSIDE:
        try:
            answer = subprocess.run(
                ["ip", family, "-o", "route", "get", address], capture_output=True, text=True, timeout=2
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            log.debug("no ip command", extra={"error": str(error)})
            return names
        words = answer.stdout.split()
        if answer.returncode == 0 and "dev" in words[:-1]:
            names.add(words[words.index("dev") + 1])
            break
    return names - {"lo"}


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


def _outgoing(message: Message) -> set[int]:
    if message.kind != RTM_NEWROUTE:
        return set()
    data, start, end = message.data, message.start, message.end
    _family, prefix, _source, _tos, table, _protocol, _scope, kind, _flags = _ROUTE.unpack_from(data, start)
    if prefix or kind != _UNICAST:
        return set()
    found = set()
    for attribute, a, b in attributes(data, start + _ROUTE.size, end):
        if attribute == _TABLE:
            table = _U32.unpack_from(data, a)[0]
        elif attribute == _OIF:
            found.add(_U32.unpack_from(data, a)[0])
        elif attribute == _MULTIPATH:
            while a + _NEXT_HOP.size <= b:
                size, _hop_flags, _hops, index = _NEXT_HOP.unpack_from(data, a)
                found.add(index)
                a += max((size + 3) & ~3, _NEXT_HOP.size)
    return found if table == _MAIN else set()

"""What the kernel has: the links of this network namespace, kept current from netlink's events."""

import os
import struct
from collections.abc import Iterable
from typing import NamedTuple

from nodeeni.agent.departures import GONE, MOVED, Departures
from nodeeni.agent.netlink import (
    F_APPEND,
    F_CREATE,
    F_EXCLUSIVE,
    RTM_DELLINK,
    RTM_DELLINKPROP,
    RTM_GETLINK,
    RTM_NEWLINK,
    RTM_NEWLINKPROP,
    Message,
    Request,
    RequestSocket,
    attribute,
    attributes,
)

_INFO = struct.Struct("=BxHiII")  # struct ifinfomsg
_U32 = struct.Struct("=I")
_ATTRIBUTE = struct.Struct("=HH")
_IFF_UP, _IFF_LOOPBACK = 0x1, 0x8

_ADDRESS, _IFNAME, _MTU, _LINK, _MASTER, _LINKINFO, _EXT_MASK = 1, 3, 4, 5, 10, 18, 29
_ALIAS = 20
_NEW_NETNSID, _MIN_MTU, _MAX_MTU, _PROP_LIST, _ALT_IFNAME, _PERM_ADDRESS = 45, 50, 51, 52, 53, 54
_PARENT_DEV_NAME, _PARENT_DEV_BUS_NAME = 56, 57
_INFO_KIND = 1
_NESTED = 0x8000
_SKIP_STATISTICS = attribute(_EXT_MASK, _U32.pack(1 << 3))  # RTEXT_FILTER_SKIP_STATS

# An ENI is a real device, which has no kind. Everything else that can bear its MAC address (macvlan, ipvlan,
# vlan, a bond or bridge above it) is somebody else's. veth stands for an ENI in the sandbox.
ENI_KINDS = frozenset(("", "veth"))


class Link(NamedTuple):
    """A link as the kernel shows it. `kind` is empty for a real device; indices are 0 where there is none."""

    ifindex: int
    name: str
    address: str = ""  # MAC, lower case
    permanent_address: str = ""  # MAC that the device was made with; empty for virtual links
    up: bool = False
    mtu: int = 0
    min_mtu: int = 0
    max_mtu: int = 0  # 0: the kernel names no limit
    kind: str = ""
    lower: int = 0  # IFLA_LINK: the link below a vlan or macvlan; a veth's peer
    master: int = 0
    altnames: tuple[str, ...] = ()
    loopback: bool = False
    pci: bool = False  # a PCI device stands behind it
    device: str = ""  # its address on the PCI bus
    alias: str = ""  # a text for people and programs (ip link set alias)

    @property
    def identity(self) -> str:
        return self.permanent_address or self.address

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name, *self.altnames)


class LinkTable:
    """Links by index, by MAC address (`identity`) and by any of their names: what plans look things up in."""

    def __init__(self, links: Iterable[Link] = ()) -> None:
        self.by_index: dict[int, Link] = {}
        self.by_mac: dict[str, list[Link]] = {}
        self.by_name: dict[str, Link] = {}
        for link in links:
            self.put(link)

    def put(self, link: Link) -> None:
        self.remove(link.ifindex)
        self.by_index[link.ifindex] = link
        self.by_mac.setdefault(link.identity, []).append(link)
        self.by_name.update(dict.fromkeys(link.names, link))

    def remove(self, ifindex: int) -> Link | None:
        link = self.by_index.pop(ifindex, None)
        if link is None:
            return None
        same_mac = self.by_mac[link.identity]
        same_mac.remove(link)
        if not same_mac:
            del self.by_mac[link.identity]
        for name in link.names:
            if self.by_name.get(name) is link:  # else another link took the name over
                del self.by_name[name]
        return link


class Links(LinkTable):
    """This namespace's links, and the `departures` of those that were here."""

    def __init__(self, sysfs: str = "/sys") -> None:
        super().__init__()
        self.departures = Departures(sysfs)
        self._sysfs = sysfs

    def load(self, requests: RequestSocket) -> dict[int, Link | None]:
        """Replace the table by a dump; returns the links that changed, came or went, as `apply` does."""
        dumped = requests.dump(RTM_GETLINK, _INFO.pack(0, 0, 0, 0, 0) + _SKIP_STATISTICS)
        changed = self.apply(dumped)
        found = {_INFO.unpack_from(message.data, message.start)[2] for message in dumped}
        for ifindex in self.by_index.keys() - found:
            changed[ifindex] = self.by_index[ifindex]
            self._depart(self.by_index[ifindex], GONE)
        return changed

    def apply(self, messages: Iterable[Message]) -> dict[int, Link | None]:
        """Take in link messages; returns, by index, the links that changed, came or went as they were before,
        None for those that came."""
        changed = {}
        for message in self._latest(messages):
            link = self._decode(message)
            before = self.by_index.get(link.ifindex)
            if message.kind == RTM_DELLINK:
                self._depart(link, _departure(message))
            elif before == link:
                continue
            else:
                self.put(link)
                if link.kind in ENI_KINDS and (before is None or before.device != link.device):
                    self.departures.arrived(link.ifindex, link.name, link.identity, link.device)
            changed[link.ifindex] = before
        return changed

    @staticmethod
    def _latest(messages: Iterable[Message]) -> Iterable[Message]:
        """The last word on each link. A burst has several of each link, and reading one costs what a request
        to the kernel does."""
        latest = {}
        for message in messages:
            if message.kind in (RTM_NEWLINK, RTM_DELLINK):
                family, _type, ifindex, _flags, _change = _INFO.unpack_from(message.data, message.start)
                if not family:  # else a bridge's word on its port, without most of the attributes
                    latest[ifindex] = message
        return latest.values()

    def _depart(self, link: Link, departure: str) -> None:
        """Told of links that the table no longer has too: a request may have met ENODEV before the event."""
        self.remove(link.ifindex)
        if link.kind in ENI_KINDS:
            self.departures.departed(link.ifindex, link.name, link.identity, departure)

    def _decode(self, message: Message) -> Link:
        data, start, end = message.data, message.start, message.end
        _family, _type, ifindex, flags, _change = _INFO.unpack_from(data, start)
        values = _values(data, start + _INFO.size, end)
        name = _text(values.get(_IFNAME, b""))
        pci, device = self._device(values, ifindex, name)
        return Link(
            ifindex=ifindex,
            name=name,
            address=values.get(_ADDRESS, b"").hex(":"),
            permanent_address=values.get(_PERM_ADDRESS, b"").hex(":"),
            up=bool(flags & _IFF_UP),
            mtu=_number(values, _MTU),
            min_mtu=_number(values, _MIN_MTU),
            max_mtu=_number(values, _MAX_MTU),
            kind=_kind(values.get(_LINKINFO, b"")),
            lower=_number(values, _LINK),
            master=_number(values, _MASTER),
            altnames=_altnames(values.get(_PROP_LIST, b"")),
            loopback=bool(flags & _IFF_LOOPBACK),
            pci=pci,
            device=device,
            alias=_text(values.get(_ALIAS, b"")),
        )

    def _device(self, values: dict[int, bytes], ifindex: int, name: str) -> tuple[bool, str]:
        """(whether a PCI device, its address). Kernels before 5.14 do not say it over netlink."""
        if bus := values.get(_PARENT_DEV_BUS_NAME):
            pci = _text(bus) == "pci"
            return pci, _text(values.get(_PARENT_DEV_NAME, b"")) if pci else ""
        known = self.by_index.get(ifindex)
        if known is not None and known.name == name:
            return known.pci, known.device
        return self._device_by_sysfs(name)

    def _device_by_sysfs(self, name: str) -> tuple[bool, str]:
        link = f"{self._sysfs}/class/net/{name}/device"
        try:
            pci = os.path.basename(os.readlink(f"{link}/subsystem")) == "pci"
            return pci, os.path.basename(os.readlink(link)) if pci else ""
        except OSError:
            return False, ""


def _values(data: bytes, start: int, end: int) -> dict[int, bytes]:
    """The attributes that a Link is made of. As `attributes`, without a generator's cost: a message has some
    sixty, and this is most of what hearing of a link costs."""
    found = {}
    unpack, wanted = _ATTRIBUTE.unpack_from, _WANTED
    while start + 4 <= end:
        size, kind = unpack(data, start)
        if size < 4:
            break
        kind &= 0x3FFF
        if kind in wanted:
            found[kind] = data[start + 4 : start + size]
        start += (size + 3) & ~3
    return found


_WANTED = frozenset(
    (
        *(_ADDRESS, _IFNAME, _MTU, _MIN_MTU, _MAX_MTU, _LINK, _LINKINFO, _MASTER),
        *(_ALIAS, _PROP_LIST, _PERM_ADDRESS, _PARENT_DEV_NAME, _PARENT_DEV_BUS_NAME),
    )
)


def _text(value: bytes) -> str:
    return value.rstrip(b"\0").decode(errors="replace")


def _number(values: dict[int, bytes], kind: int) -> int:
    value = values.get(kind)
    return _U32.unpack(value)[0] if value else 0


def _kind(info: bytes) -> str:
    for kind, a, b in attributes(info, 0, len(info)):
        if kind == _INFO_KIND:
            return _text(info[a:b])
    return ""


def _altnames(properties: bytes) -> tuple[str, ...]:
    found = attributes(properties, 0, len(properties))
    return tuple(_text(properties[a:b]) for kind, a, b in found if kind == _ALT_IFNAME)


def _departure(message: Message) -> str:
    """Why a link went: the kernel names the new namespace of a link that was moved."""
    for kind, _a, _b in attributes(message.data, message.start + _INFO.size, message.end):
        if kind == _NEW_NETNSID:
            return MOVED
    return GONE


def _altname(name: str) -> bytes:
    return attribute(_PROP_LIST | _NESTED, attribute(_ALT_IFNAME, name.encode() + b"\0"))


def configure(ifindex: int, mtu: int | None = None, alias: str | None = None, up: bool = False) -> Request:
    """Any or all; the kernel sets the link up last, and leaves it down if it refuses another."""
    flags = _IFF_UP if up else 0
    value = b"" if mtu is None else attribute(_MTU, _U32.pack(mtu))
    value += b"" if alias is None else attribute(_ALIAS, alias.encode())
    return Request(RTM_NEWLINK, _INFO.pack(0, 0, ifindex, flags, flags) + value)


def add_altname(ifindex: int, name: str) -> Request:
    payload = _INFO.pack(0, 0, ifindex, 0, 0) + _altname(name)
    return Request(RTM_NEWLINKPROP, payload, F_EXCLUSIVE | F_CREATE | F_APPEND)


def remove_altname(ifindex: int, name: str) -> Request:
    return Request(RTM_DELLINKPROP, _INFO.pack(0, 0, ifindex, 0, 0) + _altname(name))


def look(ifindex: int) -> Request:
    return Request(RTM_GETLINK, _INFO.pack(0, 0, ifindex, 0, 0) + _SKIP_STATISTICS)

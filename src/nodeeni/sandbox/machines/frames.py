"""Ethernet frames, as far as a VPC reads them: ARP, IPv4, IPv6 and its neighbour discovery (RFC 826, 791,
8200, 4861), and the answers that it gives."""

import ipaddress
import struct
from dataclasses import dataclass

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

ARP_REQUEST = "ARP request"
NEIGHBOUR_SOLICITATION = "neighbour solicitation"
ROUTER_SOLICITATION = "router solicitation"

_IPV4, _ARP, _IPV6 = 0x0800, 0x0806, 0x86DD
_ICMPV6 = 58
_ALL_NODES = ipaddress.IPv6Address("ff02::1")


class Malformed(Exception):
    """No frame that a VPC carries."""


@dataclass(frozen=True)
class Frame:
    """`asks`: what it asks the VPC, "" for a packet. `target` None: it is for nobody. `to_many`: broadcast or
    multicast, which a VPC does not carry. `size` is the packet's, in bytes. `said_mac`: what ARP says of the
    sender."""

    data: bytes
    source_mac: str
    said_mac: str
    target_mac: str
    source: Address | None
    target: Address | None
    asks: str = ""

    @property
    def to_many(self) -> bool:
        return bool(int(self.target_mac[:2], 16) & 1)

    @property
    def size(self) -> int:
        return len(self.data) - 14

    def between(self, source_mac: str, target_mac: str) -> bytes:
        """The same with other MAC addresses, as a router sends it on."""
        return mac_bytes(target_mac) + mac_bytes(source_mac) + self.data[12:]


def parse(data: bytes) -> Frame:
    if len(data) < 14:
        raise Malformed
    target_mac, source_mac = data[:6].hex(":"), data[6:12].hex(":")
    (kind,) = struct.unpack_from("!H", data, 12)
    try:
        source, target, asks = _PARTS[kind](data)
    except (KeyError, struct.error, ValueError) as error:
        raise Malformed from error
    said_mac = data[22:28].hex(":") if kind == _ARP else source_mac
    return Frame(data, source_mac, said_mac, target_mac, source, target, asks)


_Parts = tuple[Address | None, Address | None, str]


def _arp(data: bytes) -> _Parts:
    operation, source, target = struct.unpack_from("!H6x4s6x4s", data, 20)
    if operation != 1:
        return None, None, ""  # a word that nobody waits for: the VPC knows
    return ipaddress.IPv4Address(source), ipaddress.IPv4Address(target), ARP_REQUEST


def _ipv4(data: bytes) -> _Parts:
    source, target = struct.unpack_from("!4s4s", data, 26)
    return ipaddress.IPv4Address(source), ipaddress.IPv4Address(target), ""


def _ipv6(data: bytes) -> _Parts:
    header, source, target = struct.unpack_from("!B x16s16s", data, 20)
    whence, whither = ipaddress.IPv6Address(source), ipaddress.IPv6Address(target)
    if header == _ICMPV6 and len(data) > 54:
        if data[54] == 135:
            return whence, ipaddress.IPv6Address(data[62:78]), NEIGHBOUR_SOLICITATION
        if data[54] == 133:
            return whence, whither, ROUTER_SOLICITATION
        if data[54] == 136:
            return None, None, ""  # as with ARP
    return whence, whither, ""


_PARTS = {_ARP: _arp, _IPV4: _ipv4, _IPV6: _ipv6}


# Answers


def neighbour(question: Frame, mac: str, *, router: bool) -> bytes:
    """That the address asked for is at `mac`."""
    if question.asks == ARP_REQUEST:
        return _arp_reply(question, mac)
    assert isinstance(question.source, ipaddress.IPv6Address)
    assert isinstance(question.target, ipaddress.IPv6Address)
    flags = 0xE0000000 if router else 0x60000000  # solicited, and in the place of what was known
    body = struct.pack("!I", flags) + question.target.packed + b"\x02\x01" + mac_bytes(mac)
    return _icmpv6(136, body, question.source_mac, mac, question.target, question.source)


def router_advertisement(question: Frame, mac: str, router: ipaddress.IPv6Address) -> bytes:
    """Of a router that gives addresses by DHCP alone, as a VPC's does."""
    body = struct.pack("!BBHII", 255, 0x80, 1800, 0, 0) + b"\x01\x01" + mac_bytes(mac)
    return _icmpv6(134, body, question.source_mac, mac, router, _ALL_NODES)


def _arp_reply(question: Frame, mac: str) -> bytes:
    assert question.source is not None
    assert question.target is not None
    head = mac_bytes(question.source_mac) + mac_bytes(mac) + struct.pack("!HHHBBH", _ARP, 1, _IPV4, 6, 4, 2)
    asker = mac_bytes(question.source_mac) + question.source.packed
    return head + mac_bytes(mac) + question.target.packed + asker


def _icmpv6(
    kind: int, body: bytes, to: str, mac: str, source: ipaddress.IPv6Address, target: ipaddress.IPv6Address
) -> bytes:
    message = struct.pack("!BBH", kind, 0, 0) + body
    pseudo = source.packed + target.packed + struct.pack("!II", len(message), _ICMPV6)
    message = struct.pack("!BBH", kind, 0, _checksum(pseudo + message)) + body
    header = struct.pack("!IHBB", 0x60000000, len(message), _ICMPV6, 255) + source.packed + target.packed
    return mac_bytes(to) + mac_bytes(mac) + struct.pack("!H", _IPV6) + header + message


def _checksum(data: bytes) -> int:
    data += b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def mac_bytes(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))

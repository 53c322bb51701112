"""The VPC between machines: carries frames from ENI to ENI as EC2 does, and drops what EC2 drops.

It is no switch: it learns nothing from frames. Which ENI has an address is what the simulated EC2 says at
that moment, prefixes included; ARP and neighbour discovery are answered by the VPC itself, and between
subnets its router carries. It has no security groups, network ACLs or route tables: all may talk.

Each ENI is a pair of unix sockets, a datagram a frame, whose other end is QEMU. `frames.py` has the formats.
"""

import asyncio
import collections
import contextlib
import ipaddress
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from nodeeni.sandbox.ec2.model import Interface, Subnet
from nodeeni.sandbox.ec2.scene import Scene

from . import frames
from .frames import Address, Frame
from .qemu import Wire

MTU = 9001
_AGAIN = 0.002  # seconds until a device that had no room is tried again
_ROOM = 1024  # frames that wait for a device; then the oldest are lost, as in a device's own queue
ROUTER = ipaddress.IPv6Address("fe80::ec2:1")
"""The VPC router's own link-local address, in every subnet. Its other addresses are each subnet's first: of
IPv4 as documented; of IPv6 taken to be alike, for a VPC has that address reserved."""

# Why a frame was dropped. The first two are of the sender, the others of where it wanted to go.
FOREIGN_MAC = "source MAC address is not the ENI's"
FOREIGN_ADDRESS = "source address is not the ENI's"
NOWHERE = "no ENI has the destination address"
NOT_ATTACHED = "the ENI of the destination address is not attached"
OTHER_MAC = "destination MAC address is not that of the address"
TOO_LARGE = f"larger than {MTU} bytes"
UNKNOWN = "neither ARP, IPv4 nor IPv6"


@dataclass(frozen=True)
class Drop:
    eni_id: str  # of the sender
    why: str
    source: str
    destination: str


@dataclass
class Vpc:
    """`ec2` has to be known before a frame comes. `drops`: all, oldest first; `carried`: frames by (ENI of
    the sender, of the receiver)."""

    ec2: Scene | None = None
    drops: list[Drop] = field(default_factory=list)
    carried: collections.Counter[tuple[str, str]] = field(default_factory=collections.Counter)

    def __post_init__(self) -> None:
        self._ports: dict[str, _Port] = {}

    # ENIs

    def open(self, eni_id: str, directory: Path) -> Wire:
        """The ENI's end of the wire, as it is attached: its sockets lie in `directory`."""
        wire = Wire(directory / f"{eni_id}.nic", directory / f"{eni_id}.vpc")
        for path in (wire.ours, wire.qemus):
            path.unlink(missing_ok=True)
        port = self._ports[eni_id] = _Port(wire, lambda frame: self.hear(eni_id, frame))
        port.start()
        return wire

    def close(self, eni_id: str) -> None:
        if port := self._ports.pop(eni_id, None):
            port.stop()

    # Frames

    def hear(self, eni_id: str, data: bytes) -> None:
        """A frame that an ENI has sent."""
        assert self.ec2 is not None, "nobody has said who has which address"
        enis = self.ec2.interfaces()
        sender = next((eni for eni in enis if eni.id == eni_id), None)
        if sender is None:  # deleted, and its last frames are still on their way
            return
        try:
            frame = frames.parse(data)
        except frames.Malformed:
            self._drop(sender, UNKNOWN, data[6:12].hex(":"), data[:6].hex(":"))
            return
        if why := self._refused(sender, frame):
            self._drop(sender, why, f"{frame.source_mac} {frame.source or ''}", str(frame.target or ""))
        elif frame.asks:
            self._answer(sender, frame, enis)
        elif frame.target is not None and not frame.to_many:
            self._carry(sender, frame, enis)

    def _refused(self, sender: Interface, frame: Frame) -> str:
        """Why the ENI may not send it, whoever it is for."""
        if {frame.source_mac, frame.said_mac} != {sender.mac}:
            return FOREIGN_MAC
        source = frame.source
        if source is None or source.is_unspecified or (source.is_link_local and source.version == 6):
            return ""  # no packet, or one of autoconfiguration, which goes to nobody else's ENI
        if sender.source_dest_check and not has(sender, source):
            return FOREIGN_ADDRESS
        return TOO_LARGE if frame.size > MTU else ""

    def _answer(self, sender: Interface, frame: Frame, enis: list[Interface]) -> None:
        """Who has that address: told by the VPC, who asks nobody. Who asks for its own looks for a double."""
        subnet = self._subnet(sender)
        if frame.asks == frames.ROUTER_SOLICITATION:
            self._tell(sender, frames.router_advertisement(frame, router_mac(subnet), ROUTER))
            return
        wanted = frame.target
        assert wanted is not None
        if frame.source == wanted or frame.source is None or frame.source.is_unspecified:
            return
        router = wanted in routers(subnet)
        owner = next((eni for eni in enis if eni.subnet_id == subnet.id and has(eni, wanted)), None)
        if router:
            self._tell(sender, frames.neighbour(frame, router_mac(subnet), router=True))
        elif owner is not None:
            self._tell(sender, frames.neighbour(frame, owner.mac, router=False))
        elif not wanted.is_link_local:
            self._drop(sender, NOWHERE, str(frame.source), str(wanted))

    def _carry(self, sender: Interface, frame: Frame, enis: list[Interface]) -> None:
        target = frame.target
        assert target is not None
        here = self._subnet(sender)
        if target in routers(here) or target.is_link_local:
            return  # the router is no host: it answers no ping
        owner = next((eni for eni in enis if eni.vpc_id == sender.vpc_id and has(eni, target)), None)
        if owner is None:
            self._drop(sender, NOWHERE, str(frame.source), str(target))
        elif owner.id not in self._ports:
            self._drop(sender, NOT_ATTACHED, str(frame.source), str(target))
        elif frame.target_mac == router_mac(here):
            self._pass(sender, owner, frame.between(router_mac(self._subnet(owner)), owner.mac))
        elif frame.target_mac == owner.mac and owner.subnet_id == here.id:
            self._pass(sender, owner, frame.data)
        else:
            self._drop(sender, OTHER_MAC, str(frame.source), f"{target} {frame.target_mac}")

    def _pass(self, sender: Interface, owner: Interface, data: bytes) -> None:
        self.carried[sender.id, owner.id] += 1
        self._ports[owner.id].send(data)

    def _tell(self, receiver: Interface, data: bytes) -> None:
        if port := self._ports.get(receiver.id):
            port.send(data)

    def _subnet(self, eni: Interface) -> Subnet:
        assert self.ec2 is not None
        return self.ec2.account.subnet(eni.subnet_id)

    def _drop(self, sender: Interface, why: str, source: str, destination: str) -> None:
        self.drops.append(Drop(sender.id, why, source, destination))


def has(eni: Interface, address: Address) -> bool:
    """Whether EC2 delivers packets for that address to that ENI."""
    if str(address) in eni.private_ips or str(address) in eni.ipv6_addresses:
        return True
    prefixes = eni.ipv4_prefixes if address.version == 4 else eni.ipv6_prefixes
    return any(address in ipaddress.ip_network(prefix) for prefix in prefixes)


def routers(subnet: Subnet) -> list[Address]:
    blocks = [cidr for cidr in (subnet.cidr, subnet.ipv6_cidr) if cidr]
    return [*(ipaddress.ip_network(cidr)[1] for cidr in blocks), ROUTER]


def router_mac(subnet: Subnet) -> str:
    """One for each subnet; no ENI's, whose first byte is 02 or 06 with EC2's own next to it."""
    number = sum(subnet.id.encode()) % 65536
    return f"0e:ec:20:00:{number >> 8:02x}:{number & 255:02x}"


class _Port:
    """One end of a wire."""

    def __init__(self, wire: Wire, on_frame: Callable[[bytes], None]) -> None:
        self._wire, self._on_frame = wire, on_frame
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._waiting: collections.deque[bytes] = collections.deque(maxlen=_ROOM)
        self._again: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._socket.bind(str(self._wire.ours))
        self._socket.setblocking(False)
        asyncio.get_running_loop().add_reader(self._socket, self._read)

    def stop(self) -> None:
        asyncio.get_running_loop().remove_reader(self._socket)
        if self._again is not None:
            self._again.cancel()
        self._socket.close()
        self._wire.ours.unlink(missing_ok=True)

    def send(self, data: bytes) -> None:
        self._waiting.append(data)
        if self._again is None:
            self._write()

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                self._on_frame(self._socket.recv(65536))

    def _write(self) -> None:
        self._again = None
        loop = asyncio.get_running_loop()
        while self._waiting:
            try:
                self._socket.sendto(self._waiting[0], str(self._wire.qemus))
            except BlockingIOError:  # QEMU has no room: the guest has not taken the last ones
                # Not by the event loop's word: a datagram socket is always writable, whoever has no room.
                self._again = loop.call_later(_AGAIN, self._write)
                return
            except OSError:
                pass  # QEMU has let go of it: a device that is just being unplugged
            self._waiting.popleft()

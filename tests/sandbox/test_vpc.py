"""The VPC between machines, a frame at a time: who gets it, with which MAC addresses, and why nobody does."""

import asyncio
import ipaddress
import socket
import struct
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from nodeeni.sandbox.ec2 import EC2Server
from nodeeni.sandbox.ec2.model import Interface
from nodeeni.sandbox.machines import vpc as vpcs
from nodeeni.sandbox.machines.frames import Frame, mac_bytes, parse
from nodeeni.sandbox.machines.vpc import Vpc, router_mac

ANOTHER = "02:00:00:00:00:99"
MULTICAST = "33:33:ff:00:00:01"


class Nic:
    """QEMU's end of an ENI's wire."""

    def __init__(self, vpc: Vpc, eni: Interface, directory: Path) -> None:
        wire = vpc.open(eni.id, directory)
        self.eni, self._to = eni, str(wire.ours)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(wire.qemus))
        self._socket.setblocking(False)

    def send(self, data: bytes) -> None:
        self._socket.sendto(data, self._to)

    async def got(self) -> list[Frame]:
        """All that has come by now."""
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        frames = []
        while True:
            try:
                frames.append(parse(self._socket.recv(65536)))
            except BlockingIOError:
                return frames

    def close(self) -> None:
        self._socket.close()


@dataclass
class Scene:
    """ENIs `a` and `b` of one subnet, `c` of another; each with a prefix of both families."""

    ec2: EC2Server
    vpc: Vpc
    a: Nic
    b: Nic
    c: Nic

    def why(self) -> list[str]:
        return [drop.why for drop in self.vpc.drops]

    def put(self, nic: Nic, **changes: object) -> None:
        self.ec2.account.put(msgspec.structs.replace(self.ec2.interface(nic.eni.id), **changes))

    def router(self, nic: Nic) -> str:
        return router_mac(self.ec2.account.subnet(nic.eni.subnet_id))


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    ec2 = EC2Server()
    network = ec2.add_vpc(cidr="10.0.0.0/8")
    here = ec2.add_subnet(network, "a", "10.11.0.0/16", ipv6_cidr="2001:db8:11::/64")
    there = ec2.add_subnet(network, "b", "10.12.0.0/16", ipv6_cidr="2001:db8:12::/64")
    enis = []
    for number, subnet in enumerate((here, here, there)):
        eni = ec2.plant_interface(subnet)
        block = ipaddress.ip_network(subnet.cidr)[256 * (number + 1)]
        block6 = ipaddress.ip_network(subnet.ipv6_cidr)[(number + 1) << 48]
        eni = msgspec.structs.replace(eni, ipv4_prefixes=(f"{block}/28",), ipv6_prefixes=(f"{block6}/80",))
        ec2.account.put(eni)
        enis.append(eni)
    vpc = Vpc(ec2)
    with tempfile.TemporaryDirectory() as directory:
        nics = [Nic(vpc, eni, Path(directory)) for eni in enis]
        yield Scene(ec2, vpc, *nics)
        for nic in nics:
            vpc.close(nic.eni.id)
            nic.close()


def packet(source_mac: str, target_mac: str, source: str, target: str, size: int = 20) -> bytes:
    whence, whither = ipaddress.ip_address(source), ipaddress.ip_address(target)
    if whence.version == 4:
        header = struct.pack("!BBHHHBBH", 0x45, 0, size, 0, 0, 64, 17, 0) + whence.packed + whither.packed
        kind = b"\x08\x00"
    else:
        header = struct.pack("!IHBB", 0x60000000, 0, 59, 64) + whence.packed + whither.packed
        kind = b"\x86\xdd"
    return mac_bytes(target_mac) + mac_bytes(source_mac) + kind + header.ljust(size, b"\0")


def arp(source_mac: str, source: str, target: str, said_mac: str = "") -> bytes:
    head = b"\xff" * 6 + mac_bytes(source_mac) + struct.pack("!HHHBBH", 0x0806, 1, 0x0800, 6, 4, 1)
    said = mac_bytes(said_mac or source_mac) + ipaddress.IPv4Address(source).packed
    return head + said + bytes(6) + ipaddress.IPv4Address(target).packed


def solicitation(source_mac: str, source: str, target: str) -> bytes:
    message = struct.pack("!BBHI", 135, 0, 0, 0) + ipaddress.IPv6Address(target).packed
    ends = ipaddress.IPv6Address(source).packed + ipaddress.IPv6Address("ff02::1:ff00:1").packed
    header = struct.pack("!IHBB", 0x60000000, len(message), 58, 255) + ends
    return mac_bytes(MULTICAST) + mac_bytes(source_mac) + b"\x86\xdd" + header + message


def pod(nic: Nic, version: int = 4) -> str:
    """An address of the ENI's prefix."""
    prefix = (nic.eni.ipv4_prefixes if version == 4 else nic.eni.ipv6_prefixes)[0]
    return str(ipaddress.ip_network(prefix)[5])


@pytest.mark.parametrize("version", [4, 6])
async def test_pods_reach_each_other_within_a_subnet_and_over_the_router(scene: Scene, version: int) -> None:
    a, b, c = scene.a, scene.b, scene.c
    a.send(packet(a.eni.mac, b.eni.mac, pod(a, version), pod(b, version)))
    a.send(packet(a.eni.mac, scene.router(a), pod(a, version), pod(c, version)))
    (near,), (far,) = await b.got(), await c.got()
    assert (near.source_mac, near.target_mac) == (a.eni.mac, b.eni.mac)
    assert (far.source_mac, far.target_mac) == (scene.router(c), c.eni.mac)
    assert [str(frame.source) for frame in (near, far)] == [pod(a, version)] * 2
    assert scene.why() == []


async def test_a_frame_that_is_not_the_enis_is_dropped(scene: Scene) -> None:
    a, b = scene.a, scene.b
    a.send(packet(ANOTHER, b.eni.mac, pod(a), pod(b)))
    a.send(packet(a.eni.mac, b.eni.mac, pod(b), pod(b)))
    a.send(packet(a.eni.mac, b.eni.mac, "10.11.7.7", pod(b)))
    a.send(packet(a.eni.mac, b.eni.mac, "2001:db8:11:ffff::1", pod(b, 6), 40))
    a.send(arp(a.eni.mac, pod(b), "10.11.0.1"))
    a.send(arp(a.eni.mac, pod(a), "10.11.0.1", said_mac=ANOTHER))
    a.send(packet(a.eni.mac, b.eni.mac, pod(a), pod(b), 9002))
    a.send(b"\0" * 60)
    assert (await b.got(), await a.got()) == ([], [])
    expected = [vpcs.FOREIGN_MAC, *[vpcs.FOREIGN_ADDRESS] * 4, vpcs.FOREIGN_MAC, vpcs.TOO_LARGE, vpcs.UNKNOWN]
    assert scene.why() == expected


async def test_a_packet_for_an_address_that_nobody_has_or_that_is_elsewhere_is_dropped(scene: Scene) -> None:
    a, b, c = scene.a, scene.b, scene.c
    a.send(packet(a.eni.mac, b.eni.mac, pod(a), "10.11.7.7"))
    a.send(packet(a.eni.mac, c.eni.mac, pod(a), pod(c)))
    a.send(packet(a.eni.mac, b.eni.mac, pod(a), pod(c)))
    await b.got()
    scene.vpc.close(c.eni.id)
    a.send(packet(a.eni.mac, scene.router(a), pod(a), pod(c)))
    assert (await b.got(), await c.got()) == ([], [])
    assert scene.why() == [vpcs.NOWHERE, vpcs.OTHER_MAC, vpcs.OTHER_MAC, vpcs.NOT_ATTACHED]


async def test_a_prefix_that_was_given_back_is_nobodys_at_once(scene: Scene) -> None:
    a, b = scene.a, scene.b
    scene.put(b, ipv4_prefixes=())
    a.send(packet(a.eni.mac, b.eni.mac, pod(a), pod(b)))
    b.send(packet(b.eni.mac, a.eni.mac, pod(b), pod(a)))
    assert (await a.got(), await b.got()) == ([], [])
    assert sorted(scene.why()) == sorted([vpcs.NOWHERE, vpcs.FOREIGN_ADDRESS])


async def test_an_eni_whose_source_is_not_checked_may_send_for_others(scene: Scene) -> None:
    a, b = scene.a, scene.b
    scene.put(a, source_dest_check=False)
    a.send(packet(a.eni.mac, b.eni.mac, "192.0.2.1", pod(b)))
    assert [str(frame.source) for frame in await b.got()] == ["192.0.2.1"]


async def test_arp_and_neighbour_discovery_are_answered_by_the_vpc(scene: Scene) -> None:
    a, b = scene.a, scene.b
    a.send(arp(a.eni.mac, pod(a), pod(b)))
    a.send(arp(a.eni.mac, pod(a), "10.11.0.1"))
    a.send(solicitation(a.eni.mac, pod(a, 6), pod(b, 6)))
    a.send(solicitation(a.eni.mac, pod(a, 6), "2001:db8:11::1"))
    answers = await a.got()
    assert [frame.said_mac for frame in answers] == [b.eni.mac, scene.router(a)] * 2
    assert {frame.target_mac for frame in answers} == {a.eni.mac}
    assert await b.got() == []
    assert scene.why() == []


async def test_who_looks_for_a_double_of_its_own_address_hears_nothing(scene: Scene) -> None:
    a = scene.a
    a.send(arp(a.eni.mac, pod(a), pod(a)))
    a.send(arp(a.eni.mac, "0.0.0.0", pod(a)))
    a.send(solicitation(a.eni.mac, "::", pod(a, 6)))
    assert (await a.got(), scene.why()) == ([], [])


async def test_a_question_for_an_address_that_nobody_has_is_counted_and_not_answered(scene: Scene) -> None:
    a = scene.a
    a.send(arp(a.eni.mac, pod(a), "10.11.7.7"))
    a.send(arp(a.eni.mac, pod(a), pod(scene.c)))  # of another subnet: a way by the router alone
    a.send(solicitation(a.eni.mac, pod(a, 6), "2001:db8:11:ffff::1"))
    assert (await a.got(), scene.why()) == ([], [vpcs.NOWHERE] * 3)


async def test_a_device_that_takes_nothing_for_a_while_gets_its_frames_later_and_in_order(
    scene: Scene,
) -> None:
    a, b = scene.a, scene.b
    for number in range(300):  # more than a socket holds
        a.send(packet(a.eni.mac, b.eni.mac, pod(a), pod(b), 20 + number))
        await asyncio.sleep(0)
    sizes: list[int] = []
    while len(sizes) < 300:
        sizes += [frame.size for frame in await b.got()]
        await asyncio.sleep(0.001)
    assert sizes == [20 + number for number in range(300)]


async def test_multicast_is_not_carried(scene: Scene) -> None:
    a, b = scene.a, scene.b
    a.send(packet(a.eni.mac, MULTICAST, pod(a, 6), "ff02::fb", 40))
    a.send(packet(a.eni.mac, "ff:ff:ff:ff:ff:ff", pod(a), "10.11.255.255"))
    assert (await b.got(), scene.why()) == ([], [])

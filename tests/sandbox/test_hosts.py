"""Instances whose kernel is a network namespace: links that follow attachments, programs that run there."""

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.needs import kernels
from tests.sandbox.ec2.conftest import eventually

from nodeeni.sandbox import hosts as hosts_room
from nodeeni.sandbox.ec2 import EC2Server, Instance, Interface, Subnet, quick_settings
from nodeeni.sandbox.hosts import METADATA_ADDRESS, Hosts


@pytest.fixture(autouse=True)
def namespaces() -> None:
    kernels()


class Site:
    """One instance with a kernel."""

    def __init__(self, ec2: EC2Server, hosts: Hosts, subnet: Subnet, instance: Instance) -> None:
        self.ec2, self.hosts, self.subnet, self.instance = ec2, hosts, subnet, instance

    async def links(self) -> dict[str, tuple[str, int, bool]]:
        """MAC, MTU and whether it is up, by name, but for `lo`."""
        return {
            link["ifname"]: (link["address"], link["mtu"], "UP" in link["flags"])
            for link in await self.hosts.links(self.instance.id)
            if link["ifname"] != "lo"
        }

    def attach(self, device_index: int) -> Interface:
        interface = self.ec2.plant_interface(self.subnet)
        self.ec2.lifecycle.attach(interface, self.instance, device_index, 0, stuck=False)
        return self.ec2.interface(interface.id)

    async def in_phase(self, interface: Interface, phase: str) -> None:
        def reached() -> bool:
            now = self.ec2.interface(interface.id)
            return (now.attachment.status if now.attachment else now.status) == phase

        await eventually(reached)

    async def in_state(self, state: str) -> None:
        await eventually(lambda: self.ec2.instance(self.instance.id).state == state)

    @property
    def primary(self) -> tuple[str, int, bool]:
        return (self.ec2.interfaces_of(self.instance.id)[0].mac, 1500, True)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    hosts = Hosts()
    await hosts.start()
    ec2 = EC2Server(settings=quick_settings(), kernels=hosts)
    await ec2.start()
    subnet = ec2.add_subnet(ec2.add_vpc(), "a", "10.0.0.0/16")
    instance = ec2.add_instance(subnet)
    await hosts.add(instance.id, ec2.interfaces_of(instance.id)[0], subnet.cidr)
    yield Site(ec2, hosts, subnet, instance)
    await ec2.stop()
    await hosts.stop()


async def run(site: Site, *argv: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *site.hosts.command(site.instance.id, argv), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    return out.decode()


async def test_the_primary_is_up_with_the_default_route(site: Site) -> None:
    assert await site.links() == {"eth0": site.primary}
    routes = json.loads(await run(site, "ip", "-j", "route"))
    assert routes[0] | {"flags": []} == {
        "dst": "default",
        "gateway": "10.0.0.1",
        "dev": "eth0",
        "flags": [],
    }


async def test_a_link_comes_with_the_attachment_and_goes_with_it(site: Site) -> None:
    eni = site.attach(2)
    await site.in_phase(eni, "attached")
    assert await site.links() == {"eth0": site.primary, "eth2": (eni.mac, 1500, False)}
    attachment = eni.attachment
    assert attachment is not None
    site.ec2.lifecycle.detach(site.ec2.interface(eni.id), attachment, force=False, stuck=False)
    await site.in_phase(eni, "available")
    assert await site.links() == {"eth0": site.primary}


async def test_the_kernel_never_shows_another_mac(site: Site) -> None:
    """`ip monitor`, another reader of the same events, sees the link with its final name and MAC only."""
    monitor = await asyncio.create_subprocess_exec(
        *site.hosts.command(site.instance.id, ["ip", "-o", "monitor", "link"]),
        stdout=asyncio.subprocess.PIPE,
    )
    assert monitor.stdout is not None
    eni = site.attach(1)
    await site.in_phase(eni, "attached")
    # A line may have come before the monitor listened: a change of ours afterwards is surely seen.
    lines: list[str] = []
    while not any("mtu 9001" in line for line in lines):
        await run(site, "ip", "link", "set", "eth1", "mtu", "9001")
        await run(site, "ip", "link", "set", "eth1", "mtu", "9000")
        lines.append((await asyncio.wait_for(monitor.stdout.readline(), 5)).decode())
    monitor.terminate()
    await monitor.wait()
    macs = {match[1] for line in lines if "eth1" in line and (match := re.search(r"link/ether (\S+)", line))}
    assert macs == {eni.mac}


async def test_jumbo_frames_are_allowed(site: Site) -> None:
    eni = site.attach(1)
    await site.in_phase(eni, "attached")
    await run(site, "ip", "link", "set", "eth1", "up", "mtu", "9001")
    assert (await site.links())["eth1"] == (eni.mac, 9001, True)


async def test_termination_takes_all_links(site: Site) -> None:
    eni = site.attach(1)
    await site.in_phase(eni, "attached")
    site.ec2.terminate(site.instance.id)
    await site.in_phase(eni, "available")
    assert await site.links() == {}


async def test_stop_and_start_bring_the_links_back(site: Site) -> None:
    eni = site.attach(1)
    await site.in_phase(eni, "attached")
    site.ec2.stop_instance(site.instance.id)
    await site.in_state("stopped")
    assert await site.links() == {}
    site.ec2.start_instance(site.instance.id)
    await site.in_state("running")
    assert await site.links() == {"eth0": site.primary, "eth1": (eni.mac, 1500, False)}


async def test_a_program_on_the_instance_reaches_a_server_of_ours(site: Site) -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello from outside")
        writer.close()

    listening = await site.hosts.listen(site.instance.id, "127.0.0.1", 7443)
    server = await asyncio.start_server(greet, sock=listening)
    script = "import socket; print(socket.create_connection(('127.0.0.1', 7443)).recv(99).decode())"
    assert await run(site, sys.executable, "-c", script) == "hello from outside\n"
    server.close()
    await server.wait_closed()


async def test_a_program_on_the_instance_sees_its_own_links_in_sys(site: Site) -> None:
    assert (await run(site, "ls", "/sys/class/net")).split() == ["eth0", "lo"]


async def test_a_signal_reaches_the_program_itself(site: Site) -> None:
    process = await asyncio.create_subprocess_exec(*site.hosts.command(site.instance.id, ["sleep", "60"]))
    name = Path(f"/proc/{process.pid}/comm")
    await eventually(lambda: name.read_text() == "sleep\n")
    process.terminate()
    assert await process.wait() == -15


async def test_nothing_is_left_when_the_process_is_killed() -> None:
    """The namespaces hang on descriptors: a killed process leaves neither names nor links nor namespaces."""
    script = (
        "import asyncio, os, signal\n"
        "from nodeeni.sandbox.ec2 import EC2Server, quick_settings\n"
        "from nodeeni.sandbox.hosts import Hosts\n"
        "async def main():\n"
        "    hosts = Hosts(); await hosts.start()\n"
        "    ec2 = EC2Server(settings=quick_settings(), kernels=hosts)\n"
        "    subnet = ec2.add_subnet(ec2.add_vpc(), 'a', '10.0.0.0/16')\n"
        "    instance = ec2.add_instance(subnet)\n"
        "    await hosts.add(instance.id, ec2.interfaces_of(instance.id)[0], subnet.cidr)\n"
        "    print(len(await hosts.links(instance.id)), flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(main())\n"
    )
    before = set(os.listdir("/sys/class/net"))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert (out, process.returncode) == (b"2\n", -9)
    assert set(os.listdir("/sys/class/net")) == before


async def test_it_works_in_a_user_namespace_too() -> None:
    """Without root: the whole program is started over by `wrap`, on the same network."""
    script = (
        "import asyncio, os\n"
        "from nodeeni.sandbox.ec2 import EC2Server, quick_settings\n"
        "from nodeeni.sandbox.hosts import Hosts, probe\n"
        "async def main():\n"
        "    assert probe().possible and not probe().needs_wrap\n"
        "    hosts = Hosts(); await hosts.start()\n"
        "    ec2 = EC2Server(settings=quick_settings(), kernels=hosts)\n"
        "    subnet = ec2.add_subnet(ec2.add_vpc(), 'a', '10.0.0.0/16')\n"
        "    instance = ec2.add_instance(subnet)\n"
        "    await hosts.add(instance.id, ec2.interfaces_of(instance.id)[0], subnet.cidr)\n"
        "    command = hosts.command(instance.id, ['ls', '/sys/class/net'])\n"
        "    await (await asyncio.create_subprocess_exec(*command)).wait()\n"
        "    await hosts.stop()\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(
        *hosts_room.wrap([sys.executable, "-c", script]), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert (out.split(), process.returncode) == ([b"eth0", b"lo"], 0)


async def test_the_metadata_service_is_found_at_its_usual_address(site: Site) -> None:
    imds = site.ec2.imds(site.instance.id)
    await imds.start(listening=await site.hosts.listen(site.instance.id, METADATA_ADDRESS, 80))
    script = "from botocore.utils import InstanceMetadataRegionFetcher as F; print(F().retrieve_region())"
    assert await run(site, sys.executable, "-c", script) == "us-west-2\n"
    await imds.stop()

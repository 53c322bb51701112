"""Instances as machines: attaching an interface plugs a PCI device into one, with the ENI's MAC.

Each starts in a second from its image's snapshot, which was taken before it had any network device; the
primary interface comes as the first. Programs of ours run in it as they do on a node, by `command`.
"""

import asyncio
import base64
import contextlib
import io
import ipaddress
import json
import os
import shutil
import socket
import sys
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

import nodeeni
from nodeeni.sandbox.ec2.model import Interface
from nodeeni.sandbox.hosts import METADATA_ADDRESS, HostsError

from .channel import Channel, ChannelError, Done, Process
from .images import NETWORKS, Built, Image, booted, built
from .qemu import PRIMARY_SLOT, Machine, Nic, missing_program
from .vpc import Vpc

ENTRANCE = "entrance"
_GREETED = 30.0  # seconds
_CONFIGURED = 180.0  # cloud-init reads the metadata before it configures anything
_OURS = "/opt/nodeeni"  # where our package is on a machine
_COMMAND = f"""\
#!/bin/sh
if [ "$1" != manager ]; then echo "nodeeni: on a machine there is \\`nodeeni manager\\` alone" >&2; exit 2; fi
shift
PYTHONPATH={_OURS} exec python3 -m nodeeni.agent "$@"
"""
# Of this program's environment, what means another thing on a machine.
_NOT_BROUGHT = ("PATH", "HOME", "PWD", "TMPDIR", "VIRTUAL_ENV", "PYTHON")


def why_impossible() -> str:
    """Why machines cannot be had here, "" if they can: told before anything is made."""
    if not sys.platform.startswith("linux"):
        return f"machines need Linux, this is {sys.platform}"
    if os.geteuid() != 0:  # whose PATH may lack programs that are there
        return "making the image of a node needs root"
    if program := missing_program():
        packages = "qemu-system-x86, qemu-utils, mmdebstrap, e2fsprogs"
        return f"the program `{program}` is not installed (Debian: {packages})"
    return ""


@dataclass
class _Host:
    """`served`: the addresses in the guest that lead to sockets of ours."""

    cidr: str
    primary: Interface
    machine: Machine
    served: dict[tuple[str, int], tuple[str, int]] = field(default_factory=dict)
    entrance: asyncio.Server | None = None
    plugged: set[str] = field(default_factory=set)


class Machines:
    """Give it to `World(hosts=...)`. `say` is told what takes long, such as the making of the image; `ready`
    is one that has been made. `vpc` joins all ENIs but the primary ones, which never talk to each other; each
    is alone without it."""

    nodeeni: Sequence[str] = ("nodeeni",)
    """The command on a machine that is ours."""

    def __init__(
        self,
        image: Image | None = None,
        say: Callable[[str], None] = lambda _text: None,
        ready: Built | None = None,
        vpc: Vpc | None = None,
    ) -> None:
        self._image = ready.image if ready else image or Image()
        self._say = say
        self._hosts: dict[str, _Host] = {}
        self._built = ready
        self._vpc = vpc
        self._directory = Path()

    async def start(self) -> None:
        """ImageError if the image cannot be had."""
        self._built = self._built or await built(self._image, self._say)
        self._directory = Path(tempfile.mkdtemp(prefix="nodeeni-machines-"))

    async def stop(self) -> None:
        await asyncio.gather(*(self.remove(instance_id) for instance_id in list(self._hosts)))
        if self._directory.name:
            shutil.rmtree(self._directory, ignore_errors=True)

    async def add(self, instance_id: str, primary: Interface, cidr: str) -> None:
        """A machine for the instance, with its primary interface up and the default route over it; where a
        first boot has to do that, it waits for `first_boot`."""
        assert self._built is not None, "not started"
        directory = self._directory / instance_id
        directory.mkdir()
        machine = Machine(directory, self._built.hardware())
        host = self._hosts[instance_id] = _Host(cidr, primary, machine)
        disk = directory / "disk.qcow2"
        await asyncio.to_thread(self._built.new_disk, disk)
        await machine.start(self._built.software(disk))
        await machine.channel.greet(_GREETED)
        await self._move_in(host)
        await self.on_attached(instance_id, primary, cidr)
        if not NETWORKS[self._image.network].first_boot:
            await self._configure_primary(host)

    async def first_boot(self, instance_id: str) -> None:
        """Once the instance's metadata is served on the machine, if its network service asks for that."""
        if NETWORKS[self._image.network].first_boot:
            await self.reboot(instance_id)
            await _run(self.machine(instance_id).channel, "systemctl", "is-system-running", "--wait")

    async def remove(self, instance_id: str) -> None:
        host = self._hosts.pop(instance_id)
        if host.entrance is not None:
            host.entrance.close()
        await host.machine.stop()
        if self._vpc is not None:
            for eni_id in host.plugged:
                self._vpc.close(eni_id)
        shutil.rmtree(host.machine.directory, ignore_errors=True)

    def instance_ids(self) -> list[str]:
        return list(self._hosts)

    def machine(self, instance_id: str) -> Machine:
        return self._hosts[instance_id].machine

    async def reboot(self, instance_id: str, *, clean: bool = True) -> None:
        """The same machine with the same devices; returns when it has booted. Not `clean`: as after a power
        cut, what was not written to its disk is lost."""
        host = self._hosts[instance_id]
        channel = host.machine.channel
        if clean:
            await _run(channel, "sync")
        await host.machine.reset()
        await booted(host.machine)
        await _run(channel, "ip", "addr", "add", f"{METADATA_ADDRESS}/32", "dev", "lo")
        for (address, port), target in host.served.items():
            await channel.listen(address, port, target)
        await self._configure_primary(host)

    # What EC2 tells the kernels

    async def on_attached(self, instance_id: str, interface: Interface, cidr: str) -> None:
        """A PCI device is plugged in; the link appears when the guest has found it. Once only."""
        host = self._hosts.get(instance_id)
        if host is None or interface.id in host.plugged:
            return
        host.plugged.add(interface.id)
        gateway = str(ipaddress.IPv4Network(cidr)[1])
        primary = interface.id == host.primary.id
        wire = None if primary or self._vpc is None else self._vpc.open(interface.id, self._directory)
        nic = Nic(interface.id, interface.mac, cidr, interface.private_ips[0], gateway, wire)
        await host.machine.plug(nic, PRIMARY_SLOT if primary else None)

    async def on_detached(self, instance_id: str, interface: Interface) -> None:
        """The guest is asked to let go of the device, and has. Once only; TimeoutError if it does not."""
        host = self._hosts.get(instance_id)
        if host is not None and interface.id in host.plugged:
            await host.machine.unplug(interface.id)
            host.plugged.discard(interface.id)
            if self._vpc is not None:
                self._vpc.close(interface.id)

    # Being inside

    def command(self, instance_id: str, argv: Sequence[str]) -> list[str]:
        """The command that runs `argv` on that machine: input, output, signals and exit status are its."""
        entrance = self._hosts[instance_id].machine.directory / ENTRANCE
        return [sys.executable, "-m", "nodeeni.sandbox.machines.enter", str(entrance), *argv]

    async def bring(self, instance_id: str, path: Path) -> None:
        """The file is at the same path on the machine."""
        await _put(
            self._hosts[instance_id].machine.channel,
            str(path),
            await asyncio.to_thread(path.read_bytes),
            "600",
        )

    async def listen(self, instance_id: str, address: str, port: int) -> socket.socket:
        """A listening socket: what is served on it is reached on the machine at that address and port."""
        listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        host = self._hosts[instance_id]
        host.served[address, port] = target = listening.getsockname()
        await host.machine.channel.listen(address, port, target)
        return listening

    async def links(self, instance_id: str) -> list[dict[str, Any]]:
        """The machine's links as `ip -j -d link` shows them, `lo` included."""
        shown = await _run(self._hosts[instance_id].machine.channel, "ip", "-j", "-d", "link")
        found: list[dict[str, Any]] = json.loads(shown.output)
        return found

    # A new machine

    async def _move_in(self, host: _Host) -> None:
        channel = host.machine.channel
        await _run(channel, "sh", "-c", f"mkdir -p {_OURS} && tar x -C {_OURS}", data=our_package())
        await _put(channel, "/usr/local/bin/nodeeni", _COMMAND.encode(), "755")
        await _run(channel, "ip", "addr", "add", f"{METADATA_ADDRESS}/32", "dev", "lo")
        host.entrance = await asyncio.start_unix_server(
            Doorkeeper(channel).enter, host.machine.directory / ENTRANCE
        )

    async def _configure_primary(self, host: _Host) -> None:
        """By hand where no service does it; and until the default route is there."""
        channel, primary = host.machine.channel, host.primary
        name = await _until_named(channel, primary.mac)
        if not NETWORKS[self._image.network].dhcp:
            network = ipaddress.IPv4Network(host.cidr)
            script = (
                f"ip addr add {primary.private_ips[0]}/{network.prefixlen} dev {name}"
                f" && ip link set {name} up && ip route add default via {network[1]} dev {name}"
            )
            await _run(channel, "sh", "-c", script)
        await _until(
            channel, f"ip route show default | grep -q 'dev {name}'", f"no default route over {name}"
        )


async def _until_named(channel: Channel, mac: str) -> str:
    """The link's name once udev has no more to say of it. HostsError if it does not come."""
    find = f"grep -il {mac} /sys/class/net/*/address"
    await _until(channel, f"{find} && udevadm settle", f"no link has the MAC address {mac}")
    found = await _run(channel, "sh", "-c", find)
    return found.output.split("/")[4]


async def _until(channel: Channel, condition: str, otherwise: str) -> None:
    try:
        async with asyncio.timeout(_CONFIGURED):
            while (await channel.run(["sh", "-c", condition])).status:  # noqa: ASYNC110  it is another machine
                await asyncio.sleep(0.2)
    except TimeoutError as error:
        shown = await channel.run(["sh", "-c", "ip -br addr; ip route"])
        raise HostsError(
            f"{otherwise} within {_CONFIGURED:.0f} s; the machine has\n{shown.output}"
        ) from error


async def _run(channel: Channel, *argv: str, data: bytes = b"") -> Done:
    done = await channel.run(argv, data=data)
    if done.status:
        raise HostsError(f"{' '.join(argv)}: {done.errors.strip() or done.output.strip()}")
    return done


async def _put(channel: Channel, path: str, data: bytes, mode: str) -> None:
    script = 'mkdir -p "$(dirname "$1")" && cat >"$1" && chmod "$2" "$1"'
    await _run(channel, "sh", "-c", script, "sh", path, mode, data=data)


def our_package() -> bytes:
    """What the ENI manager needs beside the standard library, as a tar: parts of this package, and PyYAML
    without the module that is compiled for this Python."""
    top, yaml_top = Path(nodeeni.__file__).parent, Path(yaml.__file__).parent
    files = [*top.glob("*.py"), *(top / "agent").glob("*.py"), *yaml_top.glob("*.py")]
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for file in files:
            tar.add(file, file.relative_to(yaml_top.parent if file.parent == yaml_top else top.parent))
    return stream.getvalue()


class Doorkeeper:
    """Serves the entrance: one connection of `enter.py` is one command on the machine."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def enter(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def tell(**message: Any) -> None:
            writer.write(json.dumps(message).encode() + b"\n")

        try:
            first = json.loads(await reader.readline())
            env = {name: value for name, value in first["env"].items() if not name.startswith(_NOT_BROUGHT)}
            process = self._channel.start(
                first["argv"], env, lambda fd, data: tell(fd=fd, data=base64.b64encode(data).decode())
            )
            hearing = asyncio.create_task(self._hear(reader, process))
            tell(status=await process.wait())
            hearing.cancel()
            await writer.drain()
        except (OSError, ValueError, ChannelError) as error:
            with contextlib.suppress(OSError):
                tell(error=str(error))
                await writer.drain()
        finally:
            writer.close()

    @staticmethod
    async def _hear(reader: asyncio.StreamReader, process: Process) -> None:
        while line := await reader.readline():
            message = json.loads(line)
            if "signal" in message:
                process.send_signal(message["signal"])
            else:
                process.write(base64.b64decode(message["data"]))
        process.send_signal(9)  # whoever ran the command was killed, and it with them

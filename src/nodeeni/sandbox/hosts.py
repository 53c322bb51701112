"""Instances' kernels as network namespaces: attaching an interface makes a link appear in one, for real.

A namespace is made by a thread that unshares its network and is held by a file descriptor of this process
alone: nothing is mounted or named, so nothing is left behind however the process ends. Each link is one
end of a veth pair, made inside the instance's namespace with its final MAC; the other end stands in a
switch namespace. Needs CAP_SYS_ADMIN, or an unprivileged user namespace (`wrap`); `ip` and `unshare`.
"""

import asyncio
import ctypes
import ipaddress
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from nodeeni.sandbox.ec2.lifecycle import NodeKernels
from nodeeni.sandbox.ec2.model import Interface

Result = TypeVar("Result")

METADATA_ADDRESS = "169.254.169.254"
"""Where the instance metadata service is; an address of each host's `lo`, to `listen` on."""

_CLONE_NEWNET = 0x40000000
_INSTALL = {"ip": "apt-get install iproute2", "unshare": "apt-get install util-linux"}  # Debian's packages
_SWITCHES = (  # name, the value that forbids user namespaces, the one that permits them
    ("user.max_user_namespaces", "0", "15000"),
    ("kernel.unprivileged_userns_clone", "0", "1"),  # Debian's kernels
    ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),  # Ubuntu's, from 24.04 on
)
_USER_NAMESPACE = ("unshare", "--user", "--map-root-user", "--")
_TRIAL = ("unshare", "--net", "ip", "link", "add", "trial0", "type", "veth", "peer", "name", "trial1")
# /sys of the new namespace, so that a program in it sees its own links there; some containers forbid it.
_OWN_SYS = 'mount -t sysfs sysfs /sys 2>/dev/null; exec "$@"'


class HostsError(Exception):
    """The kernel refused a namespace or a link; the message is its own."""


@dataclass(frozen=True)
class Capability:
    """Whether namespaces can be made: at once, only by starting over through `wrap`, or not (`reason`)."""

    possible: bool
    needs_wrap: bool = False
    reason: str = ""


def probe() -> Capability:
    """Try it out, on a namespace that is gone when this returns. Takes about 10 ms."""
    if not sys.platform.startswith("linux"):
        return Capability(False, reason=f"network namespaces need Linux, this is {sys.platform}")
    for program in _INSTALL:
        if shutil.which(program) is None:
            return Capability(False, reason=f"no program `{program}`; as root: {_INSTALL[program]}")
    here = subprocess.run(_TRIAL, capture_output=True, text=True, check=False)
    if here.returncode == 0:
        return Capability(True)
    wrapped = subprocess.run((*_USER_NAMESPACE, *_TRIAL), capture_output=True, text=True, check=False)
    if wrapped.returncode == 0:
        return Capability(True, needs_wrap=True)
    reason = (wrapped.stderr.strip() or here.stderr.strip() or "no reason given").splitlines()[0]
    return Capability(False, reason=f"the kernel refuses network namespaces: {reason}; {way_out()}")


def way_out(settings: Path = Path("/proc/sys"), *, root: bool | None = None) -> str:
    """The command that brings namespaces. To users they can be forbidden by three switches of the kernel."""
    if os.geteuid() == 0 if root is None else root:
        return "in a container: docker run --privileged"
    for name, forbids, permits in _SWITCHES:
        path = settings / name.replace(".", "/")
        if path.exists() and path.read_text().strip() == forbids:
            return f"as root: sysctl -w {name}={permits}"
    return "root can make them: sudo, and the same command"


def wrap(argv: Sequence[str]) -> list[str]:
    """The command that runs `argv` in a user namespace of its own, as root there, on the same network."""
    return [*_USER_NAMESPACE, *argv]


@dataclass
class _Host:
    """`links` holds the switch's end of each link by the interface's id."""

    namespace: int
    links: dict[str, str] = field(default_factory=dict)


class NodeHosts(NodeKernels, Protocol):
    """Where instances have their kernels: in namespaces (`Hosts`), or in machines (`machines.hosts`)."""

    nodeeni: Sequence[str]

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def add(self, instance_id: str, primary: Interface, cidr: str) -> None: ...

    def instance_ids(self) -> list[str]: ...

    def command(self, instance_id: str, argv: Sequence[str]) -> list[str]: ...

    async def bring(self, instance_id: str, path: Path) -> None: ...

    async def listen(self, instance_id: str, address: str, port: int) -> socket.socket: ...

    async def links(self, instance_id: str) -> list[dict[str, Any]]: ...


class Hosts:
    """Give it to `EC2Server(kernels=...)`, and `add` the instances that shall have a kernel."""

    nodeeni: Sequence[str] = (sys.executable, "-m", "nodeeni.cli.main")
    """The command on an instance that is ours."""

    def __init__(self) -> None:
        self._hosts: dict[str, _Host] = {}
        self._switch = -1
        self._ports = 0

    async def start(self) -> None:
        self._switch = await asyncio.to_thread(_new_namespace)

    async def stop(self) -> None:
        """Let go of all namespaces. One goes, with its links, when the last process in it has ended."""
        for instance_id in list(self._hosts):
            await self.remove(instance_id)
        if self._switch >= 0:
            os.close(self._switch)
            self._switch = -1

    async def add(self, instance_id: str, primary: Interface, cidr: str) -> None:
        """A kernel for the instance: `lo`, and the primary interface up as `eth0` with the default route.

        `cidr` is the primary's subnet; its router is the subnet's first address, as in a VPC.
        """
        namespace = await asyncio.to_thread(_new_namespace)
        self._hosts[instance_id] = _Host(namespace)
        await asyncio.to_thread(_ip, namespace, "link set lo up", f"addr add {METADATA_ADDRESS}/32 dev lo")
        await self.on_attached(instance_id, primary, cidr)

    async def remove(self, instance_id: str) -> None:
        host = self._hosts.pop(instance_id)
        for port in host.links.values():
            await asyncio.to_thread(_ip, self._switch, f"link del {port}")
        os.close(host.namespace)

    def instance_ids(self) -> list[str]:
        return list(self._hosts)

    # What EC2 tells the kernels

    async def on_attached(self, instance_id: str, interface: Interface, cidr: str) -> None:
        """The link appears: down, MTU 1500, with its MAC from the first moment. Once only."""
        host = self._hosts.get(instance_id)
        if host is None or interface.id in host.links or interface.attachment is None:
            return
        self._ports += 1
        port = f"port{self._ports}"
        host.links[interface.id] = port
        name = link_name(interface.attachment.network_card_index, interface.attachment.device_index)
        peer = f"name {name} address {interface.mac} mtu 1500 netns {_path(host.namespace)}"
        await asyncio.to_thread(
            _ip, self._switch, f"link add {port} mtu 9001 type veth peer {peer}", f"link set {port} up"
        )
        if interface.attachment.device_index == 0:
            await asyncio.to_thread(_configure_primary, host, name, interface.private_ips[0], cidr)

    async def on_detached(self, instance_id: str, interface: Interface) -> None:
        """The link is gone. Once only."""
        host = self._hosts.get(instance_id)
        port = host.links.pop(interface.id, None) if host is not None else None
        if port is not None:
            await asyncio.to_thread(_ip, self._switch, f"link del {port}")

    # Being inside

    def command(self, instance_id: str, argv: Sequence[str]) -> list[str]:
        """The command that runs `argv` on that instance, as the same process: signals reach it."""
        there = _path(self._hosts[instance_id].namespace)
        return ["nsenter", f"--net={there}", "unshare", "--mount", "sh", "-c", _OWN_SYS, "sh", *argv]

    async def bring(self, instance_id: str, path: Path) -> None:
        """Nothing: an instance has this machine's files."""

    async def listen(self, instance_id: str, address: str, port: int) -> socket.socket:
        """A listening socket on the instance's loopback, served by this process.

        A socket stays in the namespace where it was made, so a server that takes it (aiohttp's SockSite) is
        reached from there at the same address and port as outside, without any routing.
        """
        return _inside(
            self._hosts[instance_id].namespace, lambda: socket.create_server((address, port), backlog=128)
        )

    async def links(self, instance_id: str) -> list[dict[str, Any]]:
        """The instance's links as `ip -j -d link` shows them, `lo` included."""
        found: list[dict[str, Any]] = json.loads(_show(self._hosts[instance_id].namespace))
        return found


def link_name(card_index: int, device_index: int) -> str:
    """`eth2` on the first network card, `eth2c1` on the second."""
    return f"eth{device_index}" if card_index == 0 else f"eth{device_index}c{card_index}"


def _path(namespace: int) -> str:
    """Where other processes find a namespace that this one holds."""
    return f"/proc/{os.getpid()}/fd/{namespace}"


def _configure_primary(host: _Host, name: str, address: str, cidr: str) -> None:
    network = ipaddress.IPv4Network(cidr)
    _ip(
        host.namespace,
        f"addr add {address}/{network.prefixlen} dev {name}",
        f"link set {name} up",
        f"route add default via {network[1]} dev {name}",
    )


def _new_namespace() -> int:
    def unshare() -> int:
        _check(_libc().unshare(_CLONE_NEWNET))
        return os.open(f"/proc/self/task/{threading.get_native_id()}/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    return _in_thread(unshare)


def _inside(namespace: int, work: Callable[[], Result]) -> Result:
    def enter_and_work() -> Result:
        _check(_libc().setns(namespace, _CLONE_NEWNET))
        return work()

    return _in_thread(enter_and_work)


def _in_thread(work: Callable[[], Result]) -> Result:
    """Run `work` in a thread of its own: the network of a thread cannot be given back, so it ends with it."""
    results: list[Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # raised again in the thread that asked
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def _ip(namespace: int, *commands: str) -> None:
    """Run `ip` commands in a namespace; a process inherits the network of the thread that starts it."""
    script = "\n".join(commands) + "\n"
    done = _inside(namespace, lambda: _run(("ip", "-batch", "-"), script))
    if done.returncode != 0:
        raise HostsError(f"{done.stderr.strip()} (ip {'; '.join(commands)})")


def _show(namespace: int) -> str:
    done = _inside(namespace, lambda: _run(("ip", "-j", "-d", "link"), ""))
    if done.returncode != 0:
        raise HostsError(done.stderr.strip())
    return done.stdout


def _run(argv: Sequence[str], script: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(argv, input=script, capture_output=True, text=True, check=False)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)  # os.setns and os.unshare came with Python 3.12


def _check(status: int) -> None:
    if status != 0:
        number = ctypes.get_errno()
        raise HostsError(f"network namespace: {os.strerror(number)}")

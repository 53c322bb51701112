"""A udevd for a network namespace of a test, which speaks udev's protocol on the wire, as late as it is told.

It listens to the kernel's group, which is how others see that there is a udev, and sends to udev's group what
udevd sends when it has processed an event (systemd's device-monitor.c). It does nothing by itself: what udevd
would do with a link the test does by `ip`, when it wants, and has it told here.
"""

import os
import socket
import struct
from collections.abc import Mapping
from pathlib import Path

from tests.agent.situation import Kernel

_PROTOCOL = 15  # NETLINK_KOBJECT_UEVENT
_MAGIC = 0xFEEDCAFE


class Udevd:
    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._ears: socket.socket = kernel.inside(lambda: listening(1))
        self._mouth: socket.socket = kernel.inside(lambda: listening(0))

    def stop(self) -> None:
        """No udev any more."""
        self._ears.close()
        self._mouth.close()

    def say(self, name: str, action: str = "add", *, magic: int = _MAGIC, **properties: str) -> None:
        """That the event is processed. `properties` are further ones, or others, such as INTERFACE and
        ID_RENAMING."""
        self.send(processed(name, self._index(name), action, magic, **properties))

    def say_of_a_disk(self) -> None:
        self.send(_message({"ACTION": "change", "SUBSYSTEM": "block", "DEVNAME": "/dev/vdz"}, _MAGIC))

    def send(self, message: bytes, group: int = 2, uid: int = 0) -> None:
        """`uid`: whose word it is. Root may say so, and for others the kernel does."""
        credentials = struct.pack("=iII", os.getpid(), uid, 0)
        self._mouth.sendmsg(
            [message], [(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, credentials)], 0, (0, group)
        )

    def tell(self, port: int, message: bytes) -> None:
        """To one socket, past all groups."""
        self._mouth.sendto(message, (port, 0))

    def word(self, name: str, **properties: str) -> bytes:
        """What `say` would send."""
        action = properties.pop("ACTION", "add")
        return processed(name, self._index(name), action, _MAGIC, **properties)

    def _index(self, name: str) -> int:
        index: int = self._kernel.links()[name]["ifindex"]
        return index


def processed(name: str, ifindex: int, action: str = "add", magic: int = _MAGIC, **properties: str) -> bytes:
    """What udevd sends of a link when it has processed an event."""
    usual = {
        "ACTION": action,
        "DEVPATH": f"/devices/virtual/net/{name}",
        "SUBSYSTEM": "net",
        "INTERFACE": name,
        "IFINDEX": str(ifindex),
        "SEQNUM": "4711",
        "USEC_INITIALIZED": "1",
        "TAGS": ":systemd:",
    }
    return _message({**usual, **properties}, magic)


def ports(kernel: Kernel) -> list[int]:
    """Of those that listen to udev in this namespace."""

    def read() -> list[list[str]]:
        return [line.split() for line in Path("/proc/thread-self/net/netlink").read_text().splitlines()[1:]]

    return [int(row[2]) for row in kernel.inside(read) if int(row[1]) == _PROTOCOL and int(row[3], 16) & 2]


def listening(groups: int) -> socket.socket:
    """In the network namespace of the thread that calls; 0: to none, for sending."""
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _PROTOCOL)
    sock.bind((0, groups))
    return sock


def _message(properties: Mapping[str, str], magic: int) -> bytes:
    text = "".join(f"{key}={value}\0" for key, value in properties.items()).encode()
    head = (
        struct.pack("=8s", b"libudev\0") + struct.pack("!I", magic) + struct.pack("=III", 40, 40, len(text))
    )
    return head + struct.pack("!IIII", _hash(properties["SUBSYSTEM"].encode()), 0, 0, 0) + text


def _hash(text: bytes) -> int:
    """MurmurHash2 with seed 0, for texts of at least four bytes and their rest."""
    m, mask = 0x5BD1E995, 0xFFFFFFFF
    found = len(text)
    while len(text) >= 4:
        k = int.from_bytes(text[:4], "little") * m & mask
        k = (k ^ k >> 24) * m & mask
        found = found * m & mask ^ k
        text = text[4:]
    if text:
        found = (found ^ int.from_bytes(text, "little")) * m & mask
    found = (found ^ found >> 13) * m & mask
    return found ^ found >> 15

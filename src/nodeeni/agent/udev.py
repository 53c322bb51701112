"""What udev says. It names links, and says of each when it is done: the word that this agent waits for.

Heard on the multicast group to which udevd sends the events that it has processed, as libudev hears them;
that needs no mount and no right, and works in a pod on the node's network. Sources: systemd's
src/libsystemd/sd-device/device-monitor.c (the header, what is checked of a sender, the filter) and
src/udev/udev-event.c (ID_RENAMING); linux/filter.h; net/netlink/af_netlink.c (/proc/net/netlink).
"""

import array
import errno
import logging
import socket
import struct
from typing import NamedTuple

from nodeeni.agent.netlink import open_socket

log = logging.getLogger(__name__)

_PROTOCOL = 15  # NETLINK_KOBJECT_UEVENT
_KERNEL_GROUP, _UDEV_GROUP = 1, 2
_SOCKETS = "/proc/net/netlink"  # of the network namespace that reads it

# Prefix, magic, size of the header, where properties are and how long, hash of the subsystem. What comes
# behind (hash of the device type, tags) is not needed. Magic and hash are in network order.
_HEADER = struct.Struct("=8s4sIII4s")
_PREFIX, _MAGIC = b"libudev\0", 0xFEEDCAFE
_NET = 0xA74D3CC8  # of "net": MurmurHash2, seed 0

_CREDENTIALS = struct.Struct("=iII")  # struct ucred: pid, uid, gid
_SCM_CREDENTIALS = 2
_ANCILLARY = socket.CMSG_SPACE(_CREDENTIALS.size)
_SO_ATTACH_FILTER = 26
_DATAGRAM = 1 << 14
_DATAGRAMS_A_DRAIN = 256

# Of the header's words as the kernel counts them: another magic is let through, to be told of.
_FILTER = (
    (0x20, 0, 0, 8),  # A = magic
    (0x15, 0, 2, _MAGIC),  # another: to the last line
    (0x20, 0, 0, 24),  # A = hash of the subsystem
    (0x15, 0, 1, _NET),  # another: drop
    (0x06, 0, 0, 0xFFFFFFFF),  # take it whole
    (0x06, 0, 0, 0),
)


class Word(NamedTuple):
    """One processed event of a link."""

    ifindex: int
    action: str  # add, move, change, remove, …
    name: str  # as udev has it, which is not as the kernel has it where it could not rename
    renaming: bool  # another word follows, once the new name is on


def is_there() -> bool:
    """Whether somebody listens to the kernel's own events in this network namespace: udevd, or systemd, which
    starts it. Where that cannot be read we cannot know, and being late harms less than being early."""
    try:
        with open(_SOCKETS, encoding="ascii") as file:
            rows = [line.split() for line in file][1:]
    except OSError:
        return True
    return any(int(row[1]) == _PROTOCOL and int(row[3], 16) & _KERNEL_GROUP for row in rows)


class UdevSocket:
    """Hears udev's words on links. Open it before asking which links there are."""

    def __init__(self) -> None:
        self._socket = open_socket(_PROTOCOL)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        program = array.array("B", b"".join(struct.pack("=HBBI", *line) for line in _FILTER))
        address, _ = program.buffer_info()
        self._socket.setsockopt(
            socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", len(_FILTER), address)
        )
        self._socket.bind((0, _UDEV_GROUP))
        self._socket.setblocking(False)
        self._told_unknown = False

    def fileno(self) -> int:
        return self._socket.fileno()

    def drain(self) -> tuple[list[Word], bool]:
        """(what has arrived, a bounded amount a call; whether words were lost)."""
        words, lost = [], False
        for _ in range(_DATAGRAMS_A_DRAIN):
            try:
                data, ancillary, _flags, sender = self._socket.recvmsg(_DATAGRAM, _ANCILLARY)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                lost = True
                continue
            if _trusted(ancillary, sender) and (word := self._word(data)) is not None:
                words.append(word)
        return words, lost

    def close(self) -> None:
        self._socket.close()

    def _word(self, data: bytes) -> Word | None:
        """None: of no link, or in words that we do not know."""
        if len(data) < _HEADER.size or data[:8] != _PREFIX or data[8:12] != _MAGIC.to_bytes(4):
            if not self._told_unknown:
                log.warning("udev speaks in a way that is not known here, its silence is waited for")
            self._told_unknown = True
            return None
        _prefix, _magic, _size, start, length, _hash = _HEADER.unpack_from(data)
        properties = b"\0" + data[start : start + length]
        ifindex = _value(properties, b"IFINDEX")
        if _value(properties, b"SUBSYSTEM") != "net" or not ifindex.isdecimal():
            return None
        return Word(
            int(ifindex),
            _value(properties, b"ACTION"),
            _value(properties, b"INTERFACE"),
            _value(properties, b"ID_RENAMING") == "1",
        )


def _value(properties: bytes, name: bytes) -> str:
    """Of some forty properties that a link has we want five, and a link waits while we read."""
    return properties.partition(b"\0%s=" % name)[2].partition(b"\0")[0].decode(errors="replace")


def _trusted(ancillary: list[tuple[int, int, bytes]], sender: tuple[int, int]) -> bool:
    """Sent by a process (the kernel's port is 0) of root to udev's group, not to us alone."""
    port, groups = sender
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, _SCM_CREDENTIALS) and len(data) == _CREDENTIALS.size:
            _pid, uid, _gid = _CREDENTIALS.unpack(data)
            return port != 0 and groups == 1 << (_UDEV_GROUP - 1) and uid == 0
    return False

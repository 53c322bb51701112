"""The only door to AF_NETLINK: framing, attributes, a socket that hears events and one that makes requests.

Sources: rtnetlink(7), linux/netlink.h, linux/rtnetlink.h, linux/if_link.h. What a message means is
`links.py`'s and `routes.py`'s business.
"""

import errno
import itertools
import socket
import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK = 16, 17, 18
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
RTM_NEWLINKPROP, RTM_DELLINKPROP = 108, 109

_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_F_REQUEST, _F_ACK, _F_DUMP_INTERRUPTED, _F_DUMP = 0x1, 0x4, 0x10, 0x300
F_EXCLUSIVE, F_CREATE, F_APPEND = 0x200, 0x400, 0x800  # modifiers of "new" requests

_SOL_NETLINK, _EXT_ACK, _CAP_ACK = 270, 11, 10
# A request is answered within the send. Two seconds (a struct timeval) mean a broken kernel, and a loop must
# not hang. Told to the kernel, since Python's own time-out asks poll() before each call.
_PATIENCE = struct.pack("@ll", 2, 0)
_SO_RCVBUFFORCE = 33
_GROUPS = 0x1 | 0x40 | 0x400  # RTMGRP_LINK, RTMGRP_IPV4_ROUTE, RTMGRP_IPV6_ROUTE
_ERROR_MESSAGE = 1  # NLMSGERR_ATTR_MSG

# Room for a storm of some thousand events while the loop is busy; memory is used only when it fills.
_RECEIVE_BUFFER = 8 << 20
_DATAGRAM = 1 << 16
_DATAGRAMS_A_DRAIN = 64

_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_INT = struct.Struct("=i")


class Overrun(Exception):
    """The kernel dropped events because we read too slowly (ENOBUFS): discard, and dump anew."""


class Message(NamedTuple):
    """One netlink message: its payload is `data[start:end]`."""

    kind: int
    flags: int
    sequence: int
    data: bytes
    start: int
    end: int


class Request(NamedTuple):
    kind: int
    payload: bytes
    flags: int = 0


class Reply(NamedTuple):
    """The kernel's answer to one request. `error` is an errno (0: done), `text` the kernel's own words."""

    error: int
    text: str
    messages: list[Message]

    @property
    def reason(self) -> str:
        """For people: the kernel's words if it had any, else the errno's."""
        return self.text or errno.errorcode.get(self.error, str(self.error))


def attribute(kind: int, value: bytes) -> bytes:
    size = _ATTRIBUTE.size + len(value)
    return _ATTRIBUTE.pack(size, kind) + value + bytes(-size & 3)


def attributes(data: bytes, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """(type, start, end) of each attribute's value between `start` and `end`."""
    while start + 4 <= end:
        size, kind = _ATTRIBUTE.unpack_from(data, start)
        if size < 4:
            return
        yield kind & 0x3FFF, start + 4, start + size
        start += (size + 3) & ~3


def _messages(data: bytes) -> Iterator[Message]:
    start = 0
    while start + 16 <= len(data):
        size, kind, flags, sequence, _port = _HEADER.unpack_from(data, start)
        if size < 16:
            return
        yield Message(kind, flags, sequence, data, start + 16, start + size)
        start += (size + 3) & ~3


def open_socket(protocol: int) -> socket.socket:
    """Not bound yet: what is to be set before the first message is set by the caller."""
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER)
    except PermissionError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
    return sock


def _open(groups: int) -> socket.socket:
    sock = open_socket(socket.NETLINK_ROUTE)
    sock.setsockopt(_SOL_NETLINK, _EXT_ACK, 1)
    sock.setsockopt(_SOL_NETLINK, _CAP_ACK, 1)
    sock.bind((0, groups))
    return sock


class EventSocket:
    """Hears of every change to links and routes in this network namespace. Open it before dumping."""

    def __init__(self) -> None:
        self._socket = _open(_GROUPS)
        self._socket.setblocking(False)

    def fileno(self) -> int:
        return self._socket.fileno()

    def drain(self) -> Iterator[Message]:
        """What has arrived, a bounded amount a call so that no storm starves the rest. Raises Overrun."""
        for _ in range(_DATAGRAMS_A_DRAIN):
            data = self._receive()
            if data is None:
                return
            yield from _messages(data)

    def discard(self) -> None:
        """Throw away what waits. After an overrun it is the beginning of a story whose end was lost, such as
        a link's change without its removal; and the kernel drops events until it is gone."""
        while True:
            try:
                if self._receive() is None:
                    return
            except Overrun:
                continue

    def _receive(self) -> bytes | None:
        try:
            return self._socket.recv(_DATAGRAM)
        except BlockingIOError:
            return None
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            raise Overrun from error

    def close(self) -> None:
        self._socket.close()


class RequestSocket:
    """Asks the kernel and returns its answers; the kernel works while we send, so this does not wait."""

    def __init__(self) -> None:
        self._socket = _open(0)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _PATIENCE)
        self._sequence = itertools.count(1)

    def dump(self, kind: int, payload: bytes) -> list[Message]:
        """Every object of a kind. Repeated while the kernel says that the table changed under the dump."""
        while True:
            sequence = self._send(kind, payload, _F_DUMP)
            messages: list[Message] = []
            consistent = True
            for message in self._receive(sequence):
                consistent = consistent and not message.flags & _F_DUMP_INTERRUPTED
                if message.kind == _NLMSG_ERROR:
                    code = -_INT.unpack_from(message.data, message.start)[0]
                    raise OSError(code, f"netlink dump of kind {kind}: {errno.errorcode.get(code, code)}")
                messages.append(message)
            if consistent:
                return messages

    def batch(self, requests: Iterable[Request]) -> list[Reply]:
        """All requests in one datagram, one reply each, in order; one failing does not stop the next.

        Only the last is acknowledged: the kernel works in order and tells every error, so silence about the
        others means that they are done."""
        asked = [(next(self._sequence), request) for request in requests]
        if not asked:
            return []
        last = asked[-1][0]
        parts = []
        for sequence, (kind, payload, flags) in asked:
            size = _HEADER.size + len(payload)
            acknowledged = _F_ACK if sequence == last else 0
            parts.append(_HEADER.pack(size, kind, _F_REQUEST | acknowledged | flags, sequence, 0))
            parts.append(payload + bytes(-size & 3))
        self._socket.send(b"".join(parts))
        return self._replies([sequence for sequence, _ in asked])

    def close(self) -> None:
        self._socket.close()

    def _send(self, kind: int, payload: bytes, flags: int) -> int:
        sequence = next(self._sequence)
        header = _HEADER.pack(_HEADER.size + len(payload), kind, _F_REQUEST | flags, sequence, 0)
        self._socket.send(header + payload)
        return sequence

    def _receive(self, sequence: int) -> Iterator[Message]:
        """Messages of one request up to, and with, its error or acknowledgement (NLMSG_DONE left out)."""
        while True:
            for message in _messages(self._socket.recv(_DATAGRAM)):
                if message.sequence != sequence:
                    continue  # the rest of a request that was given up
                if message.kind == _NLMSG_DONE:
                    return
                yield message
                if message.kind == _NLMSG_ERROR:
                    return

    def _replies(self, sequences: list[int]) -> list[Reply]:
        replies = {sequence: Reply(0, "", []) for sequence in sequences}
        while True:
            for message in _messages(self._socket.recv(_DATAGRAM)):
                reply = replies.get(message.sequence)
                if reply is None:
                    continue  # the rest of a request that was given up
                if message.kind != _NLMSG_ERROR:
                    reply.messages.append(message)
                    continue
                replies[message.sequence] = _final(message, reply.messages)
                if message.sequence == sequences[-1]:
                    return list(replies.values())


def _final(message: Message, before: list[Message]) -> Reply:
    """What an error or acknowledgement says, after the messages `before` it."""
    data, start, end = message.data, message.start, message.end
    code = -_INT.unpack_from(data, start)[0]
    # CAP_ACK: the echoed request is its header alone, so what follows it are attributes.
    texts = [data[a : b - 1] for kind, a, b in attributes(data, start + 20, end) if kind == _ERROR_MESSAGE]
    return Reply(code, texts[0].decode(errors="replace") if texts else "", before)

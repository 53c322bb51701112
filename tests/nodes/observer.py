"""In the guest: what the kernel says of links, and udev when it is done with a device; a JSON line each.

Times are of CLOCK_MONOTONIC. Where both have spoken, udev is told first: so a link that is up before udev's
word was set up before it. What is heard is only noted with its time, and is told when both have been quiet:
telling takes the one processor from those who are timed. Ends with SIGTERM.
"""

import json
import os
import select
import socket
import struct
import time
from collections.abc import Iterator
from typing import Any

_NEW, _DELETED, _ALTNAMES, _ALTNAME, _PERMANENT = 16, 17, 52, 53, 54
_UEVENTS = 15  # NETLINK_KOBJECT_UEVENT
_UDEV = b"libudev\0"
_QUIET = 0.05  # seconds


def main() -> None:
    os.nice(-10)  # the clock must not wait for what it times
    kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    kernel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    kernel.bind((0, 1))
    udev = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _UEVENTS)
    udev.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    udev.bind((0, 2))
    print(json.dumps({"listening": True}), flush=True)
    notes: list[tuple[float, list[bytes], bytes]] = []
    while True:
        ready = select.select([udev, kernel], [], [], _QUIET if notes else None)[0]
        if not ready:
            tell(notes)
            notes.clear()
            continue
        heard = kernel.recv(1 << 20) if kernel in ready else b""
        now = time.monotonic()
        notes.append((now, list(waiting(udev)), heard))


def tell(notes: list[tuple[float, list[bytes], bytes]]) -> None:
    """(when, what udev had said by then, what the kernel had). Udev says more than we tell: of a link's
    queues too."""
    lines = [
        json.dumps({"t": now, **said})
        for now, words, heard in notes
        for said in (*(word for data in words for word in of_udev(data)), *of_kernel(heard))
    ]
    if lines:
        print("\n".join(lines), flush=True)


def waiting(source: socket.socket) -> Iterator[bytes]:
    while select.select([source], [], [], 0)[0]:
        yield source.recv(1 << 20)


def of_udev(data: bytes) -> Iterator[dict[str, Any]]:
    if not data.startswith(_UDEV):
        return
    start, size = struct.unpack_from("=II", data, 16)
    pairs = (part.partition(b"=") for part in data[start : start + size].split(b"\0"))
    found = {name.decode(): value.decode() for name, _, value in pairs}
    if found.get("SUBSYSTEM") == "net":
        yield {
            "udev": found["ACTION"],
            "index": int(found["IFINDEX"]),
            "name": found["INTERFACE"],
            "renaming": found.get("ID_RENAMING", ""),
        }


def of_kernel(data: bytes) -> Iterator[dict[str, Any]]:
    start = 0
    while start + 16 <= len(data):
        size, kind = struct.unpack_from("=IH", data, start)
        if kind in (_NEW, _DELETED):
            family, index, flags = struct.unpack_from("=BxxxiI", data, start + 16)
            values = dict(attributes(data, start + 32, start + size))
            if not family:
                names = values.get(_ALTNAMES, b"")
                yield {
                    "link": "new" if kind == _NEW else "deleted",
                    "index": index,
                    "name": text(values.get(3, b"")),
                    "mac": values.get(_PERMANENT, values.get(1, b"")).hex(":"),
                    "up": bool(flags & 1),
                    "mtu": int.from_bytes(values.get(4, b""), "little"),
                    "altnames": [text(n) for k, n in attributes(names, 0, len(names)) if k == _ALTNAME],
                }
        start += (size + 3) & ~3


def attributes(data: bytes, start: int, end: int) -> Iterator[tuple[int, bytes]]:
    while start + 4 <= end:
        size, kind = struct.unpack_from("=HH", data, start)
        if size < 4:
            return
        yield kind & 0x3FFF, data[start + 4 : start + size]
        start += (size + 3) & ~3


def text(value: bytes) -> str:
    return value.rstrip(b"\0").decode()


if __name__ == "__main__":
    main()

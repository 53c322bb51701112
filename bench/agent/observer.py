"""Makes listed links appear in a namespace and times each from the kernel's first word to its being ready.

Run as a process of its own, so that nothing else of the benchmark delays its clock. Usage:
`observer.py NAMESPACE SIZE ROUNDS PATIENCE [alone|udev]`; prints a JSON list of milliseconds, null where a
link did not come up with MTU and name within PATIENCE seconds. Links are `02:00:00:00:01:NN`, as
`bench.agent` lists. `alone`: nobody listens, and who makes a link makes it ready too with its next two
requests, which is as soon as it can be. `udev`: links wait for the word of a udev (one that only speaks), and
the time is from there.
"""

import ctypes
import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterable

from tests.agent import udevd

from nodeeni.agent.links import Links
from nodeeni.agent.netlink import EventSocket, Message

_CLONE_NEWNET = 0x40000000
_QUIET = 0.005  # seconds


def enter(namespace: str) -> None:
    with open(f"/run/netns/{namespace}", "rb") as file:
        if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"cannot enter {namespace}")


def batch(commands: list[str]) -> None:
    subprocess.run(["ip", "-batch", "-"], input="\n".join(commands), text=True, check=True)


class Clock:
    """When each link was `seen` and `ready`, in ns. What comes is only noted with its time, and is read when
    the kernel is quiet: reading takes a processor from those who are timed."""

    def __init__(self, macs: list[str]) -> None:
        self._macs = frozenset(macs)
        self._links = Links()
        self._notes: list[tuple[int, list[Message]]] = []
        self.seen: dict[str, int] = {}
        self.ready: dict[str, int] = {}

    def hear(self, events: EventSocket) -> None:
        now = time.monotonic_ns()
        self._notes.append((now, list(events.drain())))

    def read(self) -> None:
        for now, messages in self._notes:
            for message in messages:  # singly: of several on one link, only the last is read
                self._take(now, self._links.apply([message]))
        self._notes.clear()

    def _take(self, now: int, changed: Iterable[int]) -> None:
        for link in map(self._links.by_index.get, changed):
            if link is not None and link.address in self._macs:
                self.seen.setdefault(link.address, now)
                if link.up and link.mtu == 9001 and link.altnames:
                    self.ready.setdefault(link.address, now)


def burst(events: EventSocket, switch: str, size: int, patience: float, alone: bool) -> list[float | None]:
    macs = [f"02:00:00:00:01:{number:02x}" for number in range(size)]
    adding = [
        f"link add e{n} address {mac} type veth peer name pe{n} netns {switch}" for n, mac in enumerate(macs)
    ]
    if alone:
        adding = [f"{add}\n{ready}" for add, ready in zip(adding, map(_readying, range(size)), strict=True)]
    clock = Clock(macs)
    with subprocess.Popen(["ip", "-batch", "-"], stdin=subprocess.PIPE, text=True) as maker:
        assert maker.stdin is not None
        maker.stdin.write("\n".join(adding))
        maker.stdin.close()
        deadline = time.monotonic() + patience
        while len(clock.ready) < size and time.monotonic() < deadline:
            if select.select([events], [], [], _QUIET)[0]:
                clock.hear(events)
            else:
                clock.read()
    seen, ready = clock.seen, clock.ready
    batch([f"link del e{number}" for number in range(size)])
    time.sleep(0.1)
    events.discard()
    return [(ready[mac] - seen[mac]) / 1e6 if mac in ready else None for mac in macs]


def by_word(events: EventSocket, switch: str, rounds: int, patience: float) -> list[float | None]:
    """Each link alone: from udev's word on it, which comes once the kernel is quiet."""
    ears, mouth = udevd.listening(1), udevd.listening(0)
    taken: list[float | None] = []
    mac = "02:00:00:00:01:00"
    for _ in range(rounds):
        clock = Clock([mac])
        batch([f"link add e0 address {mac} type veth peer name pe0 netns {switch}"])
        time.sleep(0.02)
        events.discard()
        word = udevd.processed("e0", socket.if_nametoindex("e0"))
        began = time.monotonic_ns()
        mouth.sendto(word, (0, 2))
        deadline = time.monotonic() + patience
        while not clock.ready and time.monotonic() < deadline:
            if select.select([events], [], [], _QUIET)[0]:
                clock.hear(events)
            else:
                clock.read()
        taken.append((clock.ready[mac] - began) / 1e6 if clock.ready else None)
        batch(["link del e0"])
        time.sleep(0.1)
        events.discard()
    ears.close()
    return taken


def _readying(number: int) -> str:
    name = f"e{number}"
    return f"link property add dev {name} altname multus{number}\nlink set {name} mtu 9001 up"


def main() -> None:
    namespace, size, rounds, patience = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    alone = "alone" in sys.argv[5:]
    os.nice(-5)  # the clock must not wait for what it times
    enter(namespace)
    events = EventSocket()
    switch = f"{namespace}-switch"
    if "udev" in sys.argv[5:]:
        json.dump(by_word(events, switch, rounds, patience), sys.stdout)
        return
    taken = [burst(events, switch, size, patience, alone) for _ in range(rounds)]
    json.dump([value for values in taken for value in values], sys.stdout)


if __name__ == "__main__":
    main()

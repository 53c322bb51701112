"""No status says for longer than it takes to write one what its controller could know to be otherwise."""

import os
import time
from collections.abc import Hashable, Iterable
from pathlib import Path
from typing import NamedTuple

from tests.faults.claims import Difference, Objects, Specs, differences
from tests.faults.known import Reads, Way

from nodeeni.sandbox.world import World

GRACE = 2.0  # seconds from the moment when it could be known
ENTRIES_A_SECOND = 500  # what a writer of large statuses may take
AFTER_A_FAILED_WRITE = 4.0  # seconds more: it is tried again after 2, and then within the usual window
START = 20.0  # seconds after which a controller that could not read EC2 has to say so
LOOK_UPS = 5  # reads, one after another, before a node is planned
PACE = 0.25  # seconds at most that count between two looks


class Writer(NamedTuple):
    """Who can write statuses. Another `name` is another one, who has to find out everything anew; `pids` are
    its processes.
    """

    name: Hashable
    pids: frozenset[int]


class Seen(NamedTuple):
    """Of a difference: the first look at which it could be known; None: not yet."""

    known: float | None


class Lies:
    """Looks at all statuses. `lag` is the controllers' --read-lag.

    Times are of the looks' own clock, unless they are EC2's. It stands still while the machine does, and
    while the writer, or the simulated world, waits for a processor: nobody is late for that.
    """

    def __init__(self, world: World) -> None:
        self.lag = 0.0
        self._world = world
        self._specs = Specs()
        self._reads = Reads(world)
        self._way = Way(world)
        self._seen: dict[Difference, Seen] = {}
        self.clock = 0.0
        self._looked_at = time.monotonic()
        self._waited: dict[int, float] = {}
        self._writer: Writer | None = None
        self._since, self._since_clock = 0.0, 0.0  # when that writer came: EC2's time, and ours
        self._has_planned = self._faulty = False  # that writer, since it came
        self._troubled_at = float("-inf")

    def look(self, writer: Writer | None, objects: Objects) -> list[str]:
        """The lies at this moment, if there is a writer."""
        now = time.monotonic()
        self._tick(now, writer.pids if writer is not None else frozenset())
        self._reads.look(now)
        if self._way.is_troubled():
            self._troubled_at = self.clock
        if writer != self._writer:
            self._writer, self._since, self._since_clock = writer, now, self.clock
            self._has_planned = self._faulty = False
            self._seen.clear()
        self._faulty |= bool(self._world.ec2.faults.pending())
        self._has_planned |= self._must_have_planned()
        found = list(differences(self._world, objects, self._specs))
        if writer is None:
            return []
        self._seen = {each: self._still(each) for each in found}
        grace = GRACE + objects.entries / ENTRIES_A_SECOND
        return [f"a lie: {each.what}" for each, seen in self._seen.items() if self._is_late(seen, grace)]

    def _tick(self, now: float, pids: Iterable[int]) -> None:
        before, self._waited = self._waited, {pid: _waited(pid) for pid in {os.getpid(), *pids}}
        waited = sum(after - before.get(pid, after) for pid, after in self._waited.items())
        self.clock += max(0.0, min(PACE, now - self._looked_at) - waited)
        self._looked_at = now

    def _still(self, difference: Difference) -> Seen:
        seen = self._seen.get(difference, Seen(None))
        return Seen(self.clock) if seen.known is None and self._could_know(difference) else seen

    def _could_know(self, difference: Difference) -> bool:
        if not self._has_planned:
            return False
        return not difference.eni_id or self._reads.tell(difference.eni_id, self._since, self.lag)

    def _must_have_planned(self) -> bool:
        """After a start or a change of leaders nothing is known before EC2 was read and each node planned."""
        age = self.clock - self._since_clock
        if age > START:
            return True
        slow = self._world.ec2.settings.reply.seconds
        return not self._faulty and self._reads.of_all(self._since) and age > 1.0 + LOOK_UPS * slow

    def _is_late(self, seen: Seen, grace: float) -> bool:
        if seen.known is None:
            return False
        return self.clock > grace + max(seen.known, self._troubled_at + AFTER_A_FAILED_WRITE)


def _waited(pid: int) -> float:
    """Seconds in which the main thread of a process could have run and had no processor.

    Source: "Scheduler Statistics" of the Linux kernel.
    """
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError):  # it has just ended
        return 0.0

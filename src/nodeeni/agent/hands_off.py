"""Which links are not to be touched now: udev is not done with them, or somebody else is at work on them.

Whoever moves a link into a pod, or gives its device to another driver, sets it down first. Set up at once, it
cannot be renamed, and the device is taken from under a link that is up.
"""

import os
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet

from nodeeni.agent import udev
from nodeeni.agent.departures import MOVED, Passage
from nodeeni.agent.link_plan import Plan
from nodeeni.agent.links import Link
from nodeeni.agent.naming import Naming

# Seconds. The CNI plugin host-device takes some milliseconds from "down" to its rename, a person longer, and
# then names the driver first.
PAUSE = 1.0

# Seconds of which nothing is told: udev takes a tenth of one, and a report of each step doubles the writes.
FRESH = 1.0


class HandsOff:
    """Times are seconds of a monotonic clock, links are told by their index."""

    def __init__(self, udev_timeout: float, sysfs: str) -> None:
        self.naming = Naming(udev_timeout, sysfs)
        self._devices = f"{sysfs}/bus/pci/devices"
        self._pauses: dict[int, float] = {}
        self._meant: dict[int, str] = {}  # which driver a link's device is meant for
        self._udev = False  # whether there was one when it was last looked for

    def changed(self, before: Link | None, link: Link, now: float) -> None:
        """What the kernel shows of a link now, and what it showed before."""
        if before is None:
            self.naming.arrived(link, now)
        elif before.up and not link.up:
            self._pauses[link.ifindex] = now + PAUSE

    def passed(self, passage: Passage, now: float) -> None:
        """A link that comes back from a pod gets its address, and its name, from who brings it."""
        if passage.back and passage.reason == MOVED:
            self._pauses[passage.ifindex] = now + PAUSE

    def forget(self, ifindex: int) -> None:
        self.naming.forget(ifindex)
        self._pauses.pop(ifindex, None)
        self._meant.pop(ifindex, None)

    def waits_for_udev(self, ifindex: int) -> bool:
        """Whether nothing is to be decided about it yet: there is a udev, and it has not spoken of it."""
        return self._udev and ifindex in self.naming.since

    def reasons(self, now: float) -> dict[int, str]:
        """Links not to be touched, and why; "" where that is not worth a word."""
        self._pauses = {ifindex: until for ifindex, until in self._pauses.items() if now < until}
        found = dict.fromkeys(self._pauses, "")
        found |= dict.fromkeys(self.naming.since, "udev has not said yet that it is done with the link")
        found |= {
            i: f"its device is meant for {driver} (driver_override)" for i, driver in self._meant.items()
        }
        return found

    def look(self, plan: Plan, links: Mapping[int, Link]) -> bool:
        """Look where a plan is about to act or to wait; whether it has to be made anew."""
        unnamed = not plan.left.isdisjoint(self.naming.since)
        if unnamed:
            self._udev = udev.is_there()
        alone = unnamed and not self._udev
        if alone:
            self.naming.end(list(self.naming.since))
        before = dict(self._meant)
        for ifindex in (*(change.ifindex for change in plan.changes), *plan.left):
            if driver := self._meant_for(links[ifindex]):
                self._meant[ifindex] = driver
            else:
                self._meant.pop(ifindex, None)
        return alone or self._meant != before

    def fresh(self, left: AbstractSet[int], now: float) -> set[int]:
        """Of the links left alone those of which nothing is to be told yet."""
        since = self.naming.since
        return {i for i in left if i not in self._meant and (i not in since or now < since[i] + FRESH)}

    def next_look(self, left: Iterable[int], now: float) -> float | None:
        """When there is something to do or to tell of the links left alone; None: an event will say."""
        ends = [self._pauses[i] for i in left if i in self._pauses]
        for since in (self.naming.since[i] for i in left if i in self.naming.since):
            ends += [moment for moment in (since + FRESH, since + self.naming.timeout) if now < moment]
        return min(ends, default=None)

    def _meant_for(self, link: Link) -> str:
        """The driver that somebody has asked for where another has the device; else empty."""
        if not link.device:
            return ""
        device = f"{self._devices}/{link.device}"
        try:
            wanted = _read(f"{device}/driver_override")
            if wanted in ("(null)", ""):
                return ""
            has = os.path.basename(os.readlink(f"{device}/driver"))
        except OSError:
            return ""
        return "" if wanted == has else wanted


def _read(path: str) -> str:
    """A file of sysfs, which is one page at most. A link waits meanwhile, and a file object costs four times
    as much."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, 4096).decode().strip()
    finally:
        os.close(fd)

"""Waiting for attach and detach: one shared describe a tick for all interfaces that are in transition.

An interface that a read lacked is in transition too: it takes a second look to prove it gone. So is, for two
looks, one whose node says that its link went: somebody may have detached it by hand; and one that was made
just now and that EC2 does not know everywhere, until a look shows it. The inventory's changes
say what else to watch and when to stop, so that nothing is lost, whoever began it; a look is a filtered read
into the inventory. Ticks come out of an allowance of describes.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Callable

import msgspec

from nodeeni.ec2.buckets import Bucket, BucketSize
from nodeeni.ec2.client import MOST_FILTER_VALUES
from nodeeni.ec2.errors import EC2Error, RetryRule
from nodeeni.ec2.inventory import Inventory
from nodeeni.ec2.types import Interface


class Pace(msgspec.Struct, frozen=True):
    """When to look, in seconds. Attaching takes 1 to 4 s as a rule, detaching 2 to 10 s.

    While interfaces keep coming (one within the last `stream_gap`) the attach bucket sets the pace, and a
    look every `stream` costs nobody anything; the last ones of a batch are what somebody waits for.
    """

    first_attaching: float = 0.8  # no look before this age
    first_detaching: float = 1.5
    again_doubted: float = 10.0  # to the second look at one that is doubted: EC2's reads lag behind
    quick: float = 0.05
    stream: float = 1.0
    stream_gap: float = 0.5
    # From this age on, look this often.
    slower: tuple[tuple[float, float], ...] = ((1.5, 0.1), (2, 0.25), (5, 0.5), (10, 2), (60, 5))
    # Describes: attaching 1,000 at EC2's pace takes 192 s, so this stays below 400 in all.
    allowance: BucketSize = BucketSize(capacity=40, refill=1.7)
    # After a look that EC2 refused, whatever the reason: those who wait must not wait for 5 minutes because
    # a permission was missing for one.
    refused: RetryRule = RetryRule(first=1, factor=2, most=30)


_DOUBTED, _UNSEEN = "doubted", "unseen"


class _Watch:
    __slots__ = ("looked_at", "since", "status")

    def __init__(self, status: str, since: float) -> None:
        self.status = status
        self.since = since
        self.looked_at: float | None = None


class Waiter:
    """Watches by itself all that the inventory shows as in transition; `run` is its one task. `shown` is
    called with the id of one that was expected, when a look shows it.
    """

    def __init__(
        self, inventory: Inventory, *, pace: Pace | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._inventory = inventory
        self._pace = pace or Pace()
        self._clock = clock
        self._allowance = Bucket(self._pace.allowance, clock(), margin=0)
        self._watches: dict[str, _Watch] = {}
        self._newest = float("-inf")
        self._ticked_at = float("-inf")
        self._woken = asyncio.Event()
        self.shown: Callable[[str], None] = lambda eni_id: None

    def watch(self, eni_id: str, since: float | None = None) -> None:
        """Watch an interface that the inventory shows in transition; `since` sets its age."""
        status = self._transition(self._inventory.get(eni_id))
        if status is None:
            return
        begun = self._clock() if since is None else since
        self._watches[eni_id] = _Watch(status, begun)
        self._newest = max(self._newest, begun)
        self._woken.set()

    def doubt(self, eni_id: str) -> None:
        """Look twice at an interface that the inventory shows as attached. Nothing, if it is watched."""
        if self._watches.setdefault(eni_id, _Watch(_DOUBTED, self._clock())).status == _DOUBTED:
            self._woken.set()

    def expect(self, eni_id: str) -> None:
        """Look until EC2 shows an interface that was made just now."""
        watch = self._watches.get(eni_id)
        if watch is None or watch.status != _UNSEEN:
            self._watches[eni_id] = _Watch(_UNSEEN, self._clock())
            self._woken.set()

    def watching(self) -> int:
        return len(self._watches)

    async def run(self) -> None:
        """Look until cancelled. EC2's refusals delay the next look and end nothing."""
        failures = 0
        while True:
            await self._until_due()
            try:
                await self._look()
                failures = 0
            except EC2Error:
                await asyncio.sleep(self._pace.refused.delay(failures, random.random()))
                failures += 1

    async def _until_due(self) -> None:
        while True:
            self._woken.clear()
            due_in = self._due_in(self._clock())
            if due_in is not None and due_in <= 0:
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(due_in):
                    await self._woken.wait()

    def _due_in(self, now: float) -> float | None:
        """Seconds until the next look, None while there is nothing to look at."""
        if not self._watches:
            return None
        streaming = now - self._newest < self._pace.stream_gap
        tick = self._pace.stream if streaming else self._pace.quick
        soonest = min(self._due_at(watch, now) for watch in self._watches.values())
        return max(soonest - now, self._ticked_at + tick - now, self._allowance.due(now))

    def _due_at(self, watch: _Watch, now: float) -> float:
        if watch.looked_at is None:
            return watch.since + self._first(watch)
        if watch.status == _DOUBTED:
            return watch.since + self._pace.again_doubted
        age = watch.looked_at - watch.since
        interval = self._pace.quick
        for from_age, slower in self._pace.slower:
            if age >= from_age:
                interval = slower
        return watch.looked_at + interval

    def _first(self, watch: _Watch) -> float:
        if watch.status == "absent":
            return self._inventory.gap
        if watch.status in (_DOUBTED, _UNSEEN):
            return 0.0
        return self._pace.first_attaching if watch.status == "attaching" else self._pace.first_detaching

    async def _look(self) -> None:
        """One filtered read of all that are due, filled up with those that are next."""
        now = self._clock()
        self._ticked_at = now
        self._allowance.take(now)
        by_due = sorted(self._watches.items(), key=lambda item: self._due_at(item[1], now))
        looked = by_due[:MOST_FILTER_VALUES]
        for eni_id, watch in looked:
            if watch.status == _DOUBTED and now >= watch.since + self._pace.again_doubted:
                del self._watches[eni_id]
            elif now - watch.since >= self._first(watch):
                watch.looked_at = now
        await self._inventory.refresh_ids([eni_id for eni_id, _ in looked])
        for eni_id, watch in looked:
            if watch.status == _UNSEEN and self._inventory.sightings(eni_id):
                if self._watches.get(eni_id) is watch:
                    del self._watches[eni_id]
                self.shown(eni_id)

    def interface_changed(self, before: Interface | None, after: Interface | None) -> None:
        """A listener of the inventory: what comes into a transition is watched until it is through."""
        interface = after or before
        if interface is None:
            return
        status = self._transition(after)
        watch = self._watches.get(interface.id)
        if status is None and after is not None and watch is not None and watch.status == _UNSEEN:
            return
        if status is None:
            self._watches.pop(interface.id, None)
        elif watch is None or watch.status != status:
            self.watch(interface.id)

    def _transition(self, interface: Interface | None) -> str | None:
        """`attaching`, `detaching` or `absent`; None for one that stands still."""
        if interface is None:
            return None
        if self._inventory.absent(interface.id):
            return "absent"
        attachment = interface.attachment
        return attachment.status if attachment is not None and attachment.status != "attached" else None

"""The work queue: names of nodes to reconcile, each at most once in the queue and once at work.

A key that is added while it is being worked on is queued again afterwards, so that nothing seen in between
is missed and no node is ever worked on twice at a time. Of thousands that are added together a few are handed
out in each turn of the event loop: what the first ones ask for is on its way while the last ones wait.
"""

import asyncio
from collections import deque
from collections.abc import Callable

from nodeeni import metrics

A_TURN = 4  # keys; a plan takes half a millisecond


class WorkQueue:
    def __init__(self) -> None:
        self._line: deque[str] = deque()
        self._next: asyncio.Queue[str] = asyncio.Queue()  # wakes one of 200 workers, not all
        self._turn: asyncio.Handle | None = None
        self._queued: set[str] = set()
        self._at_work: set[str] = set()
        self._again: set[str] = set()
        self._later: dict[str, asyncio.TimerHandle] = {}
        self._failures: dict[str, int] = {}  # in a row
        self._drained = asyncio.Event()
        metrics.QUEUE_DEPTH.set_function(lambda: len(self._queued))

    def add(self, key: str) -> None:
        """Reconcile this node as soon as a worker is free."""
        timer = self._later.pop(key, None)
        if timer is not None:
            timer.cancel()
        if key in self._at_work:
            self._again.add(key)
        elif key not in self._queued:
            self._queued.add(key)
            self._line.append(key)
            self._hand_out_soon()

    def add_after(self, key: str, delay: float) -> None:
        """Reconcile this node in `delay` seconds, or earlier if something asks for it earlier."""
        loop = asyncio.get_running_loop()
        timer = self._later.get(key)
        if timer is not None:
            if timer.when() <= loop.time() + delay:
                return
            timer.cancel()
        self._later[key] = loop.call_later(delay, self.add, key)

    def succeeded(self, key: str) -> None:
        """The node was reconciled: its next failure is a first one."""
        self._failures.pop(key, None)

    def failed(self, key: str, delay: Callable[[int], float]) -> None:
        """The node could not be reconciled: again in `delay(failures before this one)` seconds."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        self.add_after(key, delay(failures))

    def hasten(self, key: str) -> None:
        """If this node is to be reconciled later, do it now. One at work is going to see how things stand."""
        if key in self._later:
            self.add(key)

    async def get(self) -> str:
        """The next key; `done` must follow."""
        key = await self._next.get()
        self._hand_out_soon()
        self._queued.discard(key)
        self._at_work.add(key)
        return key

    def done(self, key: str) -> None:
        self._at_work.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)
        if not self._queued and not self._at_work:
            self._drained.set()

    async def drained(self) -> None:
        """Wait until nothing waits and nothing is at work; what is due later does not count."""
        while self._queued or self._at_work:
            self._drained.clear()
            await self._drained.wait()

    def _hand_out_soon(self) -> None:
        if self._turn is None and self._line and self._next.qsize() < A_TURN:
            self._turn = asyncio.get_running_loop().call_soon(self._hand_out)

    def _hand_out(self) -> None:
        self._turn = None
        while self._line and self._next.qsize() < A_TURN:
            self._next.put_nowait(self._line.popleft())

    def close(self) -> None:
        for timer in self._later.values():
            timer.cancel()
        self._later.clear()

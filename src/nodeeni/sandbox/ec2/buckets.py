"""Token buckets per action, as EC2 meters an account: a call that finds its bucket empty is refused."""

import asyncio
import time
from collections.abc import Callable

from .settings import DESCRIBE_BUCKET, OTHER_BUCKET, UNFILTERED_DESCRIBE_BUCKET, EC2Settings

UNFILTERED = " unfiltered"
_UNMETERED = {"GetCallerIdentity"}


class Bucket:
    """`capacity` tokens, refilled at `refill` per second, full at first."""

    def __init__(self, capacity: float, refill: float, clock: Callable[[], float]) -> None:
        self.capacity = capacity
        self.refill = refill
        self._clock = clock
        self._tokens = capacity
        self._filled_at = clock()

    def spend(self) -> bool:
        now = self._clock()
        self._tokens = min(self.capacity, self._tokens + (now - self._filled_at) * self.refill)
        self._filled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Buckets:
    """One bucket per action; a describe that neither filters nor paginates has a smaller one of its own."""

    def __init__(self, settings: EC2Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._buckets: dict[str, Bucket] = {}

    def spend(self, action: str, *, unfiltered: bool = False) -> bool:
        """Take a token for one call of `action`; False when there is none."""
        if self._settings.buckets is None or action in _UNMETERED:
            return True
        name = action + UNFILTERED if unfiltered else action
        if name not in self._buckets:
            self._buckets[name] = Bucket(*self._size(action, unfiltered), self._clock)
        return self._buckets[name].spend()

    def sizes(self) -> dict[str, tuple[float, float]]:
        """Capacity and refill per second of the actions that have a bucket of a size of their own."""
        return {action: self._size(action) for action in self._settings.buckets or {}}

    def _size(self, action: str, unfiltered: bool = False) -> tuple[float, float]:
        capacity, refill = self._unscaled(action, unfiltered)
        return capacity * self._settings.bucket_scale, refill * self._settings.bucket_scale

    def _unscaled(self, action: str, unfiltered: bool) -> tuple[float, float]:
        sizes = self._settings.buckets or {}
        if action in sizes:
            return sizes[action]
        if action.startswith("Describe"):
            return UNFILTERED_DESCRIBE_BUCKET if unfiltered else DESCRIBE_BUCKET
        return OTHER_BUCKET


class Rival:
    """Another program of the account: it spends from the same bucket, `rate` calls per second."""

    def __init__(self, buckets: Buckets, action: str, rate: float) -> None:
        self.calls = 0
        self.throttled = 0
        self._buckets = buckets
        self._action = action
        self._interval = 1 / rate
        self._task = asyncio.create_task(self._spend(), name=f"rival {action}")

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _spend(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            self.calls += 1
            if not self._buckets.spend(self._action):
                self.throttled += 1
            due += self._interval
            await asyncio.sleep(max(0.0, due - loop.time()))

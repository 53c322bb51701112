"""EC2 meters calls by action with a token bucket: this spends from our copy of it, ahead of the answer.

Mutating calls pass through `Buckets.spend` before they are sent. The burst is spent at once, then calls
leave evenly at the refill rate, in the order of their priority. `Bucket` is the arithmetic alone, with
the time handed in; `Buckets` adds the waiting.
"""

import asyncio
import heapq
import itertools
from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Protocol

import msgspec

from nodeeni.ec2.types import Action

# Seconds by which refilling starts later in our copy than the first spend: a call may take this much
# longer to arrive than one sent after it without finding EC2's bucket emptier than ours.
MARGIN = 0.15
DECREASE = 0.7  # a throttle leaves this much of the rate...
DECREASE_PAUSE = 1.0  # ...once in so many seconds, since a burst is throttled together
RETURN = 0.025  # share of the documented refill that comes back each second
LEAST = 0.1  # share of the documented refill below which no throttle takes us


class Urgency(IntEnum):
    """First element of a priority. What is below `ATTACH` may spend the reserve."""

    REPAIR = 0
    REMOVAL = 1
    ATTACH = 2


class BucketSize(msgspec.Struct, frozen=True):
    """`capacity` tokens at most, `refill` a second; `reserve` of the capacity is for repair and removal."""

    capacity: float
    refill: float
    reserve: float = 0


# Source: "Request throttling for the Amazon EC2 API". AttachNetworkInterface keeps no reserve: its burst
# of 50 is what decides how soon 50 nodes are ready, and a repair there is served next, within 0.2 s.
DOCUMENTED: dict[Action, BucketSize] = {
    Action.CREATE: BucketSize(100, 5, reserve=10),
    Action.ATTACH: BucketSize(50, 5),
    Action.DETACH: BucketSize(50, 5),
    Action.DELETE: BucketSize(100, 5),
    Action.MODIFY: BucketSize(100, 5, reserve=10),
    Action.CREATE_TAGS: BucketSize(100, 10, reserve=10),
    Action.DELETE_TAGS: BucketSize(100, 10, reserve=10),
    Action.ASSIGN_IPV4: BucketSize(100, 5),
    Action.UNASSIGN_IPV4: BucketSize(100, 5),
    Action.ASSIGN_IPV6: BucketSize(100, 5),
    Action.UNASSIGN_IPV6: BucketSize(100, 5),
}

_ROUNDING = 1e-9


class Bucket:
    """One token bucket; every method is told the time, in seconds of one monotonic clock.

    The rate falls by a throttle and returns linearly with time: additive increase, multiplicative
    decrease, as other programs in the account spend from the same bucket without telling us.
    """

    def __init__(self, size: BucketSize, now: float, margin: float = MARGIN) -> None:
        self.size = size
        self._margin = margin
        self._tokens = size.capacity
        self._rate = size.refill
        self._filled_at = now  # refilled up to here; in the future while the margin passes
        self._rated_at = now
        self._decreased_at = float("-inf")

    def rate(self, now: float) -> float:
        """Tokens a second at present."""
        passed = max(0.0, now - self._rated_at)
        return min(self.size.refill, self._rate + self.size.refill * RETURN * passed)

    def tokens(self, now: float) -> float:
        passed = max(0.0, now - self._filled_at)
        # The rate grows while tokens come in: the mean of both ends never gives more than came.
        mean = (self.rate(min(self._filled_at, now)) + self.rate(now)) / 2
        return min(self.size.capacity, self._tokens + passed * mean)

    def due(self, now: float, urgent: bool = True) -> float:
        """Seconds until one token may be spent, 0 if at once."""
        missing = 1 + (0 if urgent else self.size.reserve) - self.tokens(now)
        if missing <= _ROUNDING:
            return 0.0
        return max(0.0, self._filled_at - now) + missing / self.rate(now)

    def take(self, now: float) -> None:
        """Spend one token; only when `due` says 0."""
        level = self.tokens(now)
        rate = self.rate(now)
        # A bucket that was full lost what would have flowed in: EC2's refills from the moment when the
        # call *arrives*, so ours must not refill earlier.
        lost = max(0.0, self._margin - (self.size.capacity - level) / rate)
        self._settle(now, level - 1, max(self._filled_at, now + lost))

    def give_back(self, now: float) -> None:
        """Return a token that was not spent after all."""
        self._settle(now, min(self.size.capacity, self.tokens(now) + 1), max(self._filled_at, now))

    def throttled(self, now: float) -> None:
        """EC2's bucket was empty: ours is too, and we slow down."""
        self._settle(now, 0.0, now)
        if now - self._decreased_at >= DECREASE_PAUSE:
            self._decreased_at = now
            self._rate = max(self.size.refill * LEAST, self._rate * DECREASE)

    def hold(self, tokens: float, now: float) -> None:
        """Have so many tokens, as far as they fit in."""
        self._settle(now, min(self.size.capacity, tokens), now)

    def resize(self, size: BucketSize, now: float) -> None:
        """Take another size; what was spent stays spent."""
        spent = self.size.capacity - self.tokens(now)
        slowed = self.rate(now) / self.size.refill
        self.size = size
        self._rate, self._rated_at = slowed * size.refill, now
        self._tokens, self._filled_at = max(0.0, size.capacity - spent), max(self._filled_at, now)

    def _settle(self, now: float, tokens: float, filled_at: float) -> None:
        self._rate, self._rated_at = self.rate(now), max(self._rated_at, now)
        self._tokens, self._filled_at = tokens, filled_at


class Timer(Protocol):
    def cancel(self) -> None: ...


class Clock(Protocol):
    """What `Buckets` needs of time; the event loop itself is one."""

    def time(self) -> float: ...
    def call_later(self, delay: float, callback: Callable[[], object], /) -> Timer: ...


class _Line:
    """The bucket of one action and those who wait for it."""

    def __init__(self, size: BucketSize, clock: Clock, margin: float) -> None:
        self.bucket = Bucket(size, clock.time(), margin)
        self._clock = clock
        self._waiters: list[tuple[tuple[float, ...], int, asyncio.Future[None]]] = []
        self._arrivals = itertools.count()
        self._timer: Timer | None = None
        self._next_turn: Timer | None = None

    def waiting(self) -> int:
        return sum(not waiter.done() for _, _, waiter in self._waiters)

    async def spend(self, priority: tuple[float, ...]) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiters, (priority, next(self._arrivals), waiter))
        if self._next_turn is None:
            self._next_turn = self._clock.call_later(0, self._take_turn)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self.bucket.give_back(self._clock.time())
            else:
                waiter.cancel()
            self.serve()
            raise

    def serve(self) -> None:
        """Let go as many as there are tokens for, then sleep until the next token.

        One in each turn of the event loop: a call takes a millisecond to build and sign, and its bytes leave
        in the turn after (Python 3.11). So the first ones are on their way, and answered, while the last ones
        are still being built. With four in a turn the first of 50 came 12 ms later.
        """
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiters:
            priority, _, waiter = self._waiters[0]
            if waiter.done():
                heapq.heappop(self._waiters)
                continue
            now = self._clock.time()
            wait = self.bucket.due(now, urgent=bool(priority) and priority[0] < Urgency.ATTACH)
            if wait > 0:
                self._timer = self._clock.call_later(wait, self.serve)
                return
            heapq.heappop(self._waiters)
            self.bucket.take(now)
            waiter.set_result(None)
            if self._waiters and self._next_turn is None:
                self._next_turn = self._clock.call_later(0, self._take_turn)
            return

    def _take_turn(self) -> None:
        self._next_turn = None
        self.serve()

    def close(self) -> None:
        for timer in (self._timer, self._next_turn):
            if timer is not None:
                timer.cancel()


class Buckets:
    """The buckets of all mutating actions, by their documented sizes unless told otherwise.

    `clock` is the event loop unless a test brings its own.
    """

    def __init__(
        self,
        sizes: Mapping[Action, BucketSize] = DOCUMENTED,
        *,
        margin: float = MARGIN,
        clock: Clock | None = None,
    ) -> None:
        self._clock: Clock = clock or asyncio.get_running_loop()
        self._lines = {action: _Line(size, self._clock, margin) for action, size in sizes.items()}

    async def spend(self, action: Action, priority: tuple[float, ...] = (Urgency.ATTACH,)) -> None:
        """Wait for the right to send one call. Lowest priority first, then first come, first served.

        The priority's first element is an `Urgency`; the rest is the caller's, such as the number of
        ENIs that the node still misses. A cancelled wait costs nothing and holds nobody up.
        """
        await self._lines[action].spend(priority)

    def give_back(self, action: Action) -> None:
        """The call that was paid for is not sent after all."""
        line = self._lines[action]
        line.bucket.give_back(self._clock.time())
        line.serve()

    def throttled(self, action: Action) -> None:
        """EC2 answered RequestLimitExceeded to a call that had been paid for."""
        line = self._lines[action]
        line.bucket.throttled(self._clock.time())
        line.serve()

    def configure(self, action: Action, capacity: float, refill: float) -> None:
        """Take the size that the account really has (Service Quotas); the reserve keeps its share."""
        line = self._lines[action]
        reserve = line.bucket.size.reserve / line.bucket.size.capacity * capacity
        line.bucket.resize(BucketSize(capacity, refill, reserve), self._clock.time())
        line.serve()

    def inherit(self, idle: float, left: Mapping[str, float] | None) -> None:
        """Begin as somebody else left EC2's buckets `idle` seconds ago: with `left` by action, full where he
        does not name it, empty all of them where he could not tell (None).
        """
        for action, line in self._lines.items():
            size = line.bucket.size
            tokens = 0.0 if left is None else left.get(action.value, size.capacity)
            line.bucket.hold(tokens + size.refill * idle, self._clock.time())

    def left(self) -> dict[str, float]:
        """As `inherit` takes it: the tokens by action, of the buckets that are not full."""
        return {
            action.value: round(level, 1)
            for action, line in self._lines.items()
            if (level := self.tokens(action)) < line.bucket.size.capacity
        }

    def tokens(self, action: Action) -> float:
        return self._lines[action].bucket.tokens(self._clock.time())

    def rate(self, action: Action) -> float:
        """Calls a second that we allow ourselves at present."""
        return self._lines[action].bucket.rate(self._clock.time())

    def pace(self) -> float:
        """ENIs a second that EC2 lets come or go in the long run, one call of each kind for each."""
        four = (Action.CREATE, Action.ATTACH, Action.DETACH, Action.DELETE)
        return min(self._lines[action].bucket.size.refill for action in four)

    def waiting(self, action: Action) -> int:
        return self._lines[action].waiting()

    def close(self) -> None:
        """Forget the timers. Nobody may be waiting any more."""
        for line in self._lines.values():
            line.close()

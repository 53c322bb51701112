"""Who is served when: priorities, cancellation and the clock, with a clock of the test's own."""

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator, Callable

import pytest

from nodeeni.ec2.buckets import Buckets, BucketSize, Urgency
from nodeeni.ec2.types import Action


class TestTimer:
    __test__ = False

    def __init__(self, callback: Callable[[], object]) -> None:
        self.callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        self.callback = None


class TestClock:
    """Time that passes when the test says so."""

    __test__ = False

    def __init__(self) -> None:
        self._now = 0.0
        self._timers: list[tuple[float, int, TestTimer]] = []
        self._order = itertools.count()

    def time(self) -> float:
        return self._now

    def call_later(self, delay: float, callback: Callable[[], object], /) -> TestTimer:
        timer = TestTimer(callback)
        heapq.heappush(self._timers, (self._now + delay, next(self._order), timer))
        return timer

    async def advance(self, seconds: float) -> None:
        until = self._now + seconds
        await settle()
        while self._timers and self._timers[0][0] <= until:
            self._now, _, timer = heapq.heappop(self._timers)
            if timer.callback is not None:
                timer.callback()
            await settle()
        self._now = until


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


class Callers:
    """Tasks that spend, and the order in which they were let go."""

    def __init__(self, buckets: Buckets, clock: TestClock) -> None:
        self._buckets = buckets
        self._clock = clock
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.served: list[tuple[str, float]] = []

    def spend(self, name: str, action: Action = Action.ATTACH, *priority: float) -> None:
        self.tasks[name] = asyncio.create_task(self._spend(name, action, priority or (Urgency.ATTACH,)))

    async def _spend(self, name: str, action: Action, priority: tuple[float, ...]) -> None:
        await self._buckets.spend(action, priority)
        self.served.append((name, round(self._clock.time(), 3)))

    @property
    def order(self) -> list[str]:
        return [name for name, _ in self.served]


@pytest.fixture
def clock() -> TestClock:
    return TestClock()


@pytest.fixture
async def buckets(clock: TestClock) -> Buckets:
    size = BucketSize(2, 5)
    sizes = {Action.ATTACH: size, Action.DETACH: size, Action.CREATE: BucketSize(4, 5, reserve=2)}
    return Buckets(sizes, margin=0, clock=clock)


@pytest.fixture
async def callers(buckets: Buckets, clock: TestClock) -> AsyncIterator[Callers]:
    callers = Callers(buckets, clock)
    yield callers
    for task in callers.tasks.values():
        task.cancel()
    await asyncio.gather(*callers.tasks.values(), return_exceptions=True)
    buckets.close()


async def test_the_burst_goes_at_once_and_the_others_in_turn(
    buckets: Buckets, callers: Callers, clock: TestClock
) -> None:
    for name in "abcd":
        callers.spend(name)
    await clock.advance(0)
    assert (callers.served, buckets.waiting(Action.ATTACH)) == ([("a", 0), ("b", 0)], 2)
    await clock.advance(1)
    assert callers.served[2:] == [("c", 0.2), ("d", 0.4)]
    assert buckets.waiting(Action.ATTACH) == 0


async def test_repair_then_removal_then_the_node_with_the_fewest_missing(
    callers: Callers, clock: TestClock
) -> None:
    for name in "ab":
        callers.spend(name)
    await clock.advance(0)
    callers.spend("misses three", Action.ATTACH, Urgency.ATTACH, 3)
    callers.spend("misses one", Action.ATTACH, Urgency.ATTACH, 1)
    callers.spend("misses one too", Action.ATTACH, Urgency.ATTACH, 1)
    callers.spend("removal", Action.ATTACH, Urgency.REMOVAL)
    callers.spend("repair", Action.ATTACH, Urgency.REPAIR)
    await clock.advance(2)
    assert callers.order[2:] == ["repair", "removal", "misses one", "misses one too", "misses three"]


async def test_a_mass_of_creates_leaves_tokens_for_a_repair(callers: Callers, clock: TestClock) -> None:
    for number in range(20):
        callers.spend(f"create {number}", Action.CREATE)
    await clock.advance(0)
    callers.spend("repair", Action.CREATE, Urgency.REPAIR)
    await clock.advance(0)
    assert callers.order == ["create 0", "create 1", "repair"]


async def test_one_action_does_not_wait_for_another(callers: Callers, clock: TestClock) -> None:
    for number in range(10):
        callers.spend(f"attach {number}")
    callers.spend("detach", Action.DETACH, Urgency.REMOVAL)
    await clock.advance(0)
    assert sorted(callers.served) == [("attach 0", 0), ("attach 1", 0), ("detach", 0)]


async def test_who_gives_up_gives_the_place_to_the_next(
    buckets: Buckets, callers: Callers, clock: TestClock
) -> None:
    for name in "abcd":
        callers.spend(name)
    await clock.advance(0)
    callers.tasks["c"].cancel()
    await clock.advance(0)
    assert buckets.waiting(Action.ATTACH) == 1
    await clock.advance(0.2)
    assert callers.served == [("a", 0), ("b", 0), ("d", 0.2)]


async def test_who_is_cancelled_at_the_moment_of_being_served_gives_the_token_back(
    buckets: Buckets, callers: Callers, clock: TestClock
) -> None:
    for name in "abc":
        callers.spend(name)
    await clock.advance(0)
    buckets.configure(Action.ATTACH, capacity=3, refill=5)  # serves c
    assert buckets.tokens(Action.ATTACH) == 0
    callers.tasks["c"].cancel()
    await clock.advance(0)
    assert (callers.order, callers.tasks["c"].cancelled()) == (["a", "b"], True)
    assert buckets.tokens(Action.ATTACH) == 1


async def test_a_throttle_empties_the_bucket_for_those_who_wait(
    buckets: Buckets, callers: Callers, clock: TestClock
) -> None:
    buckets.throttled(Action.ATTACH)
    callers.spend("a")
    await clock.advance(0.2)
    assert callers.served == []
    await clock.advance(0.1)
    assert callers.order == ["a"]
    assert buckets.rate(Action.ATTACH) == pytest.approx(3.5, abs=0.1)


async def test_a_larger_quota_serves_those_who_wait_at_once(
    buckets: Buckets, callers: Callers, clock: TestClock
) -> None:
    for name in "abcdef":
        callers.spend(name)
    await clock.advance(0)
    buckets.configure(Action.ATTACH, capacity=6, refill=50)
    await clock.advance(0)
    assert callers.order == list("abcdef")


async def test_who_follows_somebody_begins_as_poor_as_he_left(
    buckets: Buckets, callers: Callers, clock: TestClock
) -> None:
    buckets.inherit(0.1, {"AttachNetworkInterface": 0.0})
    for name in "ab":
        callers.spend(name)
    callers.spend("c", Action.DETACH)
    await clock.advance(0)
    assert callers.order == ["c"]
    await clock.advance(0.1)
    assert callers.order == ["c", "a"]


async def test_who_follows_one_that_could_not_tell_counts_on_what_came_in_since(
    buckets: Buckets, callers: Callers, clock: TestClock
) -> None:
    buckets.inherit(0.2, None)
    for name in "ab":
        callers.spend(name)
    await clock.advance(0)
    assert callers.order == ["a"]


async def test_what_is_left_is_told_of_buckets_that_are_not_full(
    buckets: Buckets, callers: Callers, clock: TestClock
) -> None:
    callers.spend("a")
    await clock.advance(0)
    assert buckets.left() == {"AttachNetworkInterface": 1.0}

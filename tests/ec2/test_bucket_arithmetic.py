"""The token bucket without the waiting, against a model of EC2's own bucket."""

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodeeni.ec2.buckets import LEAST, MARGIN, Bucket, BucketSize

ATTACH = BucketSize(50, 5)


class EC2Bucket:
    """EC2's side: refills continuously, takes nothing for a call that it throttles."""

    def __init__(self, size: BucketSize, tokens: float | None = None) -> None:
        self._size = size
        self._tokens = size.capacity if tokens is None else tokens
        self._at = 0.0

    def arrives(self, now: float) -> bool:
        grown = self._tokens + self._size.refill * (now - self._at)
        self._tokens, self._at = min(self._size.capacity, grown), now
        if self._tokens < 1 - 1e-6:
            return False
        self._tokens -= 1
        return True


def spend_all(bucket: Bucket, demands: Sequence[float]) -> list[float]:
    """When each demand, in order of time, is let go."""
    spent: list[float] = []
    now = 0.0
    for demand in demands:
        now = max(now, demand)
        while wait := bucket.due(now):
            now += wait
        bucket.take(now)
        spent.append(now)
    return spent


_BURSTS = st.lists(
    st.tuples(st.integers(1, 70), st.sampled_from([0.0, 0.3, 4.0, 9.9, 30.0])), min_size=1, max_size=6
)
# The network is slow for some calls in a row, then quick for some.
_SPELLS = st.lists(
    st.tuples(st.integers(1, 70), st.one_of(st.sampled_from([0.0, MARGIN]), st.floats(0, MARGIN))),
    min_size=1,
    max_size=8,
)


@settings(max_examples=300, deadline=None)
@given(bursts=_BURSTS, spells=_SPELLS)
def test_a_call_that_we_let_go_is_never_throttled_however_the_network_delays_it(
    bursts: list[tuple[int, float]], spells: list[tuple[int, float]]
) -> None:
    demands: list[float] = []
    now = 0.0
    for calls, pause in bursts:
        demands += [now] * calls
        now += pause
    delays = [delay for calls, delay in spells for _ in range(calls)]
    spent = spend_all(Bucket(ATTACH, 0.0), demands)
    arrivals = sorted(at + delays[index % len(delays)] for index, at in enumerate(spent))
    ec2 = EC2Bucket(ATTACH)
    assert all(ec2.arrives(at) for at in arrivals)


@pytest.mark.parametrize(("calls", "limit"), [(50, 0.0), (100, 10.0), (500, 90.0), (1000, 190.0)])
def test_the_burst_leaves_at_once_and_the_rest_at_the_refill(calls: int, limit: float) -> None:
    spent = spend_all(Bucket(ATTACH, 0.0), [0.0] * calls)
    assert spent[49] == 0.0
    assert spent[-1] <= limit + MARGIN + 1e-6
    evenly = [later - earlier for earlier, later in itertools.pairwise(spent[50:])]
    assert evenly == pytest.approx([0.2] * len(evenly))


def test_what_is_not_urgent_leaves_the_reserve_alone() -> None:
    bucket = Bucket(BucketSize(100, 5, reserve=10), 0.0)
    for _ in range(90):
        assert bucket.due(0.0, urgent=False) == 0
        bucket.take(0.0)
    assert bucket.due(0.0, urgent=False) > 0
    assert bucket.due(0.0, urgent=True) == 0


def test_a_throttled_burst_slows_us_once_and_the_rate_returns_evenly() -> None:
    bucket = Bucket(ATTACH, 0.0)
    for _ in range(50):
        bucket.take(0.0)
    for _ in range(25):
        bucket.throttled(0.1)
    assert bucket.tokens(0.1) == 0
    assert bucket.rate(0.1) == pytest.approx(3.5)
    assert bucket.rate(4.1) == pytest.approx(4.0)
    assert bucket.rate(60.0) == 5.0


@given(st.lists(st.floats(0, 5), max_size=200))
def test_no_number_of_throttles_stops_us(pauses: list[float]) -> None:
    bucket, now = Bucket(ATTACH, 0.0), 0.0
    for pause in pauses:
        now += pause
        bucket.throttled(now)
        assert 0 < bucket.due(now) <= 1 / (5 * LEAST) + 1e-6
    assert 5 * LEAST - 1e-9 <= bucket.rate(now) <= 5


def test_half_a_bucket_beside_a_rival_is_used_nearly_whole() -> None:
    """A rival takes every other token: of the 2.5 a second that are left we must use 90 %."""
    ours, ec2 = Bucket(ATTACH, 0.0), EC2Bucket(ATTACH, tokens=0.0)
    seconds, rival_at, now, done, throttled = 600.0, 0.0, 0.0, 0, 0
    while now < seconds:
        wait = ours.due(now)
        while rival_at <= now + wait:
            ec2.arrives(rival_at)
            rival_at += 0.4
        now += wait
        ours.take(now)
        if ec2.arrives(now):
            done += 1
        else:
            throttled += 1
            ours.throttled(now)
    assert done >= 0.9 * 2.5 * seconds
    assert throttled <= 0.1 * done


def test_another_size_keeps_what_was_spent() -> None:
    bucket = Bucket(ATTACH, 0.0)
    for _ in range(30):
        bucket.take(0.0)
    bucket.resize(BucketSize(200, 20), 0.0)
    assert (bucket.tokens(0.0), bucket.rate(0.0)) == (170, 20)

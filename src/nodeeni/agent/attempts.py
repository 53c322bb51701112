"""Memory of what was done to each link, so that a failure is no loop and a fight is slow.

Answers the plan's question "what must not be tried now, and why". Time is handed in, in seconds of a
monotonic clock.
"""

import collections

from nodeeni.agent.link_plan import Aspect, Change
from nodeeni.agent.netlink import Reply

Key = tuple[int, Aspect, str]  # link index, aspect, wanted value

FIRST_RETRY = 1.0
LONGEST_RETRY = 300.0
# Another program that sets a link back at once would have us both spin. Five a minute outlast a restart
# of the network service, which sets things back once or twice.
CORRECTIONS = 5
WINDOW = 60.0


class _Failure:
    def __init__(self) -> None:
        self.count = 0
        self.reason = ""
        self.until = 0.0


class Attempts:
    def __init__(self) -> None:
        self._failures: dict[Key, _Failure] = {}
        self._done: dict[Key, collections.deque[float]] = {}

    def record(self, change: Change, replies: list[Reply], now: float) -> int:
        """Take in the kernel's replies to a change's parts; returns how many of them set something right
        that had been set before, and that somebody else must have changed."""
        corrections = 0
        for (aspect, value), reply in zip(change.aspects(), replies, strict=True):
            key = (change.ifindex, aspect, value)
            if reply.error:
                self._failed(key, reply.reason, now)
                continue
            self._failures.pop(key, None)
            if key in self._done:
                self._done[key].append(now)
                corrections += 1
            else:
                self._done[key] = collections.deque(maxlen=CORRECTIONS)
        return corrections

    def repeats(self, change: Change) -> bool:
        """Whether a part of it was done before."""
        return any((change.ifindex, aspect, value) in self._done for aspect, value in change.aspects())

    def holds(self, now: float) -> dict[Key, str]:
        """What is not to be tried at `now`, with the reason for people."""
        held = {
            key: f"{key[1].value} {key[2]} failed: {failure.reason}" if key[1] is not Aspect.UP else
            f"setting it up failed: {failure.reason}"
            for key, failure in self._failures.items()
            if now < failure.until
        }  # fmt: skip
        held.update(
            (
                key,
                f"another program keeps {_FIGHTS[key[1]]}: put right {CORRECTIONS} times a minute at most",
            )
            for key, times in self._done.items()
            if _exhausted(times, now)
        )
        return held

    def next_release(self, now: float) -> float | None:
        """The time at which the first hold ends; None when nothing is held."""
        ends = [failure.until for failure in self._failures.values() if now < failure.until]
        ends += [times[0] + WINDOW for times in self._done.values() if _exhausted(times, now)]
        return min(ends, default=None)

    def forget(self, index: int) -> None:
        """The link is gone; another may get its index."""
        for memory in (self._failures, self._done):
            for key in [key for key in memory if key[0] == index]:
                del memory[key]

    def _failed(self, key: Key, reason: str, now: float) -> None:
        failure = self._failures.setdefault(key, _Failure())
        failure.reason = reason
        failure.until = now + min(FIRST_RETRY * 2**failure.count, LONGEST_RETRY)
        failure.count += 1


_FIGHTS = {
    Aspect.FORMER: "giving this link its former alternative name back",
    Aspect.ALTNAME: "taking this link's alternative name away",
    Aspect.MTU: "changing this link's MTU",
    Aspect.UP: "setting this link down",
}


def _exhausted(times: collections.deque[float], now: float) -> bool:
    return len(times) == CORRECTIONS and now < times[0] + WINDOW

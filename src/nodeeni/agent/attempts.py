"""Memory of what was done to each link, so that a failure is no loop and a fight is slow.

Answers the plan's question "what must not be tried now, and why". Time is handed in, in seconds of a
monotonic clock.
"""

import collections
from collections.abc import Mapping
from typing import Any

from nodeeni.agent.link_plan import Aspect, Change
from nodeeni.agent.links import Link
from nodeeni.agent.netlink import Reply

Key = tuple[int, Aspect, str]  # link index, aspect, wanted value

FIRST_RETRY = 1.0
LONGEST_RETRY = 300.0
# Another program that sets a link back at once would have us both spin. Five a minute outlast a restart
# of the network service, which sets things back once or twice. A program that goes on for minutes has it in
# its configuration (systemd's ActivationPolicy=always-down): each five more double the pause.
CORRECTIONS = 5
WINDOW = 60.0
LONGEST_WINDOW = 3600.0
# Of one aspect of one link: a spec may name new values for years, and who fights does so over the last ones.
VALUES = 4


class _Failure:
    def __init__(self) -> None:
        self.count = 0
        self.reason = ""
        self.until = 0.0


class Corrections:
    """Of one thing that was done once; `count` since there was peace, `times` of the last ones."""

    def __init__(self) -> None:
        self.count = 0
        self.times: collections.deque[float] = collections.deque(maxlen=CORRECTIONS)
        self.lost = False  # what we had done is undone, and we hold back

    def add(self, now: float) -> None:
        if self.times and now >= self.times[-1] + self._window:
            self.count = 0
        self.count += 1
        self.times.append(now)
        self.lost = False

    @property
    def until(self) -> float:
        """When the next one may be made."""
        return self.times[0] + self._window if len(self.times) == CORRECTIONS else 0.0

    @property
    def _window(self) -> float:
        return float(min(WINDOW * 2 ** max(0, self.count // CORRECTIONS - 1), LONGEST_WINDOW))


class Attempts:
    def __init__(self) -> None:
        self._failures: dict[Key, _Failure] = {}
        self._done: dict[Key, Corrections] = {}

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
                self._done[key].add(now)
                corrections += 1
            else:
                self._done[key] = Corrections()
                _keep_newest(self._done, key)
        return corrections

    def look(self, links: Mapping[int, Link], now: float) -> None:
        """Whether fights have ended: what was undone while we held back is as wanted, by another hand."""
        for key, corrections in self._done.items():
            link = links.get(key[0])
            if link is None or now >= corrections.until:
                continue
            as_wanted = _is_as_wanted(link, key[1], key[2])
            if as_wanted and corrections.lost:
                self._done[key] = Corrections()
            elif not as_wanted:
                corrections.lost = True

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
            for key, corrections in self._done.items()
            if now < corrections.until
        )
        return held

    def refused(self) -> set[tuple[Aspect, str]]:
        """What the kernel refuses of any link, with its reason."""
        return {(key[1], failure.reason) for key, failure in self._failures.items()}

    def next_release(self, now: float) -> float | None:
        """The time at which the first hold ends; None when nothing is held."""
        ends = [failure.until for failure in self._failures.values() if now < failure.until]
        ends += [corrections.until for corrections in self._done.values() if now < corrections.until]
        return min(ends, default=None)

    def forget(self, index: int) -> None:
        """The link is gone; another may get its index."""
        for memory in (self._failures, self._done):
            for key in [key for key in memory if key[0] == index]:
                del memory[key]

    def _failed(self, key: Key, reason: str, now: float) -> None:
        failure = self._failures.setdefault(key, _Failure())
        _keep_newest(self._failures, key)
        failure.reason = reason
        failure.until = now + min(FIRST_RETRY * 2**failure.count, LONGEST_RETRY)
        failure.count += 1


def _keep_newest(memory: dict[Key, Any], added: Key) -> None:
    """Forget all but the newest values of the aspect that got another one."""
    same = [key for key in memory if key[:2] == added[:2]]
    for key in same[:-VALUES]:
        del memory[key]


_FIGHTS = {
    Aspect.FORMER: "giving this link its former alternative name back",
    Aspect.ALTNAME: "taking this link's alternative name away",
    Aspect.MTU: "changing this link's MTU",
    Aspect.ALIAS: "taking this link's alias away",
    Aspect.UP: "setting this link down",
}


def _is_as_wanted(link: Link, aspect: Aspect, value: str) -> bool:
    match aspect:
        case Aspect.UP:
            return link.up
        case Aspect.MTU:
            return str(link.mtu) == value
        case Aspect.ALIAS:
            return bool(link.alias)
        case Aspect.ALTNAME:
            return value in link.names
        case Aspect.FORMER:
            return value not in link.names

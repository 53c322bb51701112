"""An API server that is away, or refuses: told once, and asked by one on behalf of all who use it."""

import asyncio
import logging
import time
from collections.abc import Callable

from nodeeni.kube.backoff import Backoff
from nodeeni.kube.errors import Away, Conflict, Fenced, Invalid, KubeError, NotFound, Unavailable
from nodeeni.logs import Lasting

log = logging.getLogger(__name__)

AWAY = 5  # failures in a row, of all requests: a lost connection, or an overloaded answer, is not that yet
FIRST_PROBE, PROBE = (
    1.0,
    15.0,
)  # seconds from one request to the next while it is away: the first, the longest
GROWS = 3.0
_AWAY = "away"
REFUSED = 3  # failures in a row of one writer


class Reach:
    """Whether the API server is to be had, for a process that stays.

    `in_vain` is asked before each request and `heard` told of each outcome; who has to wait awaits `back`.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._log = Lasting(log, clock)
        self._failures = 0  # in a row
        self._failing_since = 0.0  # the first of them was heard
        self._pause = FIRST_PROBE
        self._probe_at = 0.0
        self._last = ""
        self._back = asyncio.Event()
        self._back.set()
        self.returns = 0  # how often it came back

    def in_vain(self) -> Away | None:
        """What the request would meet, so that it need not be sent; None: it may be, perhaps for all."""
        now = self.clock()
        if self._failures < AWAY:
            return None
        if now >= self._probe_at:
            self._probe_at = now + self._pause
            self._pause = min(self._pause * GROWS, PROBE)
            return None
        return Away(f"the API server is away: {self._last}", delay=self._probe_at - now)

    def heard(self, error: KubeError | None, sent: float) -> None:
        """The outcome of one request that was sent at `sent` of our clock: any answer but that it cannot
        answer shows that it is there. One that was still under way when it went away shows nothing.
        """
        if not isinstance(error, Unavailable):
            if self._failures >= AWAY and sent < self._failing_since:
                return
            self.returns += self._failures >= AWAY
            self._failures, self._pause = 0, FIRST_PROBE
            self._back.set()
            self._log.over(_AWAY, "the API server answers again")
            return
        if self._failures == 0:
            self._failing_since = self.clock()
        self._failures += 1
        self._last = str(error)
        if self._failures < AWAY:
            return
        if self._failures == AWAY:
            self._back.clear()
            self._probe_at, self._pause = self.clock() + FIRST_PROBE, FIRST_PROBE * GROWS
        self.tell(error)

    def tell(self, error: KubeError) -> None:
        self._log.met(_AWAY, f"the API server fails us: {error}")

    async def back(self, timeout: float) -> None:
        """Wait until it is there, `timeout` seconds at most."""
        try:
            async with asyncio.timeout(timeout):
                await self._back.wait()
        except TimeoutError:
            pass


class Refusals:
    """What the API server refuses to one writer of many objects: `what` is what fails, in the log's
    words. While it lasts one of the writes tries for all.
    """

    def __init__(
        self, what: str, tells: Callable[[KubeError], bool], returns: Callable[[], int] = lambda: 0
    ) -> None:
        """`tells` says whether somebody else tells of an error, `returns` how often the server, having been
        away, came back: nobody waits any more then.
        """
        self._what = what
        self._tells = tells
        self._returns = returns
        self._returned = 0
        self._log = Lasting(log)
        self._causes: set[str] = set()
        self._failures = 0  # in a row
        self._backoff = Backoff(5.0, 30.0)
        self._until = 0.0

    def wait(self) -> float:
        """Seconds until the next write may try; 0: this one may."""
        now = time.monotonic()
        if self._returned != self._returns():
            self._returned = self._returns()
            self._again()
        if self._failures < REFUSED:
            return 0.0
        if now >= self._until:
            self._until = now + self._backoff.pause()
            return 0.0
        return self._until - now

    def failed(self, error: KubeError, about: str) -> None:
        if not isinstance(error, NotFound | Conflict | Invalid | Fenced):  # which are of one object
            self._failures += 1
            if self._failures == REFUSED:
                self._until = time.monotonic() + max(error.delay, self._backoff.pause())
        if not self._tells(error):
            self._causes.add(type(error).__name__)
            self._log.met(type(error).__name__, f"{self._what} fails, of {about} first: {error}")

    def _again(self) -> None:
        self._failures = 0
        self._backoff.reset()

    def succeeded(self) -> None:
        self._again()
        for cause in self._causes:
            self._log.over(cause, f"{self._what} works again")
        self._causes.clear()

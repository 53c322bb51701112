"""What every NodeENI waits for: one place decides that EC2 is not to be had, and why.

It judges by the calls that are made anyway, and by the readings of the inventory. NodeENIs (Degraded, and an
event), /readyz and the log say it in the same words; the log when it begins and when it ends.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable

from nodeeni.api.reasons import RowReason
from nodeeni.ec2.errors import EC2Error, ErrorClass
from nodeeni.logs import Lasting
from nodeeni.plan.refusal import Refusal

log = logging.getLogger(__name__)

PATIENCE = 5.0  # seconds of failure that are nothing yet: one lost connection, one overloaded answer
PROBE = 10.0  # seconds between two calls while nothing is answered, whoever makes them
_INVENTORY = "DescribeNetworkInterfaces"  # what everything stands on
UNREAD = 20.0  # seconds without a reading since the start, after which a status of before is no knowledge


class _Failing:
    """Since when something fails, and how; the words are those of the first failure of its reason."""

    def __init__(self) -> None:
        self.since: float | None = None
        self._refusal: Refusal | None = None

    def succeeded(self) -> None:
        self.since = self._refusal = None

    def failed(self, error: EC2Error, now: float) -> None:
        if self.since is None:
            self.since = now
        refusal = _refusal(error)
        if self._refusal is None or refusal.reason != self._refusal.reason:
            self._refusal = refusal

    def lasting(self, now: float) -> Refusal | None:
        return self._refusal if self.since is not None and now - self.since >= PATIENCE else None


class Troubles:
    """`oldest`: how old, in seconds, a reading of the inventory may be. `changed(now, before)` is called when
    there is another trouble, or none any more, or when the same has lasted until all is `unread`: it is one
    listener, set later. `doubt` asks for a reading of the inventory.
    """

    def __init__(self, oldest: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._oldest = oldest
        self._clock = clock
        self._log = Lasting(log, clock)
        self._calls = _Failing()
        self._readings = _Failing()
        self._started: float | None = None
        self._last_read: float | None = None
        self._was_unread = False
        self.current: Refusal | None = None
        self._last: EC2Error | None = None  # of those that every call would meet
        self._probed = -math.inf
        self._unanswered: set[str] = set()  # actions, since one was answered last
        self._doubted: set[str] = set()  # those of which a reading showed that they alone are not answered
        self.doubt: Callable[[], None] = lambda: None
        self.changed: Callable[[Refusal | None, Refusal | None], None] = lambda now, before: None

    def reading_begins(self) -> None:
        """From now on the inventory is read for the first time."""
        self._started = self._clock()
        self._look_in(UNREAD)

    def observe_call(self, action: str, error: EC2Error | None) -> None:
        """One call's outcome. A refusal is an answer, unless nothing would be answered to us."""
        if error is None or not _is_of_all_calls(error):
            self._calls.succeeded()
            self._unanswered.clear()
            self._doubted.discard(action)
        else:
            self._unanswered.add(action)
            self._last = error
            self._observe(self._calls, error)
        self._look()

    def observe_reading(self, error: EC2Error | None) -> None:
        """The outcome of a reading of the whole inventory, which everything stands on."""
        if error is None:
            self._readings.succeeded()
            self._last_read = self._clock()
        else:
            self._observe(self._readings, error)
        self._look()

    @property
    def unread(self) -> bool:
        """Whether what is known of EC2 is so old, or so little, that no status may stand on it."""
        if self.current is None or self._started is None:
            return False
        if self._last_read is None:
            return self._clock() - self._started >= UNREAD
        return self._clock() - self._last_read > self._oldest

    @property
    def of_all_calls(self) -> Refusal | None:
        """The present trouble, where it is one that every call would meet: none was answered since."""
        found = self.current
        of_all = found is not None and found.reason in _OF_ALL_CALLS and self._calls.since is not None
        return found if of_all else None

    def in_vain(self, action: str) -> EC2Error | None:
        """The error that a describe would meet, so that it need not be sent; None: it may be. While nothing
        is answered one is let through at a time, as a probe on behalf of all, whoever comes.
        """
        now = self._clock()
        if self.of_all_calls is None or self._last is None or now - self._probed >= PROBE:
            self._probed = now
            return None
        return self._last.again(action)

    @property
    def fault(self) -> str | None:
        """As /readyz says it."""
        return f"{self.current.reason}: {self.current.message}" if self.current else None

    def _observe(self, failing: _Failing, error: EC2Error) -> None:
        if failing.since is None:
            self._look_in(PATIENCE)
        failing.failed(error, self._clock())

    def _look_in(self, seconds: float) -> None:
        asyncio.get_running_loop().call_later(seconds + 0.01, self._look)

    def _look(self) -> None:
        before, self.current = self.current, self._trouble()
        self._tell(before)
        was_unread, self._was_unread = self._was_unread, self.unread
        if before != self.current or was_unread != self._was_unread:
            self.changed(self.current, before)

    def _tell(self, before: Refusal | None) -> None:
        now = self._clock()
        if before is None and self.current is not None and self._last_read is not None:
            self._look_in(self._last_read + self._oldest - now)
        if before is not None and self.current is None:
            self._log.over(before.reason, "EC2 is read again")
        elif before is not None and self.current is not None and before.reason != self.current.reason:
            self._log.forget(before.reason)
        if self.current is not None:
            self._log.met(self.current.reason, f"every NodeENI waits for EC2: {self.fault}")

    def _trouble(self) -> Refusal | None:
        now = self._clock()
        found = self._of_calls(now) or self._readings.lasting(now)
        if found is not None and self.current is not None and found.reason == self.current.reason:
            return self.current  # of the same, told by another call, nobody hears twice
        if found is None and self._started is not None and self._last_read is None:
            return _SILENT if now - self._started >= UNREAD else None
        return found

    def _of_calls(self, now: float) -> Refusal | None:
        """One action that is not answered is the trouble of those who ask it. In a quiet cluster nothing else
        is called, so a reading has to show whether it is alone.
        """
        found = self._calls.lasting(now)
        alone = len(self._unanswered) == 1 and _INVENTORY not in self._unanswered
        if found is None or found.reason is not RowReason.EC2_UNREACHABLE or not alone:
            return found
        if not self._unanswered <= self._doubted:
            self._doubted |= self._unanswered
            self.doubt()
        return None


_SILENT = Refusal(
    reason=RowReason.EC2_UNREACHABLE,
    message=f"EC2 has not answered for {UNREAD:g} s which ENIs there are: its answer is waited for",
)


_OF_ALL_CALLS = (RowReason.EC2_UNREACHABLE, RowReason.CREDENTIALS_REFUSED, RowReason.CLOCK_WRONG)


def _is_of_all_calls(error: EC2Error) -> bool:
    return error.error_class in (ErrorClass.CREDENTIALS, ErrorClass.UNKNOWN_OUTCOME)


def _refusal(error: EC2Error) -> Refusal:
    if error.error_class is not ErrorClass.UNKNOWN_OUTCOME:
        return Refusal(reason=error.reason, message=error.explanation)
    way_out = "it is tried again; where it lasts, see to the way to EC2's endpoint, or to AWS Health"
    message = f"{error.explanation.removesuffix('.')}; {way_out}"
    return Refusal(reason=RowReason.EC2_UNREACHABLE, message=message)

"""What EC2's refusals depend on: all whose calls fail for the same wait for one probe, made on behalf of all.

A place is what an answer depends on: EC2 as a whole, one of its actions, or what one NodeENI asks of one
subnet. While calls are refused there, one of those that wait tries at a time, ever more seldom and each in
its turn; where its node goes, the next one takes over. The first success lets all go on. The log has a line
when a cause begins, some with counts while it lasts, and one when it ends; rows say for each node what it
waits for.
"""

import asyncio
import logging
import math
import random
import time
from collections import Counter
from collections.abc import Callable

import msgspec

from nodeeni.api.reasons import EventReason
from nodeeni.ec2.errors import EC2Error, ErrorClass
from nodeeni.logs import Lasting
from nodeeni.plan.actions import Action, Create
from nodeeni.plan.refusal import Refusal

log = logging.getLogger(__name__)

# In a row, until an action that EC2 does not answer counts as one: a lost reply is a matter of its call.
UNANSWERED = 3
# Seconds in which whoever probes has to come to its call; then somebody else does.
PROBE = 30.0

Place = tuple[str, ...]
Waiter = tuple[str, tuple[str, str]]  # node, key of its action

_EC2: Place = ("EC2",)
_OF_PLACES = (
    ErrorClass.DENIED,
    ErrorClass.REJECTED,
    ErrorClass.BAD_REFERENCE,
    ErrorClass.NO_ADDRESSES,
    ErrorClass.NO_BLOCK,
)
_OF_ALL_CALLS = (ErrorClass.CREDENTIALS, ErrorClass.UNKNOWN_OUTCOME)


def _asked_of(action: Action) -> Place:
    """A denial can be of one NodeENI's tags or of one subnet: an answer to another says nothing of it."""
    return (action.word, action.uid, action.request.subnet_id if isinstance(action, Create) else "")


def _places(action: Action) -> tuple[Place, ...]:
    return (_EC2, (action.call.value,), _asked_of(action))


class _Closed:
    """A place where calls are refused, and those that wait for it. `why` is as it was told first."""

    def __init__(self, why: Refusal) -> None:
        self.why = why
        self.failures = 0
        self.waiting: dict[Waiter, None] = {}  # the next to probe first
        self.prober: Waiter | None = None
        self.timer: asyncio.TimerHandle | None = None


class Causes:
    """`free` lets one that waits try, `release` lets go one whose cause is over, `explain` gives one other
    words for why it waits. `lasting_trouble` is why EC2 as a whole is not to be had: others probe then.
    """

    def __init__(
        self,
        free: Callable[[Waiter], None],
        release: Callable[[Waiter], None],
        explain: Callable[[Waiter, Refusal], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._free = free
        self._release = release
        self._explain = explain
        self._closed: dict[Place, _Closed] = {}
        self._unanswered: Counter[str] = Counter()  # by EC2 action, in a row
        self._log = Lasting(log, clock)
        self._told: dict[tuple[Place, str], dict[Waiter, None]] = {}  # of the log's causes, who fails so
        self.lasting_trouble: Callable[[], Refusal | None] = lambda: None

    def stops(self, action: Action) -> Refusal | None:
        """Why the action is not to be tried now, and that it waits; None: it may be."""
        waiter, trouble = _waiter(action), self.lasting_trouble()
        if trouble is not None and _EC2 not in self._closed:
            event = EventReason.WAITING_FOR_EC2
            self._closed[_EC2] = _Closed(msgspec.structs.replace(trouble, event=event))
            self._again_in(_EC2, PROBE)
        for place in _places(action):
            closed = self._closed.get(place)
            if closed is not None and closed.prober != waiter:
                closed.waiting.setdefault(waiter)
                return Refusal.of(
                    action,
                    closed.why.reason,
                    closed.why.message,
                    math.inf,
                    closed.why.event and action.FAILED,
                )
        return None

    def failed(self, action: Action, error: EC2Error, why: Refusal) -> bool:
        """Whether it waits for a probe from now on, and not for a time of its own."""
        waiter = _waiter(action)
        place = self._place_of(action, error)
        if error.error_class not in _OF_ALL_CALLS:
            self._unanswered.pop(action.call, None)
            if error.error_class is not ErrorClass.THROTTLED:
                self._tell(action, error, why)
            self._open(_EC2)
            self._open((action.call.value,))
        if place is None:
            return False
        closed = self._closed.get(place)
        probed = closed is None or closed.prober == waiter
        closed = self._closed.setdefault(place, _Closed(why))
        closed.waiting.pop(waiter, None)
        closed.waiting[waiter] = None
        if probed:
            closed.prober = None
            closed.failures += 1
            if closed.why.event is None and why.event is not None:  # it lasts: people are to hear of it
                closed.why = why
                for each in closed.waiting:
                    self._explain(each, why)
            self._again_in(place, error.delay(closed.failures - 1, random.random()))
        return True

    def failures(self, action: Action, error: EC2Error) -> int:
        """How often the same has failed, whoever tried."""
        place = self._place_of(action, error, count=False)
        return self._closed[place].failures if place in self._closed else 0

    def succeeded(self, action: Action) -> None:
        self._unanswered.pop(action.call, None)
        for cause in [cause for cause in self._told if cause[0] == _asked_of(action)]:
            del self._told[cause]
            self._log.over(cause, f"EC2 takes {action.call} of NodeENI {action.nodeeni} again")
        for place in _places(action):
            self._open(place)

    def left(self, waiter: Waiter) -> None:
        """It does not ask any more. Where it was to probe, the next one does."""
        for place, closed in list(self._closed.items()):
            if waiter in closed.waiting:
                del closed.waiting[waiter]
                if closed.prober == waiter:
                    self._probe(place)
        self._fails_no_more(waiter)

    def ec2_is_back(self) -> None:
        """Nobody waits for EC2 as a whole, or for an action that it did not answer."""
        self._unanswered.clear()
        for place in [place for place in self._closed if len(place) == 1]:
            self._open(place)

    def spec_changed(self, uid: str) -> None:
        """The NodeENI asks for something else, or goes: what it was refused says nothing any more."""
        for place in [place for place in self._closed if place[1:2] == (uid,)]:
            self._open(place)

    def _place_of(self, action: Action, error: EC2Error, count: bool = True) -> Place | None:
        match error.error_class:
            case ErrorClass.CREDENTIALS:
                return _EC2
            case ErrorClass.UNKNOWN_OUTCOME:
                self._unanswered[action.call] += count
                return (action.call.value,) if self._unanswered[action.call] >= UNANSWERED else None
            case error_class if error_class in _OF_PLACES:
                return _asked_of(action)
            case _:
                return None

    # -- probing -------------------------------------------------------------------------------------

    def _again_in(self, place: Place, seconds: float) -> None:
        closed = self._closed[place]
        if closed.timer is not None:
            closed.timer.cancel()
        closed.timer = asyncio.get_running_loop().call_later(seconds, self._probe, place)

    def _probe(self, place: Place) -> None:
        """Let the one try that waits for its turn the longest."""
        closed = self._closed[place]
        if self.lasting_trouble() is not None:
            self._again_in(place, PROBE)
            return
        if not closed.waiting:
            self._forget(place)
            return
        closed.prober = next(iter(closed.waiting))
        closed.waiting[closed.prober] = closed.waiting.pop(closed.prober)  # the last in the line now
        self._again_in(place, PROBE)
        self._free(closed.prober)

    def _open(self, place: Place) -> None:
        closed = self._forget(place)
        for waiter in closed.waiting if closed is not None else ():
            self._release(waiter)

    def _forget(self, place: Place) -> _Closed | None:
        closed = self._closed.pop(place, None)
        if closed is not None and closed.timer is not None:
            closed.timer.cancel()
        return closed

    # -- the log -------------------------------------------------------------------------------------

    def _tell(self, action: Action, error: EC2Error, why: Refusal) -> None:
        """EC2's own words, whole, and once a cause; of credentials and of no answer `health` tells, of
        throttles the announcer.
        """
        waiter, cause = _waiter(action), (_asked_of(action), error.code)
        fails = self._told.setdefault(cause, {})
        fails[waiter] = None
        closed = self._closed.get(cause[0])
        nodes = {node for node, _ in (*fails, *(closed.waiting if closed else ()))}
        waiting = "1 node waits" if len(nodes) == 1 else f"{len(nodes)} nodes wait"
        what = f"EC2 refuses {action.call} of NodeENI {action.nodeeni}, {waiting}: {why.message}"
        about = {"code": error.code, "node": action.node, "nodeeni": action.nodeeni}
        about |= {"request_id": error.request_id} if error.request_id else {}
        level = logging.WARNING if why.event is not None else logging.INFO
        self._log.met(cause, error.told, still=what, level=level, ends=why.event is not None, **about)

    def _fails_no_more(self, waiter: Waiter) -> None:
        for cause in [cause for cause, fails in self._told.items() if waiter in fails]:
            del self._told[cause][waiter]
            if not self._told[cause]:
                del self._told[cause]
                (word, *_), code = cause
                self._log.over(cause, f"{word} is not asked for any more where EC2 refused it with {code}")


def _waiter(action: Action) -> Waiter:
    return (action.node, action.key)

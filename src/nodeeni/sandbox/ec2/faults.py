"""Faults that a test or a person asks for: what goes wrong, for which calls, how often."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

import msgspec

from .denials import Denied

Phase = Literal["before", "after"]


class Fault(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What happens to a call of `action` (`*`: any, `Describe*`: all reads) whose parameters include `match`.

    In this order: wait `delay` seconds, or for ever (`hang`); then, `before` or `after` the work was done,
    drop the connection, answer `status` and `body` raw, or refuse with `code`. `denied` has IAM refuse,
    before the work, in the words for that kind of policy: `denials.DENIALS`.
    `lacks` leaves that member out of the item of the answer that has the value `item`.
    `stuck` leaves the attachment in `attaching` or `detaching` (the latter until Force) instead.
    `times` is how many calls; None: until cleared. It begins `begins` seconds after it was asked for, and is
    over after `lasts` seconds (None: not).
    """

    action: str
    times: int | None = 1
    match: dict[str, str] = {}
    code: str = ""
    message: str = ""
    denied: Denied | None = None
    status: int = 0
    body: str | None = None
    delay: float = 0.0
    hang: bool = False
    drop: bool = False
    phase: Phase = "before"
    lacks: str = ""
    item: str = ""
    stuck: bool = False
    begins: float = 0.0
    lasts: float | None = None

    def applies(self, action: str, parameters: Mapping[str, str]) -> bool:
        return fnmatchcase(action, self.action) and all(
            parameters.get(name) == value for name, value in self.match.items()
        )


@dataclass
class _InForce:
    """`left` calls; `begins` and `ends` are moments of the clock of `Faults`."""

    fault: Fault
    left: int | None
    begins: float
    ends: float | None

    def over(self, now: float) -> bool:
        return self.left == 0 or (self.ends is not None and now >= self.ends)


class Faults:
    """The faults in force. The first that applies to a call is spent on it.

    `now` is their clock, in seconds; a test that asks when a fault begins or ends turns one of its own.
    """

    def __init__(self) -> None:
        self.now: Callable[[], float] = time.monotonic
        self._faults: list[_InForce] = []

    def add(self, fault: Fault) -> None:
        begins = self.now() + fault.begins
        ends = None if fault.lasts is None else begins + fault.lasts
        self._faults.append(_InForce(fault, fault.times, begins, ends))

    def error(
        self,
        action: str,
        code: str,
        *,
        times: int | None = 1,
        message: str = "",
        phase: Phase = "before",
        **match: str,
    ) -> None:
        """Refuse with `code`; `phase="after"`: the work is done all the same."""
        self.add(Fault(action=action, code=code, times=times, message=message, phase=phase, match=match))

    def delay(self, action: str, seconds: float, *, times: int | None = 1, **match: str) -> None:
        self.add(Fault(action=action, delay=seconds, times=times, match=match))

    def hang(self, action: str, *, times: int | None = 1, phase: Phase = "before", **match: str) -> None:
        """Never answer."""
        self.add(Fault(action=action, hang=True, times=times, phase=phase, match=match))

    def drop(self, action: str, phase: Phase, *, times: int | None = 1, **match: str) -> None:
        """Cut the connection before or after the work was done."""
        self.add(Fault(action=action, drop=True, phase=phase, times=times, match=match))

    def answer(self, action: str, status: int, body: str, *, times: int | None = 1, **match: str) -> None:
        """Answer with any bytes: an HTML page of a proxy, half an XML document."""
        self.add(Fault(action=action, status=status, body=body, times=times, match=match))

    def lack(self, action: str, member: str, item: str, *, times: int | None = None) -> None:
        """Answer without `member`, such as `macAddress`, in the item with that id."""
        self.add(Fault(action=action, lacks=member, item=item, times=times))

    def stick(self, action: str, *, times: int | None = 1, **match: str) -> None:
        """AttachNetworkInterface stays `attaching`; DetachNetworkInterface stays `detaching` until Force."""
        self.add(Fault(action=action, stuck=True, times=times, match=match))

    def clear(self) -> None:
        self._faults.clear()

    def pending(self) -> list[Fault]:
        """The faults not yet spent and not yet over, with what is left of `times`."""
        self._forget_what_is_over()
        return [msgspec.structs.replace(each.fault, times=each.left) for each in self._faults]

    def take(self, action: str, parameters: Mapping[str, str]) -> Fault | None:
        """The fault to apply to this call, spent once by it."""
        self._forget_what_is_over()
        now = self.now()
        for each in self._faults:
            if now >= each.begins and each.fault.applies(action, parameters):
                if each.left is not None:
                    each.left -= 1
                return each.fault
        return None

    def _forget_what_is_over(self) -> None:
        now = self.now()
        self._faults = [each for each in self._faults if not each.over(now)]

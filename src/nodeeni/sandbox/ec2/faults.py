"""Faults that a test or a person asks for: what goes wrong, for which calls, how often."""

from collections.abc import Mapping
from typing import Literal

import msgspec

Phase = Literal["before", "after"]


class Fault(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What happens to a call of `action` (`*`: any) whose parameters include `match`.

    In this order: wait `delay` seconds, or for ever (`hang`); then, `before` or `after` the work was done,
    drop the connection, answer `status` and `body` raw, or refuse with `code`.
    `stuck` leaves the attachment in `attaching` or `detaching` (the latter until Force) instead.
    `times` is how many calls; None: until cleared.
    """

    action: str
    times: int | None = 1
    match: dict[str, str] = {}
    code: str = ""
    message: str = ""
    status: int = 0
    body: str | None = None
    delay: float = 0.0
    hang: bool = False
    drop: bool = False
    phase: Phase = "before"
    stuck: bool = False

    def applies(self, action: str, parameters: Mapping[str, str]) -> bool:
        if self.action not in ("*", action):
            return False
        return all(parameters.get(name) == value for name, value in self.match.items())


class Faults:
    """The faults in force. The first that applies to a call is spent on it."""

    def __init__(self) -> None:
        self._faults: list[tuple[Fault, int | None]] = []

    def add(self, fault: Fault) -> None:
        self._faults.append((fault, fault.times))

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

    def stick(self, action: str, *, times: int | None = 1, **match: str) -> None:
        """AttachNetworkInterface stays `attaching`; DetachNetworkInterface stays `detaching` until Force."""
        self.add(Fault(action=action, stuck=True, times=times, match=match))

    def clear(self) -> None:
        self._faults.clear()

    def pending(self) -> list[Fault]:
        """The faults not yet spent, with what is left of `times`."""
        return [msgspec.structs.replace(fault, times=left) for fault, left in self._faults]

    def take(self, action: str, parameters: Mapping[str, str]) -> Fault | None:
        """The fault to apply to this call, spent once by it."""
        for position, (fault, left) in enumerate(self._faults):
            if not fault.applies(action, parameters):
                continue
            if left is None:
                return fault
            if left > 1:
                self._faults[position] = (fault, left - 1)
            else:
                del self._faults[position]
            return fault
        return None

"""What a test asks the server to do wrong.

A fault waits for the next `times` requests that match its verb (`get`, `list`, `watch`, `create`, `update`,
`patch`, `delete`, `deletecollection`) and resource (`nodeenis`, `nodeenis/status`), then is used up.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

WatchBreak = Literal["end", "reset", "gone", "silent"]


@dataclass(slots=True)
class Fault:
    """`status` answers instead of working; `drop` closes the connection `before` or `after` the work was
    done; `delay` waits that many seconds first; `hang` never answers; `retry_after` is in seconds."""

    verb: str | None = None
    resource: str | None = None
    name: str | None = None
    times: int = 1
    status: int | None = None
    reason: str = ""
    message: str = ""
    retry_after: int | None = None
    drop: Literal["before", "after"] | None = None
    delay: float = 0.0
    hang: bool = False
    served: int = 0

    def matches(self, verb: str, resource: str, name: str) -> bool:
        return (
            self.served < self.times
            and self.verb in (None, verb)
            and self.resource in (None, resource)
            and self.name in (None, name)
        )


@dataclass(eq=False, slots=True)
class OpenWatch:
    """A watch being served. `broken` is what a test asked for it; the stream looks at each turn."""

    resource: str
    broken: WatchBreak | None = None
    wake: asyncio.Event | None = None

    def break_off(self, how: WatchBreak) -> None:
        self.broken = how
        if self.wake is not None:
            self.wake.set()


class Faults:
    def __init__(self) -> None:
        self.planned: list[Fault] = []
        self.watches: set[OpenWatch] = set()

    def plan(self, fault: Fault) -> Fault:
        """The fault as planned; its `served` counts up as requests meet it."""
        self.planned.append(fault)
        return fault

    def fail(
        self,
        status: int,
        *,
        verb: str | None = None,
        resource: str | None = None,
        name: str | None = None,
        times: int = 1,
        reason: str = "",
        message: str = "",
        retry_after: int | None = None,
    ) -> Fault:
        """The next matching requests are answered with this HTTP status and a Status object."""
        return self.plan(Fault(verb, resource, name, times, status, reason, message, retry_after=retry_after))

    def drop(
        self,
        when: Literal["before", "after"],
        *,
        verb: str | None = None,
        resource: str | None = None,
        name: str | None = None,
        times: int = 1,
    ) -> Fault:
        """The connection of the next matching requests is reset, before or after the work was done."""
        return self.plan(Fault(verb, resource, name, times, drop=when))

    def delay(
        self, seconds: float, *, verb: str | None = None, resource: str | None = None, times: int = 1
    ) -> Fault:
        return self.plan(Fault(verb, resource, times=times, delay=seconds))

    def hang(self, *, verb: str | None = None, resource: str | None = None, times: int = 1) -> Fault:
        """The next matching requests never get an answer (until their client gives up)."""
        return self.plan(Fault(verb, resource, times=times, hang=True))

    def break_watches(self, how: WatchBreak, resource: str | None = None) -> int:
        """Breaks the watches open now (of one resource, or all), and says how many they were.

        `end` closes the stream in order; `reset` resets the connection; `gone` sends an ERROR event with
        a 410 Status; `silent` leaves it open without another byte (a half-open connection).
        """
        hit = [watch for watch in self.watches if resource in (None, watch.resource)]
        for watch in hit:
            watch.break_off(how)
        return len(hit)

    @contextmanager
    def open_watch(self, resource: str) -> Iterator[OpenWatch]:
        watch = OpenWatch(resource)
        self.watches.add(watch)
        try:
            yield watch
        finally:
            self.watches.discard(watch)

    def clear(self) -> None:
        self.planned.clear()

    def take(self, verb: str, resource: str, name: str) -> Fault | None:
        """The first planned fault that matches this request, counted as served."""
        for fault in self.planned:
            if fault.matches(verb, resource, name):
                fault.served += 1
                if fault.served >= fault.times:
                    self.planned.remove(fault)
                return fault
        return None

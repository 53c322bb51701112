"""What a test asks the server to do wrong.

A fault waits for the next `times` requests that match its verb (`get`, `list`, `watch`, `create`, `update`,
`patch`, `delete`, `deletecollection`) and resource (`nodeenis`, `nodeenis/status`), then is used up.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, NoReturn

from aiohttp import web

from nodeeni.sandbox.kube.status import ApiError, Object

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


async def suffer(fault: Fault, request: web.BaseRequest) -> None:
    """What the fault does before any work is done. Raises what it asks for: ApiError, or a reset."""
    if fault.delay:
        await asyncio.sleep(fault.delay)
    if fault.hang:
        await asyncio.Event().wait()
    if fault.drop == "before":
        abort(request)
    if fault.status is not None:
        reason = fault.reason or _REASONS.get(fault.status, "")
        body: Object | None = None
        headers: dict[str, str] = {}
        if fault.retry_after is not None:
            body = {"retryAfterSeconds": fault.retry_after}
            headers = {"Retry-After": str(fault.retry_after)}
        raise ApiError(fault.status, reason, fault.message or "asked for by a test", body, headers)


def abort(request: web.BaseRequest) -> NoReturn:
    """Resets the connection: the client gets no answer, whatever was done."""
    if request.transport is not None:
        request.transport.abort()
    raise ConnectionResetError("dropped by a test")


_REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    410: "Expired",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}

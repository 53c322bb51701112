"""Events: what `kubectl describe` tells people about an object.

`event()` only queues; one task, `run()`, writes. Nothing waits for an event and nothing fails by one: what
repeats becomes a count, what floods one event that tells how many and the last of them, and what the API
server refuses is dropped.
"""

import asyncio
import logging
import secrets
import socket
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from datetime import UTC, datetime
from typing import Any, Generic, Literal, TypeVar

import msgspec

from nodeeni.api import names
from nodeeni.kube.backoff import Backoff
from nodeeni.kube.client import KubeClient
from nodeeni.kube.errors import (
    AlreadyExists,
    KubeError,
    NotFound,
    Throttled,
    Unauthorized,
    Unavailable,
)
from nodeeni.kube.resources import EVENTS

log = logging.getLogger(__name__)

REPEAT_WINDOW = 600.0  # seconds since the last one within which the same event is counted, not written anew
BURST = 25  # events of one object, type and reason at once: many Normal ones use up no Warning's place
REFILL = 300.0  # seconds for one more
GATHER = 5.0  # seconds in which what repeats, or is above BURST, goes into one write
MESSAGE_LIMIT = 1024  # characters, the API's limit
_REMEMBERED = 4096  # objects, and events, whose past is known
_TRIES = 6

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class ObjectRef(msgspec.Struct, frozen=True):
    """The object that an event is about. Events of cluster-scoped objects live in namespace `default`."""

    kind: str
    api_version: str
    name: str
    uid: str
    namespace: str = ""


class _Entry(msgspec.Struct, kw_only=True):
    """One event as the API server has it or is to have it."""

    ref: ObjectRef
    type: str
    reason: str
    message: str
    name: str
    first: datetime
    last: datetime
    last_clock: float
    count: int = 1
    queued: bool = False  # or gathered: a write is to come
    written: bool = False

    @property
    def namespace(self) -> str:
        return self.ref.namespace or "default"


# Object, type, reason; and the message, None for the one event that stands for all above BURST.
_Kind = tuple[ObjectRef, str, str]
_Key = tuple[_Kind, str | None]


class _Allowance(msgspec.Struct):
    left: float
    at: float


class _Recent(Generic[K, V]):
    """A mapping that forgets what was used least recently."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._values: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K) -> V | None:
        if key in self._values:
            self._values.move_to_end(key)
        return self._values.get(key)

    def put(self, key: K, value: V) -> None:
        self._values[key] = value
        if len(self._values) > self._limit:
            self._values.popitem(last=False)


class EventRecorder:
    """Events from `component` on `instance` (by default this host). `dropped` counts what was not written."""

    def __init__(
        self,
        client: KubeClient,
        component: str = names.CONTROLLER,
        instance: str | None = None,
        *,
        capacity: int = 1000,
        gather: float = GATHER,
        clock: Callable[[], float] = time.monotonic,
        backoff: Callable[[], Backoff] = Backoff,
    ) -> None:
        self.dropped = 0
        self._client = client
        self._component = component
        self._instance = instance or socket.gethostname()
        self._clock = clock
        self._backoff = backoff
        self._queue: asyncio.Queue[_Entry] = asyncio.Queue(capacity)
        self._gather = gather
        self._gathered: dict[str, tuple[_Entry, asyncio.TimerHandle]] = {}  # by name of the event
        self._entries: _Recent[_Key, _Entry] = _Recent(_REMEMBERED)
        self._allowances: _Recent[_Kind, _Allowance] = _Recent(_REMEMBERED)
        self._refused = False

    def event(self, ref: ObjectRef, type: Literal["Normal", "Warning"], reason: str, message: str) -> None:
        """Tell people that `reason` (CamelCase) happened to `ref`. Returns at once and never raises."""
        kind, message = (ref, type, reason), message[:MESSAGE_LIMIT]
        entry = self._recent((kind, message))
        if entry is None and self._allowed(kind):
            self._enqueue(self._new((kind, message), message))
        elif entry is None:
            self._tell_of_more(kind, message)
        else:
            self._repeat(entry)

    async def run(self) -> None:
        """Write queued events until cancelled."""
        while True:
            entry = await self._queue.get()
            try:
                await self._write(entry)
            finally:
                self._queue.task_done()

    async def drain(self, timeout: float = 2.0) -> None:
        """Wait, while `run()` still runs, until all queued events are written, `timeout` seconds at most."""
        for entry, timer in list(self._gathered.values()):
            timer.cancel()
            self._enqueue(entry)
        try:
            async with asyncio.timeout(timeout):
                await self._queue.join()
        except TimeoutError:
            log.warning("%d events are left unwritten", self._queue.qsize())

    def _recent(self, key: _Key) -> _Entry | None:
        entry = self._entries.get(key)
        if entry is None or self._clock() - entry.last_clock >= REPEAT_WINDOW:
            return None
        return entry

    def _new(self, key: _Key, message: str) -> _Entry:
        (ref, type, reason), _ = key
        now = datetime.now(UTC)
        entry = _Entry(
            ref=ref,
            type=type,
            reason=reason,
            message=message,
            name=f"{ref.name[:230]}.{secrets.token_hex(8)}",
            first=now,
            last=now,
            last_clock=self._clock(),
        )
        self._entries.put(key, entry)
        return entry

    def _tell_of_more(self, kind: _Kind, message: str) -> None:
        """One event stands for all that are above the allowance of their kind."""
        entry = self._recent((kind, None))
        if entry is None:
            entry = self._new((kind, None), message)
            self._write_soon(entry)
        else:
            self._repeat(entry)
        entry.message = f"{entry.count} more of this kind, the last: {message}"[:MESSAGE_LIMIT]

    def _repeat(self, entry: _Entry) -> None:
        entry.count += 1
        entry.last, entry.last_clock = datetime.now(UTC), self._clock()
        if not entry.queued:
            self._write_soon(entry)

    def _write_soon(self, entry: _Entry) -> None:
        entry.queued = True
        timer = asyncio.get_running_loop().call_later(self._gather, self._enqueue, entry)
        self._gathered[entry.name] = (entry, timer)

    def _enqueue(self, entry: _Entry) -> None:
        self._gathered.pop(entry.name, None)
        entry.queued = not self._queue.full()
        if entry.queued:
            self._queue.put_nowait(entry)
        else:
            self.dropped += 1

    def _allowed(self, kind: _Kind) -> bool:
        now = self._clock()
        allowance = self._allowances.get(kind)
        if allowance is None:
            allowance = _Allowance(BURST, now)
            self._allowances.put(kind, allowance)
        allowance.left = min(BURST, allowance.left + (now - allowance.at) / REFILL)
        allowance.at = now
        if allowance.left < 1:
            return False
        allowance.left -= 1
        return True

    async def _write(self, entry: _Entry) -> None:
        backoff = self._backoff()
        entry.queued = False
        for _ in range(_TRIES):
            try:
                await self._write_once(entry)
            except NotFound:
                if not entry.written:
                    break  # no such namespace
                entry.written = False  # the server forgets events after an hour: write it anew
            except AlreadyExists:
                entry.written = True  # our own create, whose answer was lost
                return
            except (Unavailable, Throttled, Unauthorized) as error:
                await asyncio.sleep(backoff.pause(error.delay))
            except KubeError as error:
                self._note_refusal(error)
                break
            else:
                entry.written = True
                self._refused = False
                return
        self.dropped += 1

    async def _write_once(self, entry: _Entry) -> None:
        if not entry.written:
            await self._client.create(EVENTS, self._body(entry), namespace=entry.namespace)
            return
        repeated = {"count": entry.count, "lastTimestamp": _time(entry.last), "message": entry.message}
        await self._client.patch(EVENTS, entry.name, repeated, namespace=entry.namespace)

    def _body(self, entry: _Entry) -> dict[str, Any]:
        involved = {
            "apiVersion": entry.ref.api_version,
            "kind": entry.ref.kind,
            "name": entry.ref.name,
            "uid": entry.ref.uid,
        }
        if entry.ref.namespace:
            involved["namespace"] = entry.ref.namespace
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": entry.name, "namespace": entry.namespace},
            "involvedObject": involved,
            "type": entry.type,
            "reason": entry.reason,
            "message": entry.message,
            "count": entry.count,
            "firstTimestamp": _time(entry.first),
            "lastTimestamp": _time(entry.last),
            "source": {"component": self._component, "host": self._instance},
            "reportingComponent": self._component,
            "reportingInstance": self._instance,
        }

    def _note_refusal(self, error: KubeError) -> None:
        if not self._refused:
            self._refused = True
            log.warning("events are not written: %s", error)


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")

"""A local copy of one kind's objects, kept current by list and watch: what the controller reads.

One task runs `run()`. It lists (in pages), then watches from the list's resourceVersion. A watch that
breaks is resumed from the last version seen; one that is too old is listed again and only the differences
are told. So a listener hears every change of state once, whatever the connection does.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from typing import Generic, Literal, Protocol, TypeVar

import msgspec

from nodeeni.api.meta import ObjectMeta
from nodeeni.kube.backoff import Backoff
from nodeeni.kube.client import KubeClient
from nodeeni.kube.errors import Away, Gone, KubeError, Unavailable, decode_status, from_status
from nodeeni.kube.resources import Resource
from nodeeni.kube.transport import no_rest
from nodeeni.slices import in_slices

log = logging.getLogger(__name__)

# Seconds after which the server ends a watch. It sends a bookmark just before, so each new watch starts
# from a fresh version; and a connection that is silent for longer than this is known to be dead.
WATCH_TIMEOUT = 60.0
# Seconds. A server that ends a watch after so long, or a balancer that cuts what is idle, is not failing: the
# next one begins without a growing pause, in which nothing would be heard.
STANDS = 1.0
LARGEST_PAGE = 10_000  # objects


class HasMetadata(Protocol):
    @property
    def metadata(self) -> ObjectMeta: ...


T = TypeVar("T", bound=HasMetadata)


class _Change(msgspec.Struct, Generic[T]):
    """What nearly every event is, so that it is worth reading in one go."""

    type: Literal["ADDED", "MODIFIED"]
    object: T


class _Event(msgspec.Struct):
    type: str
    object: msgspec.Raw


class _Head(msgspec.Struct, rename="camel"):
    """Of an object's metadata, what can be read even where the rest is not what we know (a bookmark's
    `creationTimestamp` is null).
    """

    name: str = ""
    namespace: str = ""
    resource_version: str = ""


class _Headed(msgspec.Struct):
    metadata: _Head


def _newest(old: T | None, new: T) -> T:
    return new


class Informer(Generic[T]):
    """The objects of `resource`, decoded as `type`, a Struct that names only the fields in use.

    `store` maps an object's key (its name; `namespace/name` for a namespaced kind) to the object and is
    whole once `synced` is set. `kind` is the resource's name. `kept(old, new)` gives what the store is to
    hold, `new` or `old` (which is not told). `gather` says for how many seconds a watch rests after each
    reading: what comes meanwhile is read at once. `last_contact` is when the server last sent something
    (time.monotonic), `failing_since` when it began to fail us, None while it does not; `failure` is how it
    failed us last.
    `relists`, `resumes` and `undecodable` count what their names say.
    """

    def __init__(
        self,
        client: KubeClient,
        resource: Resource,
        type: type[T],
        *,
        namespace: str | None = None,
        label_selector: str | None = None,
        field_selector: str | None = None,
        kept: Callable[[T | None, T], T] = _newest,
        gather: Callable[[], float] = no_rest,
        watch_timeout: float = WATCH_TIMEOUT,
        silence: float | None = None,
        page_limit: int = 500,
        backoff: Backoff | None = None,
    ) -> None:
        self.store: dict[str, T] = {}
        self.synced = asyncio.Event()
        self.last_contact: float | None = None
        self.failing_since: float | None = None
        self.failure: KubeError | None = None
        self.relists = 0
        self.resumes = 0
        self.undecodable = 0
        self._client = client
        self.kind = resource.described()
        self._resource = resource
        self._decoder = msgspec.json.Decoder(type)
        self._changes: msgspec.json.Decoder[_Change[T]] = msgspec.json.Decoder(_Change[type])  # type: ignore[valid-type]
        self._events = msgspec.json.Decoder(_Event)
        self._namespace = namespace
        self._label_selector = label_selector
        self._field_selector = field_selector
        self._kept = kept
        self._gather = gather
        self._watch_timeout = watch_timeout
        self._silence = silence
        self._page_limit = page_limit
        self._backoff = backoff or Backoff()
        self._listeners: list[Callable[[T | None, T | None], None]] = []
        self._version: str | None = None
        self._unreadable: set[str] = set()
        self._interrupted = False
        self._told = False  # that it is

    def add_listener(self, listener: Callable[[T | None, T | None], None]) -> None:
        """Call `listener(old, new)` on every change, in order, from the informer's task: `old` is None for
        a new object, `new` for one that is gone. Objects already in the store are told at once as new.
        """
        self._listeners.append(listener)
        for obj in list(self.store.values()):
            self._tell_one(listener, None, obj)

    async def follow(self, listener: Callable[[T | None, T | None], None]) -> None:
        """As `add_listener`, with a turn for others between the objects that are in the store. What changes
        before it was told is told as new then.
        """
        untold = dict.fromkeys(self.store)

        def first(old: T | None, new: T | None) -> None:
            there = old or new
            if there is not None and self._key(there.metadata) in untold:
                del untold[self._key(there.metadata)]
                old = None
            if old is not None or new is not None:
                listener(old, new)

        self._listeners.append(first)
        async for key in in_slices(list(untold)):
            if key in untold:
                self._tell_one(first, None, self.store[key])
        self._listeners[self._listeners.index(first)] = listener

    async def run(self) -> None:
        """List and watch until cancelled. Failures are waited out; nothing but cancellation ends it."""
        while True:
            try:
                if self._version is None:
                    await self._list()
                await self._watch(self._version or "")
            except KubeError as error:
                if isinstance(error, Gone):
                    if self._version is None:
                        # The list took longer than the server keeps its snapshot, 5 minutes: fewer pages.
                        self._page_limit = min(2 * self._page_limit, LARGEST_PAGE)
                    self._version = None
                self._note_interruption(error)
                await self._rest(error)
            self.resumes += self._version is not None

    async def _rest(self, error: KubeError) -> None:
        """A server that is back is watched at once, whoever found out."""
        pause = self._backoff.pause(error.delay)
        if isinstance(error, Away):
            await self._client.back(pause)
        else:
            await asyncio.sleep(pause)

    async def read_once(self) -> None:
        """List without watching, for commands that look once. Raises KubeError."""
        await self._list()

    async def _list(self) -> None:
        found: dict[str, T] = {}
        version = ""
        async for page in self._client.pages(
            self._resource,
            namespace=self._namespace,
            label_selector=self._label_selector,
            field_selector=self._field_selector,
            limit=self._page_limit,
        ):
            self.last_contact, self.failing_since = time.monotonic(), None
            version = page.resource_version
            for raw in page.items:
                self._collect(raw, found)
        async for key in in_slices([key for key in self.store if key not in found]):
            self._hold(key, None)
        async for key, obj in in_slices(found.items()):
            self._hold(key, obj)
        self._version = version
        self.relists += self.synced.is_set()
        self.synced.set()

    def _collect(self, raw: msgspec.Raw, found: dict[str, T]) -> None:
        metadata, obj = self._read(raw)
        if metadata is None:
            return
        key = self._key(metadata)
        # At once as it is to be held: what thousands of objects lose only after the last page leaves holes in
        # memory among them, which are never given back. An unreadable one is the last good one.
        obj = self.store.get(key) if obj is None else self._as_held(key, obj)
        if obj is not None:
            found[key] = obj  # while a list is under way, one copy in memory of what did not change

    async def _watch(self, version: str) -> None:
        started = time.monotonic()
        async with self._client.watch(
            self._resource,
            resource_version=version,
            timeout=self._watch_timeout,
            silence=self._silence,
            gather=self._gather,
            namespace=self._namespace,
            label_selector=self._label_selector,
            field_selector=self._field_selector,
        ) as chunks:
            opened = self.last_contact = time.monotonic()
            self.failing_since = None
            try:
                async for line in _lines(chunks):
                    self.last_contact = time.monotonic()
                    self._take(line)
            finally:
                if time.monotonic() - opened >= STANDS:
                    self._backoff.reset()
        if time.monotonic() - started < self._watch_timeout / 2:
            raise Unavailable(f"watch {self._resource.described()}: the server ended it early")
        self._note_progress()

    def _take(self, line: bytes) -> None:
        try:
            obj = self._changes.decode(line).object
        except msgspec.DecodeError:
            self._take_any(line)
            return
        self._unreadable.discard(self._key(obj.metadata))
        self._put(self._key(obj.metadata), obj)
        self._version = obj.metadata.resource_version
        self._note_progress()

    def _take_any(self, line: bytes) -> None:
        """An event that is no change which we can read."""
        try:
            event = self._events.decode(line)
        except msgspec.DecodeError as error:
            # Which change it told is lost: only a list can say.
            raise Gone(f"watch {self._resource.described()}: a line is no event: {error}") from error
        if event.type == "ERROR":
            status = decode_status(bytes(event.object))
            raise from_status(status.code or 500, status, verb="watch", resource=self._resource.described())
        metadata: ObjectMeta | _Head | None
        obj: T | None = None
        if event.type in ("BOOKMARK", "DELETED"):
            metadata = self._head(event.object)
        else:
            metadata, obj = self._read(event.object)
        if metadata is None:
            return
        if event.type == "DELETED":
            self._unreadable.discard(self._key(metadata))
            self._hold(self._key(metadata), None)
        elif obj is not None:
            self._put(self._key(metadata), obj)
        self._version = metadata.resource_version
        self._note_progress()

    def _read(self, raw: msgspec.Raw) -> tuple[ObjectMeta | _Head | None, T | None]:
        try:
            obj = self._decoder.decode(raw)
        except msgspec.DecodeError as error:
            return self._note_undecodable(raw, error), None
        if self._unreadable:
            self._unreadable.discard(self._key(obj.metadata))
        return obj.metadata, obj

    def _head(self, raw: msgspec.Raw) -> _Head | None:
        try:
            return msgspec.json.decode(raw, type=_Headed).metadata
        except msgspec.DecodeError:
            return None

    def _key(self, metadata: ObjectMeta | _Head) -> str:
        return f"{metadata.namespace}/{metadata.name}" if self._resource.namespaced else metadata.name

    def _put(self, key: str, new: T) -> None:
        self._hold(key, self._as_held(key, new))

    def _as_held(self, key: str, new: T) -> T:
        """What the store is to hold of it: the object that is there, where nothing changed."""
        old = self.store.get(key)
        if old is None or not _is_same(old, new):
            return self._kept(None, new)
        same_version = old.metadata.resource_version == new.metadata.resource_version
        return old if same_version else self._kept(old, new)

    def _hold(self, key: str, kept: T | None) -> None:
        """From here on; listeners are told of what that changes. None: there is none."""
        old = self.store.get(key)
        if old is not None and (kept is None or not _is_same(old, kept)):
            del self.store[key]
            self._tell(old, None)
            old = None
        if kept is not None and kept is not old:
            self.store[key] = kept
            self._tell(old, kept)

    def _tell(self, old: T | None, new: T | None) -> None:
        for listener in self._listeners:
            self._tell_one(listener, old, new)

    def _tell_one(self, listener: Callable[[T | None, T | None], None], old: T | None, new: T | None) -> None:
        try:
            listener(old, new)
        except Exception:
            log.exception("a listener of %s failed", self._resource.described())

    def _note_progress(self) -> None:
        self._backoff.reset()
        if self._interrupted:
            self._interrupted = False
            if self._told:
                log.info("watching %s again", self._resource.described())

    def _note_interruption(self, error: KubeError) -> None:
        if not isinstance(error, Away):  # which says nothing new
            self.failure = error
        if self.failing_since is None:
            self.failing_since = time.monotonic()
        if not self._interrupted:
            self._interrupted = True
            self._told = not self._client.tells(error)
            if self._told:
                log.warning("%s", error)

    def _note_undecodable(self, raw: msgspec.Raw, error: msgspec.DecodeError) -> _Head | None:
        self.undecodable += 1
        metadata = self._head(raw)
        key = self._key(metadata) if metadata else ""
        if key not in self._unreadable:
            self._unreadable.add(key)
            log.warning("%s %r cannot be read: %s", self._resource.described(), key, error)
        return metadata


def _is_same(one: HasMetadata, other: HasMetadata) -> bool:
    """The same object, not one of its name that was made anew."""
    return one.metadata.uid == other.metadata.uid


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Whole lines of a stream of chunks. What a broken stream leaves of its last line is no line."""
    begun: list[bytes] = []
    async for chunk in chunks:
        first, *others = chunk.split(b"\n")
        begun.append(first)
        for following in others:
            line = b"".join(begun)
            if line:
                yield line
            begun = [following]

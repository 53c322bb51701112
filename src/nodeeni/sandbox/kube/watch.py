"""One watch: what is there, then every change, as a stream of JSON lines."""

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import web

from nodeeni.sandbox.kube import kinds, reads, table
from nodeeni.sandbox.kube.faults import OpenWatch
from nodeeni.sandbox.kube.reads import Form, Selection
from nodeeni.sandbox.kube.status import ApiError, Object, expired
from nodeeni.sandbox.kube.storage import Change, Entry, Store, Watcher

# A watch without timeoutSeconds ends after this long: the API server's --min-request-timeout is 1800 s.
DEFAULT_TIMEOUT = 1800.0


@dataclass(frozen=True, slots=True)
class Wish:
    """What the client asked of the watch. `start` is None to begin with what is there."""

    chosen: Selection
    form: Form
    include: str
    start: int | None
    timeout: float
    bookmarks: bool
    initial_end: bool


def wish(chosen: Selection, form: Form, query: dict[str, str]) -> Wish:
    text = query.get("resourceVersion", "")
    if text and not text.isdigit():
        why = f'resourceVersion: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax'
        raise ApiError(500, "", why)
    bookmarks = query.get("allowWatchBookmarks") in ("true", "1")
    initial = query.get("sendInitialEvents", "")
    if initial == "true" and query.get("resourceVersionMatch") != "NotOlderThan":
        raise reads.options_invalid("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan")
    from_now = text in ("", "0")
    start = None if initial == "true" or (from_now and initial != "false") else int(text or 0)
    seconds = query.get("timeoutSeconds", "")
    timeout = float(seconds) if seconds.isdigit() and int(seconds) > 0 else DEFAULT_TIMEOUT
    include = query.get("includeObject", "Metadata")
    return Wish(chosen, form, include, start, timeout, bookmarks, initial == "true" and bookmarks)


class Stream:
    """Writes a watch's events. Ends when the client goes, time is up, or a test breaks it."""

    def __init__(
        self,
        store: Store,
        asked: Wish,
        response: web.StreamResponse,
        opened: OpenWatch,
        bookmark_every: float,
    ) -> None:
        self._store = store
        self._asked = asked
        self._response = response
        self._opened = opened
        self._bookmark_every = bookmark_every
        self._columns_sent = False

    async def run(self, transport: asyncio.Transport | None) -> None:
        collection = self._store.collection(self._asked.chosen.resource.stored_in)
        watcher = collection.watch(self._asked.chosen.name)
        self._opened.wake = watcher.wake
        try:
            if self._asked.start is not None and self._asked.start < collection.floor:
                await self._gone(f"too old resource version: {self._asked.start} ({collection.floor + 1})")
                return
            await self._response.write(b"".join(self._beginning()))
            await self._follow(watcher, transport)
        finally:
            collection.unwatch(watcher)

    def _beginning(self) -> Iterator[bytes]:
        asked, collection = self._asked, self._store.collection(self._asked.chosen.resource.stored_in)
        if asked.start is not None:
            yield from self._frames(collection.since(asked.start))
            return
        for entry in reads.page(self._store, asked.chosen, {}).entries:
            yield self._frame("ADDED", entry.obj, entry)
        if asked.initial_end:
            yield self._bookmark({"k8s.io/initial-events-end": "true"})

    async def _follow(self, watcher: Watcher, transport: asyncio.Transport | None) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + self._asked.timeout
        bookmark_at = loop.time() + self._bookmark_every if self._asked.bookmarks else end
        while (now := loop.time()) < end:
            if self._opened.broken is not None:
                await self._break(watcher, transport, end)
                return
            watcher.wake.clear()
            if watcher.pending:
                await self._write(self._frames(watcher.drain()))
                continue
            if now >= bookmark_at:
                await self._write([self._bookmark()])
                bookmark_at = now + self._bookmark_every
            try:
                async with asyncio.timeout_at(min(end, bookmark_at)):
                    await watcher.wake.wait()
            except TimeoutError:
                pass
        # The bookmark is of this moment: what changed until now goes before it, in one piece.
        last = [self._bookmark()] if self._asked.bookmarks else []
        await self._write([*self._frames(watcher.drain()), *last])

    async def _write(self, frames: Iterable[bytes]) -> None:
        body = b"".join(frames)
        if body:
            await self._response.write(body)

    async def _break(self, watcher: Watcher, transport: asyncio.Transport | None, end: float) -> None:
        match self._opened.broken:
            case "gone":
                await self._gone("too old resource version: broken by a test")
            case "reset":
                if transport is not None:
                    transport.abort()
            case "silent":
                await asyncio.sleep(end - asyncio.get_running_loop().time())
            case _:
                await self._write(self._frames(watcher.pending))

    async def _gone(self, message: str) -> None:
        event = {"type": "ERROR", "object": expired(message).status()}
        await self._response.write(msgspec.json.encode(event) + b"\n")

    def _frames(self, changes: Iterable[Change]) -> Iterator[bytes]:
        chosen = self._asked.chosen
        for change in changes:
            before = change.before is not None and chosen.matches(change.key, change.before.obj)
            if change.kind == "DELETED":
                if before:
                    yield self._frame("DELETED", change.entry.obj, change.entry)
                continue
            after = chosen.matches(change.key, change.entry.obj)
            if after:
                yield self._frame("MODIFIED" if before else "ADDED", change.entry.obj, change.entry)
            elif before and change.before is not None:
                yield self._frame("DELETED", _at_revision(change.before.obj, change.entry.revision), None)

    def _frame(self, kind: str, obj: Object, entry: Entry | None) -> bytes:
        resource, asked = self._asked.chosen.resource, self._asked
        if asked.form is Form.PLAIN:
            body = reads.object_body(obj, resource, entry)
        elif asked.form is Form.METADATA:
            body = msgspec.json.encode(table.partial(obj))
        else:
            metadata = {"resourceVersion": obj["metadata"]["resourceVersion"]}
            shown = table.table(resource, [obj], metadata, asked.include, with_columns=not self._columns_sent)
            if asked.include == "Object":
                shown["rows"][0]["object"] = kinds.served_form(resource, obj)
            self._columns_sent = True
            body = msgspec.json.encode(shown)
        return b'{"type":"' + kind.encode() + b'","object":' + body + b"}\n"

    def _bookmark(self, annotations: dict[str, str] | None = None) -> bytes:
        resource = self._asked.chosen.resource
        metadata: dict[str, Any] = {"resourceVersion": str(self._store.revision), "creationTimestamp": None}
        if annotations:
            metadata["annotations"] = annotations
        obj = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": metadata}
        return msgspec.json.encode({"type": "BOOKMARK", "object": obj}) + b"\n"


def _at_revision(obj: Object, revision: int) -> Object:
    return {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(revision)}}

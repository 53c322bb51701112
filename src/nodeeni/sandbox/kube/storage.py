"""What etcd and the watch cache are to a real API server: objects by key, one revision for all writes, and
for each collection a log of changes that watches read.

A stored object is never changed in place: a write replaces it. So reads hand out the stored object itself,
and its JSON, encoded once, serves every list and watch.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import msgspec

from nodeeni.sandbox.kube.status import Object, too_large_for_store

Key = tuple[str, str]  # namespace ("" at cluster scope), name

MAX_BYTES = 1_572_864  # etcd's default --max-request-bytes, 1.5 MiB

_encoder = msgspec.json.Encoder()


class Entry:
    """An object as it is read, with the revision that wrote it and its JSON. `stored_otherwise`: what was
    written lacks a default that it is read with, so that even a write which changes nothing is one.
    """

    __slots__ = ("encoded", "obj", "revision", "stored_otherwise")

    def __init__(self, obj: Object, revision: int, *, stored_otherwise: bool = False) -> None:
        self.obj = obj
        self.revision = revision
        self.stored_otherwise = stored_otherwise
        self.encoded = _encoder.encode(obj)


@dataclass(frozen=True, slots=True)
class Change:
    """One write: `kind` is ADDED, MODIFIED or DELETED; `entry` is the object after it (for DELETED: the
    last state, at the revision of the deletion), `before` the object before it."""

    kind: str
    key: Key
    entry: Entry
    before: Entry | None


class Watcher:
    """The changes that one watch has not sent yet. `name` narrows it to one object's changes."""

    __slots__ = ("name", "pending", "wake")

    def __init__(self, name: str | None) -> None:
        self.name = name
        self.pending: deque[Change] = deque()
        self.wake = asyncio.Event()

    def offer(self, change: Change) -> None:
        self.pending.append(change)
        self.wake.set()

    def drain(self) -> list[Change]:
        """What is to be sent, which from now on counts as sent."""
        changes = list(self.pending)
        self.pending.clear()
        return changes


@dataclass(slots=True)
class Collection:
    """All objects of one resource, and the log of their latest `log_length` changes."""

    entries: dict[Key, Entry] = field(default_factory=dict)
    log: deque[Change] = field(default_factory=deque)
    floor: int = 0  # changes up to this revision are no longer in the log
    watchers: set[Watcher] = field(default_factory=set)
    watchers_by_name: dict[str, set[Watcher]] = field(default_factory=dict)

    def watch(self, name: str | None) -> Watcher:
        watcher = Watcher(name)
        if name is None:
            self.watchers.add(watcher)
        else:
            self.watchers_by_name.setdefault(name, set()).add(watcher)
        return watcher

    def unwatch(self, watcher: Watcher) -> None:
        if watcher.name is None:
            self.watchers.discard(watcher)
            return
        named = self.watchers_by_name.get(watcher.name)
        if named is not None:
            named.discard(watcher)
            if not named:
                del self.watchers_by_name[watcher.name]

    def since(self, revision: int) -> list[Change]:
        """Changes after `revision`, oldest first; only meaningful when `revision >= floor`."""
        newer: list[Change] = []
        for change in reversed(self.log):
            if change.entry.revision <= revision:
                break
            newer.append(change)
        newer.reverse()
        return newer

    def at(self, revision: int) -> dict[Key, Entry]:
        """The entries as they were at `revision`, found by undoing the log (needs `revision >= floor`)."""
        state = dict(self.entries)
        for change in reversed(self.log):
            if change.entry.revision <= revision:
                break
            if change.before is None:
                state.pop(change.key, None)
            else:
                state[change.key] = change.before
        return state


class Store:
    """All collections under one revision counter."""

    def __init__(self, log_length: int) -> None:
        self.revision = 1
        self.log_length = log_length
        self.collections: dict[str, Collection] = {}
        self.on_change: list[Callable[[str, Change], None]] = []
        self._uids: dict[str, tuple[str, Key]] = {}

    def collection(self, storage: str) -> Collection:
        return self.collections.setdefault(storage, Collection())

    def get(self, storage: str, key: Key) -> Entry | None:
        found = self.collections.get(storage)
        return found.entries.get(key) if found else None

    def located(self, uid: str) -> tuple[str, Key] | None:
        """Where the object with this uid is: its storage and key."""
        return self._uids.get(uid)

    def everything(self) -> Iterator[tuple[str, Key, Entry]]:
        for storage, collection in list(self.collections.items()):
            for key, entry in list(collection.entries.items()):
                yield storage, key, entry

    def put(self, storage: str, key: Key, obj: Object) -> Entry:
        """Writes the object (its metadata.resourceVersion is set here). Raises ApiError over 1.5 MiB."""
        revision = self.revision + 1
        stored = _with_revision(obj, revision)
        entry = Entry(stored, revision)
        if len(entry.encoded) > MAX_BYTES:
            raise too_large_for_store()
        self.revision = revision
        collection = self.collection(storage)
        before = collection.entries.get(key)
        collection.entries[key] = entry
        self._uids[stored["metadata"]["uid"]] = (storage, key)
        self._record(storage, Change("MODIFIED" if before else "ADDED", key, entry, before))
        return entry

    def remove(self, storage: str, key: Key, last: Object | None = None) -> Entry:
        """Removes the object, and returns its last state at the revision of the removal."""
        self.revision += 1
        before = self.collection(storage).entries.pop(key)
        entry = Entry(_with_revision(last if last is not None else before.obj, self.revision), self.revision)
        self._uids.pop(entry.obj["metadata"]["uid"], None)
        self._record(storage, Change("DELETED", key, entry, before))
        return entry

    def reread(self, storage: str, as_read: Callable[[Object], Object]) -> None:
        """Shows what is stored in another form from now on: no write, and no new revision."""
        entries = self.collection(storage).entries
        for key, entry in entries.items():
            obj = as_read(entry.obj)
            if obj != entry.obj:
                entries[key] = Entry(obj, entry.revision, stored_otherwise=True)

    def compact(self) -> None:
        """Forgets all past changes: watches and continuations from before now get 410."""
        for collection in self.collections.values():
            collection.log.clear()
            collection.floor = self.revision

    def _record(self, storage: str, change: Change) -> None:
        collection = self.collection(storage)
        collection.log.append(change)
        while len(collection.log) > self.log_length:
            collection.floor = collection.log.popleft().entry.revision
        for watcher in collection.watchers:
            watcher.offer(change)
        for watcher in collection.watchers_by_name.get(change.key[1], ()):
            watcher.offer(change)
        for listener in self.on_change:
            listener(storage, change)


def _with_revision(obj: Object, revision: int) -> Object:
    """The object as stored: apiVersion, kind and metadata first, which list encoding relies on."""
    metadata = {**obj["metadata"], "resourceVersion": str(revision)}
    return {"apiVersion": obj["apiVersion"], "kind": obj["kind"], **obj, "metadata": metadata}

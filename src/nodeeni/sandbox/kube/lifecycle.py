"""What a cluster's own controllers do after a write: serve what a CRD defines, collect what its owners left,
empty a namespace or a CRD that is being deleted.

It listens to the store; the registry follows CRDs at once, everything else is done by one task a moment
later, as in a real cluster.
"""

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from nodeeni.sandbox.kube import admission, crd
from nodeeni.sandbox.kube.operations import FOREGROUND, ORPHAN, Operations
from nodeeni.sandbox.kube.status import Object
from nodeeni.sandbox.kube.storage import Change, Entry, Key
from nodeeni.sandbox.kube.targets import Deletion, Options, Target

CRDS = "customresourcedefinitions.apiextensions.k8s.io"

Place = tuple[str, Key]  # storage and key


class Lifecycle:
    """`delay` is the time in seconds between a write and what follows from it."""

    def __init__(self, operations: Operations, delay: float, on_dropped: Callable[[str], None]) -> None:
        self._operations = operations
        self._store = operations.store
        self._delay = delay
        self._on_dropped = on_dropped
        self._dependents: dict[str, set[Place]] = {}
        self._due: dict[Callable[..., None], dict[Any, None]] = {}
        self._wake = asyncio.Event()
        self._store.on_change.append(self._on_change)

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            await asyncio.sleep(self._delay)
            self._wake.clear()
            due, self._due = self._due, {}
            for step, arguments in due.items():
                for argument in arguments:
                    step(argument)

    def _later(self, step: Callable[[Any], None], argument: Any) -> None:
        self._due.setdefault(step, {})[argument] = None
        self._wake.set()

    def _on_change(self, storage: str, change: Change) -> None:
        place = (storage, change.key)
        meta = change.entry.obj["metadata"]
        self._index(place, change)
        if change.kind == "DELETED":
            self._later(self._collect, meta["uid"])
            self._revisit_containers(storage, change.key[0], meta)
            if storage == CRDS:
                self._drop(change.entry.obj)
            return
        if storage == CRDS:
            self._serve(change.entry.obj)
        if any(self._store.located(o["uid"]) is None for o in meta.get("ownerReferences") or ()):
            self._later(self._disown, place)
        if meta.get("deletionTimestamp"):
            self._later(self._finish, place)

    def _index(self, place: Place, change: Change) -> None:
        before = _owner_uids(change.before)
        after = _owner_uids(change.entry) if change.kind != "DELETED" else frozenset()
        for uid in before - after:
            self._dependents.get(uid, set()).discard(place)
        for uid in after - before:
            self._dependents.setdefault(uid, set()).add(place)

    def _revisit_containers(self, storage: str, namespace: str, meta: Object) -> None:
        """A deletion can be what a namespace, a CRD or a foreground-deleted owner waited for."""
        if namespace:
            self._later(self._finish, ("namespaces", ("", namespace)))
        self._later(self._finish, (CRDS, ("", storage)))
        for uid in (o["uid"] for o in meta.get("ownerReferences") or ()):
            owner = self._store.located(uid)
            if owner is not None:
                self._later(self._finish, owner)

    def _serve(self, definition: Object) -> None:
        if definition["metadata"].get("deletionTimestamp"):
            return
        registry = self._operations.registry
        spec = definition["spec"]
        registry.drop(spec["group"], spec["names"]["plural"])
        for resource, rules in crd.resources_of(definition):
            registry.add(resource)
            key = (resource.group, resource.version, resource.plural)
            self._operations.rules.pop(key, None)
            if rules is not None:
                self._operations.rules[key] = rules
            self._store.reread(resource.stored_in, partial(admission.as_read, resource))

    def _drop(self, definition: Object) -> None:
        spec = definition["spec"]
        self._operations.registry.drop(spec["group"], spec["names"]["plural"])
        self._on_dropped(definition["metadata"]["name"])

    # The steps that come a moment later. Each looks at what is there now.

    def _collect(self, owner_uid: str) -> None:
        for place in list(self._dependents.get(owner_uid, ())):
            self._disown(place)
        if not self._dependents.get(owner_uid):
            self._dependents.pop(owner_uid, None)

    def _disown(self, place: Place) -> None:
        """Deletes an object none of whose owners is left; drops the references to owners that are gone."""
        entry = self._store.get(*place)
        if entry is None:
            return
        owners = entry.obj["metadata"].get("ownerReferences") or []
        left = [o for o in owners if self._store.located(o["uid"]) is not None]
        if len(left) == len(owners):
            return
        if left:
            self._edit(place, entry, ownerReferences=left)
        else:
            self._delete(place)

    def _finish(self, place: Place) -> None:
        """Takes an object that is being deleted one step further, if it is one that we finish."""
        entry = self._store.get(*place)
        if entry is None or not entry.obj["metadata"].get("deletionTimestamp"):
            return
        finalizers = entry.obj["metadata"].get("finalizers") or []
        if place[0] == "namespaces":
            self._finish_namespace(place, entry)
        elif ORPHAN in finalizers:
            for dependent in list(self._dependents.get(entry.obj["metadata"]["uid"], ())):
                self._orphan(dependent, entry.obj["metadata"]["uid"])
            self._release(place, ORPHAN)
        elif FOREGROUND in finalizers:
            dependents = list(self._dependents.get(entry.obj["metadata"]["uid"], ()))
            if self._emptied(dependents):
                self._release(place, FOREGROUND)
        elif place[0] == CRDS and crd.CLEANUP in finalizers:
            storage = entry.obj["metadata"]["name"]
            instances = [(storage, key) for key in self._store.collection(storage).entries]
            if self._emptied(instances):
                self._release(place, crd.CLEANUP)

    def _finish_namespace(self, place: Place, entry: Entry) -> None:
        name = place[1][1]
        inside = [(storage, key) for storage, key, _ in self._store.everything() if key[0] == name]
        if not self._emptied(inside):
            return
        last = {**entry.obj, "spec": {**entry.obj["spec"], "finalizers": []}}
        if entry.obj["metadata"].get("finalizers"):
            self._store.put(*place, last)
        else:
            self._store.remove(*place, last)

    def _emptied(self, places: Iterable[Place]) -> bool:
        """Asks for the deletion of all; whether none is left (finalizers may hold some)."""
        left = False
        for place in places:
            self._delete(place)
            left = left or self._store.get(*place) is not None
        return not left

    def _orphan(self, place: Place, owner_uid: str) -> None:
        entry = self._store.get(*place)
        if entry is not None:
            owners = entry.obj["metadata"].get("ownerReferences") or []
            self._edit(place, entry, ownerReferences=[o for o in owners if o["uid"] != owner_uid])

    def _delete(self, place: Place) -> None:
        storage, key = place
        resource = self._operations.registry.by_storage(storage)
        if resource is not None and self._store.get(storage, key) is not None:
            self._operations.delete(Target(resource, key), Deletion(), Options())

    def _release(self, place: Place, finalizer: str) -> None:
        entry = self._store.get(*place)
        if entry is None:
            return
        left = [f for f in entry.obj["metadata"].get("finalizers") or () if f != finalizer]
        if left:
            self._edit(place, entry, finalizers=left)
            return
        metadata = {k: v for k, v in entry.obj["metadata"].items() if k != "finalizers"}
        self._store.remove(*place, {**entry.obj, "metadata": metadata})

    def _edit(self, place: Place, entry: Entry, **fields: list[Any]) -> None:
        metadata = {**entry.obj["metadata"], **fields}
        for name, value in fields.items():
            if not value:
                del metadata[name]
        self._store.put(*place, {**entry.obj, "metadata": metadata})


def _owner_uids(entry: Entry | None) -> frozenset[str]:
    if entry is None:
        return frozenset()
    return frozenset(o["uid"] for o in entry.obj["metadata"].get("ownerReferences") or ())

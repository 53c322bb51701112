"""ENINodes: what each node's ENI manager is to know, written as soon as it is known.

`want` takes the wanted spec of a node; a few writers bring the API server there. An ENINode stands while
its node has or is getting an interface of ours, belongs to the Node, and is deleted when the last is gone.
What somebody else changes in its spec, or of whom it belongs to, is put right.
"""

import asyncio
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import Any

import msgspec

from nodeeni import metrics
from nodeeni.api import names
from nodeeni.api.v1alpha1 import ENINode, ENINodeSpec
from nodeeni.controller.cluster import Cluster
from nodeeni.controller.fights import Fights, last_manager
from nodeeni.kube.client import KubeClient
from nodeeni.kube.errors import AlreadyExists, Away, KubeError, NotFound
from nodeeni.kube.reach import Refusals
from nodeeni.kube.resources import ENINODES
from nodeeni.plan.observed import NodeView
from nodeeni.plan.report import spec_of

WRITERS = 8  # requests under way at once; each takes a few milliseconds
# Seconds. Creates that are answered together are attached first, which takes EC2 a second at the least: the
# ENINode is there long before the link, and what changes twice in between is written once.
PATIENCE = 0.2
RETRY = 2.0  # seconds

_Body = dict[str, Any]


class _Ours(msgspec.Struct, frozen=True, gc=False):
    """What of an ENINode is ours: the uid of the Node that owns it, and the spec."""

    owner: str
    spec: ENINodeSpec


class _OwnedMeta(msgspec.Struct, rename="camel"):
    resource_version: str = ""
    owner_references: list[_Body] = []


class _Owned(msgspec.Struct):
    metadata: _OwnedMeta


class ENINodeWriter:
    def __init__(self, client: KubeClient, cluster: Cluster) -> None:
        self._client = client
        self._cluster = cluster
        self._wanted: dict[str, _Ours] = {}
        self._written: dict[str, _Ours | None] = {}  # ours, which the informer may not show yet
        self._dropped: dict[str, tuple[_Ours, _Ours]] = {}  # what was said, and what an older CRD left of it
        self._writing: dict[str, bool] = {}  # whether the informer told something since the write was sent
        self._undone: set[str] = set()  # by somebody else, once it was as wanted
        self._fights = Fights()
        self._refusals = Refusals("writing ENINodes", client.tells, client.returns)
        self._queue: asyncio.Queue[str] = asyncio.Queue()
        self._queued: set[str] = set()
        # Told of each that somebody changed: its name, who (empty: not known), and how many times.
        self.on_put_right: Callable[[str, str, int], None] = lambda *told: None

    def want(
        self, name: str, node: NodeView | None, spec: ENINodeSpec, unread: AbstractSet[str] = frozenset()
    ) -> None:
        """This is what the node's ENINode is to say; without interfaces, or without a Node, none is to be. Of
        `unread` interfaces it says what it said before: their ENI manager has them up.
        """
        if any(not entry.subnet_cidr for entry in spec.interfaces):
            spec = self._with_known_cidrs(name, spec)
        if unread:
            spec = self._with_those_of_before(name, spec, unread)
        if not spec.interfaces or node is None:
            for memory in (self._wanted, self._dropped):
                memory.pop(name, None)
            self._fights.forget(name)
        else:
            wanted, current = _Ours(node.uid, spec), self._current(name)
            self._wanted[name] = current if current == wanted and current is not None else wanted
        if self._target(name) != self._current(name):
            self._enqueue(name)

    def _with_known_cidrs(self, name: str, spec: ENINodeSpec) -> ENINodeSpec:
        """Of what may go, or cannot be had as asked, the subnet is not asked for: it is the one of before."""
        shown = self._cluster.eninodes.store.get(name)
        known = {entry.eni_id: entry for entry in shown.spec.interfaces} if shown else {}
        entries = [
            entry
            if entry.subnet_cidr or entry.eni_id not in known
            else msgspec.structs.replace(
                entry,
                subnet_cidr=known[entry.eni_id].subnet_cidr,
                subnet_ipv6_cidr=known[entry.eni_id].subnet_ipv6_cidr,
            )
            for entry in spec.interfaces
        ]
        return spec_of(spec.instance_id, entries)

    def _with_those_of_before(self, name: str, spec: ENINodeSpec, eni_ids: AbstractSet[str]) -> ENINodeSpec:
        shown = self._cluster.eninodes.store.get(name)
        before = shown.spec.interfaces if shown is not None else ()
        kept = [entry for entry in before if entry.eni_id in eni_ids]
        return spec_of(spec.instance_id, [*spec.interfaces, *kept])

    def changed(self, old: ENINode | None, new: ENINode | None) -> None:
        """A listener of the informer: it has caught up, or somebody edited what is ours."""
        if old is not None and new is not None and old.spec == new.spec and _owners(old) == _owners(new):
            return
        name = (new or old).metadata.name if (new or old) else ""  # type: ignore[union-attr]
        shown, target = self._as_ours(name, new), self._target(name)
        if name in self._writing:
            self._writing[name] = True
        if name in self._written and self._written[name] == shown:
            del self._written[name]
        elif target is not None and shown != target:
            undone = name not in self._writing and self._as_ours(name, old) == target
            if undone and (new is not None or self._owner_stands(name, target)):
                self._undone.add(name)
            self._written.pop(name, None)
            self._enqueue(name)

    def _owner_stands(self, name: str, ours: _Ours) -> bool:
        """Whether the Node that an ENINode belongs to is there, so that it was not collected with it."""
        node = self._cluster.node(name)
        return node is not None and node.uid == ours.owner

    async def run(self) -> None:
        """Write until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(WRITERS):
                group.create_task(self._writer())

    async def _writer(self) -> None:
        while True:
            name = await self._queue.get()
            delay = min(self._refusals.wait(), RETRY)  # to look is no request
            try:
                if not delay:
                    delay = await self._write(name)
            except KubeError as error:
                self._refusals.failed(error, name)
                delay = RETRY if isinstance(error, Away) else max(RETRY, error.delay)
            self._queued.discard(name)
            if self._target(name) != self._current(name):
                self._enqueue(name, delay)

    def _enqueue(self, name: str, delay: float = PATIENCE) -> None:
        """One that is queued, or being written, is looked at again when that is done."""
        if name not in self._queued:
            self._queued.add(name)
            asyncio.get_running_loop().call_later(delay, self._queue.put_nowait, name)

    def _target(self, name: str) -> _Ours | None:
        return self._wanted.get(name)

    def _current(self, name: str) -> _Ours | None:
        return self._written[name] if name in self._written else self._shown(name)

    async def _write(self, name: str) -> float:
        """Returns the seconds after which it may be written again."""
        target, current = self._target(name), self._current(name)
        if target == current:
            self._undone.discard(name)
            return PATIENCE
        undone = name in self._undone
        if undone and (wait := self._fights.wait(name)):
            return max(PATIENCE, wait)
        who = await last_manager(self._client, ENINODES, name) if undone else ""
        self._writing[name] = False
        try:
            if target is None:
                await self._delete(name)
            elif current is None:
                await self._create(name, target)
            else:
                await self._patch(name, target)
        finally:
            overtaken = self._writing.pop(name)
        metrics.KUBE_WRITES.labels("eninodes").inc()
        self._refusals.succeeded()
        if undone:
            self._undone.discard(name)
            self.on_put_right(name, who, self._fights.put_right(name))
        if overtaken and self._shown(name) == target:
            return PATIENCE
        self._written[name] = target
        if overtaken:  # by an older state, or by a newer one, such as that it was collected
            asyncio.get_running_loop().call_later(RETRY, self._doubt, name)
        return PATIENCE

    def _doubt(self, name: str) -> None:
        """What we wrote is still not shown: it is no longer there."""
        if name in self._written and self._shown(name) != self._written[name]:
            del self._written[name]
            self._enqueue(name)

    def _shown(self, name: str) -> _Ours | None:
        return self._as_ours(name, self._cluster.eninodes.store.get(name))

    def _as_ours(self, name: str, eninode: ENINode | None) -> _Ours | None:
        """What an ENINode says of ours; where an older CRD left this of what we said, that."""
        if eninode is None:
            return None
        wanted, owners = self._wanted.get(name), _owners(eninode)
        owner = wanted.owner if wanted is not None and wanted.owner in owners else next(iter(owners), "")
        found = _Ours(owner, eninode.spec)
        said, left = self._dropped.get(name, (found, None))
        return said if found == left else found

    async def _create(self, name: str, target: _Ours) -> None:
        body: _Body = {
            "apiVersion": names.API_VERSION,
            "kind": "ENINode",
            "metadata": {"name": name, "ownerReferences": [_reference(name, target.owner)]},
            "spec": msgspec.to_builtins(target.spec),
        }
        try:
            self._answered(name, target, await self._client.create(ENINODES, body, ENINode))
        except AlreadyExists:
            await self._patch(name, target)

    async def _patch(self, name: str, target: _Ours) -> None:
        body: _Body = {"spec": msgspec.to_builtins(target.spec)}
        shown = self._cluster.eninodes.store.get(name)
        if shown is None or target.owner not in _owners(shown):
            body["metadata"] = await self._owned(name, target.owner)
        try:
            self._answered(name, target, await self._client.patch(ENINODES, name, body, ENINode))
        except NotFound:
            await self._create(name, target)

    async def _owned(self, name: str, owner: str) -> _Body:
        """Metadata by which it belongs to its Node, and to others as before; not to a Node that is gone."""
        found, _ = await self._client.list(ENINODES, _Owned, field_selector=f"metadata.name={name}")
        if not found:
            return {}  # the patch will see that
        others = [each for each in found[0].metadata.owner_references if each.get("kind") != "Node"]
        return {
            "ownerReferences": [_reference(name, owner), *others],
            "resourceVersion": found[0].metadata.resource_version,
        }

    def _answered(self, name: str, said: _Ours, answer: ENINode) -> None:
        self._dropped.pop(name, None)
        left = self._as_ours(name, answer)
        if left is not None and left != said:
            self._dropped[name] = (said, left)

    async def _delete(self, name: str) -> None:
        try:
            await self._client.delete(ENINODES, name)
        except NotFound:
            pass  # collected with its Node


def _owners(eninode: ENINode) -> list[str]:
    """The uids of the Nodes to which it belongs: one, as a rule."""
    return [owner.uid for owner in eninode.metadata.owner_references if owner.kind == "Node"]


def _reference(name: str, uid: str) -> _Body:
    return {"apiVersion": "v1", "kind": "Node", "name": name, "uid": uid}

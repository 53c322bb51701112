"""ENINodes: what each node's ENI manager is to know, written as soon as it is known.

`want` takes the wanted spec of a node; a few writers bring the API server there. An ENINode stands while
its node has or is getting an interface of ours, belongs to the Node, and is deleted when the last is gone.
"""

import asyncio
import logging
from typing import Any

import msgspec

from nodeeni import metrics
from nodeeni.api import names
from nodeeni.api.v1alpha1 import ENINode, ENINodeSpec
from nodeeni.controller.cluster import Cluster
from nodeeni.kube.client import KubeClient
from nodeeni.kube.errors import AlreadyExists, KubeError, NotFound
from nodeeni.kube.resources import ENINODES
from nodeeni.plan.observed import NodeView

log = logging.getLogger(__name__)

WRITERS = 8  # requests under way at once; each takes a few milliseconds
# Seconds. Creates that are answered together are attached first, which takes EC2 a second at the least: the
# ENINode is there long before the link, and what changes twice in between is written once.
PATIENCE = 0.2
RETRY = 2.0  # seconds

_Body = dict[str, Any]


class ENINodeWriter:
    def __init__(self, client: KubeClient, cluster: Cluster) -> None:
        self._client = client
        self._cluster = cluster
        self._wanted: dict[str, tuple[NodeView | None, ENINodeSpec]] = {}
        self._written: dict[str, ENINodeSpec | None] = {}  # ours, which the informer may not show yet
        self._writing: dict[str, bool] = {}  # whether the informer told something since the write was sent
        self._queue: asyncio.Queue[str] = asyncio.Queue()
        self._queued: set[str] = set()

    def want(self, name: str, node: NodeView | None, spec: ENINodeSpec) -> None:
        """This is what the node's ENINode is to say; without interfaces, or without a Node, none is to be."""
        if not spec.interfaces or node is None:
            self._wanted.pop(name, None)
        else:
            current = self._current(name)
            self._wanted[name] = (node, current if current is not None and current == spec else spec)
        if self._target(name) != self._current(name):
            self._enqueue(name)

    def changed(self, old: ENINode | None, new: ENINode | None) -> None:
        """A listener of the informer: it has caught up, or somebody edited what is ours."""
        if old is not None and new is not None and old.spec == new.spec:
            return
        name = (new or old).metadata.name if (new or old) else ""  # type: ignore[union-attr]
        shown = new.spec if new else None
        if name in self._writing:
            self._writing[name] = True
        if name in self._written and self._written[name] == shown:
            del self._written[name]
        elif name in self._wanted and shown != self._target(name):
            self._written.pop(name, None)
            self._enqueue(name)

    async def run(self) -> None:
        """Write until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(WRITERS):
                group.create_task(self._writer())

    async def _writer(self) -> None:
        while True:
            name = await self._queue.get()
            try:
                await self._write(name)
                delay = PATIENCE
            except KubeError as error:
                log.warning("the ENINode %s is not written: %s", name, error)
                delay = max(RETRY, error.delay)
            self._queued.discard(name)
            if self._target(name) != self._current(name):
                self._enqueue(name, delay)

    def _enqueue(self, name: str, delay: float = PATIENCE) -> None:
        """One that is queued, or being written, is looked at again when that is done."""
        if name not in self._queued:
            self._queued.add(name)
            asyncio.get_running_loop().call_later(delay, self._queue.put_nowait, name)

    def _target(self, name: str) -> ENINodeSpec | None:
        wanted = self._wanted.get(name)
        return wanted[1] if wanted else None

    def _current(self, name: str) -> ENINodeSpec | None:
        return self._written[name] if name in self._written else self._shown(name)

    async def _write(self, name: str) -> None:
        target, current = self._target(name), self._current(name)
        if target == current:
            return
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
        if overtaken and self._shown(name) == target:
            return
        self._written[name] = target
        if overtaken:  # by an older state, or by a newer one, such as that it was collected
            asyncio.get_running_loop().call_later(RETRY, self._doubt, name)

    def _doubt(self, name: str) -> None:
        """What we wrote is still not shown: it is no longer there."""
        if name in self._written and self._shown(name) != self._written[name]:
            del self._written[name]
            self._enqueue(name)

    def _shown(self, name: str) -> ENINodeSpec | None:
        eninode = self._cluster.eninodes.store.get(name)
        return eninode.spec if eninode else None

    async def _create(self, name: str, spec: ENINodeSpec) -> None:
        node, _ = self._wanted[name]
        assert node is not None
        owner = {"apiVersion": "v1", "kind": "Node", "name": name, "uid": node.uid}
        body: _Body = {
            "apiVersion": names.API_VERSION,
            "kind": "ENINode",
            "metadata": {"name": name, "ownerReferences": [owner]},
            "spec": msgspec.to_builtins(spec),
        }
        try:
            await self._client.create(ENINODES, body)
        except AlreadyExists:
            await self._patch(name, spec)

    async def _patch(self, name: str, spec: ENINodeSpec) -> None:
        try:
            await self._client.patch(ENINODES, name, {"spec": msgspec.to_builtins(spec)})
        except NotFound:
            await self._create(name, spec)

    async def _delete(self, name: str) -> None:
        try:
            await self._client.delete(ENINODES, name)
        except NotFound:
            pass  # collected with its Node

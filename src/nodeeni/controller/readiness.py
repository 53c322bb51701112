"""Whether a node's network is there, told of the Node itself: by its condition NodeENIsReady, and by taking
the startup taint off once it is.

Level-triggered: every reconcile of a node, every word of its ENI manager and every change of the condition by
somebody else has it looked at. Written on change only; a Node that ends, or whom no NodeENI selects any more,
is told nothing.
"""

import asyncio
import datetime
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from nodeeni import metrics
from nodeeni.api.core import Node
from nodeeni.api.names import NODE_CONDITION
from nodeeni.api.reasons import RowReason
from nodeeni.api.v1alpha1 import ENINode
from nodeeni.controller.cluster import Cluster
from nodeeni.controller.fights import Fights
from nodeeni.controller.told import Told
from nodeeni.kube.client import JSON_PATCH, STRATEGIC_PATCH, KubeClient
from nodeeni.kube.errors import Away, KubeError, NotFound
from nodeeni.kube.reach import Refusals
from nodeeni.kube.resources import NODES
from nodeeni.plan.readiness import Grade, Verdict, readiness
from nodeeni.plan.rows import Row
from nodeeni.settings import Settings
from nodeeni.slices import in_slices

WRITERS = 8  # requests under way at once; each takes a few milliseconds
PATIENCE = 0.2  # seconds: what changes twice in them is written once
RETRY = 2.0  # seconds


class _Said(msgspec.Struct, frozen=True):
    """Our condition of a Node, without its times."""

    status: str
    reason: str
    message: str


class Readiness:
    """It begins once every node has been reconciled: before that each would be told half of it."""

    def __init__(
        self,
        client: KubeClient,
        cluster: Cluster,
        settings: Settings,
        rows_on: Callable[[str], Sequence[Row]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`rows_on` gives the rows of a node, one for each NodeENI that selects it."""
        self._client = client
        self._cluster = cluster
        self._with_condition = settings.node_condition
        self._taint = settings.startup_taint
        self._waits_for_word = settings.require_link_up
        self._rows_on = rows_on
        self._clock = clock
        self._told: Told[_Said | None] = Told(self._shown_version, self.look_at)
        self._fights, self._fights_of_taints = Fights(), Fights()
        self._refusals = Refusals("telling Nodes of their ENIs", client.tells, client.returns)
        self._queue: asyncio.Queue[str] = asyncio.Queue()
        self._queued: set[str] = set()
        self._writing: dict[str, bool] = {}  # whether it is to be looked at again when that is done
        self._later: dict[str, asyncio.TimerHandle] = {}
        self._begun = False
        self._lacking: dict[str, float] = {}  # node → since when it was seen without its network
        # Told of a Node whose startup taint we took off, and why it went.
        self.on_taint_gone: Callable[[Node, str], None] = lambda *told: None
        cluster.on_told = self._condition_changed

    # -- what has a node looked at -------------------------------------------------------------------

    async def begin(self) -> None:
        """Every node has been reconciled."""
        self._begun = True
        async for name in in_slices(list(self._cluster.nodes.store)):
            self.look_at(name)

    def look_at(self, name: str) -> None:
        """At this node again; at one that is being written, when that is done."""
        if name in self._writing:
            self._writing[name] = True
        elif self._begun and name not in self._queued:
            self._queued.add(name)
            asyncio.get_running_loop().call_later(PATIENCE, self._queue.put_nowait, name)

    def _look_later(self, name: str, delay: float) -> None:
        """If nothing happens before."""
        self._later[name] = asyncio.get_running_loop().call_later(delay, self.look_at, name)

    def node_changed(self, old: Node | None, new: Node | None) -> None:
        """A listener of the informer: another Node of that name is another node."""
        if old is not None and (new is None or new.metadata.uid != old.metadata.uid):
            name = old.metadata.name
            for memory in (self._told, self._fights, self._fights_of_taints):
                memory.forget(name)
            self._lacking.pop(name, None)
        if new is not None:
            self._condition_changed(new)

    def eninode_changed(self, old: ENINode | None, new: ENINode | None) -> None:
        """A listener of the informer: what ENI managers report."""
        node = new or old
        if node is not None and (old is None or new is None or old.status != new.status):
            self.look_at(node.metadata.name)

    def _condition_changed(self, node: Node) -> None:
        name = node.metadata.name
        if self._told.shows(name, _said(node), node.metadata.resource_version):
            self.look_at(name)

    # -- what it is told -----------------------------------------------------------------------------

    async def run(self) -> None:
        """Write until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(WRITERS):
                group.create_task(self._writer())

    async def _writer(self) -> None:
        while True:
            name = await self._queue.get()
            self._queued.discard(name)
            self._writing[name] = False
            if (due := self._later.pop(name, None)) is not None:
                due.cancel()
            again = min(self._refusals.wait(), RETRY)
            try:
                again = again or await self._bring(name)
            except NotFound:
                pass  # its informer tells soon
            except KubeError as error:
                self._refusals.failed(error, name)
                again = RETRY if isinstance(error, Away) else max(RETRY, error.delay)
            if self._writing.pop(name):
                self.look_at(name)
            if again:
                self._look_later(name, again)

    async def _bring(self, name: str) -> float:
        """The Node to where it is to be. Returns the seconds after which it has to be looked at again."""
        node = self._cluster.nodes.store.get(name)
        if node is None or node.metadata.deleting or node.out_of_service:
            return 0.0
        rows = self._rows_on(name)
        if any(row.reason is RowReason.NODE_ENDING for row in rows):
            return 0.0
        verdict = readiness(
            rows,
            node.instance_id,
            lambda mac: self._cluster.link(name, mac),
            reports=self._waits_for_word or self._reports(name),
        )
        self._measure(name, node, verdict)
        wait = await self._write_condition(node, verdict) if self._with_condition else 0.0
        if verdict is not None and verdict.grade is Grade.AS_ASKED and self._tainted(node):
            wait = max(wait, await self._take_taint_off(node, verdict))
        return wait

    def _reports(self, name: str) -> bool:
        """Whether the node's ENI manager has told of any link."""
        eninode = self._cluster.eninodes.store.get(name)
        return eninode is not None and bool(eninode.status.interfaces)

    def _measure(self, name: str, node: Node, verdict: Verdict | None) -> None:
        said = _said(node)
        if verdict is None or (said is not None and said.status == "True"):
            self._lacking.pop(name, None)
        elif verdict.grade is not Grade.AS_ASKED:
            self._lacking.setdefault(name, self._clock())
        elif name in self._lacking:
            metrics.NODE_READY_SECONDS.observe(self._clock() - self._lacking.pop(name))

    async def _write_condition(self, node: Node, verdict: Verdict | None) -> float:
        name, shown = node.metadata.name, _said(node)
        held = self._told.held(name, shown)
        wanted = _wanted(verdict, held)
        if self._told.stands(name, wanted, shown):
            return 0.0
        undone = self._told.is_undone(name, wanted)
        if undone and (wait := self._fights.wait(name)):
            return wait
        version = node.metadata.resource_version
        patch = {
            "metadata": {"uid": node.metadata.uid},  # of no other Node of that name
            "status": {"conditions": [_condition(wanted, held)]},
        }
        answer = await self._client.patch(
            NODES, name, patch, Node, subresource="status", content_type=STRATEGIC_PATCH
        )
        metrics.KUBE_WRITES.labels("nodes/status").inc()
        self._refusals.succeeded()
        self._told.wrote(name, wanted, _said(answer), answer.metadata.resource_version, sent_at=version)
        if undone:
            self._fights.put_right(name)
        return 0.0

    def _tainted(self, node: Node) -> bool:
        return self._taint is not None and any(taint.key == self._taint for taint in node.spec.taints)

    async def _take_taint_off(self, node: Node, verdict: Verdict) -> float:
        """Where somebody was faster the test fails, and it is looked at again if the taint is still there."""
        name = node.metadata.name
        if wait := self._fights_of_taints.wait(name):
            return wait
        patch: list[dict[str, Any]] = [{"op": "test", "path": "/metadata/uid", "value": node.metadata.uid}]
        for index in reversed(range(len(node.spec.taints))):
            if node.spec.taints[index].key == self._taint:
                path = f"/spec/taints/{index}"
                patch.append({"op": "test", "path": f"{path}/key", "value": self._taint})
                patch.append({"op": "remove", "path": path})
        await self._client.patch(NODES, name, patch, content_type=JSON_PATCH)
        metrics.KUBE_WRITES.labels("nodes").inc()
        self._refusals.succeeded()
        self._fights_of_taints.put_right(name)
        self.on_taint_gone(node, f"the startup taint {self._taint} is taken off: {verdict.message}")
        return 0.0

    def _shown_version(self, name: str) -> str:
        node = self._cluster.nodes.store.get(name)
        return node.metadata.resource_version if node is not None else ""


def _said(node: Node) -> _Said | None:
    told = node.told
    return _Said(told.status, told.reason, told.message) if told is not None else None


def _wanted(verdict: Verdict | None, held: _Said | None) -> _Said | None:
    """A True stays over what takes nothing away."""
    if verdict is None:
        return None
    if verdict.grade is Grade.STANDING and held is not None and held.status == "True":
        return held
    ready = verdict.grade is Grade.AS_ASKED
    return _Said("True" if ready else "False", str(verdict.reason), verdict.message)


def _condition(wanted: _Said | None, held: _Said | None) -> dict[str, Any]:
    """For a strategic merge patch, by which the conditions of others and a time that is not named stay."""
    if wanted is None:
        return {"type": NODE_CONDITION, "$patch": "delete"}
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    said = {"type": NODE_CONDITION, **msgspec.to_builtins(wanted), "lastHeartbeatTime": now}
    if held is None or held.status != wanted.status:
        said["lastTransitionTime"] = now
    return said

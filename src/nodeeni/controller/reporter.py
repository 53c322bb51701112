"""Status of NodeENIs: one coalesced patch per object, and none without a difference.

The reconcilers leave their rows here; one task per window turns what changed into patches. The status in
the API server is never read as a record, only compared with: what somebody else changed in it is put right.
"""

import asyncio
import datetime
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from nodeeni import metrics
from nodeeni.api.conditions import with_those_of_others
from nodeeni.api.v1alpha1 import AttachmentStatus, NodeENI, NodeENIStatus
from nodeeni.controller.cluster import Cluster, nodeeni_changed
from nodeeni.controller.fights import Fights, last_manager
from nodeeni.controller.rows import Rows
from nodeeni.controller.stalls import Stalls
from nodeeni.controller.told import Told
from nodeeni.controller.troubles import Troubles
from nodeeni.kube.client import KubeClient
from nodeeni.kube.errors import KubeError, NotFound
from nodeeni.kube.reach import Refusals
from nodeeni.kube.resources import NODEENIS
from nodeeni.plan.refusal import Refusal
from nodeeni.plan.report import ATTACHMENTS_LIMIT, by_node, links_note, nodeeni_status
from nodeeni.plan.rows import State
from nodeeni.plan.tally import Tally
from nodeeni.plan.unread import unread_status

WINDOW = 1.0  # seconds in which all changes of one NodeENI go into one patch
FIRST_WINDOW = 0.15  # seconds; a change after a quiet time is shown soon, after the calls that it asks for
RETRY = 2.0  # seconds
# etcd keeps each version whole for 5 minutes, 0.9 MB of a status with 2,000 entries. Eight of those a second
# would be 2.2 GB, more than its default quota, after which it takes no writes from anybody; so it is 70 MB.
ENTRIES_A_SECOND = 500
# Where many of more nodes than a list holds are on their way it is short, and to look through all of them is
# what costs: 10 ms for 5,000. What people see is never older than it would be with a list of 2,000.
NODES_A_SECOND = 2000
LONGEST_WINDOW_OF_NODES = 4.0  # seconds


def window(written: Sequence[NodeENIStatus]) -> float:
    """Seconds from one writing of statuses, of these, to the next."""
    entries = sum(len(status.attachments) for status in written)
    nodes = sum(status.desired or 0 for status in written)
    return max(WINDOW, entries / ENTRIES_A_SECOND, min(nodes / NODES_A_SECOND, LONGEST_WINDOW_OF_NODES))


class Reporter:
    """It begins once every node has been reconciled: before that a status would be half a report, and nothing
    is told but that EC2 cannot be read.
    """

    def __init__(
        self, client: KubeClient, cluster: Cluster, troubles: Troubles, stalled_after: float
    ) -> None:
        self._client = client
        self._cluster = cluster
        self._left_out: dict[str, dict[str, AttachmentStatus]] = {}  # NodeENI uid → node → its entry
        self._moving: dict[str, int] = {}  # NodeENI uid → nodes in progress, when that was looked at last
        self._told: Told[NodeENIStatus] = Told(self._shown_version, self.mark)
        self._fights = Fights()
        self._refusals = Refusals("writing the status of NodeENIs", client.tells, client.returns)
        self._dirty: set[str] = set()
        self._changed = asyncio.Event()
        self._troubles = troubles
        self._begun = False
        self.rows = Rows(cluster, self.mark)
        self._stalls = Stalls(stalled_after, self.mark)
        # Told of each status that somebody changed: the NodeENI, who (empty: not known), and how many times.
        self.on_put_right: Callable[[NodeENI, str, int], None] = lambda *told: None
        self.notes: Callable[[], list[Refusal]] = list
        self.pace: Callable[[], float] = float
        self.held: Callable[[str], Refusal | None] = lambda uid: None  # the removal of it that is held

    def begin(self) -> None:
        """Every node has been reconciled."""
        self._begun = True
        self._changed.set()

    def look_at_all(self) -> None:
        """At every status again: what all wait for has changed."""
        for nodeeni in self._cluster.nodeenis.store.values():
            self.mark(nodeeni.metadata.uid)

    def mark(self, uid: str) -> None:
        """Look at this NodeENI's status again."""
        self._dirty.add(uid)
        self._changed.set()

    def nodeeni_changed(self, old: NodeENI | None, new: NodeENI | None) -> None:
        """A listener of the informer."""
        if new is not None:
            news = self._told.shows(new.metadata.uid, new.status, new.metadata.resource_version)
            if news or old is None or nodeeni_changed(old, new):
                self.mark(new.metadata.uid)
        elif old is not None:
            for memory in (self._told, self._stalls, self._fights):
                memory.forget(old.metadata.uid)
            self.rows.forget(old.metadata.uid)
            self._moving.pop(old.metadata.uid, None)
            self._left_out.pop(old.metadata.uid, None)
            self._dirty.discard(old.metadata.uid)

    def counts(self) -> dict[str, Counter[State]]:
        """How many nodes are in each state, by name of the NodeENI."""
        nodeenis = self._cluster.nodeenis.store.items()
        tallies = {name: self.rows.of(nodeeni.metadata.uid) for name, nodeeni in nodeenis}
        return {name: tally.states() for name, tally in tallies.items() if tally}

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await self._changed.wait()
            await asyncio.sleep(FIRST_WINDOW)
            self._changed.clear()
            written = await self._write_all()
            await asyncio.sleep(window(written) - FIRST_WINDOW)

    async def flush(self) -> None:
        """Write what is due, for a process that is about to end."""
        if self._begun:
            await self._write_all()

    async def _write_all(self) -> list[NodeENIStatus]:
        """Returns what was written."""
        written: list[NodeENIStatus] = []
        dirty = set(self._dirty)
        if self._begun:  # till then all of them are to be looked at again
            self._dirty.clear()
        for uid in sorted(dirty):
            nodeeni = self._cluster.by_uid(uid)
            if nodeeni is None:
                continue
            if wait := self._refusals.wait():
                asyncio.get_running_loop().call_later(min(wait, RETRY), self.mark, uid)
                continue
            try:
                if status := await self._write(nodeeni):
                    written.append(status)
            except NotFound:
                pass  # deleted; its informer tells soon
            except KubeError as error:
                self._refusals.failed(error, nodeeni.metadata.name)
                asyncio.get_running_loop().call_later(max(RETRY, error.delay), self.mark, uid)
        return written

    async def _write(self, nodeeni: NodeENI) -> NodeENIStatus | None:
        """What was written; None: there was nothing to write."""
        uid, name = nodeeni.metadata.uid, nodeeni.metadata.name
        status = self._wanted(nodeeni)
        if status is None or self._told.stands(uid, status, nodeeni.status):
            return None
        undone = self._told.is_undone(uid, status)
        if undone and (wait := self._fights.wait(uid)):
            asyncio.get_running_loop().call_later(wait, self.mark, uid)
            return None
        who = await last_manager(self._client, NODEENIS, name, "status") if undone else ""
        patch = {"status": _patch(status)}
        answer = await self._client.patch(NODEENIS, name, patch, NodeENI, subresource="status")
        metrics.KUBE_WRITES.labels("nodeenis/status").inc()
        self._refusals.succeeded()
        version = nodeeni.metadata.resource_version
        self._told.wrote(uid, status, answer.status, answer.metadata.resource_version, sent_at=version)
        if undone and answer.metadata.resource_version != version:
            self.on_put_right(nodeeni, who, self._fights.put_right(uid))
        return status

    def _wanted(self, nodeeni: NodeENI) -> NodeENIStatus | None:
        """What is to be there: times are those that we told, conditions of others those that are there. None
        where nothing is known yet.
        """
        uid = nodeeni.metadata.uid
        said, held = self._told.said(uid, nodeeni.status), self._told.held(uid, nodeeni.status)
        if said is not held:
            said = msgspec.structs.replace(
                said, conditions=with_those_of_others(said.conditions, held.conditions)
            )
        base = NodeENI(metadata=nodeeni.metadata, spec=nodeeni.spec, status=said)
        now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        if not self._begun:
            return self._before_the_first_reading(base, now)
        rows = self.rows.of(uid)
        links_up, faults = self.rows.links(uid)
        before = self._left_out.get(uid, {}) | by_node(said)
        status = nodeeni_status(
            base,
            rows,
            links_up,
            [*self.notes(), *links_note(faults)],
            now,
            self._stalls.has_waited,
            trouble=self._troubles.current,
            unread=self._troubles.unread,
            pace=self._pace_of(uid, rows),
            held=self.held(nodeeni.metadata.uid),
            before=before,
        )
        self._remember(uid, before, status, rows)
        return status

    def _remember(
        self,
        uid: str,
        before: dict[str, AttachmentStatus],
        status: NodeENIStatus,
        rows: Tally,
    ) -> None:
        """What the list leaves out for a while is of the same date when it comes back."""
        listed = by_node(status) if status.attachments_truncated else before
        left_out = sorted(node for node in before if node not in listed and node in rows)[:ATTACHMENTS_LIMIT]
        self._left_out[uid] = {node: before[node] for node in left_out}

    def _pace_of(self, uid: str, rows: Tally) -> float:
        """ENIs a second of this NodeENI: all that are in progress share what EC2 grants."""
        moving = rows.number(lambda row: row.state not in (State.ATTACHED, State.FAILED))
        self._moving[uid] = moving
        return self.pace() * moving / sum(self._moving.values()) if moving else self.pace()

    def _before_the_first_reading(self, nodeeni: NodeENI, now: str) -> NodeENIStatus | None:
        """One that was never reported on is told of a trouble at once, others when it lasts."""
        trouble, status = self._troubles.current, nodeeni.status
        new = not status.observed_generation and not status.attachments
        if trouble is None or not (new or self._troubles.unread):
            return None
        selected = sorted(self.rows.selection.of(nodeeni.metadata.uid))
        nodes = [name for name in selected if (node := self._cluster.node(name)) and not node.ends]
        return unread_status(nodeeni, nodes, trouble, now, self._stalls.has_waited)

    def _shown_version(self, uid: str) -> str:
        nodeeni = self._cluster.by_uid(uid)
        return nodeeni.metadata.resource_version if nodeeni is not None else ""


def _patch(status: NodeENIStatus) -> dict[str, Any]:
    """A merge patch keeps what it does not name, so a field that is not set is named with null."""
    given = msgspec.to_builtins(status)
    return {
        field.encode_name: given.get(field.encode_name) for field in msgspec.structs.fields(NodeENIStatus)
    }

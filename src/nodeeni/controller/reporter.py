"""Status of NodeENIs: one coalesced patch per object, and none without a difference.

The reconcilers leave their rows here; one task per window turns what changed into patches. The status in
the API server is never read as a record, only compared with: what somebody else changed in it is put right.
"""

import asyncio
import datetime
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from nodeeni import metrics
from nodeeni.api.conditions import with_those_of_others
from nodeeni.api.core import Node
from nodeeni.api.reasons import RowReason
from nodeeni.api.v1alpha1 import AttachmentStatus, ENINode, NodeENI, NodeENIStatus
from nodeeni.controller.cluster import Cluster, nodeeni_changed
from nodeeni.controller.fights import Fights, last_manager
from nodeeni.controller.selection import Selection
from nodeeni.controller.stalls import Stalls
from nodeeni.controller.told import Told
from nodeeni.controller.troubles import Troubles
from nodeeni.kube.client import KubeClient
from nodeeni.kube.errors import KubeError, NotFound
from nodeeni.kube.reach import Refusals
from nodeeni.kube.resources import NODEENIS
from nodeeni.plan.refusal import Refusal
from nodeeni.plan.report import ATTACHMENTS_LIMIT, by_node, links_note, nodeeni_status
from nodeeni.plan.rows import Row, State
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
        # NodeENI uid → node → row; what changed last comes last.
        self._rows: dict[str, dict[str, Row]] = {}
        self._left_out: dict[str, dict[str, AttachmentStatus]] = {}  # NodeENI uid → node → its entry
        self._moving: dict[str, int] = {}  # NodeENI uid → nodes in progress, when that was looked at last
        self._told: Told[NodeENIStatus] = Told(self._shown_version, self.mark)
        self._fights = Fights()
        self._refusals = Refusals("writing the status of NodeENIs", client.tells, client.returns)
        self._dirty: set[str] = set()
        self._changed = asyncio.Event()
        self._troubles = troubles
        self._begun = False
        self.selection = Selection(cluster, self.mark)
        self._stalls = Stalls(stalled_after, self.mark)
        # Told of each status that somebody changed: the NodeENI, who (empty: not known), and how many times.
        self.on_put_right: Callable[[NodeENI, str, int], None] = lambda *told: None
        self.notes: Callable[[], list[Refusal]] = list
        self.pace: Callable[[], float] = float
        self.held: Callable[[str], Refusal | None] = lambda uid: None  # the removal of it that is held

    def report(self, node: str, rows: Iterable[Row]) -> None:
        """The rows of one node, all of them: those that it had before and has no more are dropped."""
        now: dict[str, Row] = {}
        for row in rows:
            known = now.get(row.uid)
            if known is None or (row.wanted and not known.wanted):
                now[row.uid] = row
        for uid in self._uids_of(node):
            if uid not in now:
                of_uid = self._rows[uid]
                del of_uid[node]
                if not of_uid:
                    del self._rows[uid]
                self.mark(uid)
        for uid, row in now.items():
            of_uid = self._rows.setdefault(uid, {})
            if of_uid.get(node) != row:
                of_uid.pop(node, None)
                of_uid[node] = row
                self.mark(uid)

    def _uids_of(self, node: str) -> list[str]:
        """Of the NodeENIs with a row of that node."""
        return [uid for uid, of_uid in self._rows.items() if node in of_uid]

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

    def node_changed(self, old: Node | None, new: Node | None) -> None:
        """A listener of the informer: another Node of that name is another node, unknown so far."""
        if old is None or new is not None:
            return
        name = old.metadata.name
        for uid in self._uids_of(name):
            self._rows[uid][name] = msgspec.structs.replace(self._rows[uid][name], generation=0)
            self.mark(uid)

    def nodeeni_changed(self, old: NodeENI | None, new: NodeENI | None) -> None:
        """A listener of the informer."""
        if new is not None:
            news = self._told.shows(new.metadata.uid, new.status, new.metadata.resource_version)
            if news or old is None or nodeeni_changed(old, new):
                self.mark(new.metadata.uid)
        elif old is not None:
            for memory in (self._told, self._stalls, self._fights):
                memory.forget(old.metadata.uid)
            self._rows.pop(old.metadata.uid, None)
            self._moving.pop(old.metadata.uid, None)
            self._left_out.pop(old.metadata.uid, None)
            self._dirty.discard(old.metadata.uid)

    def eninode_changed(self, old: ENINode | None, new: ENINode | None) -> None:
        """A listener of the informer: what ENI managers report is counted in `linksUp`."""
        if old is not None and new is not None and old.status == new.status:
            return
        node = new or old
        for uid in self._uids_of(node.metadata.name) if node else ():
            self.mark(uid)

    def counts(self) -> dict[str, Counter[State]]:
        """How many nodes are in each state, by name of the NodeENI."""
        found: dict[str, Counter[State]] = {}
        for name, nodeeni in self._cluster.nodeenis.store.items():
            rows = self._rows_of(nodeeni)
            if rows:
                found[name] = Counter(row.state for row in rows.values())
        return found

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
        rows = self._rows_of(nodeeni)
        links_up, faults = self._links(rows)
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
        rows: dict[str, Row],
    ) -> None:
        """What the list leaves out for a while is of the same date when it comes back."""
        listed = by_node(status) if status.attachments_truncated else before
        left_out = sorted((before.keys() - listed.keys()) & rows.keys())[:ATTACHMENTS_LIMIT]
        self._left_out[uid] = {node: before[node] for node in left_out}

    def _pace_of(self, uid: str, rows: dict[str, Row]) -> float:
        """ENIs a second of this NodeENI: all that are in progress share what EC2 grants."""
        moving = sum(row.state not in (State.ATTACHED, State.FAILED) for row in rows.values())
        self._moving[uid] = moving
        return self.pace() * moving / sum(self._moving.values()) if moving else self.pace()

    def _before_the_first_reading(self, nodeeni: NodeENI, now: str) -> NodeENIStatus | None:
        """One that was never reported on is told of a trouble at once, others when it lasts."""
        trouble, status = self._troubles.current, nodeeni.status
        new = not status.observed_generation and not status.attachments
        if trouble is None or not (new or self._troubles.unread):
            return None
        selected = sorted(self.selection.of(nodeeni.metadata.uid))
        nodes = [name for name in selected if (node := self._cluster.node(name)) and not node.ends]
        return unread_status(nodeeni, nodes, trouble, now, self._stalls.has_waited)

    def _shown_version(self, uid: str) -> str:
        nodeeni = self._cluster.by_uid(uid)
        return nodeeni.metadata.resource_version if nodeeni is not None else ""

    def rows_on(self, node: str) -> list[Row]:
        """One for each NodeENI that selects the node, looked at or not."""
        return [
            _as_selected(self._rows.get(nodeeni.metadata.uid, {}).get(node), node, nodeeni)
            for nodeeni in self._cluster.nodeenis.store.values()
            if node in self.selection.of(nodeeni.metadata.uid)
        ]

    def _rows_of(self, nodeeni: NodeENI) -> dict[str, Row]:
        """By node: of each that is selected, looked at or not, and of each that still has something. What
        changed last comes last.
        """
        selected = self.selection.of(nodeeni.metadata.uid)
        known = self._rows.get(nodeeni.metadata.uid, {})
        rows = {node: _as_selected(None, node, nodeeni) for node in selected if node not in known}
        for node, row in known.items():
            if node in selected:
                rows[node] = _as_selected(row, node, nodeeni)
            else:
                rows[node] = msgspec.structs.replace(row, wanted=False) if row.wanted else row
        return rows

    def _links(self, rows: dict[str, Row]) -> tuple[int | None, dict[str, str]]:
        """(how many of the wanted interfaces are up on their nodes as asked, what is wrong with attached ones
        by node); None where no ENI manager reports. A link in a pod or with a driver is `Missing`: not wrong.
        """
        up, reported, faults = 0, False, {}
        for node, row in rows.items():
            if row.interface is None or not row.wanted:
                continue
            link = self._cluster.link(node, row.interface.mac)
            if link is None:
                continue
            reported = True
            up += link.state == "Up" and not link.message
            if link.message and link.state != "Missing" and row.state is State.ATTACHED:
                faults[node] = link.message
        return up if reported else None, faults


def _as_selected(row: Row | None, node: str, nodeeni: NodeENI) -> Row:
    """What is known of a node by labels counts before any plan does, and while an older plan knew it not."""
    if row is None:
        return Row(uid=nodeeni.metadata.uid, nodeeni=nodeeni.metadata.name, node=node, state=State.CREATING)
    if row.wanted or row.reason is RowReason.NODE_ENDING:
        return row
    return msgspec.structs.replace(row, wanted=True, generation=0)


def _patch(status: NodeENIStatus) -> dict[str, Any]:
    """A merge patch keeps what it does not name, so a field that is not set is named with null."""
    given = msgspec.to_builtins(status)
    return {
        field.encode_name: given.get(field.encode_name) for field in msgspec.structs.fields(NodeENIStatus)
    }

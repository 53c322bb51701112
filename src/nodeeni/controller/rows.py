"""What the statuses tell of: each NodeENI's rows, one a node, and how links stand on the nodes.

Kept up as plans, labels and ENI managers tell of a node, so that a status of thousands of nodes costs no look
at all of them.
"""

from collections.abc import Callable, Iterable, Mapping

from msgspec.structs import replace

from nodeeni.api.core import Node
from nodeeni.api.reasons import RowReason
from nodeeni.api.v1alpha1 import ENINode
from nodeeni.controller.cluster import Cluster
from nodeeni.controller.selection import Selection
from nodeeni.plan.rows import Row, State
from nodeeni.plan.tally import Tally


class _Links:
    """Of one NodeENI, what ENI managers report of its links."""

    def __init__(self) -> None:
        self._up: dict[str, bool] = {}  # node → whether it is up as asked, where it is told
        self._ups = 0
        self.faults: dict[str, str] = {}  # node → what is wrong with one that is attached

    @property
    def up(self) -> int | None:
        """How many are up as asked; None where no ENI manager reports."""
        return self._ups if self._up else None

    def put(self, node: str, up: bool | None, fault: str) -> bool:
        """`up`: None without a report. False where all is as it was."""
        before = self._up.pop(node, None), self.faults.pop(node, "")
        self._ups += (up or False) - (before[0] or False)
        if up is not None:
            self._up[node] = up
        if fault:
            self.faults[node] = fault
        return before != (up, fault)


class Rows:
    """By NodeENI and node: of each that is selected, looked at or not, and of each that still has something.
    `changed(uid)` is called when other things are to be told of a NodeENI.
    """

    def __init__(self, cluster: Cluster, changed: Callable[[str], None]) -> None:
        self._cluster = cluster
        self._changed = changed
        self._tallies: dict[str, Tally] = {}  # by uid of the NodeENI
        # The row of the last plan, where labels say otherwise; None: there was no plan. By uid and node.
        self._planned: dict[str, dict[str, Row | None]] = {}
        self._links: dict[str, _Links] = {}  # by uid
        self.selection = Selection(cluster, self._settle_selected)

    def of(self, uid: str) -> Tally:
        """The rows of one NodeENI."""
        return self._tallies.get(uid) or Tally()

    def on(self, node: str) -> list[Row]:
        """One for each NodeENI that selects the node, looked at or not."""
        return [
            self._tallies[nodeeni.metadata.uid][node]
            for nodeeni in self._cluster.nodeenis.store.values()
            if node in self.selection.of(nodeeni.metadata.uid)
        ]

    def links(self, uid: str) -> tuple[int | None, Mapping[str, str]]:
        """(how many of the wanted interfaces are up on their nodes as asked, what is wrong with attached ones
        by node); None where no ENI manager reports. A link in a pod or with a driver is `Missing`: not wrong.
        """
        links = self._links.get(uid)
        return (links.up, links.faults) if links is not None else (None, {})

    def report(self, node: str, rows: Iterable[Row]) -> None:
        """The rows of one node by a plan, all of them: what it had before and has no more is dropped."""
        now: dict[str, Row] = {}
        for row in rows:
            known = now.get(row.uid)
            if known is None or (row.wanted and not known.wanted):
                now[row.uid] = row
        for uid in self._uids_of(node):
            if uid not in now:
                self._settle(uid, node, None)
        for uid, row in now.items():
            self._settle(uid, node, row)

    def node_changed(self, old: Node | None, new: Node | None) -> None:
        """A listener of the informer: another Node of that name is another node, unknown so far."""
        if old is None or new is not None:
            return
        node = old.metadata.name
        for uid in self._uids_of(node):
            planned = self._planned_row(uid, node)
            self._settle(uid, node, planned and replace(planned, generation=0))

    def eninode_changed(self, old: ENINode | None, new: ENINode | None) -> None:
        """A listener of the informer: what ENI managers report is counted in `linksUp`."""
        if old is not None and new is not None and old.status == new.status:
            return
        eninode = new or old
        if eninode is not None:
            for uid in self._uids_of(eninode.metadata.name):
                self._look_at_link(uid, eninode.metadata.name)

    def forget(self, uid: str) -> None:
        """The NodeENI is gone, or nothing is known of any node: plans tell of rows after its end too."""
        for memory in (self._tallies, self._planned, self._links):
            memory.pop(uid, None)

    def _uids_of(self, node: str) -> list[str]:
        """Of the NodeENIs with a row of that node."""
        return [uid for uid, tally in self._tallies.items() if node in tally]

    def _settle_selected(self, uid: str, node: str) -> None:
        self._settle(uid, node, self._planned_row(uid, node))
        self._changed(uid)

    def _planned_row(self, uid: str, node: str) -> Row | None:
        planned = self._planned.get(uid, {})
        return planned[node] if node in planned else self.of(uid).get(node)

    def _settle(self, uid: str, node: str, planned: Row | None) -> None:
        """What counts of a node whose last plan had this row."""
        row = self._as_labelled(uid, node, planned)
        if row is planned:
            self._planned.get(uid, {}).pop(node, None)
        else:
            self._planned.setdefault(uid, {})[node] = planned
        tally = self._tallies.setdefault(uid, Tally())
        if tally.put(row) if row is not None else tally.drop(node):
            self._look_at_link(uid, node)
            self._changed(uid)
        if not tally:
            self.forget(uid)

    def _as_labelled(self, uid: str, node: str, planned: Row | None) -> Row | None:
        """What is known of a node by labels counts before any plan, and while an older plan knew it not."""
        if node not in self.selection.of(uid):
            return replace(planned, wanted=False) if planned is not None and planned.wanted else planned
        if planned is None:
            nodeeni = self._cluster.by_uid(uid)
            name = nodeeni.metadata.name if nodeeni is not None else ""
            return Row(uid=uid, nodeeni=name, node=node, state=State.CREATING)
        if planned.wanted or planned.reason is RowReason.NODE_ENDING:
            return planned
        return replace(planned, wanted=True, generation=0)

    def _look_at_link(self, uid: str, node: str) -> None:
        row = self.of(uid).get(node)
        link = None
        if row is not None and row.wanted and row.interface is not None:
            link = self._cluster.link(node, row.interface.mac)
        up, fault = None, ""
        if row is not None and link is not None:
            up = link.state == "Up" and not link.message
            if link.message and link.state != "Missing" and row.state is State.ATTACHED:
                fault = link.message
        if self._links.setdefault(uid, _Links()).put(node, up, fault):
            self._changed(uid)

"""Whose turn it is: an edit that replaces interfaces goes from node to node, one at a time for a NodeENI.

Nothing of it is recorded anywhere. A node that lost its interface, or that EC2 refuses one, keeps all others
of that NodeENI waiting: so an edit that EC2 refuses, or whose links do not come up, stops at the first node.
After a restart it is not known why a node has no interface, and it keeps them waiting too.
"""

from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet

from nodeeni.controller.cluster import Cluster
from nodeeni.controller.memory import Memory
from nodeeni.plan.actions import Action, Cause, Detach
from nodeeni.plan.plan import Plan
from nodeeni.plan.rows import Row, State

LINK_WAIT = 30.0  # seconds for the link of a replaced interface, before the next node has its turn


class Turns:
    """`again` has a node reconciled whose turn has come."""

    def __init__(self, again: Callable[[str], None]) -> None:
        self._again = again
        self._unsettled: dict[str, dict[str, None]] = {}  # NodeENI uid → nodes, the first one first
        self._waiting: dict[str, dict[str, None]] = {}
        self._of: dict[str, AbstractSet[str]] = {}  # node → the uids of both
        self.begun = False

    def begin(self) -> None:
        """Every node has been looked at since the start: from now on it is known who has to be waited for."""
        self.begun = True
        for uid in list(self._waiting):
            self._pass_on(uid)

    def is_unsettled(self, node: str, uid: str) -> bool:
        return node in self._unsettled.get(uid, ())

    def before(self, node: str) -> dict[str, str]:
        """By NodeENI uid, the node that this one has to wait for."""
        first = {uid: self._other(uid, node) for uid in self._unsettled}
        return {uid: other for uid, other in first.items() if other}

    def note(self, node: str, unsettled: AbstractSet[str], put_off: AbstractSet[str]) -> None:
        """How things stand on a node, by NodeENI uids: where others have to wait for it, and where a
        replacement of what it has was put off.
        """
        waiting = {uid for uid in put_off if not self.begun or self._other(uid, node)}
        concerned = self._of.pop(node, set()) | unsettled | waiting
        if unsettled or waiting:
            self._of[node] = unsettled | waiting
        for uid in concerned:
            _enter(self._unsettled, uid, node, uid in unsettled)
            _enter(self._waiting, uid, node, uid in waiting)
            self._pass_on(uid)

    def _other(self, uid: str, node: str) -> str:
        return next((other for other in self._unsettled.get(uid, ()) if other != node), "")

    def _pass_on(self, uid: str) -> None:
        if self.begun and uid not in self._unsettled and uid in self._waiting:
            self._again(next(iter(self._waiting[uid])))


def _enter(nodes_of: dict[str, dict[str, None]], uid: str, node: str, belongs: bool) -> None:
    nodes = nodes_of.setdefault(uid, {})
    if belongs:
        nodes[node] = None
    else:
        nodes.pop(node, None)
    if not nodes:
        del nodes_of[uid]


def replaces(action: Action) -> bool:
    return isinstance(action, Detach) and action.cause is Cause.REPLACED


def _goes(plan: Plan, action: Action) -> bool:
    """Whether it waits for the CNI file alone: its turn has come."""
    return isinstance(action, Detach) and action.eni_id in plan.decision.files_awaited


class TurnTaker:
    """Notes of each plan who has to be waited for, and who waits. Kubernetes and the memory are only read."""

    def __init__(self, turns: Turns, cluster: Cluster, memory: Memory) -> None:
        self._turns = turns
        self._cluster = cluster
        self._memory = memory

    def take(self, plan: Plan) -> None:
        """Whoever lost what it should have comes first; whoever is to be replaced waits for those."""
        begun = [each for each in plan.decision.refused if _goes(plan, each.action)]
        taken = {a.uid for a in (*plan.decision.allowed, *(each.action for each in begun)) if replaces(a)}
        put_off = {r.action.uid for r in plan.decision.refused if replaces(r.action) and r not in begun}
        unsettled = {
            row.uid
            for row in plan.rows
            if row.wanted and (row.uid in taken or self._lacks(row) or self._link_lags(row))
        }
        self._turns.note(plan.observed.name, unsettled, put_off)

    def links_due(self, plan: Plan) -> Iterator[float]:
        """Seconds until the links that lag are waited for no longer."""
        return (self._link_due_in(row) for row in plan.rows if self._link_lags(row))

    def _lacks(self, row: Row) -> bool:
        """Whether the others have to wait for what is under way here. A new node keeps nobody waiting, or a
        cluster that always grows would never be through; one that EC2 refuses does.
        """
        if row.state is State.FAILED:  # the plan has no place for it any more
            taken_off = row.interface is None or row.interface.attachment is None
            return taken_off and self._turns.is_unsettled(row.node, row.uid)
        if row.state is State.ATTACHED:
            return False
        refused = (
            hold.reported and hold.action.uid == row.uid for hold in self._memory.holds(row.node).values()
        )
        return not self._turns.begun or self._turns.is_unsettled(row.node, row.uid) or any(refused)

    def _link_lags(self, row: Row) -> bool:
        """Whether an interface that was missing is back and its link is not, where an ENI manager tells."""
        if row.state is not State.ATTACHED or row.interface is None:
            return False
        if not self._turns.is_unsettled(row.node, row.uid):
            return False
        return self._cluster.link_up(row.node, row.interface.mac) is False and self._link_due_in(row) > 0

    def _link_due_in(self, row: Row) -> float:
        return LINK_WAIT - self._memory.age(row.interface.id) if row.interface else 0.0

"""Whose turn it is: an edit that replaces interfaces goes from node to node, one at a time for a NodeENI.

Nothing of it is recorded anywhere. A node that lost its interface, or that EC2 refuses one, keeps all others
of that NodeENI waiting: so an edit that EC2 refuses, or whose links do not come up, stops at the first node.
After a restart it is not known why a node has no interface, and it keeps them waiting too.
"""

from collections.abc import Callable
from collections.abc import Set as AbstractSet


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

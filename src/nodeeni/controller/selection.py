"""Which nodes each NodeENI selects: by labels and selectors alone, whatever is known of EC2.

Kept up as Nodes and NodeENIs change, so that a status of thousands of nodes costs no look at every label.
"""

from collections.abc import Callable
from collections.abc import Set as AbstractSet

from nodeeni.api.core import Node
from nodeeni.api.v1alpha1 import NodeENI
from nodeeni.controller.cluster import Cluster
from nodeeni.plan.desired import matches

_NOTHING: AbstractSet[str] = frozenset()


class Selection:
    """`changed(uid, node)` is called when a node is selected, or is no more.

    Of the listeners of NodeENIs it is the first: those after it read here whom an edit concerns.
    """

    def __init__(self, cluster: Cluster, changed: Callable[[str, str], None]) -> None:
        self._cluster = cluster
        self._changed = changed
        self._nodes: dict[str, set[str]] = {}  # NodeENI uid → names of nodes
        self._left_out: tuple[str, AbstractSet[str]] = ("", _NOTHING)  # by the last change of a NodeENI

    def of(self, uid: str) -> AbstractSet[str]:
        """Names of the nodes that the NodeENI selects; none of one that is being deleted."""
        return self._nodes.get(uid, _NOTHING)

    def left_out(self, uid: str) -> AbstractSet[str]:
        """Names of the nodes that the NodeENI selected until the change of which listeners are being told."""
        changed, left_out = self._left_out
        return left_out if changed == uid else _NOTHING

    def node_changed(self, old: Node | None, new: Node | None) -> None:
        """A listener of the informer."""
        node = new or old
        assert node is not None
        for nodeeni in self._cluster.nodeenis.store.values():
            self._enter(nodeeni, node.metadata.name, new)

    def nodeeni_changed(self, old: NodeENI | None, new: NodeENI | None) -> None:
        """A listener of the informer."""
        changed = new or old
        assert changed is not None
        uid = changed.metadata.uid
        self._left_out = uid, _NOTHING
        if new is None or new.metadata.deleting:
            gone = self._nodes.pop(uid, _NOTHING)
            self._left_out = uid, gone
            for name in gone:
                self._changed(uid, name)
        elif old is None or old.metadata.generation != new.metadata.generation:
            selected = self._nodes.get(uid, _NOTHING)
            nodes, spec = self._cluster.nodes.store.items(), new.spec
            now = {name for name, node in nodes if matches(spec, node.metadata.labels)}
            self._nodes[uid], self._left_out = now, (uid, selected - now)
            for name in now ^ selected:
                self._changed(uid, name)

    def _enter(self, nodeeni: NodeENI, name: str, node: Node | None) -> None:
        uid = nodeeni.metadata.uid
        selected = self._nodes.setdefault(uid, set())
        belongs = (
            node is not None and not nodeeni.metadata.deleting and matches(nodeeni.spec, node.metadata.labels)
        )
        if belongs == (name in selected):
            return
        if belongs:
            selected.add(name)
        else:
            selected.discard(name)
        self._changed(uid, name)

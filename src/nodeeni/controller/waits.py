"""How long nodes wait for their interfaces, as histograms: for EC2, and for the link in their kernel."""

import time
from collections.abc import Callable, Iterable

from nodeeni import metrics
from nodeeni.api.v1alpha1 import ENINode
from nodeeni.controller.cluster import Cluster
from nodeeni.plan.rows import Row, State


class Waits:
    """Both are counted from the first plan that makes the interface. A link without an ENI manager, or one
    that never comes up, is counted nowhere: the status tells of it.
    """

    def __init__(self, cluster: Cluster, clock: Callable[[], float] = time.monotonic) -> None:
        self._cluster = cluster
        self._clock = clock
        self._first_needed: dict[str, dict[str, float]] = {}  # node → NodeENI uid → since
        self._without_link: dict[str, dict[str, float]] = {}  # node → MAC of what is attached → since

    def observe(self, node: str, rows: Iterable[Row]) -> None:
        """The rows of one node, all of them."""
        now, before = self._clock(), self._first_needed.pop(node, {})
        moving, known, links = {}, self._without_link.pop(node, {}), {}
        for row in rows:
            since = before.get(row.uid, now)
            if row.state in (State.CREATING, State.ATTACHING):
                moving[row.uid] = since
            elif row.state is State.ATTACHED and row.interface is not None:
                mac = row.interface.mac
                if row.uid in before:
                    metrics.ATTACH_SECONDS.observe(now - since)
                    links[mac] = since
                elif mac in known:
                    links[mac] = known[mac]
        if moving:
            self._first_needed[node] = moving
        if links:
            self._without_link[node] = links
            self._look(node)

    def eninode_changed(self, old: ENINode | None, new: ENINode | None) -> None:
        """A listener of the informer."""
        if new is not None and new.metadata.name in self._without_link:
            self._look(new.metadata.name)

    def _look(self, node: str) -> None:
        links = self._without_link[node]
        for mac in [mac for mac in links if self._cluster.link_up(node, mac)]:
            metrics.LINK_UP_SECONDS.observe(self._clock() - links.pop(mac))
        if not links:
            del self._without_link[node]

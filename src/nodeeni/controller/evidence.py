"""What the cluster knows beside the tags of an interface, brought to `plan/ownership.py` for its verdict."""

from collections.abc import Iterable

from nodeeni.api.names import TAG_CLUSTER, TAG_INSTANCE
from nodeeni.controller.cluster import Cluster
from nodeeni.ec2.types import Interface
from nodeeni.plan.ownership import Verdict, is_doubtful, owner_of, verdict


class Evidence:
    """`former_ids`: ids that this cluster had before, by a person's word."""

    def __init__(self, cluster: Cluster, cluster_id: str, former_ids: Iterable[str] = ()) -> None:
        self._cluster = cluster
        self._cluster_ids = frozenset((cluster_id, *former_ids))

    def verdict(self, interface: Interface, *, known: bool = True) -> Verdict:
        """`known`: the inventory has it, so that it was ours when it was read before."""
        if interface.tags.get(TAG_CLUSTER) in self._cluster_ids:
            return verdict(interface, self._cluster_ids, {})  # nearly all: nothing else need be looked up
        return verdict(
            interface,
            self._cluster_ids,
            self._cluster.owners(),
            self._cluster.told(interface.id),
            known=known,
            here=self._is_here(interface),
        )

    def concerns(self, interface: Interface, known: bool) -> bool:
        """Whether the inventory is to keep it, though it is not tagged as ours."""
        return self.verdict(interface, known=known) is not Verdict.NOT_OURS

    def owns(self, uid: str, interfaces: Iterable[Interface]) -> bool:
        """Whether any of these is of that NodeENI, though its tags do not all say so."""
        owners = self._cluster.owners()
        return any(
            owner_of(each, owners, self._cluster.told(each.id)) == uid
            and self.verdict(each) is not Verdict.NOT_OURS
            for each in interfaces
            if is_doubtful(each, owners)
        )

    def _is_here(self, interface: Interface) -> bool:
        attached = interface.attachment.instance_id if interface.attachment else ""
        places = (attached, interface.tags.get(TAG_INSTANCE, ""))
        return any(self._cluster.nodes_of(place) for place in places if place)

"""What has a node reconciled: each change of a Node, a NodeENI, an ENINode or an interface; nothing else."""

from nodeeni.api import names
from nodeeni.api.core import Node
from nodeeni.api.v1alpha1 import ENINode, LinkStatus, NodeENI
from nodeeni.controller.cluster import Cluster
from nodeeni.controller.selection import Selection
from nodeeni.controller.workqueue import WorkQueue
from nodeeni.ec2.inventory import Inventory
from nodeeni.ec2.lookups import Lookups
from nodeeni.ec2.types import Interface
from nodeeni.ec2.waiter import Waiter
from nodeeni.plan.pods import pods_of


class Triggers:
    def __init__(
        self,
        queue: WorkQueue,
        cluster: Cluster,
        selection: Selection,
        inventory: Inventory,
        waiter: Waiter,
        lookups: Lookups,
    ) -> None:
        self._queue = queue
        self._cluster = cluster
        self._selection = selection
        self._inventory = inventory
        self._waiter = waiter
        self._lookups = lookups

    async def expect_answers(self) -> None:
        """Have EC2 asked now what every node's first plan needs: asked together it fills its describes."""
        self._lookups.expect_instances(await self._cluster.instances())
        for nodeeni in self._cluster.nodeenis.store.values():
            self._expect_network(nodeeni)

    def _expect_network(self, nodeeni: NodeENI) -> None:
        if not nodeeni.metadata.deleting:
            spec = nodeeni.spec
            self._lookups.expect_subnets(spec.all_subnet_ids, spec.all_subnet_names, at_once=True)
            groups = spec.security_group_ids, spec.security_group_names
            self._lookups.expect_groups(*groups, at_once=True)

    def node_changed(self, old: Node | None, new: Node | None) -> None:
        node = new or old
        assert node is not None
        if old is not None and (new is None or new.metadata.deleting or new.out_of_service):
            self._lookups.invalidate_instance(old.instance_id)  # its state is about to matter
        self._queue.add(node.metadata.name)
        if old is None or new is None or old.instance_id != new.instance_id:
            self._whose_node_changed(node)

    def nodeeni_changed(self, old: NodeENI | None, new: NodeENI | None) -> None:
        """The nodes that it selected or selects, and those that have an interface of it."""
        if new is not None:
            self._expect_network(new)  # before all else: its nodes wait for that
        changed = new or old
        assert changed is not None
        uid = changed.metadata.uid
        wake = self._queue.hasten if _has_its_finalizer(old, new) else self._queue.add
        concerned = self._selection.of(uid) | self._selection.left_out(uid)
        for name in self._cluster.nodes.store:  # in its order
            if name in concerned:
                wake(name)
        for interface in self._inventory.of_nodeeni(uid):
            self._queue.add(self._cluster.node_of(interface))

    def eninode_changed(self, old: ENINode | None, new: ENINode | None) -> None:
        """A link that is up on its node is attached: that ends the wait for EC2 to say so. One that went
        may have been detached by hand, or may be in a pod: EC2 knows.
        """
        if new is None:
            return
        if old is not None and _of_pods(old) != _of_pods(new):
            self._queue.hasten(new.metadata.name)  # a detach, or a prefix, may wait for its word
        had = {link.mac_address for link in old.status.interfaces if _is_there(link)} if old else set()
        links = {link.mac_address: link for link in new.status.interfaces}
        for entry in new.spec.interfaces:
            interface = self._inventory.get(entry.eni_id)
            link = links.get(entry.mac_address)
            if link is None or interface is None or interface.attachment is None:
                continue
            if interface.attachment.instance_id != new.spec.instance_id:
                continue
            if not _is_there(link) and entry.mac_address in had:
                self._waiter.doubt(entry.eni_id)
            elif _is_there(link) and interface.attachment.status == "attaching":
                self._inventory.note_attached(entry.eni_id)
            elif link.state == "Up":
                self._queue.hasten(new.metadata.name)  # the next node may wait for it

    def interface_changed(self, before: Interface | None, after: Interface | None) -> None:
        if before is not None and before.attachment is not None:
            left = after is None or after.attachment is None
            if left:
                self._lookups.invalidate_instance(before.attachment.instance_id)
        for interface in (before, after):
            if interface is not None:
                self._queue.add(self._cluster.node_of(interface))

    def _whose_node_changed(self, node: Node) -> None:
        """A Node came, went or has another instance: who is its instance's node now, and whose were its
        interfaces."""
        for name in self._cluster.nodes_of(node.instance_id):
            self._queue.add(name)
        for interface in self._inventory.of_instance(node.instance_id):
            self._queue.add(interface.tags.get(names.TAG_NODE, ""))


def _of_pods(eninode: ENINode) -> tuple[object, ...]:
    """What of an ENINode a plan may wait for."""
    return tuple(pods_of(eninode).items())


def _is_there(link: LinkStatus) -> bool:
    return link.state != "Missing"


def _has_its_finalizer(old: NodeENI | None, new: NodeENI | None) -> bool:
    """Whether finalizers are all that changed: nodes which wait for that come back, others need not."""
    return (
        old is not None
        and new is not None
        and old.metadata.generation == new.metadata.generation
        and old.metadata.deleting == new.metadata.deleting
    )

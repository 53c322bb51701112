"""The Kubernetes objects that reconciling reads: informers of Node, NodeENI, ENINode, and views of them."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from sys import intern
from typing import TypeAlias, TypeVar

import msgspec
from msgspec.structs import replace

from nodeeni.api.core import REGION_LABEL, Node, NodeCondition, NodeStatus
from nodeeni.api.meta import ObjectMeta, OwnerReference
from nodeeni.api.names import TAG_INSTANCE
from nodeeni.api.packed import NO_ITEMS, Packed
from nodeeni.api.v1alpha1 import ENINode, ENINodeStatus, LinkStatus, NodeENI
from nodeeni.ec2.region import resolve_region
from nodeeni.ec2.types import Interface
from nodeeni.kube.client import KubeClient
from nodeeni.kube.informer import Informer
from nodeeni.kube.resources import ENINODES, NODEENIS, NODES
from nodeeni.plan.link import link_of
from nodeeni.plan.observed import NodeView, Owner
from nodeeni.plan.ownership import UNTOLD, Told, is_doubtful, node_of, owner_of
from nodeeni.slices import in_slices

NODES_PAGE = 100  # Nodes of 10 KB: what a page takes while it is read stays with the process
# Seconds. 5,000 kubelets that report every 10 s are 500 events a second: read together they cost far less.
NODES_GATHER = 0.2
# Nodes come together as a rule, and each is waited for: seconds, and for how long after one that came.
NODES_GATHER_QUICK, QUICK_FOR = 0.02, 2.0


# One for all Nodes that are the same in it.
_STATUSES = {
    None: NodeStatus(),
    True: NodeStatus((NodeCondition("Ready", "True"),)),
    False: NodeStatus((NodeCondition("Ready", "False"),)),
}

_S = TypeVar("_S", bound=msgspec.Struct)

NodeENIListener: TypeAlias = Callable[[NodeENI | None, NodeENI | None], None]


class Cluster:
    """The local copies; each informer's `run` is a task of the app."""

    def __init__(self, client: KubeClient) -> None:
        self.nodes: Informer[Node] = Informer(
            client, NODES, Node, kept=self._kept, gather=self._gather, page_limit=NODES_PAGE
        )
        # Told of a Node whose condition of ours is another than before: by our own write, as a rule.
        self.on_told: Callable[[Node], None] = lambda node: None
        self.nodeenis: Informer[NodeENI] = Informer(client, NODEENIS, NodeENI)
        self.eninodes: Informer[ENINode] = Informer(client, ENINODES, ENINode, kept=kept_eninode)
        self._node_came_at = float("-inf")  # of the monotonic clock
        # Instance → the name of its Node; the names, where it has several.
        self._names: dict[str, str | tuple[str, ...]] = {}
        self._listed: dict[str, tuple[str, dict[str, str]]] = {}  # uid → (version, interface → node)
        self.nodes.add_listener(self._index_node)

    @property
    def informers(self) -> tuple[Informer[Node], Informer[NodeENI], Informer[ENINode]]:
        return (self.nodes, self.nodeenis, self.eninodes)

    async def synced(self) -> None:
        for informer in self.informers:
            await informer.synced.wait()

    def node(self, name: str) -> NodeView | None:
        node = self.nodes.store.get(name)
        if node is None:
            return None
        return NodeView(
            name=name,
            uid=node.metadata.uid,
            labels=node.metadata.labels,
            provider_id=node.spec.provider_id,
            instance_id=node.instance_id,
            deleting=node.metadata.deleting,
            out_of_service=node.out_of_service,
            auto_mode=node.auto_mode,
        )

    def nodes_of(self, instance_id: str) -> Collection[str]:
        """Names of the Nodes that name the instance: one, but for a while, or by mistake, more."""
        names = self._names.get(instance_id, ())
        return (names,) if isinstance(names, str) else names

    async def instances(self) -> list[str]:
        """The ids of all instances that Nodes name, in the order of the Nodes."""
        ids = {node.instance_id: None async for node in in_slices(list(self.nodes.store.values()))}
        return [instance_id for instance_id in ids if instance_id]

    def readiness(self, name: str) -> str:
        """`Ready` or `NotReady`, as kubectl shows a Node; empty where nobody has said."""
        node = self.nodes.store.get(name)
        ready = node.ready if node is not None else None
        return "" if ready is None else "Ready" if ready else "NotReady"

    def told(self, eni_id: str) -> Told:
        """What the statuses say of an interface."""
        for nodeeni in self.nodeenis.store.values():
            uid, version = nodeeni.metadata.uid, nodeeni.metadata.resource_version
            known, listed = self._listed.get(uid, ("", {}))
            if known != version:
                listed = {entry.eni_id: entry.node_id for entry in nodeeni.status.attachments}
                self._listed[uid] = version, listed
            if eni_id in listed:
                return Told(uid, listed[eni_id])
        return UNTOLD

    def owner_of(self, interface: Interface) -> str:
        """As `plan.ownership.owner_of`."""
        owners = self.owners()
        told = self.told(interface.id) if is_doubtful(interface, owners) else UNTOLD
        return owner_of(interface, owners, told)

    def node_of(self, interface: Interface) -> str:
        """As `plan.ownership.node_of`."""
        attachment = interface.attachment
        moved = attachment and attachment.instance_id != interface.tags.get(TAG_INSTANCE)
        return node_of(interface, self.nodes_of, self.told(interface.id) if moved else UNTOLD)

    def _kept(self, old: Node | None, new: Node) -> Node:
        before = old.told if old is not None else None
        kept = kept_node(old, new)
        if kept is old and kept.told != before:  # else the listeners are told
            self.on_told(kept)
        return kept

    def _gather(self) -> float:
        lately = time.monotonic() - self._node_came_at < QUICK_FOR
        return NODES_GATHER_QUICK if lately else NODES_GATHER

    def _index_node(self, old: Node | None, new: Node | None) -> None:
        if old is None:
            self._node_came_at = time.monotonic()
        else:
            left = [name for name in self.nodes_of(old.instance_id) if name != old.metadata.name]
            self._name(old.instance_id, left)
        if new is not None and new.instance_id:
            self._name(new.instance_id, [*self.nodes_of(new.instance_id), new.metadata.name])

    def _name(self, instance_id: str, names: Sequence[str]) -> None:
        if names:
            self._names[instance_id] = names[0] if len(names) == 1 else tuple(names)
        else:
            self._names.pop(instance_id, None)

    def link(self, node: str, mac: str) -> LinkStatus | None:
        """As the node's ENI manager reports it."""
        eninode = self.eninodes.store.get(node)
        links = eninode.status.interfaces if eninode is not None else ()
        return next((link for link in links if link.mac_address == mac), None)

    def link_up(self, node: str, mac: str) -> bool | None:
        """What the node's ENI manager says of this link; None where none reports."""
        eninode = self.eninodes.store.get(node)
        if eninode is None or not eninode.status.interfaces:
            return None
        link = self.link(node, mac)
        return link is not None and link.state == "Up"

    def owners(self) -> dict[str, Owner]:
        """By uid, the NodeENIs that exist."""
        return {
            nodeeni.metadata.uid: Owner(name, nodeeni.metadata.deleting, link_of(nodeeni))
            for name, nodeeni in self.nodeenis.store.items()
        }

    def by_uid(self, uid: str) -> NodeENI | None:
        return next((n for n in self.nodeenis.store.values() if n.metadata.uid == uid), None)


async def region_of(flag: str | None, environment: Mapping[str, str], cluster: Cluster) -> str | None:
    """The AWS region to work in: as `resolve_region` says, else by the region label of a Node."""
    region = await resolve_region(flag, environment)
    labels = (node.metadata.labels.get(REGION_LABEL) for node in cluster.nodes.store.values())
    return region or next(filter(None, labels), None)


def kept_node(old: Node | None, new: Node) -> Node:
    """A heartbeat leaves the Node that we have as it is. Thousands of Nodes share most values of their
    labels, which are half of what a Node weighs here.
    """
    if old is not None and not node_changed(old, new):
        old.metadata.resource_version = new.metadata.resource_version
        old.status = _kept_status(new)
        return old
    new.status = _kept_status(new)
    new.metadata.labels = Packed(new.metadata.labels)
    _slim(new.metadata)
    return new


def kept_eninode(old: ENINode | None, new: ENINode) -> ENINode:
    """What it says is what EC2 and the Nodes say: one copy of each text in memory, and what is of no use here
    goes. Thousands of them stand here.
    """
    new.metadata.labels = NO_ITEMS
    _slim(new.metadata)
    owners = [
        OwnerReference(intern(owner.kind), intern(owner.uid)) for owner in new.metadata.owner_references
    ]
    new.metadata.owner_references = tuple(owners)
    interfaces = tuple(map(_with_known_texts, new.spec.interfaces))
    new.spec = replace(_with_known_texts(new.spec), interfaces=interfaces)
    if new.status == _UNTOLD:
        new.status = _UNTOLD
    else:
        new.status.interfaces = [_with_known_texts(link) for link in new.status.interfaces]
    return new


_UNTOLD = ENINodeStatus()  # one for all ENINodes whose ENI manager has told nothing


def _slim(metadata: ObjectMeta) -> None:
    metadata.name, metadata.uid = intern(metadata.name), intern(metadata.uid)
    metadata.creation_timestamp = None


def _with_known_texts(struct: _S) -> _S:
    texts = {
        name: intern(text) for name in struct.__struct_fields__ if type(text := getattr(struct, name)) is str
    }
    return replace(struct, **texts)


def _kept_status(node: Node) -> NodeStatus:
    told = node.told
    if told is None:
        return _STATUSES[node.ready]
    return NodeStatus((*_STATUSES[node.ready].conditions, told))


def node_changed(old: Node, new: Node) -> bool:
    """Whether an update of a Node matters: kubelet's heartbeats do not."""
    return (
        old.metadata.labels != new.metadata.labels
        or old.metadata.deleting != new.metadata.deleting
        or old.metadata.uid != new.metadata.uid
        or old.spec != new.spec
    )


def nodeeni_changed(old: NodeENI, new: NodeENI) -> bool:
    """Whether an update of a NodeENI matters to nodes: that of a status does not."""
    return _shape(old.metadata) != _shape(new.metadata)


def but_for_status(listener: NodeENIListener) -> NodeENIListener:
    """The listener, told of what matters to nodes."""

    def told(old: NodeENI | None, new: NodeENI | None) -> None:
        if old is None or new is None or nodeeni_changed(old, new):
            listener(old, new)

    return told


def _shape(metadata: ObjectMeta) -> tuple[str, int, bool, tuple[str, ...]]:
    return (metadata.uid, metadata.generation, metadata.deleting, tuple(metadata.finalizers))

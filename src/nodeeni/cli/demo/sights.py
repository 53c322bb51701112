"""One look at the simulated world, and what it says that the last one did not. Pure but for the look.

EC2 and the Node objects are read where they are kept, not through our controller: the demo believes what is
there. The link alone is what the node's agent reports; the last table counts links in the kernels.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from nodeeni.api.names import FINALIZER, TAG_NODE
from nodeeni.sandbox.ec2 import Interface
from nodeeni.sandbox.world import World, WorldNode

Object = dict[str, Any]


@dataclass(frozen=True)
class NodeSight:
    """`attachment` and `link` are EC2's and the agent's words, empty for none."""

    instance: str = "running"
    registered: bool = True
    eni: str = ""
    address: str = ""
    attachment: str = ""
    device_index: int = 0
    delete_on_termination: bool = False
    link: str = ""
    link_name: str = ""
    mtu: int = 0

    @property
    def link_is_up(self) -> bool:
        return self.link == "Up"


@dataclass(frozen=True)
class NodeENISight:
    """`links_up` is None where no agent reports; `listed` are the nodes with an entry in the status."""

    there: bool = False
    deleting: bool = False
    held: bool = False
    desired: int = 0
    attached: int = 0
    links_up: int | None = None
    listed: tuple[str, ...] = ()


def look_at_node(world: World, node: WorldNode) -> NodeSight:
    sight = NodeSight(
        instance=world.ec2.instance(node.instance_id).state,
        registered=world.kube.get("", "nodes", node.name) is not None,
    )
    interface = _interface(world, node)
    if interface is None:
        return sight
    sight = replace(sight, eni=interface.id, address=interface.private_ips[0])
    if interface.attachment is not None:
        sight = replace(
            sight,
            attachment=interface.attachment.status,
            device_index=interface.attachment.device_index,
            delete_on_termination=interface.attachment.delete_on_termination,
        )
    link = _link(world.eninode(node.name), interface.mac)
    return replace(
        sight,
        link=link.get("state", ""),
        link_name=link.get("linkName", ""),
        mtu=link.get("mtu", 0),
    )


def look_at_nodeeni(world: World, name: str) -> NodeENISight:
    found = world.nodeeni(name)
    if found is None:
        return NodeENISight()
    status = found.get("status", {})
    return NodeENISight(
        there=True,
        deleting="deletionTimestamp" in found["metadata"],
        held=FINALIZER in found["metadata"].get("finalizers", []),
        desired=status.get("desired", 0),
        attached=status.get("attached", 0),
        links_up=status.get("linksUp"),
        listed=tuple(entry["nodeID"] for entry in status.get("attachments", [])),
    )


def node_events(old: NodeSight, new: NodeSight) -> Iterator[str]:
    """What happened on a node between two looks, in the order in which it happens."""
    if new.instance != old.instance:
        yield f"instance {new.instance}"
    if new.eni and not old.eni:
        yield f"{new.eni} created, {new.address}"
    if new.attachment != old.attachment:
        yield from _attachment_events(new)
    if new.link != old.link and new.eni:
        yield from _link_events(old, new)
    if old.eni and not new.eni:
        yield f"{old.eni} gone with its instance" if _is_dying(new) else f"{old.eni} deleted"
    if old.registered and not new.registered:
        yield "Node object gone"


def nodeeni_events(old: NodeENISight, new: NodeENISight) -> Iterator[str]:
    if old.there and not new.there:
        yield "finalizer off, object gone"
        return
    if new.held and not old.held:
        yield "finalizer set"
    if new.deleting and not old.deleting:
        yield "deletion asked for; the finalizer holds it"
    counts = (new.desired, new.attached, new.links_up)
    if counts != (old.desired, old.attached, old.links_up):
        links = "" if new.links_up is None else f", links up: {new.links_up}"
        yield f"status: {new.attached} of {new.desired} attached{links}"
    for name in old.listed:
        if name not in new.listed:
            yield f"status: {name.partition('.')[0]} off the list, its ENI is gone"


def present_state(sight: NodeSight) -> str:
    """A node in a few words, for the table."""
    if _is_dying(sight):
        return sight.instance
    if not sight.eni:
        return "no ENI"
    if not sight.attachment:
        return "ENI not attached"
    if sight.attachment != "attached":
        return sight.attachment
    return f"attached, link {sight.link.lower()}" if sight.link else "attached"


def _attachment_events(new: NodeSight) -> Iterator[str]:
    match new.attachment:
        case "attached":
            yield f"attached at device index {new.device_index}"
        case "detaching":
            yield "detaching"
        case "" if new.eni:
            yield "detached"


def _link_events(old: NodeSight, new: NodeSight) -> Iterator[str]:
    if new.link_is_up:
        yield f"link {new.link_name} up, MTU {new.mtu}"
    elif old.link_is_up:
        yield f"link {old.link_name} gone from the kernel"


def _is_dying(sight: NodeSight) -> bool:
    return sight.instance in ("shutting-down", "terminated")


def _interface(world: World, node: WorldNode) -> Interface | None:
    """The node's ENI, once its create has been answered."""
    made = world.ec2.interfaces(**{TAG_NODE: node.name})
    return next((interface for interface in made if not interface.pending), None)


def _link(eninode: Object | None, mac: str) -> Object:
    reported = (eninode or {}).get("status", {}).get("interfaces", [])
    found: Object = next((one for one in reported if one["macAddress"] == mac), {})
    return found

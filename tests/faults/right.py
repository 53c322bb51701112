"""The one right final state, worked out anew from what users wrote: the judge of every run in this folder.

It knows nothing of how the controller decides. What differs comes back as lines to read, none where all is
right.
"""

from collections.abc import Iterator
from typing import Any

from nodeeni.api import names
from nodeeni.sandbox.ec2 import Interface
from nodeeni.sandbox.world import World

Object = dict[str, Any]


def wrong(world: World) -> list[str]:
    """Every difference between what is and what has to be, in EC2 and in the API server."""
    nodeenis = [n for n in _objects(world, "nodeenis") if not n["metadata"].get("deletionTimestamp")]
    wanted = {
        (nodeeni["metadata"]["name"], node["metadata"]["name"]): (nodeeni, node)
        for nodeeni in nodeenis
        for node in world.kube.objects("", "nodes")
        if _selects(nodeeni, node) and _is_up(world, node)
    }
    ours = ours_in(world)
    faults = [f"{n} is still there" for n in _names(world, "nodeenis") - {_name(n) for n in nodeenis}]
    for (nodeeni, node), objects in wanted.items():
        found = [i for i in ours if (i.tags.get("NodeENI"), i.tags.get("Node")) == (nodeeni, node)]
        if len(found) == 1:
            faults += (
                f"{nodeeni} on {node}: {text}" for text in _interface_faults(world, found[0], *objects)
            )
        else:
            faults.append(f"{nodeeni} on {node}: {len(found)} interfaces {[i.id for i in found]}")
    for interface in ours:
        key = (interface.tags.get("NodeENI", ""), interface.tags.get("Node", ""))
        if key not in wanted:
            faults.append(f"{interface.id} of {key} is left, {interface.status}")
    faults += _eninode_faults(world, ours)
    for nodeeni in nodeenis:
        nodes = {node for name, node in wanted if name == _name(nodeeni)}
        faults += (f"{_name(nodeeni)}: {text}" for text in _status_faults(nodeeni, nodes, ours))
    return faults


def ours_in(world: World) -> list[Interface]:
    cluster = cluster_id(world)
    return [i for i in world.ec2.interfaces() if i.tags.get(names.TAG_CLUSTER) == cluster]


def cluster_id(world: World) -> str:
    namespace = world.kube.get("", "namespaces", "kube-system")
    assert namespace is not None
    return str(namespace["metadata"]["uid"])


def _interface_faults(world: World, interface: Interface, nodeeni: Object, node: Object) -> Iterator[str]:
    spec, attachment = nodeeni["spec"], interface.attachment
    instance_id = node["spec"]["providerID"].rpartition("/")[2]
    if attachment is None:
        yield f"{interface.id} is not attached"
        return
    if (attachment.instance_id, attachment.status) != (instance_id, "attached"):
        yield f"{interface.id} is {attachment.status} on {attachment.instance_id}, not on {instance_id}"
    if attachment.device_index != spec.get("deviceIndex", 1):
        yield f"{interface.id} has index {attachment.device_index}"
    if attachment.delete_on_termination != spec.get("deleteOnTermination", True):
        yield f"{interface.id} has DeleteOnTermination {attachment.delete_on_termination}"
    if interface.subnet_id not in [spec.get("subnetID"), *spec.get("subnetIDs", ())]:
        yield f"{interface.id} is in {interface.subnet_id}"
    if set(interface.group_ids) != set(spec["securityGroupIDs"]):
        yield f"{interface.id} has groups {interface.group_ids}"
    if "description" in spec and interface.description != spec["description"]:
        yield f"{interface.id} has description {interface.description!r}"
    own = names.interface_tags(
        cluster_id=cluster_id(world),
        nodeeni=_name(nodeeni),
        uid=nodeeni["metadata"]["uid"],
        node=_name(node),
        instance_id=instance_id,
    )
    for key, value in {**spec.get("tags", {}), **own}.items():
        if interface.tags.get(key) != value:
            yield f"{interface.id} has tag {key}={interface.tags.get(key)}, not {value}"


def _eninode_faults(world: World, ours: list[Interface]) -> Iterator[str]:
    by_node: dict[str, set[tuple[str, str]]] = {}
    for interface in ours:
        by_node.setdefault(interface.tags.get("Node", ""), set()).add((interface.id, interface.mac))
    shown = {
        _name(eninode): {(i["eniID"], i["macAddress"]) for i in eninode["spec"].get("interfaces", ())}
        for eninode in _objects(world, "eninodes")
    }
    for node in by_node.keys() | shown.keys():
        if by_node.get(node, set()) != shown.get(node, set()):
            yield f"ENINode {node} says {shown.get(node)}, EC2 has {by_node.get(node)}"


def _status_faults(nodeeni: Object, nodes: set[str], ours: list[Interface]) -> Iterator[str]:
    if names.FINALIZER not in nodeeni["metadata"].get("finalizers", ()):
        yield "no finalizer"
    status = nodeeni.get("status") or {}
    counts = {key: status.get(key, 0) for key in ("desired", "attached", "failed")}
    if counts != {"desired": len(nodes), "attached": len(nodes), "failed": 0}:
        yield f"status counts {counts}, {len(nodes)} are wanted"
    of_it = {(i.tags.get("Node"), i.id) for i in ours if i.tags.get("NodeENI") == _name(nodeeni)}
    rows = {(row["nodeID"], row.get("eniID")) for row in status.get("attachments", ())}
    if rows != of_it:
        yield f"status lists {rows}, EC2 has {of_it}"
    states = {entry["type"]: entry["status"] for entry in status.get("conditions", ())}
    if states != {"Ready": "True", "Progressing": "False", "Degraded": "False"}:
        yield f"conditions are {status.get('conditions')}"
    if status.get("observedGeneration") != nodeeni["metadata"]["generation"]:
        yield f"observedGeneration is {status.get('observedGeneration')}"


def _selects(nodeeni: Object, node: Object) -> bool:
    labels = node["metadata"].get("labels", {})
    return all(labels.get(key) == value for key, value in nodeeni["spec"]["nodeSelector"].items())


def _is_up(world: World, node: Object) -> bool:
    instance = world.ec2.instance(node["spec"]["providerID"].rpartition("/")[2])
    return instance.state == "running" and not node["metadata"].get("deletionTimestamp")


def _objects(world: World, plural: str) -> list[Object]:
    return world.kube.objects(names.GROUP, plural)


def _names(world: World, plural: str) -> set[str]:
    return {_name(each) for each in _objects(world, plural)}


def _name(each: Object) -> str:
    return str(each["metadata"]["name"])

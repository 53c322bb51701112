"""The one right final state, worked out anew from what users wrote: the judge of every run in this folder.

It knows nothing of how the controller decides. What differs comes back as lines to read, none where all is
right.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nodeeni.api import names
from nodeeni.sandbox.ec2 import Attachment, Interface
from nodeeni.sandbox.ec2.instance_types import INSTANCE_TYPES
from nodeeni.sandbox.world import World

Object = dict[str, Any]
LEASE = ("coordination.k8s.io", "leases", "nodeeni-controller-leader-election")


def wrong(world: World) -> list[str]:
    """Every difference between what is and what has to be, in EC2 and in the API server."""
    nodeenis = [n for n in _objects(world, "nodeenis") if not n["metadata"].get("deletionTimestamp")]
    wanted = {
        (nodeeni["metadata"]["name"], node["metadata"]["name"]): (nodeeni, node)
        for nodeeni in nodeenis
        for node in world.kube.objects("", "nodes")
        if selects(nodeeni["spec"], node) and _is_up(world, node)
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
    faults += _pods_faults(world, wanted)
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


def not_as_asked(world: World, interface: Interface, spec: Object) -> Iterator[str]:
    """What of an attached interface is not as this spec of a NodeENI has it, whoever's it is."""
    attachment = interface.attachment
    if attachment is None:
        yield "is not attached"
        return
    index, asked = attachment.device_index, spec.get("deviceIndex", 1)
    if index < asked or (index > asked and spec.get("deviceIndexPolicy") != "NextFree"):
        yield f"has index {index}"
    if attachment.network_card_index != spec.get("networkCardIndex", 0):
        yield f"has network card {attachment.network_card_index}"
    if attachment.delete_on_termination != spec.get("deleteOnTermination", True):
        yield f"has DeleteOnTermination {attachment.delete_on_termination}"
    if interface.subnet_id not in _subnets(world, spec):
        yield f"is in {interface.subnet_id}"
    if set(interface.group_ids) != _groups(world, spec, interface.vpc_id):
        yield f"has groups {interface.group_ids}"
    if "description" in spec and interface.description != spec["description"]:
        yield f"has description {interface.description!r}"
    if interface.source_dest_check != spec.get("sourceDestCheck", True):
        yield f"has source/destination check {interface.source_dest_check}"
    yield from _not_tracked_as_asked(world, interface, spec)
    yield from _ena_not_as_asked(attachment, spec)
    yield from _addresses_not_as_asked(interface, spec)
    for key, value in spec.get("tags", {}).items():
        if interface.tags.get(key) != value:
            yield f"has tag {key}={interface.tags.get(key)}, not {value}"
    for field, held in addresses(interface).items():
        if len(held) != spec.get(field, len(held)):
            yield f"has {held} for {field} {spec[field]}"
    if interface.primary_ipv6 != spec.get("enablePrimaryIPv6", interface.primary_ipv6):
        yield f"has a primary IPv6 address: {interface.primary_ipv6}"


def addresses(interface: Interface) -> dict[str, tuple[str, ...]]:
    """By field of a spec, what of an interface it counts."""
    return {
        "secondaryPrivateIPCount": interface.private_ips[1:],
        "ipv4PrefixCount": interface.ipv4_prefixes,
        "ipv6AddressCount": interface.ipv6_addresses,
        "ipv6PrefixCount": interface.ipv6_prefixes,
    }


def _not_tracked_as_asked(world: World, interface: Interface, spec: Object) -> Iterator[str]:
    """What nobody set is as the instance's type has it."""
    assert interface.attachment is not None
    kind = INSTANCE_TYPES[world.ec2.instance(interface.attachment.instance_id).type]
    timeouts = {
        "tcpEstablishedTimeout": (interface.tcp_established_timeout, kind.tcp_established_timeout),
        "udpStreamTimeout": (interface.udp_stream_timeout, 180),
        "udpTimeout": (interface.udp_timeout, 30),
    }
    for name, (shown, default) in timeouts.items():
        if (shown or default) != spec.get("connectionTracking", {}).get(name, default):
            yield f"has {name} {shown or default}"


def _ena_not_as_asked(attachment: Attachment, spec: Object) -> Iterator[str]:
    express = {"enabled": False, "udp": False, **spec.get("enaExpress", {})}
    has = {"enabled": bool(attachment.ena_srd_enabled), "udp": bool(attachment.ena_srd_udp_enabled)}
    if has != express:
        yield f"has ENA Express {has}"
    # What was asked for once, and is not any more, stays until the instance is stopped.
    if "enaQueueCount" in spec and attachment.ena_queue_count != spec["enaQueueCount"]:
        yield f"has {attachment.ena_queue_count} ENA queues"


def _addresses_not_as_asked(interface: Interface, spec: Object) -> Iterator[str]:
    """A count that is not there asks for nothing."""
    counts = {
        "secondaryPrivateIPCount": len(interface.private_ips) - 1,
        "ipv4PrefixCount": len(interface.ipv4_prefixes),
        "ipv6AddressCount": len(interface.ipv6_addresses),
        "ipv6PrefixCount": len(interface.ipv6_prefixes),
        "enablePrimaryIPv6": interface.primary_ipv6,
    }
    for name, has in counts.items():
        if spec.get(name, has) != has:
            yield f"has {name} {has}"


def _subnets(world: World, spec: Object) -> set[str]:
    named = {spec.get("subnetName"), *spec.get("subnetNames", ())}
    by_name = {s.id for s in world.ec2.account.subnets.values() if s.tags.get("Name") in named - {None}}
    return by_name | {spec.get("subnetID"), *spec.get("subnetIDs", ())}


def _groups(world: World, spec: Object, vpc_id: str) -> set[str]:
    """Of groups by name: the group's own name goes before its tag."""
    found = set(spec.get("securityGroupIDs", ()))
    groups = [g for g in world.ec2.account.groups.values() if g.vpc_id == vpc_id]
    for name in spec.get("securityGroupNames", ()):
        by_name = {g.id for g in groups if g.group_name == name}
        found |= by_name or {g.id for g in groups if g.tags.get("Name") == name}
    return found


def lease_holder(world: World) -> str:
    """Empty where there is no lease, or nobody has it."""
    lease = world.kube.get(*LEASE, namespace=names.NAMESPACE)
    return str(lease["spec"].get("holderIdentity") or "") if lease else ""


def _interface_faults(world: World, interface: Interface, nodeeni: Object, node: Object) -> Iterator[str]:
    attachment = interface.attachment
    instance_id = node["spec"]["providerID"].rpartition("/")[2]
    if attachment is not None and (attachment.instance_id, attachment.status) != (instance_id, "attached"):
        yield f"{interface.id} is {attachment.status} on {attachment.instance_id}, not on {instance_id}"
    for text in not_as_asked(world, interface, nodeeni["spec"]):
        yield f"{interface.id} {text}"
    own = names.interface_tags(
        cluster_id=cluster_id(world),
        nodeeni=_name(nodeeni),
        uid=nodeeni["metadata"]["uid"],
        node=_name(node),
        instance_id=instance_id,
    )
    for key, value in own.items():
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


def _pods_faults(world: World, wanted: Mapping[tuple[str, str], tuple[Object, Object]]) -> Iterator[str]:
    """A node is told of the pods' network of each NodeENI that has one, and EC2 has a prefix for it."""
    shown = {
        (entry["nodeENI"], _name(eninode)): entry.get("podNetwork")
        for eninode in _objects(world, "eninodes")
        for entry in eninode["spec"].get("interfaces", ())
    }
    prefixes = {
        (i.tags.get("NodeENI"), i.tags.get("Node")): [*i.ipv4_prefixes, *i.ipv6_prefixes]
        for i in ours_in(world)
    }
    for key, (nodeeni, _) in wanted.items():
        asked, told, has = nodeeni["spec"].get("podNetwork"), shown.get(key), prefixes.get(key, [])
        if asked is None and told is None:
            continue
        name, mode = (asked or {}).get("name", key[0]), (asked or {}).get("mode", "L2")
        if asked is None or told is None or not has:
            yield f"{key}: podNetwork is {told} with prefixes {has}, asked for is {asked}"
        elif (told["name"], told["mode"], told.get("prefixes", [])) != (name, mode, has):
            yield f"{key}: podNetwork is {told}, EC2 has the prefixes {has}, asked for is {asked}"


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


def selects(spec: Object, node: Object) -> bool:
    labels = node["metadata"].get("labels", {})
    return all(labels.get(key) == value for key, value in spec.get("nodeSelector", {}).items()) and all(
        _meets(labels.get(each["key"]), each["operator"], each.get("values", ()))
        for each in spec.get("matchExpressions", ())
    )


def _meets(value: str | None, operator: str, values: Sequence[str]) -> bool:
    return {
        "In": value in values,
        "NotIn": value not in values,
        "Exists": value is not None,
        "DoesNotExist": value is None,
    }[operator]


def is_ending(world: World, node: Object) -> bool:
    """The Node is being deleted, or its instance is going or gone."""
    provider, _, instance_id = node["spec"].get("providerID", "").rpartition("/")
    if node["metadata"].get("deletionTimestamp"):
        return True
    if not provider.startswith("aws:"):
        return False
    instance = world.ec2.account.instances.get(instance_id)
    return instance is None or instance.state in ("shutting-down", "terminated")


def _is_up(world: World, node: Object) -> bool:
    instance = world.ec2.instance(node["spec"]["providerID"].rpartition("/")[2])
    return instance.state == "running" and not is_ending(world, node)


def _objects(world: World, plural: str) -> list[Object]:
    return world.kube.objects(names.GROUP, plural)


def _names(world: World, plural: str) -> set[str]:
    return {_name(each) for each in _objects(world, plural)}


def _name(each: Object) -> str:
    return str(each["metadata"]["name"])

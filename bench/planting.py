"""ENIs that are there already, as a controller before this one would have left them."""

from collections.abc import Iterable
from typing import Any

import msgspec

from bench.harness import NAME, Bench
from nodeeni.api.names import API_VERSION, interface_tags
from nodeeni.api.v1alpha1 import ENINodeInterface
from nodeeni.plan.report import spec_of
from nodeeni.sandbox.ec2 import Interface
from nodeeni.sandbox.world import WorldNode


def plant(b: Bench, nodes: Iterable[WorldNode], *, reported: bool = False) -> None:
    """Give each node the attached ENI that the NodeENI asks for; it has to be applied already. `reported`:
    and the ENINode that tells of it.
    """
    namespace = b.world.kube.get("", "namespaces", "kube-system")
    nodeeni = b.world.nodeeni(NAME)
    assert namespace is not None
    assert nodeeni is not None
    for node in nodes:
        eni = b.world.ec2.plant_interface(
            b.world.subnets["a"],
            description=nodeeni["spec"]["description"],
            tags=interface_tags(
                cluster_id=namespace["metadata"]["uid"],
                nodeeni=NAME,
                uid=nodeeni["metadata"]["uid"],
                node=node.name,
                instance_id=node.instance_id,
            ),
            group_ids=nodeeni["spec"]["securityGroupIDs"],
            instance=b.world.ec2.instance(node.instance_id),
            device_index=nodeeni["spec"]["deviceIndex"],
        )
        if reported:
            b.world.kube.create(_eninode(b, node, eni, nodeeni["spec"]))


def _eninode(b: Bench, node: WorldNode, eni: Interface, asked: dict[str, Any]) -> dict[str, Any]:
    entry = ENINodeInterface(
        node_eni=NAME,
        eni_id=eni.id,
        mac_address=eni.mac,
        device_index=asked["deviceIndex"],
        network_card_index=0,
        subnet_id=eni.subnet_id,
        subnet_cidr=b.world.subnets["a"].cidr,
        private_ip_addresses=eni.private_ips,
        interface_name=asked.get("interfaceName", NAME),
    )
    owner = b.world.kube.get("", "nodes", node.name)
    assert owner is not None
    reference = {"apiVersion": "v1", "kind": "Node", "name": node.name, "uid": owner["metadata"]["uid"]}
    return {
        "apiVersion": API_VERSION,
        "kind": "ENINode",
        "metadata": {"name": node.name, "ownerReferences": [reference]},
        "spec": msgspec.json.decode(msgspec.json.encode(spec_of(node.instance_id, [entry]))),
    }

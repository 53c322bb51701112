"""ENIs that are there already, as a controller before this one would have left them."""

from collections.abc import Iterable

from bench.harness import NAME, Bench
from nodeeni.api.names import interface_tags
from nodeeni.sandbox.world import WorldNode


def plant(b: Bench, nodes: Iterable[WorldNode]) -> None:
    """Give each node the attached ENI that the NodeENI asks for; it has to be applied already."""
    namespace = b.world.kube.get("", "namespaces", "kube-system")
    nodeeni = b.world.nodeeni(NAME)
    assert namespace is not None
    assert nodeeni is not None
    for node in nodes:
        b.world.ec2.plant_interface(
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

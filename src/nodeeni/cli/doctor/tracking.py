"""Connection tracking: which NodeENIs' nodes forget idle TCP connections within minutes."""

from collections.abc import AsyncIterator

from nodeeni.cli.findings import Finding, note
from nodeeni.cli.tracking import short_timeouts, types_of
from nodeeni.controller.cluster import Cluster
from nodeeni.ec2.client import EC2Client


async def findings(ec2: EC2Client, cluster: Cluster) -> AsyncIterator[Finding]:
    """Raises EC2Error."""
    nodes, nodeenis = list(cluster.nodes.store.values()), cluster.nodeenis.store.values()
    names = types_of(nodes) if nodeenis else ()
    types = {each.name: each for each in await ec2.describe_instance_types(sorted(names), left_out=[])}
    for each in short_timeouts(nodeenis, nodes, types):
        yield note(f"NodeENI {each.node_eni}", each.message)

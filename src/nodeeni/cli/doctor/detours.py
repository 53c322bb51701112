"""Networks of pods that lead to where their nodes have addresses: a pod answers its kubelet by the ENI then.

The answer has the source address of the cluster's network, which EC2 drops on an ENI, so that probes fail.
"""

import collections
import ipaddress
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping

import msgspec

from nodeeni.api.meta import ObjectMeta
from nodeeni.api.v1alpha1 import ENINode
from nodeeni.cli.findings import Finding, note, some
from nodeeni.kube.client import KubeClient
from nodeeni.kube.resources import NODES

SUBJECT = "pod networks"

_Block = ipaddress.IPv4Network | ipaddress.IPv6Network


class _Address(msgspec.Struct):
    type: str = ""
    address: str = ""


class _Status(msgspec.Struct):
    addresses: list[_Address] = []


class _Node(msgspec.Struct):
    """What the informers leave out of a Node."""

    metadata: ObjectMeta
    status: _Status = msgspec.field(default_factory=_Status)

    def lies_in(self, block: _Block) -> bool:
        return any(
            ipaddress.ip_address(each.address) in block
            for each in self.status.addresses
            if each.type == "InternalIP" and each.address
        )


async def findings(client: KubeClient, eninodes: Iterable[ENINode]) -> AsyncIterator[Finding]:
    """One for each block, on however many nodes. Raises KubeError."""
    serving = [node for node in eninodes if any(each.pod_network for each in node.spec.interfaces)]
    if not serving:
        return
    nodes, _ = await client.list(NODES, _Node)
    for block, places in _detours(serving, {node.metadata.name: node for node in nodes}).items():
        yield note(
            SUBJECT,
            f"{some(places)}: pods reach {block} by the ENI, and the node's own address lies in it: their "
            "answers to its kubelet go that way, and EC2 drops them: give the ENIs subnets without nodes, "
            "and spec.podNetwork.routes to such alone",
        )


def _detours(eninodes: Iterable[ENINode], nodes: Mapping[str, _Node]) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = collections.defaultdict(list)
    for eninode in eninodes:
        name = eninode.metadata.name
        for network, block in _blocks(eninode):
            if name in nodes and nodes[name].lies_in(block):
                found[str(block)].append(f"{network} on {name}")
    return found


def _blocks(node: ENINode) -> Iterator[tuple[str, _Block]]:
    """What pods of the node have routes to by an ENI, with the network's name."""
    for interface in node.spec.interfaces:
        network = interface.pod_network
        if network is not None:
            subnets = (interface.subnet_cidr, interface.subnet_ipv6_cidr)
            for cidr in filter(None, (*subnets, *(route.dst for route in network.routes))):
                yield network.name, ipaddress.ip_network(cidr, strict=False)

"""Networks of pods on one node: which CNI files are to be there, with which prefixes. Pure."""

import ipaddress
from collections.abc import Iterable, Mapping

import msgspec

from nodeeni.api.reasons import RowReason
from nodeeni.api.v1alpha1 import ENINode, NodeENI, NodePodNetwork
from nodeeni.ec2.types import Interface
from nodeeni.plan.refusal import Refusal, unresolved
from nodeeni.plan.rows import Row


def holders_of(eninode: ENINode | None) -> dict[str, str]:
    """By name of a network, the NodeENI whose file the node has, or is to have."""
    entries = eninode.spec.interfaces if eninode is not None else ()
    return {each.pod_network.name: each.node_eni for each in entries if each.pod_network is not None}


def first_of_each_name(nodeenis: Iterable[NodeENI], holders: Mapping[str, str]) -> dict[str, str]:
    """By name of a network, the NodeENI that has it on their node: of those that ask for it the one that has
    it already, since pods may be on it, else the first of these.
    """
    asking: dict[str, list[str]] = {}
    for nodeeni in nodeenis:
        if nodeeni.pod_network is not None:
            asking.setdefault(nodeeni.pod_network.name, []).append(nodeeni.metadata.name)
    return {
        network: holder if (holder := holders.get(network, "")) in names else names[0]
        for network, names in asking.items()
    }


def cannot_have_pods(nodeeni: NodeENI, node: str, first: Mapping[str, str]) -> Refusal | None:
    """Why the node cannot have the network that the NodeENI asks for; None: it can, or none is asked for."""
    network = nodeeni.pod_network
    if network is None:
        return None
    name, holder = nodeeni.metadata.name, first[network.name]
    if holder != name:
        return unresolved(
            nodeeni,
            RowReason.POD_NETWORK_TAKEN,
            f"the NodeENIs {holder} and {name} both ask for the pods' network {network.name} on node {node}, "
            f"and {holder} has it: give one of them another spec.podNetwork.name",
        )
    for number, route in enumerate(network.routes):
        if route.gw and not _is_address(route.gw):
            return unresolved(
                nodeeni,
                RowReason.INVALID_REFERENCE,
                f"spec.podNetwork.routes[{number}].gw is no address: {route.gw}",
            )
    return None


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def pod_networks(rows: Iterable[Row]) -> dict[str, NodePodNetwork]:
    """By interface, the network of pods on it. A name is one file: what stays has it before what goes, and
    what is being detached has none.
    """
    found: dict[str, NodePodNetwork] = {}
    for row in sorted(rows, key=lambda row: not row.wanted):
        network, interface = row.link.pod_network, row.interface
        taken = {each.name for each in found.values()}
        if network is None or interface is None or network.name in taken or _is_detaching(interface):
            continue
        prefixes = (*interface.ipv4_prefixes, *interface.ipv6_prefixes)
        kept = tuple(prefix for prefix in prefixes if prefix not in row.kept_from_pods)
        found[interface.id] = msgspec.structs.replace(network, prefixes=kept)
    return found


def _is_detaching(interface: Interface) -> bool:
    return interface.attachment is not None and interface.attachment.status == "detaching"

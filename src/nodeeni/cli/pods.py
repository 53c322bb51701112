"""What a node's ENI manager reports of the pods' network on an ENI, in words."""

from collections.abc import Iterator

from nodeeni.api.v1alpha1 import ENINode, ENINodeInterface, PodNetworkStatus

OFF = (
    "the ENI manager writes no CNI files: name Multus' folder in the chart's manager.podNetwork.confDir, or "
    "in --cni-conf-dir; see docs/pods.md"
)

# By IPv6 prefixes alone a node has 2**48 addresses for each: nobody counts up to these.
MANY = 1_000_000

_NO_FILE = {"Absent": "no CNI file yet", "Withdrawn": "no CNI file any more", "Refused": "no CNI file"}


def asked(node: ENINode) -> Iterator[tuple[ENINodeInterface, PodNetworkStatus | None]]:
    """Each interface of the node that pods are to be on, and what its ENI manager tells of that; None: it
    writes no CNI files. Of one that has not looked at what it is to have now there is nothing to say yet."""
    if node.status.observed_generation < node.metadata.generation:
        return
    links = {link.mac_address: link.pod_network for link in node.status.interfaces}
    for interface in node.spec.interfaces:
        if interface.pod_network is not None and interface.mac_address in links:
            yield interface, links[interface.mac_address]


def in_words(network: PodNetworkStatus) -> str:
    """Short: `pods 3 of 16`, `no CNI file any more, 2 pods`."""
    used = network.used or 0
    if network.state != "Ready":
        left = f", {used} {'pod' if used == 1 else 'pods'}" if used else ""
        return f"{_NO_FILE[network.state]}{left}"
    if network.used is None or network.free is None:
        return "pods not counted"
    if network.free > MANY:
        return f"pods {used}"
    return f"pods {used} of {used + network.free}"


def told(network: PodNetworkStatus) -> str:
    """All that is known, for one who asks why."""
    more = f": {network.message}" if network.message else ""
    used = f" ({', '.join(network.in_use)})" if network.in_use else ""
    return f"pods' network {network.name}: {in_words(network)}{used}{more}"

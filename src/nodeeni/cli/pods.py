"""What a node's ENI manager reports of the pods' network on an ENI, in words."""

from nodeeni.api.v1alpha1 import PodNetworkStatus

_NO_FILE = {"Absent": "no CNI file yet", "Withdrawn": "no CNI file any more", "Refused": "no CNI file"}


def in_words(network: PodNetworkStatus) -> str:
    """Short: `pods 3 of 16`, `no CNI file any more, 2 pods`."""
    used = network.used or 0
    if network.state != "Ready":
        left = f", {used} {'pod' if used == 1 else 'pods'}" if used else ""
        return f"{_NO_FILE[network.state]}{left}"
    if network.used is None or network.free is None:
        return "pods not counted"
    return f"pods {used} of {used + network.free}"


def told(network: PodNetworkStatus) -> str:
    """All that is known, for one who asks why."""
    more = f": {network.message}" if network.message else ""
    used = f" ({', '.join(network.in_use)})" if network.in_use else ""
    return f"pods' network {network.name}: {in_words(network)}{used}{more}"

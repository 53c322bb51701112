"""Pods on an interface, as its node's ENI manager tells: what waits for them, and who loses what. Pure.

A CNI file goes before its ENI does, or a pod that starts in between gets an address that nobody routes. A
prefix is given back when no pod has an address of it, or EC2 gives it to another node that does.
"""

import ipaddress
from collections.abc import Sequence

import msgspec

from nodeeni.api.v1alpha1 import ENINode, NodePodNetwork, PodNetworkStatus

NAMED = 3  # addresses that a message names


class Pods(msgspec.Struct, frozen=True, kw_only=True):
    """What an ENINode says of one interface, all of one moment. `asked` is of its spec; `told` is the ENI
    manager's last word, of that spec where `current`. `reports`: one has told anything at all. `has_link`: a
    pod has the link itself, as by CNI's host-device.
    """

    asked: NodePodNetwork | None = None
    told: PodNetworkStatus | None = None
    current: bool = False
    reports: bool = False
    has_link: bool = False

    @property
    def have_file(self) -> bool:
        """Whether there may be a CNI file, by which a pod may get an address."""
        if not self.reports or (self.asked is None and self.told is None):
            return False
        return (
            self.asked is not None
            or not self.current
            or (self.told is not None and self.told.state == "Ready")
        )

    @property
    def addresses(self) -> tuple[str, ...]:
        """Those that pods have, as many as are told."""
        return self.told.in_use if self.told is not None else ()

    def hold(self, prefix: str) -> bool:
        """Whether a pod has an address of it, or may yet get one."""
        if self.asked is None and self.told is None:
            return False
        asked = self.asked.prefixes if self.asked is not None else ()
        held = self.told.prefixes if self.told is not None else ()
        return not self.current or prefix in asked or prefix in held

    def users(self, prefix: str) -> list[str]:
        """Addresses of it that pods have."""
        block = ipaddress.ip_network(prefix)
        return [address for address in self.addresses if _lies_in(address, block)]

    def spared(self, prefixes: Sequence[str]) -> list[str]:
        """These prefixes, the one that is the first to be given back first: one that no pod uses, then one
        that none gets an address of any more, then the one with fewest."""
        asked = self.asked.prefixes if self.asked is not None else ()

        def reluctance(prefix: str) -> tuple[bool, bool, int]:
            used = len(self.users(prefix))
            return (used > 0, prefix in asked, used)

        return sorted(prefixes, key=reluctance) if self.told is not None else list(prefixes)

    @property
    def lost(self) -> frozenset[str]:
        """What pods lose with the interface: their addresses, or the link."""
        return frozenset({"link"} if self.has_link else self.addresses)

    @property
    def lose(self) -> str:
        """What pods lose with the interface, in words; empty: nothing that is known."""
        if self.has_link:
            return "its link is in a pod: delete that pod before, or its deletion fails when the ENI is gone"
        if self.addresses:
            more = (self.told.used or 0) if self.told is not None else 0
            return f"pods lose their addresses on it, {named(self.addresses, more)}"
        return ""


NO_PODS = Pods()


def pods_of(eninode: ENINode | None) -> dict[str, Pods]:
    """By interface."""
    if eninode is None:
        return {}
    links = {link.mac_address: link for link in eninode.status.interfaces}
    observed = eninode.status.observed_generation
    found = {}
    for entry in eninode.spec.interfaces:
        link = links.get(entry.mac_address)
        found[entry.eni_id] = Pods(
            asked=entry.pod_network,
            told=link.pod_network if link is not None else None,
            current=observed >= eninode.metadata.generation,
            reports=observed > 0,
            has_link=link is not None and link.in_pod,
        )
    return found


def _lies_in(address: str, block: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    """False for what is no address: a status is what somebody wrote, and keeps no node from its plan."""
    try:
        return ipaddress.ip_address(address) in block
    except ValueError:
        return False


def named(addresses: Sequence[str], count: int = 0) -> str:
    """The first of them, and how many more of `count` there are."""
    more = max(count, len(addresses)) - NAMED
    return ", ".join(addresses[:NAMED]) + (f" and {more} more" if more > 0 else "")

"""This node's ENINode as the agent reads it: what the controller wants here, and the status last reported."""

from collections.abc import Mapping
from typing import Any, NamedTuple

JSON = dict[str, Any]


class PodNetwork(NamedTuple):
    """Pods get addresses of the ENI's prefixes: what the node's CNI file of it says."""

    name: str
    type: str
    mode: str  # L2, L3 or L3S
    prefixes: tuple[str, ...]  # of both families: those that pods may get addresses of now
    routes: tuple[tuple[str, str], ...] = ()  # (destination, gateway or empty)


class WantedInterface(NamedTuple):
    """One entry of `spec.interfaces`: a link that is to be up once the kernel shows this MAC address."""

    mac: str  # lower case
    eni_id: str = ""
    mtu: int | None = None  # None: leave it
    interface_name: str = ""  # alternative name of the link; empty: none
    node_eni: str = ""  # the alias of the link
    subnet_cidrs: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()  # all that EC2 has on the ENI
    pod_network: PodNetwork | None = None


class NodeSpec(NamedTuple):
    generation: int
    interfaces: tuple[WantedInterface, ...]
    given: tuple[tuple[str, str], ...] | None = None  # (MAC, altname) as last reported; None: not known
    known: bool = True


NOTHING_KNOWN = NodeSpec(0, (), known=False)
NOTHING_WANTED = NodeSpec(0, ())


def read_spec(eninode: Mapping[str, Any]) -> NodeSpec:
    """From an ENINode's JSON. An entry without a MAC address says nothing that could be acted on."""
    entries = (eninode.get("spec") or {}).get("interfaces") or []
    wanted = tuple(
        WantedInterface(
            mac=str(entry["macAddress"]).lower(),
            eni_id=str(entry.get("eniID") or ""),
            node_eni=str(entry.get("nodeENI") or ""),
            subnet_cidrs=tuple(
                str(entry[field]) for field in ("subnetCIDR", "subnetIPv6CIDR") if entry.get(field)
            ),
            prefixes=(*_texts(entry, "ipv4Prefixes"), *_texts(entry, "ipv6Prefixes")),
            pod_network=_pod_network(entry.get("podNetwork")),
            mtu=int(entry["mtu"]) if entry.get("mtu") else None,
            interface_name=str(entry.get("interfaceName") or ""),
        )
        for entry in entries
        if entry.get("macAddress")
    )
    return NodeSpec(int((eninode.get("metadata") or {}).get("generation") or 0), wanted, _given(eninode))


def _pod_network(entry: Mapping[str, Any] | None) -> PodNetwork | None:
    if not entry:
        return None
    routes = [
        (str(route.get("dst") or ""), str(route.get("gw") or "")) for route in entry.get("routes") or []
    ]
    return PodNetwork(
        name=str(entry.get("name") or ""),
        type=str(entry.get("type") or "ipvlan"),
        mode=str(entry.get("mode") or "L2"),
        prefixes=_texts(entry, "prefixes"),
        routes=tuple(routes),
    )


def _texts(entry: Mapping[str, Any], field: str) -> tuple[str, ...]:
    return tuple(map(str, entry.get(field) or ()))


def _given(eninode: Mapping[str, Any]) -> tuple[tuple[str, str], ...] | None:
    if "status" not in eninode:
        return None
    entries = (eninode["status"] or {}).get("interfaces") or []
    return tuple(
        (entry["macAddress"], entry["interfaceName"]) for entry in entries if entry.get("interfaceName")
    )

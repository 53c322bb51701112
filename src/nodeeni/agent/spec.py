"""This node's ENINode as the agent reads it: what the controller wants here, and the status last reported."""

from collections.abc import Mapping
from typing import Any, NamedTuple

JSON = dict[str, Any]


class WantedInterface(NamedTuple):
    """One entry of `spec.interfaces`: a link that is to be up once the kernel shows this MAC address."""

    mac: str  # lower case
    eni_id: str = ""
    mtu: int | None = None  # None: leave it
    interface_name: str = ""  # alternative name of the link; empty: none
    node_eni: str = ""  # the alias of the link


class NodeSpec(NamedTuple):
    generation: int
    interfaces: tuple[WantedInterface, ...]
    given: tuple[tuple[str, str], ...] | None = None  # (MAC, altname) as last reported; None: not known


NOTHING_WANTED = NodeSpec(0, ())


def read_spec(eninode: Mapping[str, Any]) -> NodeSpec:
    """From an ENINode's JSON. An entry without a MAC address says nothing that could be acted on."""
    entries = (eninode.get("spec") or {}).get("interfaces") or []
    wanted = tuple(
        WantedInterface(
            mac=str(entry["macAddress"]).lower(),
            eni_id=str(entry.get("eniID") or ""),
            node_eni=str(entry.get("nodeENI") or ""),
            mtu=int(entry["mtu"]) if entry.get("mtu") else None,
            interface_name=str(entry.get("interfaceName") or ""),
        )
        for entry in entries
        if entry.get("macAddress")
    )
    return NodeSpec(int((eninode.get("metadata") or {}).get("generation") or 0), wanted, _given(eninode))


def _given(eninode: Mapping[str, Any]) -> tuple[tuple[str, str], ...] | None:
    if "status" not in eninode:
        return None
    entries = (eninode["status"] or {}).get("interfaces") or []
    return tuple(
        (entry["macAddress"], entry["interfaceName"]) for entry in entries if entry.get("interfaceName")
    )

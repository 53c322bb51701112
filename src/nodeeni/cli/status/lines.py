"""One line for each NodeENI on a node: what the controller reports, joined by MAC with what the node's ENI
manager reports, and with whether the Node is still there and selected."""

import re
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from enum import StrEnum

import msgspec

from nodeeni.api.core import Node
from nodeeni.api.reasons import RowReason
from nodeeni.api.v1alpha1 import AttachmentStatus, ENINode, LinkStatus, NodeENI, PodNetworkStatus
from nodeeni.cli import pods
from nodeeni.plan.desired import matches
from nodeeni.plan.rows import State

# Reasons of failed ones whose attachment is one that hangs, or is on another instance.
_NOT_HERE = frozenset({RowReason.ATTACH_HANGS, RowReason.ATTACHED_ELSEWHERE})
ZONE = "topology.kubernetes.io/zone"
AS_IT_SHOULD_BE = 3


class NodeState(StrEnum):
    """Of the Node behind a line. `PRESENT` also where Nodes may not be listed."""

    PRESENT = ""
    ENDING = "ending"
    GONE = "gone"
    UNSELECTED = "not selected"


class Line(msgspec.Struct, frozen=True, rename="camel"):
    """One NodeENI on one node. `zone` is the Node's label, empty where it has none or is gone; `message` is
    the controller's, `link_message` the ENI manager's; `link_state` is empty where none reports."""

    node: str
    zone: str
    node_eni: str = msgspec.field(name="nodeENI")
    eni_id: str = msgspec.field(name="eniID")
    device_index: int | None
    address: str
    state: str
    node_state: NodeState
    link_state: str
    link_name: str
    link_message: str
    link_note: str
    since: str
    reason: str
    message: str
    more_addresses: int = 0  # beside `address`, of both families
    prefixes: int = 0
    pod_network: PodNetworkStatus | None = None  # as the ENI manager reports it
    pod_network_off: bool = False  # pods are to be on it, and the ENI manager writes no CNI files
    in_pod: bool = False  # a pod has the link itself

    @property
    def addresses(self) -> str:
        """For people: `10.0.0.4 +7, 4 prefixes`."""
        more = f"{self.address} +{self.more_addresses}" if self.more_addresses else self.address
        return (
            f"{more}, {self.prefixes} {'prefix' if self.prefixes == 1 else 'prefixes'}"
            if self.prefixes
            else more
        )

    @property
    def link_is_not_up(self) -> bool:
        return self.state == State.ATTACHED and self.link_state in ("Down", "Missing")

    @property
    def left_behind(self) -> bool:
        """Its Node is gone or no longer selected, and nothing has been done about it yet."""
        return self.state == State.ATTACHED and self.node_state in (NodeState.GONE, NodeState.UNSELECTED)

    @property
    def on_its_way(self) -> bool:
        return self.state not in (State.ATTACHED, State.FAILED)

    @property
    def wrongness(self) -> int:
        """0 failed, 1 on its way, 2 attached and yet not as it should be, 3 `AS_IT_SHOULD_BE`."""
        if self.state == State.FAILED:
            return 0
        if self.on_its_way:
            return 1
        return 2 if self.link_is_not_up or self.left_behind or self.link_message else AS_IT_SHOULD_BE


def joined(
    nodeenis: Iterable[NodeENI], eninodes: Iterable[ENINode], nodes: Iterable[Node] | None
) -> list[Line]:
    """What is wrong comes first, then by name, where `node-9` is before `node-10`. `nodes`: None where they
    may not be listed."""
    eninodes = list(eninodes)
    links = {link.mac_address: link for eninode in eninodes for link in eninode.status.interfaces}
    off = {
        interface.mac_address
        for eninode in eninodes
        for interface, told in pods.asked(eninode)
        if told is None
    }
    labels = None if nodes is None else {node.metadata.name: node.metadata.labels for node in nodes}
    lines = [
        _line(nodeeni, entry, links.get(entry.mac_address), labels, off)
        for nodeeni in nodeenis
        for entry in nodeeni.status.attachments
    ]
    return sorted(lines, key=lambda line: (line.wrongness, natural(line.node), line.node_eni))


def standing(nodeenis: Iterable[NodeENI]) -> frozenset[tuple[str, str]]:
    """Node and NodeENI of each failed one whose ENI is attached all the same: only a change cannot be had."""
    return frozenset(
        (entry.node_id, nodeeni.metadata.name)
        for nodeeni in nodeenis
        for entry in nodeeni.status.attachments
        if entry.status == State.FAILED and entry.attachment_id and entry.reason not in _NOT_HERE
    )


def shown_state(line: Line, stands: bool) -> str:
    """The state in words, for people. `stands`: it has failed, and its ENI is attached all the same."""
    if stands:
        state = "attached, not as asked"
    elif line.state == State.ATTACHED and line.reason == RowReason.TO_BE_REPLACED:
        state = "attached, to be replaced"
    elif line.state == State.ATTACHED and line.reason in (RowReason.UPDATING, RowReason.PREFIX_IN_USE):
        state = "attached, being changed"
    else:
        state = line.state
    return state if line.node_state is NodeState.PRESENT else f"{state}, node {line.node_state}"


def _line(
    nodeeni: NodeENI,
    entry: AttachmentStatus,
    link: LinkStatus | None,
    labels: Mapping[str, Mapping[str, str]] | None,
    off: AbstractSet[str],
) -> Line:
    primary = [entry.private_ip_address] if entry.private_ip_address else []
    address, *more = [*primary, *entry.ipv6_addresses, *entry.secondary_private_ip_addresses] or [""]
    return Line(
        node=entry.node_id,
        zone=(labels or {}).get(entry.node_id, {}).get(ZONE, ""),
        node_eni=nodeeni.metadata.name,
        eni_id=entry.eni_id,
        device_index=entry.device_index,
        address=address,
        state=entry.status,
        node_state=_node_state(nodeeni, entry, labels),
        link_state=link.state if link else "",
        link_name=link.link_name if link else "",
        link_message=link.message if link else "",
        link_note=link.note if link else "",
        since=entry.last_updated,
        reason=entry.reason,
        message=entry.message,
        more_addresses=len(more),
        prefixes=len(entry.ipv4_prefixes) + len(entry.ipv6_prefixes),
        pod_network=link.pod_network if link else None,
        pod_network_off=entry.mac_address in off,
        in_pod=link.in_pod if link else False,
    )


def natural(name: str) -> tuple[tuple[bool, int, str], ...]:
    """A key by which `node-9` comes before `node-10`."""
    parts = re.split(r"([0-9]+)", name)
    return tuple((not part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts if part)


def _node_state(
    nodeeni: NodeENI, entry: AttachmentStatus, labels: Mapping[str, Mapping[str, str]] | None
) -> NodeState:
    if entry.reason == RowReason.NODE_GONE or (labels is not None and entry.node_id not in labels):
        return NodeState.GONE
    if entry.reason == RowReason.NODE_ENDING:
        return NodeState.ENDING
    if labels is not None and not matches(nodeeni.spec, labels[entry.node_id]):
        return NodeState.UNSELECTED
    return NodeState.PRESENT

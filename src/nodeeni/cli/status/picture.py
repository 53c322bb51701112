"""How things stand at one moment: what is wrong, the NodeENIs, and a line for each of their nodes."""

import datetime
from collections.abc import Collection, Sequence

import msgspec

from nodeeni.api.core import Node
from nodeeni.api.v1alpha1 import ENINode, NodeENI
from nodeeni.cli.findings import Finding
from nodeeni.cli.status.lines import Line, joined, natural
from nodeeni.cli.status.wrong import Cause, findings, ownerless


class Picture(msgspec.Struct, frozen=True):
    """`causes` and `lines` have what is wrong first, `nodeenis` are in the order of their names."""

    causes: list[Cause]
    nodeenis: list[NodeENI]
    lines: list[Line]
    now: datetime.datetime

    @property
    def is_empty(self) -> bool:
        return not (self.causes or self.nodeenis or self.lines)


def pictured(
    nodeenis: Collection[NodeENI],
    eninodes: Collection[ENINode],
    nodes: Collection[Node] | None,
    leading: Finding,
    now: datetime.datetime,
    name: str | None = None,
) -> Picture:
    """`nodes`: None where they may not be listed. `name`: of the one NodeENI or node that is asked for."""
    lines = joined(nodeenis, eninodes, nodes)
    forgotten = ownerless(list(nodeenis), eninodes, name)
    shown: Sequence[NodeENI] = sorted(nodeenis, key=lambda nodeeni: natural(nodeeni.metadata.name))
    if name:
        lines = [line for line in lines if name in (line.node, line.node_eni)]
        named = {line.node_eni for line in lines} | {name}
        shown = [nodeeni for nodeeni in shown if nodeeni.metadata.name in named]
        if not (lines or shown or forgotten):
            return Picture([], [], [], now)
    return Picture(findings(leading, forgotten, shown, lines, now), list(shown), lines, now)

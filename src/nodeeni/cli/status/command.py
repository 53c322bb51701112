"""Flags in, everything read once, printed: what is wrong, then each NodeENI's nodes, then the NodeENIs.

It reads and never writes, so view permissions are enough; what may not be read is left out.
"""

import datetime
from argparse import Namespace
from collections.abc import Sequence

from rich.console import Console

from nodeeni.api.core import Node
from nodeeni.api.reasons import READY, ConditionReason
from nodeeni.api.v1alpha1 import ENINode, NodeENI
from nodeeni.cli import reach, tables
from nodeeni.cli.leader import leader
from nodeeni.cli.status.lines import Line, joined, natural, standing
from nodeeni.cli.status.tree import print_trees
from nodeeni.cli.status.wrong import Cause, condition_of, findings, ownerless
from nodeeni.kube.client import KubeClient
from nodeeni.kube.errors import Forbidden
from nodeeni.kube.resources import ENINODES, NODEENIS, NODES

MOST_FINDINGS = 20  # more would push the rest off the screen


def main(arguments: Sequence[str]) -> int:
    """0: shown, whatever it shows; 1: cannot be read, or there is nothing of that name."""
    flags = reach.looking_flags("status", "Show what each node has and what is wrong: what is wrong first.")
    flags.add_argument("name", nargs="?", help="a NodeENI or a node: show that alone")
    flags.add_argument("--all", action="store_true", help="a line for each node, also above 20 of them")
    return reach.run("status", _status(flags.parse_args(list(arguments))))


async def _status(options: Namespace) -> int:
    async with reach.cluster_client(options) as client:
        nodeenis, _ = await client.list(NODEENIS, NodeENI)
        eninodes, _ = await client.list(ENINODES, ENINode)
        nodes = await _nodes(client)
        leading = await leader(client)
    lines = joined(nodeenis, eninodes, nodes)
    forgotten = ownerless(nodeenis, eninodes, options.name)
    if options.name:
        lines = [line for line in lines if options.name in (line.node, line.node_eni)]
        named = {line.node_eni for line in lines} | {options.name}
        nodeenis = [nodeeni for nodeeni in nodeenis if nodeeni.metadata.name in named]
        if not lines and not nodeenis and not forgotten:
            raise reach.NotThere(f"no NodeENI and no node with an ENI has the name {options.name}")
    now = datetime.datetime.now(datetime.UTC)
    causes = findings(leading, forgotten, nodeenis, lines, now)
    if options.output == "json":
        summaries = [_summary(nodeeni) for nodeeni in nodeenis]
        tables.print_json({"findings": _told(causes), "nodeENIs": summaries, "attachments": lines})
    else:
        _show(tables.console(), causes, nodeenis, lines, now, unfolded=options.all)
    return 0


async def _nodes(client: KubeClient) -> Sequence[Node] | None:
    """None without the permission to list them."""
    try:
        nodes, _ = await client.list(NODES, Node)
    except Forbidden:
        return None
    return nodes


def _told(causes: Sequence[Cause]) -> list[dict[str, str]]:
    """Node by node, whatever they have in common."""
    found = [finding for cause in causes for finding in cause.findings]
    return [{"subject": f.subject, "result": f.mark.name.lower(), "message": f.message} for f in found]


def _summary(nodeeni: NodeENI) -> dict[str, object]:
    status = nodeeni.status
    return {
        "name": nodeeni.metadata.name,
        "deleting": nodeeni.metadata.deleting,
        "desired": status.desired,
        "attached": status.attached,
        "linksUp": status.links_up,
        "failed": status.failed,
        "removing": status.removing,
        "conditions": status.conditions,
    }


def _show(
    to: Console,
    causes: Sequence[Cause],
    nodeenis: Sequence[NodeENI],
    lines: Sequence[Line],
    now: datetime.datetime,
    *,
    unfolded: bool,
) -> None:
    for cause in causes[:MOST_FINDINGS]:
        finding = cause.summary
        tables.print_finding(to, finding.mark, finding.subject, finding.message)
    if len(causes) > MOST_FINDINGS:
        to.print(f"  and {len(causes) - MOST_FINDINGS} more: see `nodeeni status -o json`")
    if causes:
        to.print()
    if not nodeenis:
        to.print("there is no NodeENI")
        return
    if lines:
        print_trees(to, lines, standing(nodeenis), now, unfolded=unfolded)
        to.print()
    in_order = sorted(nodeenis, key=lambda nodeeni: natural(nodeeni.metadata.name))
    removing = any(nodeeni.status.removing for nodeeni in nodeenis)
    titles = ["NodeENI", "Nodes", "Attached", "Up", "Failed", "Ready", "Since", "Message"]
    rows = [_nodeeni_row(nodeeni, now) for nodeeni in in_order]
    if removing:
        titles.insert(_REMOVING, "Removing")
        for nodeeni, row in zip(in_order, rows, strict=True):
            row.insert(_REMOVING, str(nodeeni.status.removing or ""))
    tables.print_table(to, titles, rows)


_REMOVING = 5  # the column's place, where something is being removed
_READY = {"True": "yes", "False": "no", "Unknown": "not known"}


def _nodeeni_row(nodeeni: NodeENI, now: datetime.datetime) -> list[str]:
    status, ready = nodeeni.status, condition_of(nodeeni, READY)
    counts = [status.desired, status.attached, status.links_up, status.failed]
    told = ["", "", ""]
    if nodeeni.metadata.deletion_timestamp is not None:
        told = [
            "deleting",
            tables.age(nodeeni.metadata.deletion_timestamp, now),
            ready.message if ready else "",
        ]
    elif ready is not None:
        pending = ready.reason == ConditionReason.PENDING  # its time is no time
        since = nodeeni.metadata.creation_timestamp or "" if pending else ready.last_transition_time
        told = [_READY[ready.status], tables.age(since, now), ready.message]
    return [nodeeni.metadata.name, *("" if count is None else str(count) for count in counts), *told]

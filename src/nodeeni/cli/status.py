"""`nodeeni status`: what each node has and what is wrong, from the API server alone.

What the controller reports (NodeENI status) is joined by MAC with what the nodes' ENI managers report
(ENINode status). It reads and never writes, so view permissions are enough.
"""

import datetime
from argparse import Namespace
from collections.abc import Iterable, Sequence

import msgspec
from rich.console import Console
from rich.text import Text

from nodeeni.api.conditions import DEGRADED, READY
from nodeeni.api.v1alpha1 import AttachmentStatus, Condition, ENINode, LinkStatus, NodeENI
from nodeeni.cli import reach, tables
from nodeeni.kube.resources import ENINODES, NODEENIS
from nodeeni.plan.rows import State

MOST_FINDINGS = 20  # of one kind; more would push the rest off the screen


class Line(msgspec.Struct, frozen=True, rename="camel"):
    """One NodeENI on one node. `link_state` is empty where no ENI manager reports."""

    node: str
    node_eni: str = msgspec.field(name="nodeENI")
    eni_id: str = msgspec.field(name="eniID")
    device_index: int | None
    address: str
    state: str
    link_state: str
    link_name: str
    since: str
    reason: str
    message: str

    @property
    def wrongness(self) -> int:
        """0 failed, 1 on its way, 2 attached but not up, 3 as it should be."""
        if self.state == State.FAILED:
            return 0
        if self.state != State.ATTACHED:
            return 1
        return 2 if self.link_state in ("Down", "Missing") else 3


class Finding(msgspec.Struct, frozen=True):
    """Something wrong, in one line."""

    subject: str
    message: str


def main(arguments: Sequence[str]) -> int:
    """0: shown, whatever it shows; 1: cannot be read, or there is nothing of that name."""
    flags = reach.looking_flags("status", "Show what each node has and what is wrong: what is wrong first.")
    flags.add_argument("name", nargs="?", help="a NodeENI or a node: show that alone")
    return reach.run("status", _status(flags.parse_args(list(arguments))))


async def _status(options: Namespace) -> int:
    async with reach.cluster_client(options) as client:
        nodeenis, _ = await client.list(NODEENIS, NodeENI)
        eninodes, _ = await client.list(ENINODES, ENINode)
    lines = joined(nodeenis, eninodes)
    if options.name:
        lines = [line for line in lines if options.name in (line.node, line.node_eni)]
        named = {line.node_eni for line in lines} | {options.name}
        nodeenis = [nodeeni for nodeeni in nodeenis if nodeeni.metadata.name in named]
        if not lines and not nodeenis:
            raise reach.NotThere(f"no NodeENI and no node with an ENI has the name {options.name}")
    if options.output == "json":
        tables.print_json({"nodeENIs": [_summary(n) for n in nodeenis], "attachments": lines})
    else:
        _show(tables.console(), nodeenis, lines)
    return 0


def joined(nodeenis: Iterable[NodeENI], eninodes: Iterable[ENINode]) -> list[Line]:
    """One line per node and NodeENI, what is wrong first."""
    links = {link.mac_address: link for eninode in eninodes for link in eninode.status.interfaces}
    lines = [
        _line(nodeeni.metadata.name, entry, links.get(entry.mac_address))
        for nodeeni in nodeenis
        for entry in nodeeni.status.attachments
    ]
    return sorted(lines, key=lambda line: (line.wrongness, line.node, line.node_eni))


def _line(nodeeni: str, entry: AttachmentStatus, link: LinkStatus | None) -> Line:
    return Line(
        node=entry.node_id,
        node_eni=nodeeni,
        eni_id=entry.eni_id,
        device_index=entry.device_index,
        address=entry.private_ip_address,
        state=entry.status,
        link_state=link.state if link else "",
        link_name=link.link_name if link else "",
        since=entry.last_updated,
        reason=entry.reason,
        message=entry.message or (link.message if link else ""),
    )


def findings(nodeenis: Iterable[NodeENI], lines: Iterable[Line]) -> list[Finding]:
    """What is wrong: rows that failed, links that are not up, and conditions that say more than those."""
    found = [_of_line(line) for line in lines if line.wrongness in (0, 2)]
    for nodeeni in nodeenis:
        name, generation = nodeeni.metadata.name, nodeeni.metadata.generation
        degraded = _condition(nodeeni, DEGRADED)
        failed = any(entry.status == State.FAILED for entry in nodeeni.status.attachments)
        if degraded is not None and degraded.status == "True" and not failed:
            found.append(Finding(name, f"{degraded.reason}: {degraded.message}"))
        if nodeeni.status.observed_generation < generation and nodeeni.status.conditions:
            found.append(Finding(name, "its last edit is not reported on: is the controller running?"))
        elif not nodeeni.status.conditions:
            found.append(Finding(name, "nothing is reported: is the controller running?"))
    return found


def _of_line(line: Line) -> Finding:
    subject = f"{line.node} {line.node_eni}"
    if line.state == State.FAILED:
        return Finding(subject, f"{line.reason}: {line.message}")
    link = f"link {line.link_name}".rstrip() + f" of {line.eni_id} is {line.link_state.lower()}"
    return Finding(subject, f"{link}: {line.message}" if line.message else link)


def _condition(nodeeni: NodeENI, kind: str) -> Condition | None:
    return next((entry for entry in nodeeni.status.conditions if entry.type == kind), None)


def _summary(nodeeni: NodeENI) -> dict[str, object]:
    status = nodeeni.status
    return {
        "name": nodeeni.metadata.name,
        "deleting": nodeeni.metadata.deleting,
        "desired": status.desired,
        "attached": status.attached,
        "linksUp": status.links_up,
        "failed": status.failed,
        "conditions": status.conditions,
    }


def _show(to: Console, nodeenis: Sequence[NodeENI], lines: Sequence[Line]) -> None:
    now = datetime.datetime.now(datetime.UTC)
    if not nodeenis:
        to.print("there is no NodeENI")
        return
    wrong = findings(nodeenis, lines)
    for finding in wrong[:MOST_FINDINGS]:
        tables.print_finding(to, "✗", finding.subject, finding.message)
    if len(wrong) > MOST_FINDINGS:
        to.print(f"  and {len(wrong) - MOST_FINDINGS} more: see `nodeeni status -o json`")
    if wrong:
        to.print()
    tables.print_table(
        to,
        ("NodeENI", "Nodes", "Attached", "Up", "Failed", "Ready", "Since", "Message"),
        [_nodeeni_row(nodeeni, now) for nodeeni in nodeenis],
    )
    if lines:
        to.print()
        _show_lines(to, lines, now)


def _nodeeni_row(nodeeni: NodeENI, now: datetime.datetime) -> list[str]:
    status, ready = nodeeni.status, _condition(nodeeni, READY)
    counts = [status.desired, status.attached, status.links_up, status.failed]
    told = ["", "", ""]
    if nodeeni.metadata.deletion_timestamp is not None:
        left = len(status.attachments)
        told = ["deleting", tables.age(nodeeni.metadata.deletion_timestamp, now), f"{left} to be removed"]
    elif ready is not None:
        yes = "yes" if ready.status == "True" else "no"
        told = [yes, tables.age(ready.last_transition_time, now), ready.message]
    return [nodeeni.metadata.name, *("" if count is None else str(count) for count in counts), *told]


def _show_lines(to: Console, lines: Sequence[Line], now: datetime.datetime) -> None:
    domain = tables.common_domain([line.node for line in lines]) if to.is_terminal else ""
    tables.print_table(
        to,
        ("Node", "NodeENI", "ENI", "Index", "Address", "State", "Link", "Since"),
        [_row(line, domain, now) for line in lines],
    )
    if domain:
        to.print(Text(f"nodes are in {domain}", "dim"))


def _row(line: Line, domain: str, now: datetime.datetime) -> list[str]:
    return [
        line.node.removesuffix(domain),
        line.node_eni,
        line.eni_id,
        "" if line.device_index is None else str(line.device_index),
        line.address,
        line.state,
        f"{line.link_state} {line.link_name}".strip(),
        tables.age(line.since, now),
    ]

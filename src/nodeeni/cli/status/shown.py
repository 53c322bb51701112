"""A picture as JSON for scripts, and as text for people: what is wrong, the trees, and last the NodeENIs."""

import datetime
from collections.abc import Sequence

from rich.console import Console

from nodeeni.api.reasons import READY, ConditionReason
from nodeeni.api.v1alpha1 import NodeENI
from nodeeni.cli import tables
from nodeeni.cli.status.lines import standing
from nodeeni.cli.status.picture import Picture
from nodeeni.cli.status.tree import print_trees
from nodeeni.cli.status.wrong import Cause, condition_of

MOST_FINDINGS = 20  # more would push the rest off the screen


def as_json(picture: Picture) -> dict[str, object]:
    return {
        "findings": _told(picture.causes),
        "nodeENIs": [_summary(nodeeni) for nodeeni in picture.nodeenis],
        "attachments": picture.lines,
    }


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


def show(to: Console, picture: Picture, *, unfolded: bool) -> None:
    """`unfolded`: each node has its line."""
    print_causes(to, picture.causes, MOST_FINDINGS)
    if picture.causes:
        to.print()
    if not picture.nodeenis:
        to.print("there is no NodeENI")
        return
    if picture.lines:
        print_trees(to, picture.lines, standing(picture.nodeenis), picture.now, unfolded=unfolded)
        to.print()
    _print_nodeenis(to, picture.nodeenis, picture.now)


def print_causes(to: Console, causes: Sequence[Cause], most: int) -> None:
    for cause in causes[:most]:
        finding = cause.summary
        tables.print_finding(to, finding.mark, finding.subject, finding.message)
    if len(causes) > most:
        to.print(f"  and {len(causes) - most} more: see `nodeeni status -o json`")


def _print_nodeenis(to: Console, nodeenis: Sequence[NodeENI], now: datetime.datetime) -> None:
    titles = ["NodeENI", "Nodes", "Attached", "Up", "Failed", "Ready", "Since", "Message"]
    rows = [_nodeeni_row(nodeeni, now) for nodeeni in nodeenis]
    if any(nodeeni.status.removing for nodeeni in nodeenis):
        titles.insert(_REMOVING, "Removing")
        for nodeeni, row in zip(nodeenis, rows, strict=True):
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

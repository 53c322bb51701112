"""Whether a node's network is there: what its condition NodeENIsReady says. Pure.

Pods start by it, and some tools keep them away or evict them by it. So it becomes True only when all is as
asked, and stays True over what takes nothing away: an edit that is on its way or cannot be had, a link that a
pod or a driver has. It is False again when an ENI or a link that was there is not.
"""

from collections.abc import Callable, Sequence
from enum import IntEnum

import msgspec

from nodeeni.api.reasons import NodeReason, RowReason
from nodeeni.api.v1alpha1 import LinkStatus
from nodeeni.plan.rows import Row, State

LinkOf = Callable[[str], LinkStatus | None]  # by MAC address; None: nobody has reported on it


_NOT_YET = (RowReason.TO_BE_REPLACED, RowReason.UPDATING, RowReason.PREFIX_IN_USE)


class Grade(IntEnum):
    """How one NodeENI stands on the node, or all of them: as the worst one."""

    LACKING = 0
    STANDING = 1  # nothing was taken away: enough to stay ready, not to become it
    AS_ASKED = 2


class Verdict(msgspec.Struct, frozen=True):
    grade: Grade
    reason: NodeReason
    message: str


def readiness(rows: Sequence[Row], instance_id: str, link_of: LinkOf, *, reports: bool) -> Verdict | None:
    """None where no NodeENI selects the node. `rows`: one for each that does; what they say of another
    instance than the node's is of one that had its name before. `reports`: whether its ENI manager's word is
    waited for.
    """
    if not rows:
        return None
    found = [
        _of_row(row, link_of, reports=reports)
        if row.generation and row.instance_id == instance_id
        else _lacking(row, NodeReason.NOT_ATTACHED, "is not attached")
        for row in sorted(rows, key=lambda row: row.nodeeni)
    ]
    worst = min(found, key=lambda verdict: verdict.grade)
    if worst.grade is Grade.AS_ASKED:
        count = f"{len(rows)} NodeENIs" if len(rows) > 1 else rows[0].nodeeni
        how = min(verdict.message for verdict in found)  # attached, if only one has no link that is reported
        return Verdict(Grade.AS_ASKED, NodeReason.ENIS_READY, f"{how}: {count}")
    more = sum(verdict.grade is not Grade.AS_ASKED for verdict in found) - 1
    others = f" (and {more} more of {len(found)} NodeENIs)" if more else ""
    return Verdict(worst.grade, worst.reason, f"{worst.message}{others}")


def _of_row(row: Row, link_of: LinkOf, *, reports: bool) -> Verdict:
    """Only what is told at once and lasts is in the message: each other one would be a write."""
    attachment = row.interface.attachment if row.interface else None
    name, why = row.nodeeni, f": {row.reason}" if row.reason else ""
    if row.state is not State.ATTACHED:
        stands = row.state is State.FAILED and attachment is not None and attachment.status == "attached"
        if not stands:
            return _lacking(row, NodeReason.NOT_ATTACHED, f"is not attached{why}")
    link = link_of(row.interface.mac) if row.interface else None
    if link is None and reports:
        told = "is attached, and the node's ENI manager has not told of its link"
        return _lacking(row, NodeReason.LINK_NOT_REPORTED, told)
    if link is not None and (link.state != "Up" or link.message):
        told = f": {link.message}" if link.message else ""
        grade = Grade.LACKING if link.state == "Down" else Grade.STANDING
        return Verdict(grade, NodeReason.LINK_NOT_UP, f"{name}: its link is {link.state}{told}")
    if row.state is State.FAILED or row.reason in _NOT_YET:
        return Verdict(Grade.STANDING, NodeReason.NOT_ATTACHED, f"{name} is not yet as asked{why}")
    how = "attached and up" if link is not None else "attached"
    return Verdict(Grade.AS_ASKED, NodeReason.ENIS_READY, how)


def _lacking(row: Row, reason: NodeReason, what: str) -> Verdict:
    return Verdict(Grade.LACKING, reason, f"{row.nodeeni} {what}")

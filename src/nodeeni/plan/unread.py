"""What is said of a NodeENI while EC2 has not been read once since the start. Pure; times come in as text.

Nothing could be planned, so what an earlier process reported stays as it was last seen, and says so.
"""

from collections.abc import Callable, Sequence

import msgspec

from nodeeni.api.conditions import carried_over
from nodeeni.api.reasons import RowReason
from nodeeni.api.v1alpha1 import AttachmentStatus, NodeENI, NodeENIStatus
from nodeeni.plan.conditions import Standing, conditions, standing
from nodeeni.plan.refusal import Refusal
from nodeeni.plan.report import dated, fitting
from nodeeni.plan.rows import Row, State
from nodeeni.plan.tally import Tally


def unread_status(
    nodeeni: NodeENI,
    nodes: Sequence[str],
    trouble: Refusal,
    now: str,
    has_waited: Callable[[Standing], bool] = lambda at: False,
) -> NodeENIStatus:
    """Its status, where `trouble` keeps EC2 from being read; `nodes` are the names of those that it selects.

    Each of them has a row: as an earlier process left it where that knew of an ENI, else a failed one. Of a
    list that was cut short nobody knows who is missing: it stays, with its counts.
    """
    status = nodeeni.status
    entries = list(status.attachments)
    if not status.attachments_truncated:
        entries = [entry for entry in status.attachments if entry.eni_id]
        known = {entry.node_id for entry in entries}
        before = {entry.node_id: entry for entry in status.attachments}
        entries += [_failed(node, trouble, before.get(node), now) for node in nodes if node not in known]
    selected = frozenset(nodes)
    rows = Tally({entry.node_id: _row(nodeeni, entry, entry.node_id in selected) for entry in entries})
    at = standing(nodeeni, rows, status.links_up, (), trouble=trouble, unread=True)
    # Rows of an earlier process are of the spec that it had seen.
    generation = status.observed_generation
    if not any(entry.eni_id for entry in entries):
        generation = nodeeni.metadata.generation
    listed = fitting(entries)
    return msgspec.structs.replace(
        status,
        observed_generation=generation,
        desired=len(nodes),
        attached=status.attached if status.attachments_truncated else at.attached,
        failed=status.failed if status.attachments_truncated else len(at.failed),
        conditions=carried_over(now, generation, conditions(at, for_long=has_waited(at)), status.conditions),
        attachments=listed,
        attachments_truncated=status.attachments_truncated or len(listed) < len(entries),
    )


def _failed(node: str, trouble: Refusal, before: AttachmentStatus | None, now: str) -> AttachmentStatus:
    entry = AttachmentStatus(
        node_id=node,
        status=State.FAILED.value,
        reason=trouble.reason or "",
        message=trouble.message,
    )
    return dated(entry, before, now)


def _row(nodeeni: NodeENI, entry: AttachmentStatus, wanted: bool) -> Row:
    """As far as conditions read it. v1.x had no words of ours."""
    return Row(
        uid=nodeeni.metadata.uid,
        nodeeni=nodeeni.metadata.name,
        node=entry.node_id,
        generation=nodeeni.status.observed_generation if entry.eni_id else nodeeni.metadata.generation,
        state=State(entry.status) if entry.status in _STATES else State.ATTACHED,
        wanted=wanted,
        reason=_REASONS.get(entry.reason),
        message=entry.message,
    )


_STATES = frozenset(State)
_REASONS = {reason.value: reason for reason in RowReason}

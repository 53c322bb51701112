"""The conditions of a NodeENI: one function each, from how its rows stand. Pure."""

import math
from collections.abc import Sequence

import msgspec

from nodeeni.api.conditions import condition
from nodeeni.api.reasons import DEGRADED, STALLED, ConditionReason, Mender, RowReason
from nodeeni.api.v1alpha1 import Condition, NodeENI, NodeENISpec
from nodeeni.plan.refusal import Refusal
from nodeeni.plan.rows import Row, State
from nodeeni.plan.tally import Tally


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How one NodeENI stands, counted once for all conditions. `notes` are what else is wrong with it, the
    first one first; `links_up` is None where no ENI manager reports. `trouble` is what every NodeENI waits
    for; `unread`: for so long that the rows tell nothing of now. `pace` is how many ENIs a second EC2 lets
    come or go; 0: not known.
    """

    nodeeni: NodeENI
    rows: int
    desired: int
    attached: int
    done: int  # attached as `spec` asks, with nothing to follow
    moving: int  # being created, attached, detached or deleted
    waiting: int  # to be replaced, when their turn comes
    updating: int  # attached, and being changed in place
    in_use: tuple[Row, ...]  # of those: pods have what is to be given back
    unseen: int  # desired, and not yet planned with the present spec
    ending: int  # that match the selector and are about to end: not desired
    failed: tuple[Row, ...]
    links_up: int | None
    notes: tuple[Refusal, ...]
    trouble: Refusal | None
    unread: bool
    pace: float
    held: Refusal | None  # a removal that the brake holds

    @property
    def waits_for_a_person(self) -> bool:
        """Whether nothing is in progress, and all that fails stays so until somebody changes something."""
        reasons = [row.reason for row in self.failed] + ([self.trouble.reason] if self.trouble else [])
        by_person = all(reason is not None and reason.mender is Mender.PERSON for reason in reasons)
        return bool(self.failed) and not self.moving and not self.updating and by_person


def standing(
    nodeeni: NodeENI,
    rows: Tally,
    links_up: int | None,
    notes: Sequence[Refusal],
    *,
    trouble: Refusal | None = None,
    unread: bool = False,
    pace: float = 0.0,
    held: Refusal | None = None,
) -> Standing:
    lacking = rows.number(lambda row: row.wanted and row.interface is None)
    return Standing(
        nodeeni=nodeeni,
        rows=len(rows),
        desired=rows.number(lambda row: row.wanted),
        attached=rows.number(lambda row: row.wanted and _is_attached(row)),
        done=rows.number(lambda row: row.wanted and _is_done(row, nodeeni)),
        moving=rows.number(lambda row: _is_moving(row) or _is_unseen(row, nodeeni)),
        waiting=rows.number(lambda row: row.reason is RowReason.TO_BE_REPLACED),
        updating=rows.number(lambda row: row.reason in _IN_PLACE),
        in_use=rows.in_use,
        unseen=rows.number(lambda row: _is_unseen(row, nodeeni)),
        ending=rows.number(lambda row: row.reason is RowReason.NODE_ENDING),
        failed=rows.failed,
        links_up=links_up,
        notes=tuple(note for note in notes if note.reason is not RowReason.QUOTA_EXCEEDED or lacking),
        trouble=trouble,
        unread=unread,
        pace=pace,
        held=held,
    )


# What is counted looks at nothing of a row but what makes its kind: see `plan.tally`.
_IN_PLACE = (RowReason.UPDATING, RowReason.PREFIX_IN_USE)


def _is_attached(row: Row) -> bool:
    """Also one that works and cannot be changed as an edit asks: the row has failed, the node has not."""
    attachment = row.interface.attachment if row.interface else None
    stands = attachment is not None and attachment.status == "attached"
    return row.state is State.ATTACHED or (row.state is State.FAILED and stands)


def _is_done(row: Row, nodeeni: NodeENI) -> bool:
    to_follow = row.reason in (RowReason.TO_BE_REPLACED, *_IN_PLACE)
    return row.state is State.ATTACHED and not to_follow and not _is_unseen(row, nodeeni)


def _is_moving(row: Row) -> bool:
    """Not so a node that ends and has nothing that would have to go."""
    ended = row.reason is RowReason.NODE_ENDING and row.interface is None
    if row.reason is RowReason.POD_NETWORK_ENDING:
        return True
    return row.state not in (State.ATTACHED, State.FAILED) and not ended


def _is_unseen(row: Row, nodeeni: NodeENI) -> bool:
    """Whether it was planned with an earlier spec, or never."""
    return row.wanted and row.generation < nodeeni.metadata.generation


def ready(at: Standing) -> Condition:
    """Whether every matching node has its ENI attached as `spec` asks."""
    if at.nodeeni.metadata.deleting:
        step = "waiting for EC2 to show twice that no ENI is left"
        if at.unread:
            step = "nothing is removed while EC2 cannot be read"
        elif at.rows:
            stuck = f", which cannot be done now on {len(at.failed)} of them" if at.failed else ""
            step = f"removing the ENIs of {_nodes(at.rows)}{stuck}"
        return _told(ConditionReason.DELETING, f"being deleted: {step}")
    if at.desired == 0 and at.ending:
        return _told(ConditionReason.NODES_ENDING, f"no node to serve: {_nodes(at.ending)} about to end")
    if at.unread:
        return _told(ConditionReason.EC2_NOT_READ, "EC2 cannot be read: how things stand is not known")
    if at.desired == 0:
        return _told(ConditionReason.NO_MATCHING_NODES, "no node matches the selector")
    if at.waiting and not at.failed:
        done = f"as spec asks on {at.desired - at.waiting - at.updating - at.moving} of {_nodes(at.desired)}"
        return _told(ConditionReason.REPLACING, f"{done}: the others are replaced one after another")
    if at.updating and at.attached == at.desired and not at.failed:
        done = f"as spec asks on {at.desired - at.updating} of {_nodes(at.desired)}"
        wait = of_first(at.in_use[0].node, at.in_use[0].message, len(at.in_use)) if at.in_use else ""
        told = wait or "the others are being changed in place"
        return _told(ConditionReason.UPDATING, f"{done}: {told}")
    if at.unseen and at.attached == at.desired and not at.failed:
        done = f"as spec asks on {at.desired - at.unseen} of {_nodes(at.desired)}"
        return _told(ConditionReason.UPDATING, f"{done}: the others are being looked at")
    if at.attached == at.desired and not at.failed:
        down = (
            ""
            if at.links_up is None or at.links_up >= at.attached
            else f", links up on {at.links_up} of them"
        )
        down += f", {_nodes(at.ending)} about to end" if at.ending else ""
        return _told(ConditionReason.ALL_ATTACHED, f"attached on {_nodes(at.attached)}{down}")
    not_so = f"; not as spec asks on {_nodes(len(at.failed))}" if at.failed else ""
    return _told(
        ConditionReason.FAILING if at.failed else ConditionReason.ATTACHING,
        f"attached on {at.attached} of {_nodes(at.desired)}{not_so}",
    )


def progressing(at: Standing) -> Condition:
    """Whether something is being done, or is going to be."""
    if at.waiting and at.failed and not at.moving and not at.updating:
        to_follow = f"{_nodes(at.waiting)} to follow, once {at.failed[0].node} has what the spec asks for"
        return _told(ConditionReason.WAITING, to_follow)
    if at.moving or at.updating or at.waiting:
        to_follow = f", {at.waiting} to follow" if at.waiting else ""
        done = f", {at.done} of {at.desired} done" if at.done < at.desired else ""
        moving = _nodes(at.moving + at.updating)
        return _told(ConditionReason.WORKING, f"{moving} in progress{to_follow}{done}{_time_left(at)}")
    return _told(ConditionReason.SETTLED, "nothing is in progress")


def _time_left(at: Standing) -> str:
    """By EC2's grants alone, and coarse: what is told changes as nodes get done, and never with time."""
    if not at.pace or at.trouble is not None:
        return ""
    seconds = math.ceil((at.moving + at.updating) / at.pace / 10) * 10
    if seconds <= 10:
        return ""
    time = f"{seconds} s" if seconds < 120 else f"{math.ceil(seconds / 60)} minutes"
    return f": about {time} at the rate that EC2 grants"


def degraded(at: Standing) -> Condition:
    """Whether something is wrong: what everything waits for, else a removal that is held, else rows that
    failed, else what is noted, else fields that are not acted on.
    """
    if at.trouble is not None:
        return condition(DEGRADED, True, at.trouble.reason or "", at.trouble.message)
    if at.held is not None:
        return condition(DEGRADED, True, at.held.reason or "", at.held.message)
    if at.failed:
        first = at.failed[0]
        message = of_first(first.node, first.message, len(at.failed))
        return condition(DEGRADED, True, first.reason or "", message)
    if at.notes:
        return condition(DEGRADED, True, at.notes[0].reason or "", at.notes[0].message)
    unapplied = _not_applied(at.nodeeni.spec)
    if unapplied:
        return _told(
            ConditionReason.FIELDS_NOT_APPLIED,
            f"{', '.join(unapplied)}: not yet applied by this version; remove them, or bind the device with "
            "a SR-IOV device plugin of your own",
        )
    return _told(ConditionReason.AS_DESIRED, "nothing is wrong")


def reconciling(at: Standing) -> Condition | None:
    """What Progressing says of work that is being done, in the word that kstatus reads."""
    said = progressing(at)
    if said.reason != ConditionReason.WORKING:
        return None
    return _told(ConditionReason.IN_PROGRESS, said.message)


def stalled(at: Standing) -> Condition:
    """That nothing will change by itself, of one that `waits_for_a_person` for long. Tools that wait give up
    then, and may roll back."""
    first = at.failed[0]
    return condition(STALLED, True, first.reason or "", of_first(first.node, first.message, len(at.failed)))


def conditions(at: Standing, *, for_long: bool) -> list[Condition]:
    """All of them, in the order in which a status has them. `for_long`: it waits for a person, and has so for
    a while."""
    found = [ready(at), progressing(at), degraded(at), reconciling(at), stalled(at) if for_long else None]
    return [each for each in found if each is not None]


def _told(reason: ConditionReason, message: str) -> Condition:
    return condition(reason.condition, reason.holds, reason, message)


def _not_applied(spec: NodeENISpec) -> list[str]:
    """Fields that are accepted for v1.3.8's manifests, but that this version does not act on."""
    fields = {
        "spec.enableDPDK": spec.enable_dpdk,
        "spec.dpdkDriver": spec.dpdk_driver,
        "spec.dpdkResourceName": spec.dpdk_resource_name,
        "spec.dpdkPCIAddress": spec.dpdk_pci_address,
    }
    return [name for name, value in fields.items() if value]


def of_first(node: str, message: str, count: int) -> str:
    """What is told of many nodes: that of the first, and how many more."""
    others = f" (and {_nodes(count - 1)} more)" if count > 1 else ""
    return f"{node}: {message}{others}"


def _nodes(count: int) -> str:
    return f"{count} node" if count == 1 else f"{count} nodes"

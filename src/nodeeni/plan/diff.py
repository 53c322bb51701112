"""Desired × observed → actions, for one node. Pure.

    interface is    wanted                            not wanted
    ------------    ------                            ----------
    absent          Create                            -
    pending         wait                              wait
    available       Attach                            Delete
    attaching       wait; undo after a time           wait; Detach by force after a time
    in-use          put right in place, or replace    Detach
    detaching       wait; Detach by force after a time, whether it is wanted or not

A plan asks for all that can be done now and nothing that must wait for it: when something happened, there
is another plan. Asked twice with the same input it gives the same actions, which is how the executor knows
what is already under way.
"""

from collections.abc import Iterable

import msgspec

from nodeeni.api import names
from nodeeni.api.reasons import EventReason, RowReason
from nodeeni.ec2.types import Interface
from nodeeni.plan.actions import Action
from nodeeni.plan.adopting import take_over
from nodeeni.plan.desired import Desired, DesiredInterface
from nodeeni.plan.draft import Draft, beside, is_of
from nodeeni.plan.observed import Observed
from nodeeni.plan.other_ids import left_alone
from nodeeni.plan.refusal import Refusal
from nodeeni.plan.removal import Removal
from nodeeni.plan.rows import Row, State
from nodeeni.plan.wanted import Wanted, to_be_replaced

TWINS_RETRY = 300.0  # seconds: the Node that goes is told by an event


class Diff(msgspec.Struct, frozen=True):
    """`vanishing` are interfaces that an ending instance takes along: looked at until they are gone."""

    actions: tuple[Action, ...] = ()
    rows: tuple[Row, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    vanishing: tuple[str, ...] = ()


def diff(desired: Desired, observed: Observed) -> Diff:
    """What to do now for one node, and what to say of it. See the table above."""
    draft = Draft(desired, observed)
    if observed.twins and not desired.ending:
        _tell_twins(draft)
        return Diff((), tuple(draft.rows), tuple(draft.refusals))
    removal = Removal(draft)
    pairs = _pairs(draft)
    wanted = Wanted(draft, removal, _leaving(draft, pairs))
    for each, interface in pairs:
        wanted.serve(each, interface)
    for refusal in desired.refusals:
        _refused(draft, refusal)
    for interface in list(draft.left.values()):
        removal.unwanted(interface)
    for interface in draft.untouched.values():
        _untouched(draft, interface)
    for interface in observed.adoptable:
        _unclaimed(draft, interface)
    if desired.ending:
        _tell_ending(draft)
    return Diff(tuple(draft.actions), tuple(draft.rows), tuple(draft.refusals), tuple(draft.vanishing))


def _pairs(draft: Draft) -> list[tuple[DesiredInterface, Interface | None]]:
    if draft.observed.node_ends:
        return []
    wanted = (w for w in draft.desired.interfaces if not draft.observed.ends(w.instance_id))
    return [(w, _take(draft, w)) for w in wanted]


def _leaving(draft: Draft, pairs: Iterable[tuple[DesiredInterface, Interface | None]]) -> frozenset[str]:
    """Interfaces of ours whose place is going to be free: nobody wants them, or wants them elsewhere."""
    refused = {refusal.uid for refusal in draft.desired.refusals}
    unwanted = {i.id for i in draft.left.values() if draft.uids[i.id] not in refused}
    moving = {i.id for w, i in pairs if i and i.attachment and to_be_replaced(w, i)}
    return frozenset(unwanted | moving)


def _take(draft: Draft, wanted: DesiredInterface) -> Interface | None:
    """The interface that serves `wanted`, out of those left: the one that is furthest on its way."""
    candidates = [
        interface
        for interface in draft.left.values()
        if draft.uids[interface.id] == wanted.uid and is_of(interface, wanted.instance_id)
    ]
    if not candidates:
        return None
    best = min(candidates, key=lambda i: (_distance(i, wanted.instance_id), i.id))
    return draft.left.pop(best.id)


def _refused(draft: Draft, refusal: Refusal) -> None:
    """A NodeENI that cannot be resolved keeps what is attached, and gives back what is not.

    Where that is so since EC2 could not be asked, it keeps everything on this node's instance.
    """
    standing = [*draft.left.values(), *draft.observed.adoptable]
    home = draft.observed.node.instance_id if draft.observed.node else ""
    # What hangs on an instance that had the node's name before is none of this one's.
    own = [i for i in standing if draft.uids[i.id] == refusal.uid and (not home or is_of(i, home))]
    interface = next((i for i in own if i.attachment is not None), None) or draft.take_untouched(refusal.uid)
    kept = [interface] if interface is not None else []
    if refusal.uid in draft.desired.unread:
        kept += own
        interface = interface or next(iter(kept), None)
    for each in kept:
        draft.left.pop(each.id, None)
    attachment = interface.attachment if interface else None
    link = draft.desired.links[refusal.uid]
    refusal = beside(interface, refusal)
    draft.refusals.append(refusal)
    draft.rows.append(
        Row(
            uid=refusal.uid,
            nodeeni=refusal.nodeeni,
            node=draft.observed.name,
            generation=draft.generations.get(refusal.uid, 0),
            instance_id=draft.observed.node.instance_id if draft.observed.node else "",
            state=State.FAILED,
            interface=interface,
            device_index=attachment.device_index if attachment else None,
            network_card_index=attachment.network_card_index if attachment else None,
            link=link,
            reason=refusal.reason,
            message=refusal.message,
        )
    )


def _tell_twins(draft: Draft) -> None:
    """Which of the Nodes is the instance's nobody knows: what is there stays, and nothing is made."""
    both = draft.observed.twins
    told = " and ".join(f"{name} ({ready})" if ready else name for name, ready in both.items())
    links = {each.uid: each.link for each in draft.desired.interfaces}
    instance_id = draft.observed.node.instance_id if draft.observed.node else ""
    message = (
        f"instance {instance_id} has {len(both)} Nodes, {told}: nothing is done for them; see "
        f"kubectl get nodes {' '.join(both)}, and delete the one that is left over"
    )
    for selected in draft.desired.selected:
        own = [i for i in draft.left.values() if draft.uids[i.id] == selected.uid]
        interface = next((draft.left.pop(i.id) for i in own), None) or draft.take_untouched(selected.uid)
        attachment = interface.attachment if interface else None
        link = links.get(selected.uid) or draft.desired.links[selected.uid]
        row = Row(
            uid=selected.uid,
            nodeeni=selected.name,
            node=draft.observed.name,
            generation=selected.generation,
            instance_id=instance_id,
            state=State.FAILED,
            interface=interface,
            device_index=attachment.device_index if attachment else None,
            network_card_index=attachment.network_card_index if attachment else None,
            link=link,
        )
        _waits_for_twins(draft, row, message, EventReason.ENI_CREATION_FAILED)
    for interface in draft.left.values():
        # That it does not go is told as well, or a deletion would wait in silence.
        row = draft.unwanted_row(interface, State.FAILED)
        _waits_for_twins(draft, row, message, EventReason.ENI_DETACHMENT_FAILED)
    for interface in draft.untouched.values():
        _untouched(draft, interface)


def _waits_for_twins(draft: Draft, row: Row, message: str, event: EventReason) -> None:
    reason = RowReason.INSTANCE_HAS_TWO_NODES
    draft.rows.append(msgspec.structs.replace(row, reason=reason, message=message))
    draft.refusals.append(Refusal.of(row, reason, message, TWINS_RETRY, event))


def _tell_ending(draft: Draft) -> None:
    """Each NodeENI that selects the node has a row, which says why nothing is done for it."""
    reason, message = RowReason.NODE_ENDING, draft.desired.ending
    has = {row.uid for row in draft.rows}
    draft.rows[:] = [
        msgspec.structs.replace(row, generation=draft.generations[row.uid], reason=reason, message=message)
        if row.uid in draft.generations
        else row
        for row in draft.rows
    ]
    draft.rows += [
        Row(
            uid=selected.uid,
            nodeeni=selected.name,
            node=draft.observed.name,
            generation=selected.generation,
            instance_id=draft.observed.node.instance_id if draft.observed.node else "",
            state=State.DELETING,
            wanted=False,
            reason=reason,
            message=message,
        )
        for selected in draft.desired.selected
        if selected.uid not in has
    ]


def _untouched(draft: Draft, interface: Interface) -> None:
    """One that carries another cluster's id, and that its NodeENI does not want here: not removed either."""
    uid = draft.uids[interface.id]
    why = left_alone(interface, draft.observed.cluster_id, nodeeni=draft.owner_name(interface), uid=uid)
    state = State.ATTACHED if draft.desired.ending else State.FAILED
    row = draft.unwanted_row(interface, state)
    draft.rows.append(msgspec.structs.replace(row, reason=why.reason, message=why.message))
    draft.refusals.append(why)


def _unclaimed(draft: Draft, interface: Interface) -> None:
    """One of v1.x that its NodeENI no longer wants here is made ours, and then removed as ours are."""
    uid = draft.uids[interface.id]
    spoken_for = {w.uid for w in draft.desired.interfaces} | {r.uid for r in draft.desired.refusals}
    instance_id = interface.attachment.instance_id if interface.attachment else ""
    if draft.observed.node_ends or draft.observed.ends(instance_id) or uid in {"", *spoken_for}:
        return
    nodeeni, node = interface.tags[names.TAG_NODEENI], draft.observed.name
    tags = names.interface_tags(
        cluster_id=draft.observed.cluster_id, nodeeni=nodeeni, uid=uid, node=node, instance_id=instance_id
    )
    draft.actions.append(take_over(interface, tags, node=node, nodeeni=nodeeni, uid=uid))
    draft.rows.append(draft.unwanted_row(interface, State.ATTACHED))


def _distance(interface: Interface, instance_id: str) -> int:
    """How far an interface is from being what is wanted: lower serves better."""
    attachment = interface.attachment
    if attachment is None:
        return 2
    if attachment.instance_id != instance_id:
        return 4
    return {"attached": 0, "attaching": 1}.get(attachment.status, 3)

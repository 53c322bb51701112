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
from nodeeni.ec2.types import Attachment, Instance, Interface, InterfaceRequest
from nodeeni.plan.actions import (
    Action,
    Attach,
    Cause,
    Create,
    Delete,
    Detach,
    SetDeleteOnTermination,
    SetTags,
)
from nodeeni.plan.adopting import NOT_ADOPTED, candidates, fitting, left_alone, surplus, take_over
from nodeeni.plan.corrections import corrections
from nodeeni.plan.desired import Desired, DesiredInterface, Refusal
from nodeeni.plan.observed import Observed
from nodeeni.plan.places import NoPlace, free_index, usable_subnet
from nodeeni.plan.rows import Row, State
from nodeeni.plan.slots import Slots

PENDING_RETRY = 5.0  # seconds
STOPPED_RETRY = 60.0  # seconds
ATTACH_HANGS_RETRY = 300.0  # seconds: an attach that ends after all is seen when it does
INSTANCE_NOT_RUNNING = "InstanceNotRunning"


class Diff(msgspec.Struct, frozen=True):
    """`vanishing` are interfaces that an ending instance takes along: looked at until they are gone."""

    actions: tuple[Action, ...] = ()
    rows: tuple[Row, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    vanishing: tuple[str, ...] = ()


def diff(desired: Desired, observed: Observed) -> Diff:
    """What to do now for one node, and what to say of it. See the table above."""
    return _Differ(desired, observed).run()


class _Differ:
    def __init__(self, desired: Desired, observed: Observed) -> None:
        self.desired = desired
        self.observed = observed
        self.actions: list[Action] = []
        self.rows: list[Row] = []
        self.refusals: list[Refusal] = list(desired.refusals)
        self.vanishing: list[str] = []
        self.left = {interface.id: interface for interface in observed.interfaces}
        self.under_way = {action.key: action for action in observed.in_flight}
        self.slots = self._slots()
        self.leaving: frozenset[str] = frozenset()
        known = observed.interfaces + observed.adoptable
        self.uids = {interface.id: self._uid(interface) for interface in known}

    def run(self) -> Diff:
        pairs = self._pairs()
        self.leaving = self._leaving(pairs)
        for wanted, interface in pairs:
            self._wanted(wanted, interface)
        for refusal in self.desired.refusals:
            self._refused(refusal)
        for interface in list(self.left.values()):
            self._unwanted(interface)
        for interface in self.observed.adoptable:
            self._unclaimed(interface)
        return Diff(tuple(self.actions), tuple(self.rows), tuple(self.refusals), tuple(self.vanishing))

    def _uid(self, interface: Interface) -> str:
        """Uid of the NodeENI that owns it; by name where the uid's tag was taken off by hand."""
        if names.TAG_UID in interface.tags:
            return interface.tags[names.TAG_UID]
        name = interface.tags.get(names.TAG_NODEENI)
        return next((uid for uid, owner in self.observed.owners.items() if owner.name == name), "")

    def _slots(self) -> Slots | None:
        observed = self.observed
        if observed.instance is None:
            return None
        slots = Slots(
            observed.instance,
            observed.instance_type,
            observed.interfaces + observed.adoptable,
            gone=observed.gone,
            refused=observed.taken_indexes,
        )
        for action in observed.in_flight:
            if isinstance(action, Attach):
                slots.reserve(action.network_card_index, action.device_index, action.eni_id)
        return slots

    # -- what is wanted ------------------------------------------------------------------------------

    def _pairs(self) -> list[tuple[DesiredInterface, Interface | None]]:
        if self.observed.node_ends:
            return []
        wanted = (w for w in self.desired.interfaces if not self.observed.ends(w.instance_id))
        return [(w, self._take(w)) for w in wanted]

    def _leaving(self, pairs: Iterable[tuple[DesiredInterface, Interface | None]]) -> frozenset[str]:
        """Interfaces of ours whose place is going to be free: nobody wants them, or wants them elsewhere."""
        refused = {refusal.uid for refusal in self.desired.refusals}
        unwanted = {i.id for i in self.left.values() if self.uids[i.id] not in refused}
        moving = {i.id for w, i in pairs if i and i.attachment and self._to_be_replaced(w, i)}
        return frozenset(unwanted | moving)

    def _wanted(self, wanted: DesiredInterface, interface: Interface | None) -> None:
        if self._instance.state != "running" and (interface is None or interface.attachment is None):
            self._not_running(wanted, interface)
        elif interface is None:
            if not self._adopt(wanted):
                self._create(wanted)
        elif interface.attachment is None:
            self._available(wanted, interface)
        elif interface.attachment.instance_id != wanted.instance_id:
            self._elsewhere(wanted, interface)
        elif interface.attachment.status == "detaching":
            if self._detach_hangs(interface):
                self._detach(interface, interface.attachment, Cause.STUCK, force=True)
            self._row(wanted, interface, State.DETACHING)
        elif interface.attachment.status == "attaching":
            self._attaching(wanted, interface)
        elif self._to_be_replaced(wanted, interface):
            self._replace(wanted, interface)
        else:
            self._in_place(wanted, interface)

    def _not_running(self, wanted: DesiredInterface, interface: Interface | None) -> None:
        state = self._instance.state
        self.refusals.append(
            Refusal(
                nodeeni=wanted.nodeeni,
                uid=wanted.uid,
                reason=INSTANCE_NOT_RUNNING,
                message=f"instance {wanted.instance_id} is {state}: nothing is attached until it runs",
                retry_after=PENDING_RETRY if state == "pending" else STOPPED_RETRY,
            )
        )
        self._row(wanted, interface, State.CREATING if interface is None else State.ATTACHING)

    def _take(self, wanted: DesiredInterface) -> Interface | None:
        """The interface that serves `wanted`, out of those left: the one that is furthest on its way."""
        candidates = [
            interface
            for interface in self.left.values()
            if self.uids[interface.id] == wanted.uid and self._is_of(interface, wanted.instance_id)
        ]
        if not candidates:
            return None
        best = min(candidates, key=lambda i: (_distance(i, wanted.instance_id), i.id))
        return self.left.pop(best.id)

    def _is_of(self, interface: Interface, instance_id: str) -> bool:
        if interface.attachment and interface.attachment.instance_id == instance_id:
            return True
        return interface.tags.get(names.TAG_INSTANCE) == instance_id

    def _create(self, wanted: DesiredInterface) -> None:
        index = self._index(wanted, eni_id="")
        if index is None:
            return
        subnet = usable_subnet(wanted, self.observed)
        if isinstance(subnet, NoPlace):
            self._refuse(wanted, subnet)
            return
        action = Create(
            node=wanted.node,
            nodeeni=wanted.nodeeni,
            uid=wanted.uid,
            instance_id=wanted.instance_id,
            device_index=index,
            network_card_index=wanted.network_card_index,
            request=InterfaceRequest(
                subnet_id=subnet.id,
                group_ids=wanted.group_ids,
                description=wanted.description,
                tags=wanted.tags,
                client_token=names.client_token(
                    cluster_id=wanted.tags[names.TAG_CLUSTER],
                    uid=wanted.uid,
                    instance_id=wanted.instance_id,
                    generation=self.observed.generations.get(wanted.uid, 0),
                ),
            ),
        )
        self.actions.append(self._same(action))
        self._row(wanted, None, State.CREATING, index)

    def _available(self, wanted: DesiredInterface, interface: Interface) -> None:
        if interface.status not in ("available", "pending"):
            self._row(wanted, interface, State.ATTACHING)
            return
        if interface.subnet_id not in {s.id for s in wanted.subnets}:
            self._remove(interface, Cause.REPLACED, wanted)
            return
        index = self._index(wanted, interface.id)
        if index is None:
            self._remove(interface, Cause.REFUSED, None)
            return
        action = Attach(
            node=wanted.node,
            nodeeni=wanted.nodeeni,
            uid=wanted.uid,
            eni_id=interface.id,
            instance_id=wanted.instance_id,
            device_index=index,
            network_card_index=wanted.network_card_index,
        )
        self.actions.append(self._same(action))
        self.actions += corrections(wanted, interface)
        self._row(wanted, interface, State.ATTACHING, index)

    def _index(self, wanted: DesiredInterface, eni_id: str) -> int | None:
        """The device index to use, reserved; or None, and the refusal that says why there is none."""
        assert self.slots is not None  # there is an instance, or nothing would be wanted
        under_way = self.under_way.get(("Attach", eni_id))
        if isinstance(under_way, Attach):
            return under_way.device_index
        found = free_index(wanted, self._instance, self.observed.full, self.slots)
        if isinstance(found, NoPlace):
            self._refuse(wanted, found)
            return None
        self.slots.reserve(wanted.network_card_index, found, eni_id or f"NodeENI {wanted.nodeeni}")
        return found

    @property
    def _instance(self) -> Instance:
        assert self.observed.instance is not None
        return self.observed.instance

    def _adopt(self, wanted: DesiredInterface) -> bool:
        """Take over the interface that v1.x made for this NodeENI and node, by tagging it."""
        found = candidates(self.observed.adoptable, wanted.nodeeni)
        interface = fitting(found, lambda i: self._to_be_replaced(wanted, i))
        if interface is not None:
            self.actions.append(
                take_over(interface, wanted.tags, node=wanted.node, nodeeni=wanted.nodeeni, uid=wanted.uid)
            )
            self._row(wanted, interface, State.ATTACHED)
            self.refusals += [surplus(wanted, other) for other in found if other is not interface]
        elif found:
            self._refuse(wanted, left_alone(wanted, found[0]), found[0], event=NOT_ADOPTED)
        return bool(found)

    def _unclaimed(self, interface: Interface) -> None:
        """One of v1.x that its NodeENI no longer wants here is made ours, and then removed as ours are."""
        uid = self.uids[interface.id]
        spoken_for = {w.uid for w in self.desired.interfaces} | {r.uid for r in self.desired.refusals}
        instance_id = interface.attachment.instance_id if interface.attachment else ""
        if self.observed.node_ends or self.observed.ends(instance_id) or uid in {"", *spoken_for}:
            return
        nodeeni, node = interface.tags[names.TAG_NODEENI], self.observed.name
        tags = names.interface_tags(
            cluster_id=self.observed.cluster_id, nodeeni=nodeeni, uid=uid, node=node, instance_id=instance_id
        )
        self.actions.append(take_over(interface, tags, node=node, nodeeni=nodeeni, uid=uid))
        self.rows.append(self._unwanted_row(interface, State.ATTACHED))

    def _elsewhere(self, wanted: DesiredInterface, interface: Interface) -> None:
        assert interface.attachment is not None
        self._row(
            wanted,
            interface,
            State.FAILED,
            reason="AttachedElsewhere",
            message=f"{interface.id} was attached to {interface.attachment.instance_id} by hand: detach it "
            "there, and it comes back to this node",
        )

    def _attaching(self, wanted: DesiredInterface, interface: Interface) -> None:
        """An attach that hangs is undone and tried once more, then left to people."""
        attachment = interface.attachment
        assert attachment is not None
        if not self._attach_hangs(interface):
            self._row(wanted, interface, State.ATTACHING)
        elif interface.id not in self.observed.undone:
            self._detach(interface, attachment, Cause.HANGS, force=True)
            self._row(wanted, interface, State.ATTACHING)
        else:
            why = NoPlace(
                "AttachHangs",
                f"{interface.id} has been attaching to {attachment.instance_id} for over "
                f"{self.observed.undo_attach_after:g} s, for the second time: restart the instance, or "
                "replace it",
                ATTACH_HANGS_RETRY,
            )
            self._refuse(wanted, why, interface, event="ENIAttachmentFailed")

    def _attach_hangs(self, interface: Interface) -> bool:
        return self.observed.ages.get(interface.id, 0.0) > self.observed.undo_attach_after

    def _detach_hangs(self, interface: Interface) -> bool:
        return self.observed.ages.get(interface.id, 0.0) > self.observed.force_detach_after

    def _to_be_replaced(self, wanted: DesiredInterface, interface: Interface) -> bool:
        assert interface.attachment is not None
        index = interface.attachment.device_index
        wrong_index = index < wanted.device_index if wanted.next_free else index != wanted.device_index
        wrong_card = interface.attachment.network_card_index != wanted.network_card_index
        return wrong_index or wrong_card or interface.subnet_id not in {s.id for s in wanted.subnets}

    def _replace(self, wanted: DesiredInterface, interface: Interface) -> None:
        """Take it away to make it anew, unless there is no place for the new one: what works then stays."""
        found = self._new_place(wanted, interface)
        if isinstance(found, NoPlace):
            self._refuse(wanted, found, interface)
            return
        assert self.slots is not None
        self.slots.reserve(wanted.network_card_index, found, f"NodeENI {wanted.nodeeni}")
        self._remove(interface, Cause.REPLACED, wanted)

    def _new_place(self, wanted: DesiredInterface, interface: Interface) -> int | NoPlace:
        assert self.slots is not None
        if interface.subnet_id not in {s.id for s in wanted.subnets}:
            subnet = usable_subnet(wanted, self.observed)
            if isinstance(subnet, NoPlace):
                return subnet
        return free_index(wanted, self._instance, self.observed.full, self.slots.without(self.leaving))

    def _in_place(self, wanted: DesiredInterface, interface: Interface) -> None:
        attachment = interface.attachment
        assert attachment is not None
        if attachment.delete_on_termination != wanted.delete_on_termination:
            self.actions.append(
                SetDeleteOnTermination(
                    node=wanted.node,
                    nodeeni=wanted.nodeeni,
                    uid=wanted.uid,
                    eni_id=interface.id,
                    attachment_id=attachment.id,
                    value=wanted.delete_on_termination,
                )
            )
        self.actions += corrections(wanted, interface)
        self._row(wanted, interface, State.ATTACHED)

    # -- what is not wanted --------------------------------------------------------------------------

    def _refused(self, refusal: Refusal) -> None:
        """A NodeENI that cannot be resolved keeps what is attached, and gives back what is not."""
        standing = [*self.left.values(), *self.observed.adoptable]
        interface = next(
            (i for i in standing if self.uids[i.id] == refusal.uid and i.attachment is not None), None
        )
        if interface is not None:
            self.left.pop(interface.id, None)
        attachment = interface.attachment if interface else None
        self.rows.append(
            Row(
                uid=refusal.uid,
                nodeeni=refusal.nodeeni,
                node=self.observed.name,
                instance_id=self.observed.node.instance_id if self.observed.node else "",
                state=State.FAILED,
                interface=interface,
                device_index=attachment.device_index if attachment else None,
                network_card_index=attachment.network_card_index if attachment else None,
                reason=refusal.reason,
                message=refusal.message,
            )
        )

    def _unwanted(self, interface: Interface) -> None:
        self._remove(interface, self._cause(interface), None)

    def _cause(self, interface: Interface) -> Cause:
        attachment = interface.attachment
        owner = self.observed.owners.get(self.uids[interface.id])
        if owner is None:
            return Cause.ORPHAN
        if owner.deleting:
            return Cause.NODEENI_DELETED
        if self._is_of_another_instance(interface):
            return Cause.NODE_GONE
        home = attachment.instance_id if attachment else interface.tags.get(names.TAG_INSTANCE, "")
        if self.observed.node_ends or (home and self.observed.ends(home)):
            return Cause.NODE_GONE
        if attachment is None and self.uids[interface.id] in {r.uid for r in self.desired.refusals}:
            return Cause.REFUSED
        if any(row.wanted and row.uid == self.uids[interface.id] for row in self.rows):
            return Cause.SURPLUS
        return Cause.UNMATCHED

    def _ends(self, attachment: Attachment) -> bool:
        return self.observed.ends(attachment.instance_id)

    def _is_of_another_instance(self, interface: Interface) -> bool:
        node = self.observed.node
        return node is not None and bool(node.instance_id) and not self._is_of(interface, node.instance_id)

    def _remove(self, interface: Interface, cause: Cause, wanted: DesiredInterface | None) -> None:
        attachment = interface.attachment
        state = State.DETACHING if attachment else State.DELETING
        if self.observed.cluster_id and names.TAG_CLUSTER not in interface.tags:
            self._claim(interface)
        elif attachment is None:
            self._delete(interface, cause)
        elif self._ends(attachment):
            self.vanishing.append(interface.id)  # DeleteOnTermination does the work
        elif attachment.status == "attached":
            self._detach(interface, attachment, cause)
            if cause is Cause.NODE_GONE:
                state = State.ATTACHED  # and working, until the node's grace is over
        else:
            undone = attachment.status == "attaching" and self._attach_hangs(interface)
            if undone or (attachment.status == "detaching" and self._detach_hangs(interface)):
                self._detach(interface, attachment, cause, force=True)
        if wanted is not None:
            self._row(wanted, interface, state)
        elif cause is not Cause.REFUSED:  # whose refusal is a row already
            self.rows.append(self._unwanted_row(interface, state))

    def _claim(self, interface: Interface) -> None:
        """Its cluster tag was taken off by hand: put it back first, since nothing without it is removed."""
        self.actions.append(
            SetTags(
                node=self.observed.name,
                nodeeni=interface.tags.get(names.TAG_NODEENI, ""),
                uid=self.uids[interface.id],
                eni_id=interface.id,
                tags={names.TAG_CLUSTER: self.observed.cluster_id},
            )
        )

    def _delete(self, interface: Interface, cause: Cause) -> None:
        if interface.status in ("available", "pending"):
            self.actions.append(
                Delete(
                    node=self.observed.name,
                    nodeeni=interface.tags.get(names.TAG_NODEENI, ""),
                    uid=self.uids[interface.id],
                    eni_id=interface.id,
                    cause=cause,
                )
            )

    def _detach(
        self, interface: Interface, attachment: Attachment, cause: Cause, *, force: bool = False
    ) -> None:
        self.actions.append(
            Detach(
                node=self.observed.name,
                nodeeni=interface.tags.get(names.TAG_NODEENI, ""),
                uid=self.uids[interface.id],
                eni_id=interface.id,
                attachment_id=attachment.id,
                instance_id=attachment.instance_id,
                force=force,
                cause=cause,
            )
        )

    # -- what is said --------------------------------------------------------------------------------

    def _same(self, action: Action) -> Action:
        """A call that has begun is not asked for again with other words: its answer comes first."""
        begun = self.under_way.get(action.key)
        return begun if begun is not None else action

    def _refuse(
        self,
        wanted: DesiredInterface,
        why: NoPlace,
        interface: Interface | None = None,
        *,
        event: str = "ENICreationFailed",
    ) -> None:
        self.refusals.append(
            Refusal(
                nodeeni=wanted.nodeeni,
                uid=wanted.uid,
                reason=why.reason,
                message=why.message,
                retry_after=why.retry_after,
                event=event,
            )
        )
        self._row(wanted, interface, State.FAILED, reason=why.reason, message=why.message)

    def _row(
        self,
        wanted: DesiredInterface,
        interface: Interface | None,
        state: State,
        index: int | None = None,
        *,
        reason: str = "",
        message: str = "",
    ) -> None:
        if interface is not None and interface.attachment is not None:
            index = interface.attachment.device_index
        cidrs = {s.id: s.cidr for s in wanted.subnets}
        self.rows.append(
            Row(
                uid=wanted.uid,
                nodeeni=wanted.nodeeni,
                node=wanted.node,
                instance_id=wanted.instance_id,
                state=state,
                interface=interface,
                subnet_cidr=cidrs.get(interface.subnet_id, "") if interface else "",
                device_index=index,
                network_card_index=wanted.network_card_index,
                mtu=wanted.mtu,
                interface_name=wanted.interface_name,
                reason=reason,
                message=message,
            )
        )

    def _unwanted_row(self, interface: Interface, state: State) -> Row:
        attachment = interface.attachment
        return Row(
            uid=self.uids[interface.id],
            nodeeni=interface.tags.get(names.TAG_NODEENI, ""),
            node=self.observed.name,
            instance_id=interface.tags.get(names.TAG_INSTANCE, ""),
            state=state,
            interface=interface,
            device_index=attachment.device_index if attachment else None,
            network_card_index=attachment.network_card_index if attachment else None,
            wanted=False,
        )


def _distance(interface: Interface, instance_id: str) -> int:
    """How far an interface is from being what is wanted: lower serves better."""
    attachment = interface.attachment
    if attachment is None:
        return 2
    if attachment.instance_id != instance_id:
        return 4
    return {"attached": 0, "attaching": 1}.get(attachment.status, 3)

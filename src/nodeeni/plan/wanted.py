"""One wanted interface against the one that serves it: made, attached, put right or replaced. Pure."""

import msgspec

from nodeeni.api import names
from nodeeni.api.reasons import EventReason, RowReason
from nodeeni.ec2.attributes import ATTRIBUTES, ENA_QUEUES, InterfaceRequest, attachable, creatable
from nodeeni.ec2.types import Instance, Interface
from nodeeni.plan import launch_time
from nodeeni.plan.actions import Attach, Cause, Create
from nodeeni.plan.addresses import (
    address_corrections,
    at_creation,
    cannot_be,
    given_back,
    held_by_pods,
    too_many,
    too_many_beside,
)
from nodeeni.plan.adopting import candidates, fitting, surplus, take_over
from nodeeni.plan.adopting import left_alone as not_adopted
from nodeeni.plan.corrections import corrections, needs_stop, runs, still_to_apply
from nodeeni.plan.desired import DesiredInterface
from nodeeni.plan.draft import Draft
from nodeeni.plan.observed import Observed
from nodeeni.plan.other_ids import left_alone
from nodeeni.plan.places import free_index, usable_subnet
from nodeeni.plan.pods import NO_PODS
from nodeeni.plan.refusal import Refusal
from nodeeni.plan.removal import Removal
from nodeeni.plan.rows import State
from nodeeni.plan.slots import Slots

PENDING_RETRY = 5.0  # seconds
STOPPED_RETRY = 60.0  # seconds
ATTACH_HANGS_RETRY = 300.0  # seconds: an attach that ends after all is seen when it does


class Wanted:
    """`leaving`: interfaces of ours whose place is going to be free."""

    def __init__(self, draft: Draft, removal: Removal, leaving: frozenset[str]) -> None:
        self.draft = draft
        self.removal = removal
        self.leaving = leaving
        self.slots = _slots(draft.observed)
        self.claimed = set[str]()  # of those that came with the launch, by id

    def serve(self, wanted: DesiredInterface, interface: Interface | None) -> None:
        untouched = self.draft.take_untouched(wanted.uid) if interface is None else None
        if untouched is not None:
            why = left_alone(
                untouched, self.draft.observed.cluster_id, nodeeni=wanted.nodeeni, uid=wanted.uid
            )
            self.draft.refuse(wanted, why, untouched)
        elif self._instance.state != "running" and (interface is None or interface.attachment is None):
            self._not_running(wanted, interface)
        elif interface is None:
            if not self._adopt(wanted) and not self._adopt_launched(wanted):
                self._create(wanted)
        elif interface.attachment is None:
            self._available(wanted, interface)
        elif interface.attachment.instance_id != wanted.instance_id:
            self._elsewhere(wanted, interface)
        elif interface.attachment.status == "detaching":
            if self.draft.detach_hangs(interface):
                self.removal.detach(interface, interface.attachment, Cause.STUCK, force=True)
            self.draft.row(wanted, interface, State.DETACHING)
        elif interface.attachment.status == "attaching":
            self._attaching(wanted, interface)
        elif to_be_replaced(wanted, interface):
            self._replace(wanted, interface)
        else:
            self._in_place(wanted, interface)

    def _not_running(self, wanted: DesiredInterface, interface: Interface | None) -> None:
        state = self._instance.state
        why = Refusal.of(
            wanted,
            RowReason.INSTANCE_NOT_RUNNING,
            f"instance {wanted.instance_id} is {state}: nothing is attached until it runs",
            PENDING_RETRY if state == "pending" else STOPPED_RETRY,
        )
        self.draft.refusals.append(why)
        self.draft.row(
            wanted,
            interface,
            State.CREATING if interface is None else State.ATTACHING,
            reason=RowReason.INSTANCE_NOT_RUNNING,
            message=why.message,
        )

    def _create(self, wanted: DesiredInterface) -> None:
        index = self._index(wanted, eni_id="")
        if index is None:
            return
        subnet = usable_subnet(wanted, self.draft.observed, last_resort=True)
        if isinstance(subnet, Refusal):
            self.draft.refuse(wanted, subnet)
            return
        generation = self.draft.observed.generations.get(wanted.uid, 0)
        action = Create(
            node=wanted.node,
            nodeeni=wanted.nodeeni,
            uid=wanted.uid,
            instance_id=wanted.instance_id,
            device_index=index,
            network_card_index=wanted.network_card_index,
            request=InterfaceRequest(
                subnet_id=subnet.id,
                values=creatable(wanted.values_in(subnet.vpc_id)),
                counts=at_creation(wanted, subnet),
                tags={**wanted.tags, names.TAG_GENERATION: str(generation)} if generation else wanted.tags,
                client_token=names.client_token(
                    cluster_id=wanted.tags[names.TAG_CLUSTER],
                    uid=wanted.uid,
                    instance_id=wanted.instance_id,
                    generation=generation,
                ),
            ),
        )
        self.draft.actions.append(self.draft.same(action))
        self.draft.row(wanted, None, State.CREATING, index)

    def _available(self, wanted: DesiredInterface, interface: Interface) -> None:
        if interface.status not in ("available", "pending"):
            self.draft.row(wanted, interface, State.ATTACHING)
            return
        if interface.subnet_id not in {s.id for s in wanted.subnets}:
            self.removal.remove(interface, Cause.MISPLACED, wanted)
            return
        if _in_the_way(wanted, interface):
            self.removal.remove(interface, Cause.REPLACED, wanted)
            return
        index = self._index(wanted, interface.id)
        if index is None and self.draft.observed.type_unread is not None:
            return  # there may well be a place for it
        if index is None:
            self.removal.remove(interface, Cause.REFUSED, None)
            return
        action = Attach(
            node=wanted.node,
            nodeeni=wanted.nodeeni,
            uid=wanted.uid,
            eni_id=interface.id,
            instance_id=wanted.instance_id,
            device_index=index,
            network_card_index=wanted.network_card_index,
            values=attachable(wanted.values),
        )
        self.draft.actions.append(self.draft.same(action))
        self.draft.actions += corrections(wanted, interface)
        self.draft.row(wanted, interface, State.ATTACHING, index)

    def _index(self, wanted: DesiredInterface, eni_id: str) -> int | None:
        """The device index to use, reserved; or None, and the refusal that says why there is none."""
        assert self.slots is not None  # there is an instance, or nothing would be wanted
        under_way = self.draft.under_way.get(("Attach", eni_id))
        if isinstance(under_way, Attach):
            return under_way.device_index
        beyond = self._beyond(wanted)
        if beyond is not None:
            self.draft.refuse(wanted, beyond)
            return None
        found = self._place(wanted, self.slots)
        if isinstance(found, Refusal):
            self._await_place(wanted, self.slots)
            self.draft.refuse(wanted, found)
            return None
        holder = eni_id or f"NodeENI {wanted.nodeeni}"
        self.slots.reserve(wanted.network_card_index, found, holder, _queues(wanted))
        return found

    def _beyond(self, wanted: DesiredInterface) -> Refusal | None:
        """Why the type of the instance can have no interface like that."""
        return wanted.beyond_type or too_many(wanted, self._instance, self.draft.observed.instance_type)

    def _await_place(self, wanted: DesiredInterface, slots: Slots) -> None:
        """One of ours that leaves may be all that is in its way: that one goes at once."""
        for eni_id in sorted(self.leaving):
            place = free_index(wanted, self._instance, False, slots.without({eni_id}))
            if not isinstance(place, Refusal):
                self.draft.awaited.add(eni_id)
                return

    @property
    def _instance(self) -> Instance:
        assert self.draft.observed.instance is not None
        return self.draft.observed.instance

    def _adopt(self, wanted: DesiredInterface) -> bool:
        """Take over the interface that v1.x made for this NodeENI and node, by tagging it."""
        found = candidates(self.draft.observed.adoptable, wanted.nodeeni)
        interface = fitting(found, lambda i: to_be_replaced(wanted, i))
        if interface is not None:
            self.draft.actions.append(
                take_over(interface, wanted.tags, node=wanted.node, nodeeni=wanted.nodeeni, uid=wanted.uid)
            )
            self.draft.row(wanted, interface, State.ATTACHED)
            self.draft.refusals += [surplus(wanted, other) for other in found if other is not interface]
        elif found:
            self.draft.refuse(wanted, not_adopted(wanted, found[0]), found[0])
        return bool(found)

    def _adopt_launched(self, wanted: DesiredInterface) -> bool:
        """Take over the interface that came with the instance's launch, or say why not: nothing is made
        beside it.
        """
        if not wanted.adopts_launched:
            return False
        launched = {i: each for i, each in self.draft.observed.launched.items() if i not in self.claimed}
        found = launch_time.candidates(wanted, self._instance, launched)
        fitting = next((interface for interface, why in found if not why), None)
        if fitting is not None:
            self.claimed.add(fitting.id)
            self.draft.actions.append(self.draft.same(launch_time.take_over(wanted, fitting)))
            index = fitting.attachment.device_index if fitting.attachment else None
            self.draft.row(wanted, None, State.ATTACHING, index)
        elif found:
            self.draft.refuse(wanted, launch_time.left_alone(wanted, found))
        return bool(found)

    def _elsewhere(self, wanted: DesiredInterface, interface: Interface) -> None:
        assert interface.attachment is not None
        self.draft.row(
            wanted,
            interface,
            State.FAILED,
            reason=RowReason.ATTACHED_ELSEWHERE,
            message=f"{interface.id} was attached to {interface.attachment.instance_id} by hand: detach it "
            "there, and it comes back to this node",
        )

    def _attaching(self, wanted: DesiredInterface, interface: Interface) -> None:
        """An attach that hangs is undone and tried once more, then left to people."""
        attachment = interface.attachment
        assert attachment is not None
        if not self.draft.attach_hangs(interface):
            self.draft.row(wanted, interface, State.ATTACHING)
        elif interface.id not in self.draft.observed.undone:
            self.removal.detach(interface, attachment, Cause.HANGS, force=True)
            self.draft.row(wanted, interface, State.ATTACHING)
        else:
            why = Refusal.of(
                wanted,
                RowReason.ATTACH_HANGS,
                f"{interface.id} has been attaching to {attachment.instance_id} for over "
                f"{self.draft.observed.undo_attach_after:g} s, for the second time: restart the instance, or "
                "replace it",
                ATTACH_HANGS_RETRY,
                EventReason.ENI_ATTACHMENT_FAILED,
            )
            self.draft.refuse(wanted, why, interface)

    def _replace(self, wanted: DesiredInterface, interface: Interface) -> None:
        """Take it away to make it anew, unless there is no place for the new one: what works then stays."""
        found = self._new_place(wanted, interface)
        if isinstance(found, Refusal):
            self.draft.refuse(wanted, found, interface)
            return
        assert self.slots is not None
        holder = f"NodeENI {wanted.nodeeni}"
        self.slots.reserve(wanted.network_card_index, found, holder, _queues(wanted))
        self.removal.remove(interface, Cause.REPLACED, wanted, _what_for(wanted, interface, found))

    def _new_place(self, wanted: DesiredInterface, interface: Interface) -> int | Refusal:
        assert self.slots is not None
        beyond = self._beyond(wanted)
        if beyond is not None:
            return beyond
        if interface.subnet_id not in {s.id for s in wanted.subnets}:
            subnet = usable_subnet(wanted, self.draft.observed)
            if isinstance(subnet, Refusal):
                return subnet
        return self._place(wanted, self.slots.without(self.leaving))

    def _place(self, wanted: DesiredInterface, slots: Slots) -> int | Refusal:
        unread = self.draft.observed.type_unread
        if unread is not None:
            return msgspec.structs.replace(unread, nodeeni=wanted.nodeeni, uid=wanted.uid)
        return free_index(wanted, self._instance, self.draft.observed.full, slots)

    def _in_place(self, wanted: DesiredInterface, interface: Interface) -> None:
        asked = [a for a in corrections(wanted, interface) if not needs_stop(a, self._instance)]
        of_type = self._instance, self.draft.observed.instance_type
        too_much = too_many(wanted, *of_type) or too_many_beside(wanted, interface, *of_type)
        in_use = None
        if too_much is None:
            pods = self.draft.observed.pods.get(interface.id, NO_PODS)
            goes = [each for given in given_back(wanted, interface, pods).values() for each in given]
            asked += address_corrections(wanted, interface, pods)
            in_use = held_by_pods(wanted, goes, pods)
            self.draft.keep_from_pods(interface, goes)
        self.draft.actions += asked
        why = wanted.beyond_type or too_much or cannot_be(wanted, interface)
        why = why or runs(wanted, interface, self._instance)
        if why is not None:
            self.draft.refuse(wanted, why, interface)
            return
        left = ", ".join(still_to_apply(asked))
        if in_use is not None:
            self.draft.refusals.append(in_use)
            self.draft.row(wanted, interface, State.ATTACHED, reason=in_use.reason, message=in_use.message)
        elif left:
            message = f"still to be applied: {left}"
            self.draft.row(wanted, interface, State.ATTACHED, reason=RowReason.UPDATING, message=message)
        else:
            self.draft.row(wanted, interface, State.ATTACHED)


def to_be_replaced(wanted: DesiredInterface, interface: Interface) -> bool:
    assert interface.attachment is not None
    index = interface.attachment.device_index
    wrong_index = index < wanted.device_index if wanted.next_free else index != wanted.device_index
    wrong_card = interface.attachment.network_card_index != wanted.network_card_index
    wrong_subnet = interface.subnet_id not in {s.id for s in wanted.subnets}
    return wrong_index or wrong_card or wrong_subnet or bool(_in_the_way(wanted, interface))


def _in_the_way(wanted: DesiredInterface, interface: Interface) -> str:
    """What of it EC2 does not take back, and is wanted otherwise; empty: nothing."""
    labels = [a.label for a in ATTRIBUTES if a.stands_in_the_way(interface, wanted.values[a])]
    return " and ".join(labels)


def _queues(wanted: DesiredInterface) -> int:
    asked = wanted.values[ENA_QUEUES]
    return asked.count if asked is not None else 0


def _what_for(wanted: DesiredInterface, interface: Interface, index: int) -> str:
    if interface.subnet_id not in {s.id for s in wanted.subnets}:
        return f"it is replaced, since {interface.subnet_id} is none of the subnets that fit the NodeENI now"
    if lasting := _in_the_way(wanted, interface):
        return f"it is made anew, since EC2 does not take back {lasting}"
    card = f" of card {wanted.network_card_index}" if wanted.network_card_index else ""
    return f"it moves to index {index}{card}"


def _slots(observed: Observed) -> Slots | None:
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
            queues = action.values.get(ENA_QUEUES)
            slots.reserve(
                action.network_card_index, action.device_index, action.eni_id, queues.count if queues else 0
            )
    return slots

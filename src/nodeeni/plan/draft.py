"""What a diff has decided so far, and how it says it: actions, rows and refusals in the making."""

from collections.abc import Sequence

import msgspec

from nodeeni.api import names
from nodeeni.api.reasons import EventReason, RowReason
from nodeeni.ec2.types import Interface
from nodeeni.plan.actions import Action, Unassign
from nodeeni.plan.desired import Desired, DesiredInterface
from nodeeni.plan.link import NOTHING
from nodeeni.plan.observed import Observed
from nodeeni.plan.ownership import Told, owner_of
from nodeeni.plan.refusal import Refusal
from nodeeni.plan.rows import Row, State

# One for thousands of rows: Python makes an empty one of 216 bytes each time.
_NO_PREFIXES: frozenset[str] = frozenset()


class Draft:
    """`left`: our interfaces, by id, that nothing wanted has taken yet. `untouched`: those that carry another
    cluster's id. `uids`: of their owners, by id."""

    def __init__(self, desired: Desired, observed: Observed) -> None:
        self.desired = desired
        self.observed = observed
        self.actions: list[Action] = []
        self.rows: list[Row] = []
        self.refusals: list[Refusal] = []
        self.vanishing: list[str] = []
        # By interface, prefixes that are to be given back, or are already: EC2's answer is still to come.
        self.kept_from_pods = {
            a.eni_id: frozenset(a.addresses) for a in observed.in_flight if isinstance(a, Unassign)
        }
        self.awaited: set[str] = set()  # interfaces in whose place another is to come
        by_id = {interface.id: interface for interface in observed.interfaces}
        self.left = {i: each for i, each in by_id.items() if i not in observed.of_other_ids}
        self.untouched = {i: each for i, each in by_id.items() if i in observed.of_other_ids}
        self.generations = {selected.uid: selected.generation for selected in desired.selected}
        self.under_way = {action.key: action for action in observed.in_flight}
        known = observed.interfaces + observed.adoptable
        self.uids = {i.id: owner_of(i, observed.owners, Told(observed.told.get(i.id, ""))) for i in known}

    def take_untouched(self, uid: str) -> Interface | None:
        """One of that NodeENI which carries another cluster's id."""
        found = next((i for i in self.untouched.values() if self.uids[i.id] == uid), None)
        return self.untouched.pop(found.id) if found is not None else None

    def owner_name(self, interface: Interface) -> str:
        """Of the NodeENI that owns it; of one that is gone, as it is tagged."""
        owner = self.observed.owners.get(self.uids[interface.id])
        return owner.name if owner is not None else interface.tags.get(names.TAG_NODEENI, "")

    def attach_hangs(self, interface: Interface) -> bool:
        return self.observed.ages.get(interface.id, 0.0) > self.observed.undo_attach_after

    def detach_hangs(self, interface: Interface) -> bool:
        return self.observed.ages.get(interface.id, 0.0) > self.observed.force_detach_after

    def same(self, action: Action) -> Action:
        """A call that has begun is not asked for again with other words: its answer comes first."""
        begun = self.under_way.get(action.key)
        return begun if begun is not None else action

    def keep_from_pods(self, interface: Interface, prefixes: Sequence[str]) -> None:
        if prefixes:  # as a rule there are none, and a set of its own for each node is 216 bytes
            before = self.kept_from_pods.get(interface.id, _NO_PREFIXES)
            self.kept_from_pods[interface.id] = before | frozenset(prefixes)

    def refuse(self, wanted: DesiredInterface, why: Refusal, interface: Interface | None = None) -> None:
        refusal = beside(interface, why)
        self.refusals.append(refusal)
        self.row(wanted, interface, State.FAILED, reason=refusal.reason, message=refusal.message)

    def row(
        self,
        wanted: DesiredInterface,
        interface: Interface | None,
        state: State,
        index: int | None = None,
        *,
        reason: RowReason | None = None,
        message: str = "",
    ) -> None:
        if interface is not None and interface.attachment is not None:
            index = interface.attachment.device_index
        subnet = next((s for s in wanted.subnets if interface and s.id == interface.subnet_id), None)
        self.rows.append(
            Row(
                uid=wanted.uid,
                nodeeni=wanted.nodeeni,
                node=wanted.node,
                generation=self.generations.get(wanted.uid, 0),
                instance_id=wanted.instance_id,
                state=state,
                interface=interface,
                subnet_cidr=(subnet.cidr or subnet.ipv6_cidr) if subnet else "",
                subnet_ipv6_cidr=subnet.ipv6_cidr if subnet else "",
                device_index=index,
                network_card_index=wanted.network_card_index,
                link=wanted.link,
                kept_from_pods=self.kept_from_pods.get(interface.id, _NO_PREFIXES)
                if interface
                else _NO_PREFIXES,
                reason=reason,
                message=message,
            )
        )

    def unwanted_row(self, interface: Interface, state: State) -> Row:
        """It has its link as before: what goes may yet stay."""
        attachment, uid = interface.attachment, self.uids[interface.id]
        owner = self.observed.owners.get(uid)
        return Row(
            uid=uid,
            nodeeni=self.owner_name(interface),
            node=self.observed.name,
            instance_id=interface.tags.get(names.TAG_INSTANCE, ""),
            state=state,
            interface=interface,
            device_index=attachment.device_index if attachment else None,
            network_card_index=attachment.network_card_index if attachment else None,
            link=owner.link if owner else NOTHING,
            wanted=False,
        )


def beside(interface: Interface | None, refusal: Refusal) -> Refusal:
    """The refusal as it is told where an interface is attached: of an edit, and that what works stays."""
    attachment = interface.attachment if interface else None
    if interface is None or attachment is None or attachment.status != "attached":
        return refusal
    message = f"{refusal.message}; {interface.id} stays attached as it was"
    creating = refusal.event is EventReason.ENI_CREATION_FAILED
    event = EventReason.ENI_UPDATE_FAILED if creating else refusal.event
    return msgspec.structs.replace(refusal, message=message, event=event)


def is_of(interface: Interface, instance_id: str) -> bool:
    """Whether it is attached to the instance, or was made for it."""
    if interface.attachment and interface.attachment.instance_id == instance_id:
        return True
    return interface.tags.get(names.TAG_INSTANCE) == instance_id

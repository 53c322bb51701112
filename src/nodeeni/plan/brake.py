"""The brake on mass removals: many nodes at once that only look as if nobody wanted their ENIs. Pure.

One node that lost its label, or its Node, is believed after a grace. Where it is two nodes or more, and over
a quarter of those that have an ENI of a NodeENI, a mistake is as likely: an operator that restarts, a
restored backup, Nodes deleted in a copy of the cluster. Their removal is held.
"""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from enum import StrEnum

import msgspec

from nodeeni.api.names import RELEASE_HOLD, TAG_NODE, TAG_NODEENI, TAG_UID
from nodeeni.api.reasons import RowReason
from nodeeni.ec2.types import Interface
from nodeeni.plan.actions import Action, Cause, Detach
from nodeeni.plan.observed import Observed
from nodeeni.plan.refusal import Refusal

FEWEST = 2  # nodes that are a mass
SHARE = 4  # of so many that have an ENI of the NodeENI, more than one
LOOK_AGAIN = 60.0  # seconds: of an instance that ends no event tells


class Sign(StrEnum):
    """By what the ENIs of nodes look as if nobody wanted them: the label is gone, the Node, the NodeENI."""

    UNLABELLED = "unlabelled"
    VANISHED = "vanished"
    OWNERLESS = "ownerless"


class Loss(msgspec.Struct, frozen=True):
    """One interface that works, of a node that shows the sign."""

    sign: Sign
    uid: str  # of the NodeENI
    eni_id: str


def losses(actions: Iterable[Action], observed: Observed) -> Iterator[Loss]:
    """What this plan would take away by a sign alone: nobody deleted or edited anything of ours. An instance
    that rests, as in a warm pool, needs no Node.
    """
    goes = observed.node is not None and observed.node.ends
    for action in actions:
        if not isinstance(action, Detach):
            continue
        if action.cause is Cause.UNMATCHED:
            yield Loss(Sign.UNLABELLED, action.uid, action.eni_id)
        elif action.cause is Cause.NODE_GONE and not goes and not observed.rests(action.instance_id):
            yield Loss(Sign.VANISHED, action.uid, action.eni_id)


def is_mass(lost: int, having: int) -> bool:
    """Whether `lost` nodes of the `having` that have an ENI of a NodeENI are too many to be believed."""
    return lost >= FEWEST and lost * SHARE > having


class HeldRemoval(msgspec.Struct, frozen=True, kw_only=True):
    """A removal that the brake holds. `nodes` are those that show the sign, `having` how many have an ENI of
    the NodeENI; `until`: when it goes on by itself, for people; empty: not at all.
    """

    sign: Sign
    nodeeni: str
    nodes: tuple[str, ...]
    eni_ids: tuple[str, ...]
    having: int
    until: str = ""

    @property
    def id(self) -> str:
        """Of exactly these interfaces: with one more, or one less, it is another hold."""
        return hold_id(self.eni_ids)

    @property
    def reason(self) -> RowReason:
        return _REASONS[self.sign]

    @property
    def release(self) -> str:
        """The command that lets it go on. Where there is no NodeENI, nothing can be annotated."""
        if self.sign is Sign.OWNERLESS:
            return f"nodeeni cleanup --release-hold {self.id}"
        return f"kubectl annotate --overwrite nodeeni {self.nodeeni} {RELEASE_HOLD}={self.id}"

    @property
    def told(self) -> Refusal:
        """As the condition Degraded and the event have it."""
        count = len(self.nodes)
        nodes = f"{count} of {self.having} Nodes with an ENI of it ({some(self.nodes)})"
        match self.sign:
            case Sign.UNLABELLED:
                stay = f"until {self.until}" if self.until else "for --mass-removal-delay"
                message = (
                    f"{nodes} no longer have its label: their ENIs stay {stay}, unless the label comes back; "
                    f"to remove them at once: {self.release}"
                )
            case Sign.VANISHED:
                message = (
                    f"{nodes} are gone while their instances run: nothing is removed until the Nodes are "
                    f"back or the instances end; to remove their ENIs all the same: {self.release}"
                )
            case Sign.OWNERLESS:
                message = (
                    f"{count} nodes ({some(self.nodes)}) have ENIs of NodeENI {self.nodeeni}, which is gone: "
                    "they stay while they are attached, and a NodeENI of that name takes over what fits; to "
                    f"remove them: {self.release}"
                )
        return Refusal(reason=self.reason, message=message)


def orphan_removals(orphans: Iterable[Interface]) -> list[HeldRemoval]:
    """Of interfaces whose NodeENI is gone: those that are attached, by NodeENI."""
    by_uid: dict[str, list[Interface]] = {}
    for interface in orphans:
        if interface.attachment is not None:
            by_uid.setdefault(interface.tags.get(TAG_UID, ""), []).append(interface)
    return [of_interfaces(by_uid[uid]) for uid in sorted(by_uid)]


def held_orphans(orphans: Iterable[Interface], known: Collection[str] = ()) -> list[HeldRemoval]:
    """Of those removals what is on many nodes, and the rest of what was held before (`known`, ids). All nodes
    that have one lost it, so that two are a mass.
    """
    return [
        hold
        for hold in orphan_removals(orphans)
        if is_mass(len(hold.nodes), hold.having) or not set(known).isdisjoint(hold.eni_ids)
    ]


def of_interfaces(interfaces: Sequence[Interface]) -> HeldRemoval:
    """The removal of all of them at once, where nobody owns any; those that are attached count."""
    attached = [interface for interface in interfaces if interface.attachment is not None]
    nodes = {i.tags.get(TAG_NODE) or (i.attachment.instance_id if i.attachment else "") for i in attached}
    return HeldRemoval(
        sign=Sign.OWNERLESS,
        nodeeni=", ".join(sorted({i.tags.get(TAG_NODEENI, "?") for i in attached})),
        nodes=tuple(sorted(nodes)),
        eni_ids=tuple(sorted(interface.id for interface in attached)),
        having=len(nodes),
    )


def why_held(sign: Sign, left: float) -> Refusal:
    """As a row has it, for `left` seconds more. No times and no counts: each would be a write."""
    message = _ROWS[sign]
    return Refusal(reason=_REASONS[sign], message=message, retry_after=min(left, LOOK_AGAIN))


def hold_id(eni_ids: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(sorted(eni_ids)).encode()).hexdigest()[:12]


def some(names: tuple[str, ...]) -> str:
    """The first few of them."""
    shown = ", ".join(names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown


_REASONS = {
    Sign.UNLABELLED: RowReason.REMOVAL_DELAYED,
    Sign.VANISHED: RowReason.REMOVAL_HELD,
    Sign.OWNERLESS: RowReason.REMOVAL_HELD,
}
_ROWS = {
    Sign.UNLABELLED: (
        "its Node no longer has the label, like many others: it stays for --mass-removal-delay; condition "
        "Degraded says how to have it removed at once"
    ),
    Sign.VANISHED: (
        "its Node is gone and its instance runs, like many others: it stays until the Node is back or the "
        "instance ends; condition Degraded says how to have it removed"
    ),
}

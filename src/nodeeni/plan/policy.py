"""Which of a plan's actions may be done now. Pure; what is refused comes back as data with its reason.

Each rule is one function: an action and the circumstances in, None or a refusal out. The first refusal
counts, so the order of `RULES` is the order of their importance.
"""

from collections.abc import Callable, Iterable

import msgspec

from nodeeni.api.reasons import RowReason
from nodeeni.plan.actions import Action, Adopt, Cause, Create, Delete, Detach
from nodeeni.plan.refusal import Refusal

UNSEEN_FINALIZER_RETRY = 5.0  # seconds; the finalizer's own event comes first as a rule
TURN_RETRY = 60.0  # seconds; the turn comes first as a rule
UNSURVEYED_RETRY = 5.0  # seconds; as above
ORPHAN_RETRY = 60.0  # seconds
UNSEEN_RETRY = 5.0  # seconds; the look comes first as a rule


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """An action that failed and is not to be tried again before `until` (seconds, monotonic); infinite where
    another's probe is waited for, which others wait for too.

    It holds this very call: once the plan asks for it with other parameters, it is free again.
    """

    action: Action
    why: Refusal
    until: float
    attempts: int

    @property
    def reported(self) -> bool:
        """The failure is for people to see, not merely EC2 asking us to slow down."""
        return self.why.event is not None


class Circumstances(msgspec.Struct, frozen=True, kw_only=True):
    """What decides beside the node itself. Times are seconds on the monotonic clock."""

    now: float
    at_first_sight: Create | None = None  # the instance was not looked at yet: this alone may be done
    holds: dict[tuple[str, str], Hold] = msgspec.field(default_factory=dict)
    creates_paused_until: float = 0.0  # a regional quota is used up
    before: dict[str, str] = msgspec.field(default_factory=dict)  # NodeENI uid → node to wait for
    surveyed: bool = True  # every node has been looked at since the start
    finalized: frozenset[str] = frozenset()  # uids of NodeENIs that carry our finalizer
    node_ends: bool = False  # its Node is being deleted or out of service
    node_absent_for: float = 0.0  # since no Node names the instance that its interfaces hang on
    node_grace: float = 120.0
    unlabelled_for: dict[str, float] = msgspec.field(default_factory=dict)  # interface → by labels alone
    label_grace: float = 5.0
    braked: dict[str, Refusal] = msgspec.field(default_factory=dict)  # interface → why its removal is held
    confirmed_orphans: frozenset[str] = frozenset()
    files_due: dict[str, float] = msgspec.field(default_factory=dict)  # interface → as `_file_first` waits


class Refused(msgspec.Struct, frozen=True):
    """An action that must wait."""

    action: Action
    why: Refusal


class Decision(msgspec.Struct, frozen=True):
    """`files_awaited` are interfaces whose CNI file is all that their detach waits for; `leaving` all whose
    file is to go, or went, since nothing else keeps them."""

    allowed: tuple[Action, ...]
    refused: tuple[Refused, ...]
    files_awaited: frozenset[str] = frozenset()
    leaving: frozenset[str] = frozenset()


def decide(
    actions: Iterable[Action], circumstances: Circumstances, in_flight: Iterable[Action] = ()
) -> Decision:
    """Split a plan into what may be done now and what must wait, each of those with its reason. `in_flight`:
    calls that have begun, whether they are still asked for or not."""
    allowed, refused, awaited = [], [], set()
    leaving = {action.eni_id for action in in_flight if isinstance(action, Detach)}
    for action in actions:
        found = ((rule, rule(action, circumstances)) for rule in RULES)
        by, why = next(((rule, why) for rule, why in found if why is not None), (None, None))
        if why is None:
            allowed.append(action)
        else:
            refused.append(Refused(action, why))
        if isinstance(action, Detach) and by in (None, _file_first, _held):
            leaving.add(action.eni_id)
        if isinstance(action, Detach) and by is _file_first:
            awaited.add(action.eni_id)
    return Decision(tuple(allowed), tuple(refused), frozenset(awaited), frozenset(leaving))


def _unseen(action: Action, at: Circumstances) -> Refusal | None:
    """For an instance that nobody has looked at yet one interface may be made, and nothing else be done."""
    if at.at_first_sight is None or action == at.at_first_sight:
        return None
    return _wait(action, "its instance has not been looked at yet", UNSEEN_RETRY)


def _brake(action: Action, at: Circumstances) -> Refusal | None:
    """What many nodes lose at once, by a sign alone, stays where it works."""
    if not isinstance(action, Detach) or action.cause not in (Cause.UNMATCHED, Cause.NODE_GONE):
        return None
    why = at.braked.get(action.eni_id)
    return msgspec.structs.replace(why, nodeeni=action.nodeeni, uid=action.uid) if why else None


def _label_gone(action: Action, at: Circumstances) -> Refusal | None:
    """A label may be back in a moment. How many others lack it is known once all nodes were looked at."""
    if not isinstance(action, Detach) or action.cause is not Cause.UNMATCHED:
        return None
    if not at.surveyed:
        return _wait(action, _UNSURVEYED, UNSURVEYED_RETRY)
    left = at.label_grace - at.unlabelled_for.get(action.eni_id, at.label_grace)
    if left <= 0:
        return None
    message = "its Node no longer has the label: removed after --label-grace, unless the label comes back"
    return Refusal.of(action, RowReason.LABEL_GONE, message, left, event=None)


def _node_goes(action: Action, at: Circumstances) -> Refusal | None:
    """A node on its way out is left to DeleteOnTermination; one that vanished gets a grace period."""
    if not isinstance(action, Detach) or action.cause is not Cause.NODE_GONE:
        return None
    if at.node_ends:
        return _wait(action, "the node is on its way out", at.node_grace)
    if not at.surveyed:
        return _wait(action, _UNSURVEYED, UNSURVEYED_RETRY)
    if at.node_absent_for < at.node_grace:
        left = at.node_grace - at.node_absent_for
        return _wait(action, "the node may come back while its instance lives", left)
    return None


def _orphan(action: Action, at: Circumstances) -> Refusal | None:
    """An interface without an owner is taken only when the sweeper has confirmed it."""
    if not isinstance(action, Detach | Delete) or action.cause is not Cause.ORPHAN:
        return None
    if action.eni_id in at.confirmed_orphans:
        return None
    return _wait(action, "not yet confirmed to be an orphan", ORPHAN_RETRY)


def _finalizer(action: Action, at: Circumstances) -> Refusal | None:
    """Nothing is made, or taken over, for an object that could vanish without telling us."""
    if not isinstance(action, Create | Adopt) or action.uid in at.finalized:
        return None
    return _wait(action, "the NodeENI has no finalizer yet", UNSEEN_FINALIZER_RETRY)


def _quota(action: Action, at: Circumstances) -> Refusal | None:
    if not isinstance(action, Create) or at.creates_paused_until <= at.now:
        return None
    return _wait(action, "a regional quota is used up", at.creates_paused_until - at.now)


def _one_at_a_time(action: Action, at: Circumstances) -> Refusal | None:
    """An edit that replaces interfaces does so on one node at a time for each NodeENI."""
    if not isinstance(action, Detach) or action.cause is not Cause.REPLACED:
        return None
    if not at.surveyed:
        return _wait(action, _UNSURVEYED, UNSURVEYED_RETRY)
    if action.uid not in at.before:
        return None
    return _wait(action, f"node {at.before[action.uid]} comes first", TURN_RETRY)


def _file_first(action: Action, at: Circumstances) -> Refusal | None:
    """The CNI file of a pods' network goes before its ENI. A node that is gone has none."""
    if not isinstance(action, Detach) or action.force or action.cause is Cause.NODE_GONE:
        return None
    due = at.files_due.get(action.eni_id, 0.0)
    if due <= 0:
        return None
    # One that is replaced has a row of its own, which says so already.
    reason = None if action.cause is Cause.REPLACED else RowReason.POD_NETWORK_ENDING
    message = "the node's ENI manager takes the CNI file of its pods' network away first"
    return Refusal.of(action, reason, message, due, event=None)


def _held(action: Action, at: Circumstances) -> Refusal | None:
    hold = at.holds.get(action.key)
    if hold is None or hold.action != action or hold.until <= at.now:
        return None
    return msgspec.structs.replace(hold.why, retry_after=hold.until - at.now)


def _wait(action: Action, message: str, retry_after: float) -> Refusal:
    """Of this no row tells, and no event: it passes by itself."""
    return Refusal.of(action, None, message, retry_after, event=None)


_UNSURVEYED = "not every node has been looked at since the start"

RULES: tuple[Callable[[Action, Circumstances], Refusal | None], ...] = (
    _unseen,
    _brake,
    _label_gone,
    _node_goes,
    _orphan,
    _finalizer,
    _quota,
    _one_at_a_time,
    _file_first,
    _held,
)

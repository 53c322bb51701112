"""What EC2's refusals taught this process, and for how long each lesson holds.

None of it is a record: a restart forgets it all and learns it again from EC2, at the price of a refused
call. Times are seconds on the monotonic clock.
"""

import math
import random
import time
from collections.abc import Callable, Iterable
from typing import TypeVar

import msgspec

from nodeeni.api.names import TAG_GENERATION, TAG_INSTANCE, TAG_UID
from nodeeni.api.reasons import RowReason
from nodeeni.api.v1alpha1 import NodeENI
from nodeeni.controller.causes import Causes, Waiter
from nodeeni.ec2.errors import EC2Error
from nodeeni.ec2.types import Instance, Interface
from nodeeni.plan.actions import Action, Attach, Create
from nodeeni.plan.policy import Hold
from nodeeni.plan.refusal import Refusal

SUBNET_AVOIDED = 60.0  # seconds: addresses come back one by one
INDEX_TAKEN = 60.0  # seconds: longer than EC2's listing of the instance lags
# Seconds until an ENI is made again for an instance that EC2 called full and that nothing has left since, the
# first time and in the end: what is attached may not be all that EC2 counts.
INSTANCE_FULL, FULL_LONGEST = 300.0, 21_600.0
FULL_KEPT = 5_000  # instances
GENERATIONS_KEPT = 5_000  # instances: 2 MB
QUOTA_PROBE = 60.0  # seconds between the single creates that probe a used-up quota

_Key = TypeVar("_Key")


def attachment_stage(interface: Interface | None) -> str:
    """`attaching`, `attached` or `detaching`; `available` without an attachment, `gone` for None."""
    if interface is None:
        return "gone"
    return interface.attachment.status if interface.attachment else "available"


class _Full:
    """An instance that EC2 called full; what hangs on it is what the first look after that shows."""

    def __init__(self, until: float, times: int) -> None:
        self.until = until
        self.times = times
        self.type: str | None = None
        self.attached = 0


class Memory:
    def __init__(self, read_lag: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._read_lag = read_lag
        self._clock = clock
        self._since: dict[str, float] = {}  # interface → when it came into its present state
        self._undone: set[str] = set()
        self._mismatches: dict[tuple[str, str], float] = {}
        self._holds: dict[str, dict[tuple[str, str], Hold]] = {}
        self._generations: dict[str, dict[str, int]] = {}  # instance → NodeENI uid → generation
        self._avoided_subnets: dict[str, float] = {}
        self._fragmented_subnets: dict[str, float] = {}
        self._taken: dict[tuple[str, int, int], float] = {}
        self._full: dict[str, _Full] = {}
        self.causes = Causes(self._let_try, self._let_go, self._explain, clock)
        self.creates_paused_until = 0.0
        self.quota_changed: Callable[[], None] = lambda: None
        self.again: Callable[[str], None] = lambda node: None  # has a node reconciled whose wait ended

    # -- holds ---------------------------------------------------------------------------------------

    def holds(self, node: str) -> dict[tuple[str, str], Hold]:
        return self._holds.get(node, {})

    def stops(self, action: Action) -> bool:
        """Whether the call waits for what others wait for: the hold says why."""
        why = self.causes.stops(action)
        if why is None:
            return False
        held = self._holds.setdefault(action.node, {})
        before = held.get(action.key)
        if before is None or before.action != action:
            held[action.key] = Hold(action=action, why=why, until=math.inf, attempts=0)
        else:
            held[action.key] = msgspec.structs.replace(before, until=math.inf)
        return True

    def failed(self, action: Action, error: EC2Error) -> Hold:
        """Remember a failed call by the retry rule of its class; the hold says when and what to report."""
        before = self.holds(action.node).get(action.key)
        attempts = before.attempts + 1 if before is not None and before.action == action else 1
        attempts = max(attempts, self.causes.failures(action, error) + 1)
        told = action.FAILED if attempts >= error.error_class.reported_after else None
        why = Refusal.of(action, error.reason, error.explanation, math.inf, told)
        until = math.inf
        if not self.causes.failed(action, error, why):
            delay = error.delay(attempts - 1, random.random())
            why, until = msgspec.structs.replace(why, retry_after=delay), self._clock() + delay
        hold = Hold(action=action, why=why, until=until, attempts=attempts)
        self._holds.setdefault(action.node, {})[action.key] = hold
        return hold

    def wait_until_shown(self, action: Action, seconds: float) -> None:
        """EC2 does not show everywhere yet what was done: a look is to show it, for `seconds` at most."""
        why = Refusal.of(action, None, "EC2 does not show it yet", seconds, event=None)
        hold = Hold(action=action, why=why, until=self._clock() + seconds, attempts=1)
        self._holds.setdefault(action.node, {})[action.key] = hold

    def shown(self, eni_id: str) -> None:
        for node, held in list(self._holds.items()):
            if any(
                isinstance(hold.action, Attach) and hold.action.eni_id == eni_id for hold in held.values()
            ):
                self._drop(
                    node, lambda hold: isinstance(hold.action, Attach) and hold.action.eni_id == eni_id
                )
                self.again(node)

    def succeeded(self, action: Action) -> None:
        """What was refused before is granted now: so it is for all that waited for the same."""
        if isinstance(action, Attach):
            self._full.pop(action.instance_id, None)
        self.causes.succeeded(action)
        self._drop(action.node, lambda hold: hold.action.key == action.key)

    def nodeeni_changed(self, old: NodeENI | None, new: NodeENI | None) -> None:
        """An edit is somebody's word to try again, also where the call stays the same."""
        if old is None or (new is not None and old.metadata.generation == new.metadata.generation):
            return
        uid = old.metadata.uid
        self.causes.spec_changed(uid)
        for node, held in list(self._holds.items()):
            if any(hold.action.uid == uid for hold in held.values()):
                self._drop(node, lambda hold: hold.action.uid == uid)
                self.again(node)

    def _let_try(self, waiter: Waiter) -> None:
        """Its hold goes on telling why, and holds no longer."""
        node, key = waiter
        hold = self.holds(node).get(key)
        if hold is not None:
            self._holds[node][key] = msgspec.structs.replace(hold, until=self._clock())
        self.again(node)

    def _let_go(self, waiter: Waiter) -> None:
        node, key = waiter
        self._drop(node, lambda hold: hold.action.key == key)
        self.again(node)

    def _explain(self, waiter: Waiter, why: Refusal) -> None:
        node, key = waiter
        hold = self.holds(node).get(key)
        if hold is not None and hold.why.event is None:
            why = Refusal.of(hold.action, why.reason, why.message, math.inf, hold.action.FAILED)
            self._holds[node][key] = msgspec.structs.replace(hold, why=why)
            self.again(node)

    def _drop(self, node: str, dropped: Callable[[Hold], bool]) -> None:
        held = self._holds.get(node, {})
        gone = [key for key, hold in held.items() if dropped(hold)]
        for key in gone:
            del held[key]
        if gone and not held:
            del self._holds[node]
        for key in gone:
            self.causes.left((node, key))

    def keep_holds(self, node: str, asked: Iterable[Action]) -> None:
        """Forget the failures of calls that are no longer asked for as they were."""
        wanted = {action.key: action for action in asked}
        self._drop(node, lambda hold: wanted.get(hold.action.key) != hold.action)

    # -- interfaces ----------------------------------------------------------------------------------

    def interface_changed(self, before: Interface | None, after: Interface | None) -> None:
        """A listener of the inventory: since when an interface is in its present state, and what is gone."""
        if after is not None:
            stage = attachment_stage(after)
            if attachment_stage(before) != stage:
                self._since[after.id] = self._clock()
            if stage == "attached":
                self._undone.discard(after.id)
        elif before is not None:
            self._since.pop(before.id, None)
            self._undone.discard(before.id)
            self._forget_token(before)

    def age(self, eni_id: str) -> float:
        """Seconds since the interface came into its present state, or was last detached by force."""
        return self._clock() - self._since.get(eni_id, self._clock())

    def forced(self, eni_id: str) -> None:
        """A forced detach was accepted: it gets as much time as the one before."""
        self._since[eni_id] = self._clock()

    def attach_undone(self, eni_id: str) -> None:
        """Its attach hung and was undone: that is done once, until an attach succeeds."""
        self._undone.add(eni_id)

    @property
    def undone(self) -> frozenset[str]:
        return frozenset(self._undone)

    # -- client tokens -------------------------------------------------------------------------------

    def generations(self, instance_id: str) -> dict[str, int]:
        """Generation of the client token by NodeENI uid, for one instance."""
        return dict(self._generations.get(instance_id, {}))

    def next_generation(self, uid: str, instance_id: str, used: int = 0) -> None:
        """The interface that the present token made is proved gone: the next Create makes a new one.

        One after another, so that a successor who goes through them comes by the one of a Create that was
        under way when we were killed: leaping over used ones was found to make a second interface. `used` is
        the generation that the interface itself tells of.
        """
        generations = self._generations.pop(instance_id, {})
        generations[uid] = max(generations.get(uid, 0), used) + 1
        self._generations[instance_id] = generations
        if len(self._generations) > GENERATIONS_KEPT:
            del self._generations[next(iter(self._generations))]  # the instance that changed longest ago

    def mismatch_is_old(self, action: Create, *, found: bool) -> bool:
        """Whether EC2 has refused the token for longer than its reads lag, and shows nothing made by it."""
        key = (action.uid, action.instance_id)
        if found:
            self._mismatches.pop(key, None)
            return False
        since = self._mismatches.setdefault(key, self._clock())
        if self._clock() - since < self._read_lag:
            return False
        del self._mismatches[key]
        return True

    def _forget_token(self, interface: Interface) -> None:
        """It is proved gone: the token that made it is spent."""
        uid, instance_id = interface.tags.get(TAG_UID), interface.tags.get(TAG_INSTANCE)
        told = interface.tags.get(TAG_GENERATION, "")
        if uid and instance_id:
            self.next_generation(uid, instance_id, int(told) if told.isdecimal() else 0)

    # -- lessons -------------------------------------------------------------------------------------

    def subnet_is_full(self, subnet_id: str) -> None:
        self._avoided_subnets[subnet_id] = self._clock() + SUBNET_AVOIDED

    def subnet_is_fragmented(self, subnet_id: str) -> None:
        self._fragmented_subnets[subnet_id] = self._clock() + SUBNET_AVOIDED

    def index_is_taken(self, instance_id: str, card: int, index: int) -> None:
        self._taken[instance_id, card, index] = self._clock() + INDEX_TAKEN

    def instance_is_full(self, instance_id: str) -> None:
        before = self._full.pop(instance_id, None)
        times = before.times + 1 if before is not None else 1
        until = self._clock() + min(INSTANCE_FULL * 2 ** (times - 1), FULL_LONGEST)
        self._full[instance_id] = _Full(until, times)
        if len(self._full) > FULL_KEPT:
            del self._full[next(iter(self._full))]  # the one learnt longest ago

    def quota_is_used_up(self) -> None:
        known, self.creates_paused_until = self.troubles(), self._clock() + QUOTA_PROBE
        if not known:
            self.quota_changed()

    def takes_turn(self, action: Action) -> bool:
        """Whether the call may be made now: after a pause one Create is let through, and the others wait for
        its outcome.
        """
        if not isinstance(action, Create):
            return True
        if self.creates_paused_until > self._clock():
            return False
        if self.creates_paused_until:
            self.creates_paused_until = self._clock() + QUOTA_PROBE
        return True

    def quota_is_free(self) -> None:
        known, self.creates_paused_until = self.troubles(), 0.0
        if known:
            self.quota_changed()

    def troubles(self) -> list[Refusal]:
        """What every NodeENI has to wait for that is to get an ENI: from one probe to the next, too."""
        if self.creates_paused_until + QUOTA_PROBE <= self._clock():
            return []
        message = "creating ENIs is paused: a quota of this region is used up; ask AWS to raise it"
        return [Refusal(reason=RowReason.QUOTA_EXCEEDED, message=message)]

    @property
    def avoided_subnets(self) -> frozenset[str]:
        self._avoided_subnets = self._current(self._avoided_subnets)
        return frozenset(self._avoided_subnets)

    @property
    def fragmented_subnets(self) -> frozenset[str]:
        self._fragmented_subnets = self._current(self._fragmented_subnets)
        return frozenset(self._fragmented_subnets)

    def taken_indexes(self, instance_id: str) -> frozenset[tuple[int, int]]:
        self._taken = self._current(self._taken)
        return frozenset((card, index) for where, card, index in self._taken if where == instance_id)

    def is_full(self, instance: Instance) -> bool:
        """Until something leaves it, it comes back as another type, or it is time to try once more."""
        learnt = self._full.get(instance.id)
        if learnt is None:
            return False
        attached = len(instance.slots) + instance.volumes
        if learnt.type is None:
            learnt.type, learnt.attached = instance.type, attached
        if instance.type != learnt.type or attached < learnt.attached:
            del self._full[instance.id]
            return False
        return learnt.until > self._clock()

    def _current(self, lessons: dict[_Key, float]) -> dict[_Key, float]:
        now = self._clock()
        return {key: until for key, until in lessons.items() if until > now}

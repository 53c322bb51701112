"""What nodes lost, and since when: how long a label may be away, and which removals the brake holds.

Plans tell it what they would take away by a sign alone; `plan/brake.py` says what is too much. Nothing of it
is recorded anywhere: what is missing when a leader starts counts as lost at that moment.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from collections.abc import Set as AbstractSet

import msgspec

from nodeeni.api.reasons import RowReason
from nodeeni.api.v1alpha1 import NodeENI
from nodeeni.controller.cluster import Cluster
from nodeeni.ec2.inventory import Inventory
from nodeeni.plan.brake import HeldRemoval, Loss, Sign, is_mass, why_held
from nodeeni.plan.desired import selects_alike
from nodeeni.plan.refusal import Refusal
from nodeeni.settings import Settings

log = logging.getLogger(__name__)

_HELD = frozenset({RowReason.REMOVAL_DELAYED, RowReason.REMOVAL_HELD})
_Key = tuple[str, Sign]  # uid of the NodeENI


class _Lost(msgspec.Struct, frozen=True):
    """`since`: seconds, monotonic."""

    node: str
    since: float


class _Losses:
    """Of one NodeENI by one sign, by interface: those that wait out a grace, those that are held, and those
    that nothing keeps any more, which are about to go.
    """

    def __init__(self) -> None:
        self.waiting: dict[str, _Lost] = {}
        self.held: dict[str, _Lost] = {}
        self.free: dict[str, _Lost] = {}
        self.until = 0.0  # of those held
        self._nodes: Counter[str] = Counter()  # of the first two

    def __bool__(self) -> bool:
        return bool(self.waiting or self.held or self.free)

    def get(self, eni_id: str) -> _Lost | None:
        return self.waiting.get(eni_id) or self.held.get(eni_id) or self.free.get(eni_id)

    def add(self, eni_id: str, lost: _Lost) -> None:
        self.waiting[eni_id] = lost
        self._nodes[lost.node] += 1

    def let_go(self, eni_ids: Iterable[str]) -> None:
        for eni_id in eni_ids:
            lost = self.waiting.pop(eni_id, None) or self.held.pop(eni_id, None)
            if lost is not None:
                self.free[eni_id] = lost
                self._uncount(lost)

    def drop(self, eni_id: str) -> None:
        lost = self.waiting.pop(eni_id, None) or self.held.pop(eni_id, None)
        if lost is not None:
            self._uncount(lost)
        self.free.pop(eni_id, None)

    def hold(self, delay: float) -> None:
        """All that wait."""
        self.until = max([self.until, *(lost.since + delay for lost in self.waiting.values())])
        self.held |= self.waiting
        self.waiting = {}

    @property
    def nodes(self) -> int:
        return len(self._nodes)

    def _uncount(self, lost: _Lost) -> None:
        self._nodes[lost.node] -= 1
        if not self._nodes[lost.node]:
            del self._nodes[lost.node]


class Brake:
    """`again(node)` has a node reconciled. `changed(uid)` is called when other removals of that NodeENI are
    held than before: it is one listener, set later. `left_out(uid)` gives the nodes that the last edit of a
    NodeENI left out. `wall` is the time for people, in seconds since 1970.
    """

    def __init__(
        self,
        settings: Settings,
        cluster: Cluster,
        inventory: Inventory,
        again: Callable[[str], None] = lambda node: None,
        left_out: Callable[[str], AbstractSet[str]] = lambda uid: frozenset(),
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._delays = {Sign.UNLABELLED: settings.mass_removal_delay, Sign.VANISHED: float("inf")}
        self._cluster = cluster
        self._inventory = inventory
        self._again = again
        self._left_out = left_out
        self._clock = clock
        self._wall = wall
        self._losses: dict[_Key, _Losses] = {}
        self._of_node: dict[str, set[tuple[_Key, str]]] = {}
        self._by_word: dict[str, set[str]] = {}  # uid → nodes that an edit of its selector left out
        self.changed: Callable[[str], None] = lambda uid: None

    # -- what plans find -----------------------------------------------------------------------------

    def note(self, node: str, lost: Iterable[Loss]) -> None:
        """All that this node's plan would take away by a sign."""
        before, now = self._of_node.pop(node, set()), set()
        grown: set[_Key] = set()
        for each in lost:
            key = (each.uid, each.sign)
            now.add((key, each.eni_id))
            known = self._losses.setdefault(key, _Losses())
            if known.get(each.eni_id) is None:
                known.add(each.eni_id, _Lost(node, self._clock()))
                grown.add(key)
            if self._is_by_word(node, each):
                known.let_go([each.eni_id])
        if now:
            self._of_node[node] = now
        for key, eni_id in before - now:
            self._drop(key, eni_id)
        for uid, nodes in list(self._by_word.items()):
            if node in nodes and not any(key == (uid, Sign.UNLABELLED) for key, _ in now):
                nodes.discard(node)
                if not nodes:
                    del self._by_word[uid]
        for key in grown:
            self._judge(key)

    def believe(self, nodeeni: NodeENI) -> None:
        """Hold what the controller's own status says that it holds, where this process saw too little of it:
        some of many that have come back already.
        """
        told = {e.eni_id: e.reason for e in nodeeni.status.attachments if e.reason in _HELD}
        for (uid, sign), lost in self._losses.items():
            if uid == nodeeni.metadata.uid and self._delays[sign] and told.keys() & lost.waiting.keys():
                lost.hold(self._delays[sign])

    def begin(self) -> None:
        """Every node has been looked at since the start: nothing is removed by a sign before."""
        for node in list(self._of_node):
            self._again(node)

    def unlabelled_for(self, node: str) -> dict[str, float]:
        """Seconds since each interface of the node is unwanted by its labels alone; none of an edit's."""
        return {
            eni_id: self._clock() - lost.since
            for key, eni_id in self._of_node.get(node, ())
            if key[1] is Sign.UNLABELLED
            and node not in self._by_word.get(key[0], ())
            and (lost := self._losses[key].get(eni_id)) is not None
        }

    def held(self, node: str) -> dict[str, Refusal]:
        """By interface of the node, why its removal is held."""
        found = {}
        for key, eni_id in self._of_node.get(node, ()):
            losses = self._losses[key]
            left = losses.until - self._clock()
            if eni_id in losses.held and left <= 0:
                self._let_go(key, "its time is over")
            elif eni_id in losses.held:
                found[eni_id] = why_held(key[1], left)
        return found

    def _is_by_word(self, node: str, loss: Loss) -> bool:
        return loss.sign is Sign.UNLABELLED and node in self._by_word.get(loss.uid, ())

    def _judge(self, key: _Key) -> None:
        losses, delay = self._losses[key], self._delays[key[1]]
        if losses.waiting and delay and is_mass(losses.nodes, self._inventory.count_of_nodeeni(key[0])):
            others = [lost.node for lost in losses.waiting.values()]
            losses.hold(delay)
            self.changed(key[0])
            for node in others:  # whose rows tell of a grace
                self._again(node)

    def _drop(self, key: _Key, eni_id: str) -> None:
        losses = self._losses.get(key)
        if losses is None:
            return
        was_held = eni_id in losses.held
        losses.drop(eni_id)
        if not losses:
            del self._losses[key]
        if was_held:
            self.changed(key[0])

    # -- what people say -----------------------------------------------------------------------------

    def nodeeni_changed(self, old: NodeENI | None, new: NodeENI | None) -> None:
        """A listener of the informer."""
        if old is not None and new is not None and not selects_alike(old.spec, new.spec):
            self.edited(new.metadata.uid, self._left_out(new.metadata.uid))

    def edited(self, uid: str, left_out: AbstractSet[str]) -> None:
        """Whom an edit of the selector leaves out goes at once."""
        losses = self._losses.get((uid, Sign.UNLABELLED))
        if losses is not None:
            left_out = left_out | {lost.node for lost in (*losses.waiting.values(), *losses.held.values())}
            self._let_go((uid, Sign.UNLABELLED), "the selector was edited")
        if left_out:
            self._by_word.setdefault(uid, set()).update(left_out)

    def release(self, uid: str, hold_id: str) -> bool:
        """Let the removal of that id go on; False where there is none."""
        for hold in self.holds(uid):
            if hold.id == hold_id:
                self._let_go((uid, hold.sign), f"released by its id {hold_id}")
                return True
        return False

    def _let_go(self, key: _Key, why: str) -> None:
        losses = self._losses[key]
        if losses.held:
            log.info("the removal of %d ENIs is held no longer: %s", len(losses.held), why)
        going = {**losses.waiting, **losses.held}
        had_held = bool(losses.held)
        losses.let_go(going)
        for lost in going.values():
            self._again(lost.node)
        if had_held:
            self.changed(key[0])

    # -- what is told --------------------------------------------------------------------------------

    def holds(self, uid: str) -> list[HeldRemoval]:
        """The removals of one NodeENI that are held, that of vanished Nodes first."""
        return list(self._holds(uid))

    def all_holds(self) -> list[HeldRemoval]:
        return [hold for uid in dict.fromkeys(uid for uid, _ in self._losses) for hold in self._holds(uid)]

    def told(self, uid: str) -> Refusal | None:
        """As the condition Degraded has it."""
        hold = next(self._holds(uid), None)
        return hold.told if hold is not None else None

    def is_letting_go(self, uid: str) -> bool:
        """Whether something of it that was held, or waited, has still to go."""
        return any(self._losses[key].free for key in self._losses if key[0] == uid)

    def _holds(self, uid: str) -> Iterator[HeldRemoval]:
        nodeeni = self._cluster.by_uid(uid)
        for sign in (Sign.VANISHED, Sign.UNLABELLED):
            losses = self._losses.get((uid, sign))
            if nodeeni is None or losses is None or not losses.held:
                continue
            yield HeldRemoval(
                sign=sign,
                nodeeni=nodeeni.metadata.name,
                nodes=tuple(sorted({lost.node for lost in losses.held.values()})),
                eni_ids=tuple(sorted(losses.held)),
                having=self._inventory.count_of_nodeeni(uid),
                until=self._until(losses.until),
            )

    def _until(self, when: float) -> str:
        if when == float("inf"):
            return ""
        at = self._wall() + when - self._clock()
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(round(at)))

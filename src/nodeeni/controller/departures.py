"""How an interface left its node: by our own call, with its instance, or by somebody else's hand.

The inventory tells that it left, and our own calls are known. For the rest EC2 is asked whether the instance
ends: what an instance takes along is nobody's doing, what else went without us is worth a warning.
"""

import asyncio
import logging
import time
from collections.abc import Callable

import msgspec

from nodeeni.api import names
from nodeeni.api.core import Node
from nodeeni.controller.announcer import Announcer, Departure
from nodeeni.controller.executor import Executor
from nodeeni.controller.memory import Memory, attachment_stage
from nodeeni.ec2.errors import EC2Error
from nodeeni.ec2.inventory import Inventory
from nodeeni.ec2.lookups import Lookups
from nodeeni.ec2.types import Interface
from nodeeni.plan.actions import Delete, Detach
from nodeeni.plan.observed import ENDS

log = logging.getLogger(__name__)


class _Doubt(msgspec.Struct, frozen=True):
    """An interface that left without a call of ours; `instance_id` is where it was, or was meant to be."""

    interface: Interface
    instance_id: str
    detached: bool
    deleted: bool


class Departures:
    """`settled_at`: until then what leaves may have been taken by the predecessor's last calls.

    `grace` are the seconds that the interfaces of a vanished Node are left to it. `node_of` tells whose an
    interface is.
    """

    def __init__(
        self,
        *,
        announcer: Announcer,
        executor: Executor,
        memory: Memory,
        inventory: Inventory,
        lookups: Lookups,
        node_of: Callable[[Interface], str],
        settled_at: float,
        grace: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._announcer = announcer
        self._executor = executor
        self._memory = memory
        self._inventory = inventory
        self._lookups = lookups
        self._node_of = node_of
        self._settled_at = settled_at
        self._grace = grace
        self._clock = clock
        self._detaching: set[str] = set()  # interfaces whose detach somebody else began
        self._doubts: asyncio.Queue[_Doubt] = asyncio.Queue()

    async def run(self) -> None:
        """Find out about what left without us, and tell, until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                group.create_task(self._find_out(await self._doubts.get()))

    def interface_changed(self, before: Interface | None, after: Interface | None) -> None:
        """A listener of the inventory."""
        was, now = attachment_stage(before), attachment_stage(after)
        if before is None or was == now:
            return
        begun_by_us = self._is_ours(Detach, before)
        if now == "detaching" and was == "attached" and not begun_by_us:
            self._detaching.add(before.id)
        elif now in ("attaching", "attached"):
            self._detaching.discard(before.id)
        elif now in ("available", "gone"):
            taken = before.id in self._detaching or (was == "attached" and not begun_by_us)
            self._detaching.discard(before.id)
            self._left(before, detached=was in ("attached", "detaching"), taken=taken, deleted=now == "gone")

    def node_changed(self, old: Node | None, new: Node | None) -> None:
        """A listener of the informer."""
        if old is None or new is not None:
            return
        name = old.metadata.name
        left = [i.id for i in self._inventory.of_node(name) if i.attachment is not None]
        if left:
            log.info(
                "node %s is gone: what it had (%s) goes with its instance, or is removed in %g s unless "
                "the Node comes back, or is held where many went",
                name,
                ", ".join(sorted(left)),
                self._grace,
                extra={"node": name},
            )

    def _left(self, before: Interface, *, detached: bool, taken: bool, deleted: bool) -> None:
        removed = deleted and not self._is_ours(Delete, before)
        if removed and not detached and self._inventory.never_shown(before.id):
            log.info("%s, which EC2 named for a new one, is gone since long: making another", before.id)
            return
        if detached and not taken:
            self._announcer.detached(before, Departure.OURS)
        if deleted and not removed:
            self._announcer.deleted(before, Departure.OURS)
        if taken or removed:
            place = (
                before.attachment.instance_id if before.attachment else before.tags.get(names.TAG_INSTANCE)
            )
            self._doubts.put_nowait(_Doubt(before, place or "", detached and taken, removed))

    def _is_ours(self, kind: type[Detach] | type[Delete], interface: Interface) -> bool:
        """Whether we have begun that call, or have begun it and do not know its outcome."""
        node, key = self._node_of(interface), (kind.__name__, interface.id)
        begun = {action.key for action in self._executor.under_way(node)}
        return self._clock() < self._settled_at or key in begun or key in self._memory.holds(node)

    async def _find_out(self, doubt: _Doubt) -> None:
        try:
            departure = await self._departure(doubt.instance_id)
        except EC2Error as error:
            log.debug("cannot look at instance %s: %s", doubt.instance_id, error)
            departure = Departure.OURS
        if doubt.detached:
            self._announcer.detached(doubt.interface, departure)
        if doubt.deleted:
            self._announcer.deleted(doubt.interface, departure)

    async def _departure(self, instance_id: str) -> Departure:
        self._lookups.invalidate_instance(instance_id)
        instance = await self._lookups.instance(instance_id)
        ended = instance is None or instance.state in ENDS
        return Departure.WITH_INSTANCE if ended else Departure.BY_SOMEBODY

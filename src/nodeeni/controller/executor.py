"""Acting: the only place that changes anything in EC2.

A reconcile hands over what its plan asks for; `sync` starts what is new, leaves what is under way and drops
what is no longer asked for while it still waits for its turn. Each action waits for a token of its bucket,
asks the fence (the lease) once more, makes one call (adoptions share theirs), and notes the outcome: in the
inventory what EC2 did, in the memory why it refused. Either way the node is reconciled again, which is what
continues the work.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Iterable, Sequence

from nodeeni.controller.adoption import Adoption
from nodeeni.controller.memory import Memory
from nodeeni.controller.together import Together
from nodeeni.ec2.buckets import Buckets, Urgency
from nodeeni.ec2.client import EC2Client
from nodeeni.ec2.errors import EC2Error, ErrorClass
from nodeeni.ec2.inventory import Inventory
from nodeeni.ec2.lookups import Lookups
from nodeeni.ec2.types import Action as EC2Action
from nodeeni.ec2.types import Attachment
from nodeeni.plan.actions import (
    Action,
    Adopt,
    Assign,
    Attach,
    Cause,
    Create,
    Delete,
    Detach,
    Modify,
    RemoveTags,
    SetTags,
    Unassign,
)
from nodeeni.plan.policy import Hold

log = logging.getLogger(__name__)

# Seconds in which EC2 counts as one that does not know everywhere what it has just made. An interface is
# looked for then before it is attached: one look for all of them costs less than a token each.
LAGS = 60.0
FAULT_RETRY = 10.0  # seconds
FENCED_RETRY = 2.0  # seconds: without the lease nothing is done; the process ends or gets it back

# What refuses a call, and not what it asks for: of many that share it, one tries again on behalf of all.
_OF_THE_CALL = (ErrorClass.THROTTLED, ErrorClass.UNKNOWN_OUTCOME, ErrorClass.CREDENTIALS)

OnFailure = Callable[[Action, EC2Error, Hold], None]


class _Work:
    """One action under way. `begun`: the call may have reached EC2, so it is not dropped any more."""

    def __init__(self, action: Action) -> None:
        self.action = action
        self.begun = False
        self.task: asyncio.Task[None] | None = None


class Executor:
    """`fence()` says whether this process may act; `again(node)` has the node reconciled."""

    def __init__(
        self,
        *,
        ec2: EC2Client,
        buckets: Buckets,
        inventory: Inventory,
        lookups: Lookups,
        memory: Memory,
        adoption: Adoption,
        fence: Callable[[], bool],
        again: Callable[[str], None],
        on_failure: OnFailure,
        on_adopted: Callable[[Adopt], None],
        expect_shown: Callable[[str], None],
        read_lag: float,
        concurrency: int,
    ) -> None:
        self._ec2 = ec2
        self._buckets = buckets
        self._inventory = inventory
        self._lookups = lookups
        self._memory = memory
        self._adoption = adoption
        self._fence = fence
        self._again = again
        self._on_failure = on_failure
        self._on_adopted = on_adopted
        self._expect_shown = expect_shown
        self._read_lag = read_lag
        self._lagged = float("-inf")  # time.monotonic(): when EC2 did not know one the last time
        self._calls = asyncio.Semaphore(concurrency)
        self._work: dict[str, dict[tuple[str, str], _Work]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._adoptions = Together[_Work](self._may_adopt, self._adopt)
        self._one_by_one: set[str] = set()  # interfaces that share no call: one that they shared was refused
        self._closed = False
        self.abandoned = 0

    def under_way(self, node: str) -> tuple[Action, ...]:
        """The actions of a node whose calls have begun."""
        return tuple(work.action for work in self._work.get(node, {}).values() if work.begun)

    def works_for(self, uid: str) -> bool:
        """Whether a call for the NodeENI has begun on any node."""
        return any(
            work.begun and work.action.uid == uid for works in self._work.values() for work in works.values()
        )

    def sync(self, node: str, actions: Iterable[Action]) -> None:
        """Make the node's work what the plan asks for, and no more."""
        if self._closed:
            return
        wanted = {action.key: action for action in actions}
        works = self._work.setdefault(node, {})
        for key, work in list(works.items()):
            if work.begun:
                continue
            if key in wanted:
                work.action = wanted[key]  # keeps its place in the bucket's queue
            elif work.task is not None:
                work.task.cancel()
                del works[key]
        missing = sum(isinstance(action, Create | Attach) for action in wanted.values())
        for key, action in wanted.items():
            if key not in works:
                self._start(works, _Work(action), missing)
        if not works:
            del self._work[node]

    def _start(self, works: dict[tuple[str, str], _Work], work: _Work, missing: int) -> None:
        works[work.action.key] = work
        work.task = asyncio.create_task(self._run(work, missing), name=f"{work.action.text}")
        self._tasks.add(work.task)
        work.task.add_done_callback(self._tasks.discard)

    async def _run(self, work: _Work, missing: int) -> None:
        node, key = work.action.node, work.action.key
        try:
            if not self._fence():
                await asyncio.sleep(FENCED_RETRY)
                return
            if self._memory.stops(work.action):
                return
            if isinstance(work.action, Adopt):
                await self._adoptions.join(self._sharing(work.action), work)
                return
            await self._buckets.spend(work.action.call, _priority(work.action, missing))
            async with self._calls:
                if not self._fence():
                    await asyncio.sleep(FENCED_RETRY)
                    return
                # What others heard meanwhile holds for those that are still here.
                if self._memory.stops(work.action) or not self._memory.takes_turn(work.action):
                    self._buckets.give_back(work.action.call)
                    return
                if self._is_unseen(work.action) and time.monotonic() < self._lagged + LAGS:
                    self._buckets.give_back(work.action.call)
                    self._wait_until_shown(work.action)
                    return
                if await self._is_unsure(work.action):
                    self._buckets.give_back(work.action.call)
                    return
                work.begun = True
                await self._call(work.action)
        except Exception:
            # A fault of ours, not of EC2: shown, and kept from becoming a loop.
            log.exception("cannot do: %s", work.action.text, extra={"node": node})
            await asyncio.sleep(FAULT_RETRY)
        finally:
            works = self._work.get(node, {})
            if works.get(key) is work:
                del works[key]
                if not works:
                    del self._work[node]
                self._again(node)

    async def _call(self, action: Action) -> None:
        try:
            await self._do(action)
        except EC2Error as error:
            await self._failed(action, error)
        else:
            self._memory.succeeded(action)
            log.info("did: %s", action.text, extra={"node": action.node, "nodeeni": action.nodeeni})

    async def _do(self, action: Action) -> None:
        match action:
            case Create():
                await self._create(action)
            case Attach():
                await self._attach(action)
            case Detach():
                await self._ec2.detach(action.attachment_id, force=action.force)
                if action.force:
                    self._memory.forced(action.eni_id)
                if action.cause is Cause.HANGS:
                    self._memory.attach_undone(action.eni_id)
                self._inventory.note_detaching(action.eni_id)
            case Delete():
                await self._ec2.delete(action.eni_id)
                self._inventory.note_deleted(action.eni_id)
            case Modify():
                await self._ec2.modify(action.eni_id, action.attribute, action.value, action.attachment_id)
                self._inventory.note_modified(action.eni_id, action.attribute, action.value)
            case Assign():
                added = await self._ec2.assign(action.eni_id, action.kind, action.count)
                self._inventory.note_addresses(action.eni_id, action.kind, added=added)
            case Unassign():
                await self._ec2.unassign(action.eni_id, action.kind, action.addresses)
                self._inventory.note_addresses(action.eni_id, action.kind, removed=action.addresses)
            case SetTags():
                await self._ec2.create_tags([action.eni_id], action.tags)
                self._note_tags(action)
            case RemoveTags():
                await self._ec2.delete_tags([action.eni_id], action.keys)
                self._inventory.note_tags(action.eni_id, dict.fromkeys(action.keys))

    async def _create(self, action: Create) -> None:
        interface = await self._ec2.create_interface(action.request)
        self._memory.quota_is_free()
        if not self._inventory.note_created(interface):
            # EC2 remembers the token, but the interface that it made is gone.
            self._memory.next_generation(action.uid, action.instance_id)

    async def _attach(self, action: Attach) -> None:
        attachment_id = await self._ec2.attach(
            action.eni_id,
            action.instance_id,
            action.device_index,
            action.network_card_index,
            action.values,
        )
        self._inventory.note_attaching(
            action.eni_id,
            Attachment(
                id=attachment_id,
                instance_id=action.instance_id,
                device_index=action.device_index,
                network_card_index=action.network_card_index,
                status="attaching",
                **{attribute.shown_as: value for attribute, value in action.values.items()},
            ),
        )

    # -- adoptions, many in a call -------------------------------------------------------------------

    def _sharing(self, action: Adopt) -> tuple[object, ...]:
        alone = action.eni_id if action.eni_id in self._one_by_one else ""
        return (action.uid, *sorted(action.tags.items()), alone)

    async def _may_adopt(self) -> None:
        await self._buckets.spend(EC2Action.CREATE_TAGS, (Urgency.REPAIR, 0))

    async def _adopt(self, waiting: Collection[_Work]) -> None:
        """Tag all of these at once. What EC2 refuses for one of them alone it refuses for all, and does not
        say for which: each has a call of its own then.
        """
        async with self._calls:
            fenced = not self._fence()
            works = [] if fenced else [work for work in waiting if not self._memory.stops(work.action)]
            actions = [work.action for work in works if isinstance(work.action, Adopt)]
            if actions:
                for work in works:
                    work.begun = True
                await self._tag_together(actions)
                return
        self._buckets.give_back(EC2Action.CREATE_TAGS)
        if fenced:
            await asyncio.sleep(FENCED_RETRY)

    async def _tag_together(self, actions: Sequence[Adopt]) -> None:
        try:
            await self._ec2.create_tags([action.eni_id for action in actions], actions[0].tags)
        except EC2Error as error:
            await self._adoption_failed(actions, error)
        else:
            for action in actions:
                self._adopted(action)

    async def _adoption_failed(self, actions: Sequence[Adopt], error: EC2Error) -> None:
        if len(actions) > 1 and error.error_class not in _OF_THE_CALL:
            self._one_by_one.update(action.eni_id for action in actions)
            return
        for action in actions:
            self._lookups.invalidate_launched(action.eni_id)
        await self._failed(actions[0], error)

    def _adopted(self, action: Adopt) -> None:
        self._memory.succeeded(action)
        self._one_by_one.discard(action.eni_id)
        log.info("did: %s", action.text, extra={"node": action.node, "nodeeni": action.nodeeni})
        if self._inventory.get(action.eni_id) is None:
            self._inventory.note_adopted(action.interface, action.tags)
        self._on_adopted(action)

    def _note_tags(self, action: SetTags) -> None:
        older = self._adoption.get(action.eni_id)
        if older is not None and self._inventory.get(action.eni_id) is None:
            self._inventory.note_adopted(older, action.tags)
            self._adoption.done(action.eni_id)
        else:
            self._inventory.note_tags(action.eni_id, action.tags)

    # -- refusals ------------------------------------------------------------------------------------

    async def _failed(self, action: Action, error: EC2Error) -> None:
        """Learn what the refusal says, and look again where it says that we did not know how things stand."""
        if await self._is_success(action, error):
            self._memory.succeeded(action)
            return
        if error.error_class is ErrorClass.GONE and self._is_unseen(action):
            self._lagged = time.monotonic()
            self._wait_until_shown(action)
            return
        hold = self._memory.failed(action, error)
        self._learn(action, error)
        self._on_failure(action, error, hold)
        if error.error_class is ErrorClass.TOKEN_MISMATCH and isinstance(action, Create):
            await self._find_by_tag(action)
        elif isinstance(action, Unassign) or (
            error.error_class.look_again and not isinstance(action, Create)
        ):
            await self._look_at(action.target)

    def _is_unseen(self, action: Action) -> bool:
        """Whether it attaches what EC2 has answered to be made, and has not shown yet."""
        return (
            isinstance(action, Attach)
            and not self._inventory.sightings(action.eni_id)
            and self._inventory.young(action.eni_id)
        )

    async def _is_unsure(self, action: Action) -> bool:
        """Whether it is not known how many addresses the interface has: to assign some once more would double
        those of a try whose answer was lost, or of a predecessor. Then it waits, or EC2 is asked.
        """
        wait = self._inventory.unsure_for(action.target) if isinstance(action, Assign | Unassign) else None
        if wait is None:
            return False
        if wait:
            self._memory.wait_until_shown(action, wait)
        else:
            await self._look_at(action.target)
            if self._inventory.unsure_for(action.target) is not None:  # EC2 did not answer
                self._memory.wait_until_shown(action, self._read_lag)
        return True

    def _wait_until_shown(self, action: Action) -> None:
        if isinstance(action, Attach):
            self._memory.wait_until_shown(action, self._read_lag)
            self._expect_shown(action.eni_id)

    async def _is_success(self, action: Action, error: EC2Error) -> bool:
        """Some refusals say that the work is done already; not that a new interface is not found yet."""
        gone = error.error_class is ErrorClass.GONE and not self._inventory.young(action.target)
        if isinstance(action, Delete) and gone:
            self._inventory.note_deleted(action.eni_id)
            return True
        if isinstance(action, Detach) and gone:
            self._inventory.note_detached(action.eni_id)
            return True
        if isinstance(action, Attach) and error.error_class in (ErrorClass.IN_USE, ErrorClass.INDEX_TAKEN):
            await self._look_at(action.eni_id)
            interface = self._inventory.get(action.eni_id)
            attachment = interface.attachment if interface else None
            return attachment is not None and attachment.instance_id == action.instance_id
        return False

    def _learn(self, action: Action, error: EC2Error) -> None:
        match error.error_class:
            case ErrorClass.THROTTLED:
                self._buckets.throttled(action.call)
            case ErrorClass.NO_ADDRESSES if isinstance(action, Create):
                self._memory.subnet_is_full(action.request.subnet_id)
                self._lookups.invalidate_subnet(action.request.subnet_id)
            case ErrorClass.NO_BLOCK if isinstance(action, Create):
                self._memory.subnet_is_fragmented(action.request.subnet_id)
            case ErrorClass.INDEX_TAKEN if isinstance(action, Attach):
                self._memory.index_is_taken(
                    action.instance_id, action.network_card_index, action.device_index
                )
                self._lookups.invalidate_instance(action.instance_id)
            case ErrorClass.FULL if isinstance(action, Attach):
                self._memory.instance_is_full(action.instance_id)
                self._lookups.invalidate_instance(action.instance_id)
            case ErrorClass.QUOTA:
                self._memory.quota_is_used_up()
            case ErrorClass.BAD_REFERENCE if isinstance(action, Create):
                self._forget_references(action.request.group_ids, action.request.subnet_id)
            case ErrorClass.BAD_REFERENCE if isinstance(action, Modify):
                self._forget_references(action.attribute.references(action.value))
            case ErrorClass.NOT_READY | ErrorClass.GONE if isinstance(action, Attach | Detach | Adopt):
                self._lookups.invalidate_instance(action.instance_id)
            case ErrorClass.UNKNOWN_OUTCOME if isinstance(action, Create | Adopt):
                self._inventory.note_uncertain(action.uid)
            case ErrorClass.UNKNOWN_OUTCOME if isinstance(action, Assign | Unassign):
                self._inventory.note_unsure(action.target)

    def _forget_references(self, group_ids: Iterable[str], subnet_id: str | None = None) -> None:
        for group_id in group_ids:
            self._lookups.invalidate_group(group_id)
        if subnet_id is not None:
            self._lookups.invalidate_subnet(subnet_id)

    async def _find_by_tag(self, action: Create) -> None:
        """The token made an interface with other parameters: find it by its tags. Only when EC2's reads have
        had time to show it, and show none, was it deleted since; then the next token makes a new one.
        """
        try:
            await self._inventory.refresh(uid=action.uid)
        except EC2Error as error:
            log.debug("cannot look for the interfaces of %s: %s", action.nodeeni, error)
            return
        found = any(
            interface.id in {known.id for known in self._inventory.of_nodeeni(action.uid)}
            for interface in self._inventory.of_instance(action.instance_id)
        )
        if self._memory.mismatch_is_old(action, found=found):
            self._memory.next_generation(action.uid, action.instance_id)

    async def _look_at(self, eni_id: str) -> None:
        try:
            await self._inventory.refresh_ids([eni_id])
        except EC2Error as error:
            log.debug("cannot look at %s: %s", eni_id, error)

    # -- the end -------------------------------------------------------------------------------------

    async def close(self, timeout: float) -> None:
        """Drop what waits, and give what has begun `timeout` seconds; `abandoned` counts what is left."""
        self._closed = True
        begun = {work.task for works in self._work.values() for work in works.values() if work.begun}
        for task in list(self._tasks):
            if task not in begun:
                task.cancel()
        if self._tasks:
            _, left = await asyncio.wait(set(self._tasks), timeout=timeout)
            self.abandoned = len(left)
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
        await self._adoptions.close()


def _priority(action: Action, missing: int) -> tuple[float, ...]:
    """The place in a bucket's queue, lowest first: repair, removal, then nodes that are nearly complete."""
    if isinstance(action, Create | Attach):
        return (Urgency.ATTACH, missing)
    if isinstance(action, SetTags):
        return (Urgency.REPAIR, 1)  # what is adopted comes first, by `_may_adopt`
    return (Urgency.REMOVAL,) if action.REMOVES else (Urgency.REPAIR,)

"""What the planner needs to know of EC2 besides interfaces: subnets, groups, instances, instance types.

Callers ask for one thing; those who ask within a few milliseconds share one describe, and answers are
kept for a stated time. The errors that prove an answer stale call the `invalidate_...` of it.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import msgspec

from nodeeni.ec2.client import MOST_FILTER_VALUES, EC2Client
from nodeeni.ec2.errors import EC2Error, ErrorClass
from nodeeni.ec2.types import Instance, InstanceType, Interface, SecurityGroup, Subnet, Unreadable, fits

_V = TypeVar("_V")
_N = TypeVar("_N", bound=Subnet | SecurityGroup)
Clock = Callable[[], float]


class Ages(msgspec.Struct, frozen=True):
    """For how many seconds an answer is good, and the consequence of its being old."""

    instances: float = 300  # a slot taken since then shows as index-taken, which invalidates
    subnets: float = 60  # free addresses: the fullest choice may be a minute old
    launched: float = 30  # one that did not fit and was mended is taken over this late
    groups: float = 300  # a group renamed since then is still found by its old name
    types: float = float("inf")
    negative: float = 30  # a subnet, group or instance that was made just now is found this late
    window: float = 0.002  # for so long askers gather: reconciles that begin together ask together
    gathering: float = 0.25  # at the most, while more of them come: nodes that are planned by and by
    remembered: float = 86_400  # so long are old answers of subnets and groups kept, for `known_...`
    tidied: float = 60  # this often are old answers thrown away: instances come and go for months


# What refuses the question, and not what it asks for: whoever asks hears the same.
_OF_THE_ACTION = (
    ErrorClass.UNKNOWN_OUTCOME,
    ErrorClass.CREDENTIALS,
    ErrorClass.DENIED,
    ErrorClass.THROTTLED,
    ErrorClass.REJECTED,
)


class _Batch(Generic[_V]):
    """Answers by key: those who ask together share a describe, and nobody's cancellation hurts others.

    While EC2 refuses, all who ask hear that at once, and it is asked ever more seldom, on behalf of them all;
    `answered` is called when it answers again.
    """

    def __init__(
        self,
        fetch: Callable[[Sequence[str]], Awaitable[dict[str, _V | Unreadable]]],
        age: float,
        ages: Ages,
        clock: Clock,
        remembered: float = 0.0,
    ) -> None:
        self._fetch = fetch
        self._hurried = False  # what is in the queue
        self._age = age
        self._remembered = remembered
        self._ages = ages
        self._clock = clock
        self._kept: dict[str, tuple[_V | Unreadable | None, float]] = {}  # answer, good until
        self._tidied_at = clock()
        self._asked: dict[str, asyncio.Future[_V | Unreadable | None]] = {}
        self._queue: dict[str, None] = {}  # in the order of asking
        self._flights: set[asyncio.Task[None]] = set()
        self._refused: EC2Error | None = None
        self._failures = 0  # in a row
        self._awaited: dict[str, None] = {}  # what was asked for since it is refused
        self._timer: asyncio.TimerHandle | None = None
        self.answered: Callable[[], None] = lambda: None

    async def get(self, key: str) -> _V | None:
        """The answer, None if EC2 knows no such thing. Raises EC2Error, which is not kept; one that cannot be
        read spoils this question alone.
        """
        kept = self._kept.get(key)
        if kept is not None and self._clock() < kept[1]:
            answer = kept[0]
        else:
            answer = await asyncio.shield(self._asked.get(key) or self._ask(key))
        if isinstance(answer, Unreadable):
            raise EC2Error(answer.action, "MalformedAnswer", answer.text)
        return answer

    def known(self, key: str, *, fresh: bool) -> _V | None:
        """The last answer, `fresh` or however old; None where there is none, or EC2 knew no such thing."""
        answer, until = self._kept.get(key, (None, 0.0))
        if isinstance(answer, Unreadable) or (fresh and self._clock() >= until):
            return None
        return answer

    def all_known(self, keys: Iterable[str], *, fresh: bool) -> list[_V] | None:
        """The same of each; None where one is not known."""
        found = [self.known(key, fresh=fresh) for key in dict.fromkeys(keys)]
        known = [value for value in found if value is not None]
        return known if len(known) == len(found) else None

    async def get_all(self, keys: Iterable[str]) -> list[_V]:
        distinct = tuple(dict.fromkeys(keys))
        self.expect(distinct)
        found = [await self.get(key) for key in distinct]
        return [value for value in found if value is not None]

    def expect(self, keys: Iterable[str], *, at_once: bool = False) -> None:
        """Ask now what somebody is going to want; what is known or asked already is not asked again.
        `at_once`: nobody else is waited for, since these are all.
        """
        now, before = self._clock(), len(self._queue)
        for key in keys:
            kept = self._kept.get(key)
            if key not in self._asked and (kept is None or now >= kept[1]):
                self._ask(key)
        self._hurried |= at_once and len(self._queue) > before

    def invalidate(self, key: str) -> None:
        """Forget the answer, and let none that is under way count as fresh."""
        self._kept.pop(key, None)
        if key not in self._queue:
            self._asked.pop(key, None)

    def invalidate_where(self, stale: Callable[[_V | None], bool]) -> None:
        """Forget the answers that are stale."""
        kept = ((key, value) for key, (value, _) in self._kept.items() if not isinstance(value, Unreadable))
        for key in [key for key, value in kept if stale(value)]:
            del self._kept[key]

    async def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        flights = list(self._flights)
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)

    def _ask(self, key: str) -> asyncio.Future[_V | Unreadable | None]:
        asked: asyncio.Future[_V | Unreadable | None] = asyncio.get_running_loop().create_future()
        if self._refused is not None:
            self._refuse(key, asked, self._refused)
            return asked
        self._asked[key] = asked
        self._queue[key] = None
        if len(self._queue) == 1:
            self._start(self._fly())
        return asked

    def _refuse(self, key: str, asked: asyncio.Future[_V | Unreadable | None], error: EC2Error) -> None:
        self._awaited[key] = None
        asked.set_exception(error.again(error.action))
        asked.exception()  # seen: who expects it does not wait

    def _start(self, flight: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(flight)
        self._flights.add(task)
        task.add_done_callback(self._flights.discard)

    async def _fly(self) -> None:
        await self._gather()
        keys, self._queue, self._hurried = list(self._queue), {}, False
        asked = {key: self._asked[key] for key in keys}
        try:
            for start in range(0, len(keys), MOST_FILTER_VALUES):
                part = keys[start : start + MOST_FILTER_VALUES]
                if self._refused is None:
                    await self._land(part, asked)
                else:  # the part before was: to ask for this one would be refused too
                    for key in part:
                        self._refuse(key, asked[key], self._refused)
        finally:
            for key, future in asked.items():
                future.cancel()
                self._forget(key, future)

    async def _gather(self) -> None:
        """Until nobody else comes to ask for one window, or enough have; not at all where it hurries."""
        loop = asyncio.get_running_loop()
        until, waiting = loop.time() + self._ages.gathering, 0
        while not self._hurried and waiting < len(self._queue) < MOST_FILTER_VALUES and loop.time() < until:
            waiting = len(self._queue)
            await asyncio.sleep(self._ages.window)

    async def _land(
        self, keys: Sequence[str], asked: dict[str, asyncio.Future[_V | Unreadable | None]]
    ) -> None:
        try:
            found = await self._fetch(keys)
        except Exception as error:  # whatever it is, those who asked are the ones to know
            if isinstance(error, EC2Error) and error.error_class in _OF_THE_ACTION:
                self._close(error, keys)
            for key in keys:
                asked[key].set_exception(error)
                asked[key].exception()  # seen: all who asked may have been cancelled
            return
        self._open()
        self._tidy(self._clock())
        current = [key for key in keys if self._forget(key, asked[key])]
        self._keep({key: found.get(key) for key in current})
        for key in keys:
            asked[key].set_result(found.get(key))

    def _keep(self, answers: Mapping[str, _V | Unreadable | None]) -> None:
        now = self._clock()
        until, soon = now + self._age, now + self._ages.negative
        for key, value in answers.items():
            good = value is not None and not isinstance(value, Unreadable)
            self._kept[key] = (value, until if good else soon)

    # -- while EC2 refuses -----------------------------------------------------------------------------

    def _close(self, error: EC2Error, keys: Iterable[str]) -> None:
        self._refused = error
        self._awaited.update(dict.fromkeys(keys))
        if self._timer is not None:
            self._timer.cancel()
        delay = error.delay(self._failures, random.random())
        self._failures += 1
        self._timer = asyncio.get_running_loop().call_later(delay, lambda: self._start(self._probe()))

    async def _probe(self) -> None:
        keys = list(self._awaited)[:MOST_FILTER_VALUES]
        try:
            found = await self._fetch(keys)
        except EC2Error as error:
            if error.error_class in _OF_THE_ACTION:
                self._close(error, keys)
                return
            found = {}  # it is answered: those who ask hear how
        else:
            self._keep({key: found.get(key) for key in keys})
        self._open()

    def _open(self) -> None:
        if self._refused is None:
            return
        self._refused, self._failures = None, 0
        self._awaited.clear()
        if self._timer is not None:
            self._timer.cancel()
        self.answered()

    def _tidy(self, now: float) -> None:
        if now >= self._tidied_at + self._ages.tidied:
            self._tidied_at = now
            self._kept = {key: kept for key, kept in self._kept.items() if now < kept[1] + self._remembered}

    def _forget(self, key: str, asked: asyncio.Future[_V | Unreadable | None]) -> bool:
        """True if that question was still the current one: it was not invalidated on the way."""
        current = self._asked.get(key) is asked
        if current:
            del self._asked[key]
        return current


class Lookups:
    """All methods raise EC2Error. `close` ends what is under way."""

    def __init__(self, client: EC2Client, *, ages: Ages | None = None, clock: Clock = time.monotonic) -> None:
        ages = ages or Ages()
        self._client = client
        self._clock = clock
        self._instances = _Batch(self._fetch_instances, ages.instances, ages, clock)
        self._types = _Batch(self._fetch_types, ages.types, ages, clock)
        self._launched = _Batch(self._fetch_launched, ages.launched, ages, clock)
        kept = ages.remembered
        self._subnets = _Batch(self._fetch_subnets, ages.subnets, ages, clock, kept)
        self._named_subnets = _Batch(self._fetch_named_subnets, ages.subnets, ages, clock, kept)
        self._groups = _Batch(self._fetch_groups, ages.groups, ages, clock, kept)
        self._named_groups = _Batch(self._fetch_named_groups, ages.groups, ages, clock, kept)
        self._usable_groups = _Batch(self._fetch_usable_groups, ages.groups, ages, clock)
        self.answered: Callable[[], None] = lambda: None  # called when EC2 answers what it refused before
        # Told of interfaces that were read, and when that began: they may be ours by now.
        self.seen: Callable[[list[Interface], float], None] = lambda interfaces, began: None
        for batch in self._batches:
            batch.answered = lambda: self.answered()

    @property
    def _batches(self) -> tuple["_Batch[Any]", ...]:
        by_id = (self._instances, self._types, self._subnets, self._launched, self._groups)
        return (*by_id, self._named_subnets, self._named_groups, self._usable_groups)

    async def instance(self, instance_id: str) -> Instance | None:
        return await self._instances.get(instance_id)

    def known_instance(self, instance_id: str) -> Instance | None:
        """As `instance` would give it without asking; None where it would ask, or EC2 knows none."""
        return self._instances.known(instance_id, fresh=True)

    async def instance_type(self, name: str) -> InstanceType | None:
        return await self._types.get(name)

    async def launched(self, eni_ids: Sequence[str]) -> list[Interface]:
        """Those of these interfaces that exist: what may have come with the launch of an instance."""
        return await self._launched.get_all(eni_ids)

    async def subnets(self, ids: Sequence[str], names: Sequence[str]) -> list[Subnet]:
        """Those that exist, by id and by tag `Name`, in whatever VPC: the planner says in which."""
        self.expect_subnets(ids, names)
        by_id, by_name = await self._subnets.get_all(ids), await self._named_subnets.get_all(names)
        return _distinct(by_id, by_name)

    async def groups(self, ids: Sequence[str], names: Sequence[str]) -> list[SecurityGroup]:
        """Those that exist, by id, and by group name or tag `Name`, in whatever VPC."""
        self.expect_groups(ids, names)
        by_id, by_name = await self._groups.get_all(ids), await self._named_groups.get_all(names)
        return _distinct(by_id, by_name)

    def known_subnets(self, ids: Sequence[str], names: Sequence[str], *, fresh: bool) -> list[Subnet] | None:
        """As `subnets` would give them without asking; None where it would ask. Not `fresh`: by the last
        answers, however old.
        """
        by_id = self._subnets.all_known(ids, fresh=fresh)
        by_name = self._named_subnets.all_known(names, fresh=fresh)
        return None if by_id is None or by_name is None else _distinct(by_id, by_name)

    def known_groups(
        self, ids: Sequence[str], names: Sequence[str], *, fresh: bool
    ) -> list[SecurityGroup] | None:
        """As above."""
        by_id = self._groups.all_known(ids, fresh=fresh)
        by_name = self._named_groups.all_known(names, fresh=fresh)
        return None if by_id is None or by_name is None else _distinct(by_id, by_name)

    def known_type(self, name: str) -> InstanceType | None:
        return self._types.known(name, fresh=True)

    async def usable_groups(self, pairs: Iterable[tuple[str, str]]) -> frozenset[tuple[str, str]]:
        """Of pairs of a VPC and a group those of which EC2 says that the group can be used in the VPC."""
        asked = {pair: " ".join(pair) for pair in pairs}
        self._usable_groups.expect(asked.values())
        return frozenset([pair for pair, key in asked.items() if await self._usable_groups.get(key)])

    def expect_instances(self, instance_ids: Iterable[str]) -> None:
        """These are going to be wanted: full describes of all of them, in this order."""
        self._instances.expect(instance_ids)

    def expect_subnets(self, ids: Sequence[str], names: Sequence[str], *, at_once: bool = False) -> None:
        """These are going to be wanted: the answer comes while other things are asked. `at_once`: these are
        all that many nodes will ask for.
        """
        self._subnets.expect(ids, at_once=at_once)
        self._named_subnets.expect(names, at_once=at_once)

    def expect_groups(self, ids: Sequence[str], names: Sequence[str], *, at_once: bool = False) -> None:
        self._groups.expect(ids, at_once=at_once)
        self._named_groups.expect(names, at_once=at_once)

    def expect_type(self, name: str) -> None:
        self._types.expect([name])

    def invalidate_instance(self, instance_id: str) -> None:
        self._instances.invalidate(instance_id)

    def invalidate_launched(self, eni_id: str) -> None:
        self._launched.invalidate(eni_id)

    def invalidate_subnet(self, subnet_id: str) -> None:
        """Also the names that lead to it."""
        self._subnets.invalidate(subnet_id)
        self._named_subnets.invalidate_where(
            lambda named: named is not None and any(subnet.id == subnet_id for subnet in named)
        )

    def invalidate_group(self, group_id: str) -> None:
        """Also the names that lead to it."""
        self._groups.invalidate(group_id)
        self._named_groups.invalidate_where(
            lambda named: named is not None and any(group.id == group_id for group in named)
        )
        self._usable_groups.invalidate_where(lambda usable: usable == group_id)

    async def close(self) -> None:
        for batch in self._batches:
            await batch.close()

    async def _fetch_instances(self, ids: Sequence[str]) -> dict[str, Instance | Unreadable]:
        left_out: list[Unreadable] = []
        found = await self._client.describe_instances(ids, left_out)
        return _answers(ids, {instance.id: instance for instance in found}, left_out)

    async def _fetch_launched(self, ids: Sequence[str]) -> dict[str, Interface | Unreadable]:
        left_out: list[Unreadable] = []
        began = self._clock()
        pages = self._client.describe_interfaces({"network-interface-id": ids}, left_out)
        found = [interface async for page in pages for interface in page]
        self.seen(found, began)
        return _answers(ids, {interface.id: interface for interface in found}, left_out)

    async def _fetch_types(self, names: Sequence[str]) -> dict[str, InstanceType | Unreadable]:
        left_out: list[Unreadable] = []
        found = await self._client.describe_instance_types(names, left_out)
        return _answers(names, {each.name: each for each in found}, left_out)

    async def _fetch_subnets(self, ids: Sequence[str]) -> dict[str, Subnet | Unreadable]:
        left_out: list[Unreadable] = []
        found = await self._client.describe_subnets({"subnet-id": ids}, left_out)
        return _answers(ids, {subnet.id: subnet for subnet in found}, left_out)

    async def _fetch_named_subnets(self, names: Sequence[str]) -> dict[str, list[Subnet] | Unreadable]:
        left_out: list[Unreadable] = []
        found = await self._client.describe_subnets({"tag:Name": names}, left_out)
        by_name = {name: [subnet for subnet in found if fits(name, subnet.name)] for name in names}
        return _answers(names, {name: fitting for name, fitting in by_name.items() if fitting}, left_out)

    async def _fetch_groups(self, ids: Sequence[str]) -> dict[str, SecurityGroup | Unreadable]:
        left_out: list[Unreadable] = []
        found = await self._client.describe_security_groups({"group-id": ids}, left_out)
        return _answers(ids, {group.id: group for group in found}, left_out)

    async def _fetch_named_groups(self, names: Sequence[str]) -> dict[str, list[SecurityGroup] | Unreadable]:
        left_out: list[Unreadable] = []
        by_group_name, by_tag = await asyncio.gather(
            self._client.describe_security_groups({"group-name": names}, left_out),
            self._client.describe_security_groups({"tag:Name": names}, left_out),
        )
        pairs = [(group.group_name, group) for group in by_group_name]
        found = _grouped([*pairs, *((group.name, group) for group in by_tag)], names)
        return _answers(names, found, left_out)

    async def _fetch_usable_groups(self, pairs: Sequence[str]) -> dict[str, str | Unreadable]:
        by_vpc: dict[str, list[str]] = {}
        for vpc_id, group_id in map(str.split, pairs):
            by_vpc.setdefault(vpc_id, []).append(group_id)
        answers: dict[str, str | Unreadable] = {}
        for vpc_id, ids in by_vpc.items():
            left_out: list[Unreadable] = []
            found = await self._client.groups_for_vpc(vpc_id, ids, left_out)
            told = _answers(ids, {group_id: group_id for group_id in found}, left_out)
            answers.update((f"{vpc_id} {group_id}", answer) for group_id, answer in told.items())
        return answers


def _answers(
    keys: Sequence[str], found: Mapping[str, _V], left_out: Sequence[Unreadable]
) -> dict[str, _V | Unreadable]:
    """By key; what cannot be read stands under each key that it is known by. One that is known by none may
    be any of those that are not found.
    """
    spoilt = {key: each for each in left_out for key in each.known_by if key in keys}
    nobodys = [each for each in left_out if not set(each.known_by) & set(keys)]
    missing = dict.fromkeys(set(keys) - found.keys(), nobodys[0]) if nobodys else {}
    return {**missing, **found, **spoilt}


def _grouped(pairs: Iterable[tuple[str, _V]], names: Sequence[str]) -> dict[str, list[_V]]:
    """By name, without the names that nothing has."""
    found: dict[str, list[_V]] = {}
    for name, value in pairs:
        if name in names:
            found.setdefault(name, []).append(value)
    return found


def _distinct(by_id: Iterable[_N], by_name: Iterable[Iterable[_N]]) -> list[_N]:
    found: dict[str, _N] = {}
    for each in (*by_id, *(one for named in by_name for one in named)):
        found.setdefault(each.id, each)
    return [*found.values()]

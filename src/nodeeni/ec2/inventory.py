"""The truth about the cluster's interfaces: EC2's answer by cluster tag, with our own writes laid over it.

One that lost our cluster tag, or carries another, is found by the uid of its NodeENI (`look_for`) or by its
id, and kept where `concerns` says so.

The reconcilers read it without a call (indexes are kept as it changes); the executor notes its writes
here; the waiter and the resync feed it reads. Listeners are told of each change and wake the nodes.
All times are seconds of the monotonic clock.
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet

from nodeeni.api.names import TAG_CLUSTER, TAG_INSTANCE, TAG_NODE, TAG_UID
from nodeeni.ec2.addresses import AddressKind
from nodeeni.ec2.attributes import Attribute, V
from nodeeni.ec2.client import EC2Client, Filters
from nodeeni.ec2.overlay import Record, Stage
from nodeeni.ec2.proofs import Proofs
from nodeeni.ec2.types import Attachment, Interface, Unreadable
from nodeeni.slices import in_slices

Listener = Callable[[Interface | None, Interface | None], None]

LAG = 60.0  # EC2 shows a write within about 30 s; twice that and it was undone by somebody else
GAP = 5.0  # two absences prove something only if they are this far apart


class _Index:
    """Ids of interfaces by one key; an interface may stand under several keys, or under none. Most nodes have
    one interface, which takes no collection of its own.
    """

    def __init__(self, keys: Callable[[Interface], set[str]]) -> None:
        self._keys = keys
        self._found: dict[str, str | dict[str, None]] = {}

    def get(self, key: str) -> Collection[str]:
        found = self._found.get(key, ())
        return (found,) if isinstance(found, str) else found

    def move(self, before: Interface | None, after: Interface | None) -> None:
        had = self._keys(before) if before is not None else set()
        has = self._keys(after) if after is not None else set()
        for key in had - has:
            self._drop(key, before.id if before is not None else "")
        for key in has - had:
            self._add(key, after.id if after is not None else "")

    def _add(self, key: str, eni_id: str) -> None:
        found = self._found.get(key)
        if found is None:
            self._found[key] = eni_id
        elif isinstance(found, str):
            self._found[key] = dict.fromkeys((found, eni_id))
        else:
            found[eni_id] = None

    def _drop(self, key: str, eni_id: str) -> None:
        found = self._found[key]
        if isinstance(found, str) or len(found) == 1:
            del self._found[key]
        else:
            del found[eni_id]


def _by_tag(tag: str) -> Callable[[Interface], set[str]]:
    return lambda interface: {interface.tags[tag]} if tag in interface.tags else set()


def _instances(interface: Interface) -> set[str]:
    """Where it is attached, and where it is meant to be: after a move by hand these are two."""
    found = _by_tag(TAG_INSTANCE)(interface)
    return found | {interface.attachment.instance_id} if interface.attachment else found


def _was_ours(interface: Interface, known: bool) -> bool:
    return known and not interface.tags.get(TAG_CLUSTER)


class Inventory:
    """All interfaces that carry the cluster tag with this cluster's id, or one of `former_ids`; and those
    others of which `concerns(interface, known)` is true, `known` where they were here before.

    `lag`: how long a read may not show a write of ours. `gap`: least time between two reads that both
    count, for an absence and for a sighting.
    """

    def __init__(
        self,
        client: EC2Client,
        cluster_id: str,
        former_ids: Iterable[str] = (),
        concerns: Callable[[Interface, bool], bool] = _was_ours,
        *,
        lag: float = LAG,
        gap: float = GAP,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.gap = gap
        self._unread: list[Unreadable] = []
        self.last_refresh: float | None = None  # end of the last read of all interfaces
        self._client = client
        self._cluster_ids = (cluster_id, *former_ids)
        self._concerns = concerns
        self._lag = lag
        self._clock = clock
        self._records: dict[str, Record] = {}
        self._tombstones: dict[str, float] = {}  # reads begun up to then do not raise that interface
        self._never_shown: set[str] = set()  # of those
        self._readings = 0  # under way
        self._shown: dict[str, Interface] = {}  # by those, of what is not known yet
        self._nodes = _Index(lambda interface: {interface.tags.get(TAG_NODE, "")})
        self._instances = _Index(_instances)
        self._nodeenis = _Index(_by_tag(TAG_UID))
        self._listeners: list[Listener] = []
        self._proofs = Proofs(gap)

    # Looking

    def get(self, eni_id: str) -> Interface | None:
        record = self._records.get(eni_id)
        return record.view if record else None

    def all(self) -> list[Interface]:
        return [record.view for record in self._records.values()]

    def of_node(self, node_name: str) -> list[Interface]:
        """By tag `Node`; those without it where the name is empty."""
        return self._views(self._nodes.get(node_name))

    def of_instance(self, instance_id: str) -> list[Interface]:
        """Attached to that instance, or made for it."""
        return self._views(self._instances.get(instance_id))

    def unread(self, node_name: str, instance_id: str) -> list[Unreadable]:
        """Interfaces of that node that EC2 shows, and that nobody has ever been able to read."""
        return [
            each
            for each in self._unread
            if each.node == node_name or (instance_id and each.instance_id == instance_id)
        ]

    def of_nodeeni(self, uid: str) -> list[Interface]:
        return self._views(self._nodeenis.get(uid))

    def count_of_nodeeni(self, uid: str) -> int:
        return len(self._nodeenis.get(uid))

    def sightings(self, eni_id: str) -> int:
        """Reads, `gap` apart, that showed it; 0 for one that is known from our own Create alone."""
        record = self._records.get(eni_id)
        return record.sightings if record else 0

    def young(self, eni_id: str) -> bool:
        """Whether we made it so lately that EC2 may not know it everywhere: NotFound proves nothing yet."""
        record = self._records.get(eni_id)
        return (
            record is not None
            and record.created_at is not None
            and self._clock() < record.created_at + self._lag
        )

    def absent(self, eni_id: str) -> bool:
        """Whether the last covering read lacked it; another one that does, `gap` later, removes it."""
        record = self._records.get(eni_id)
        return record is not None and record.absent_at is not None

    def removed(self, eni_id: str) -> bool:
        """Whether it was ours and is proved gone, lately enough that EC2 may still show it somewhere."""
        return eni_id in self._tombstones and eni_id not in self._records

    def never_shown(self, eni_id: str) -> bool:
        """Whether no read showed what is gone: a client token gave the answer of long ago, as a rule."""
        return eni_id in self._never_shown

    def confirmed_empty(self, uid: str, since: float, settled_at: float = math.inf) -> int:
        """How many reads begun after `since` showed that no interface of that NodeENI is left; 0 while one is
        known. They are `gap` apart, but where each Create of it was answered and each Delete acknowledged,
        and a read after `settled_at` listed what others may have made.

        A read that showed one, or that began within the lag of a Create whose outcome is not known, makes
        all reads up to it count nothing.
        """
        return 0 if self.count_of_nodeeni(uid) else self._proofs.count(uid, since, settled_at)

    def listed(self, uid: str, since: float) -> bool:
        """Whether a read begun after `since` listed all of that NodeENI but what our calls told us of."""
        return self._proofs.listed(uid, since)

    def accounted(self, uid: str, since: float) -> bool:
        """Whether the last of what was listed then, or made since, went by a Delete that was acknowledged."""
        return self._proofs.accounted(uid, since)

    def add_listener(self, listener: Listener) -> None:
        """`listener(before, after)` is called at each change, in the midst of it: it must only take note.

        Also, with both the same, when an interface becomes `absent` and when it is back.
        """
        self._listeners.append(listener)

    # Reading EC2

    async def refresh(self, *, uid: str | None = None) -> None:
        """Read all interfaces of the cluster, or those of one NodeENI. After an EC2Error nothing counts.

        One that cannot be read is there all the same: what is known of it stays as it is.
        """
        filters: dict[str, Sequence[str]] = {f"tag:{TAG_CLUSTER}": self._cluster_ids}
        if uid is not None:
            filters = {f"tag:{TAG_UID}": [uid]}
        began = self._clock()
        unread: list[Unreadable] = []
        found = [interface async for page in self._pages(filters, unread) for interface in page]
        shown = {i.id async for i in in_slices(found) if self._sighted(i, began)}
        if uid is not None:
            self._count(shown, began, unread, uid=uid)
            return
        tagged, otherwise_tagged = list[str](), list[str]()
        async for eni_id, record in in_slices(list(self._records.items())):
            (tagged if self._is_tagged(record.seen) else otherwise_tagged).append(eni_id)
        self._count(shown, began, unread, tagged=tagged)
        if otherwise_tagged:
            await self.refresh_ids(sorted(otherwise_tagged))
        self.last_refresh = self._clock()

    async def refresh_and_look_for(self, uids: Collection[str]) -> None:
        """Both at once: each has pages to wait for."""
        looking = asyncio.ensure_future(self.look_for(uids))
        try:
            await self.refresh()
            await looking
        finally:  # one that fails leaves none behind that is still asking
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)

    async def look_for(self, uids: Collection[str]) -> None:
        """Find what carries the uid of one of these NodeENIs, whatever cluster tag it has: a paginated
        describe for every 200 of them. It proves nothing of what it does not show."""
        if not uids:
            return
        began, unread = self._clock(), list[Unreadable]()
        filters = {f"tag:{TAG_UID}": sorted(uids)}
        found = [interface async for page in self._pages(filters, unread) for interface in page]
        shown = {i.id async for i in in_slices(found) if self._sighted(i, began)}
        self._count(shown, began, unread, asked_ids=())

    async def refresh_ids(self, eni_ids: Sequence[str]) -> None:
        """Read certain interfaces; absences among them count."""
        began = self._clock()
        filters, unread = {"network-interface-id": eni_ids}, list[Unreadable]()
        found = [interface async for page in self._pages(filters, unread) for interface in page]
        self.observe(found, began, unread, asked_ids=eni_ids)

    def observe(
        self,
        interfaces: Iterable[Interface],
        began: float,
        unread: Iterable[Unreadable] = (),
        *,
        asked_ids: Iterable[str] | None = None,
        uid: str | None = None,
    ) -> None:
        """Take in a complete read begun at `began`: of `asked_ids`, of one NodeENI, or of all interfaces."""
        shown = {interface.id for interface in interfaces if self._sighted(interface, began)}
        tagged = list[str]()
        if asked_ids is None and uid is None:
            tagged = [eni_id for eni_id, record in self._records.items() if self._is_tagged(record.seen)]
        self._count(shown, began, unread, asked_ids=asked_ids, uid=uid, tagged=tagged)

    def _count(
        self,
        shown: AbstractSet[str],
        began: float,
        unread: Iterable[Unreadable],
        *,
        asked_ids: Iterable[str] | None = None,
        uid: str | None = None,
        tagged: Iterable[str] = (),
    ) -> None:
        """What a read proves that showed these of ours, which were taken in; one of all covers `tagged`."""
        there = shown | {each.id for each in unread}
        self._note_unread(unread, began, whole=asked_ids is None and uid is None)
        covered = asked_ids
        if covered is None:
            covered = tagged if uid is None else [interface.id for interface in self.of_nodeeni(uid)]
        for eni_id in covered:
            if eni_id not in there and eni_id in self._records:
                self._missed(eni_id, began)
        # One of which nobody knows whose it is may be anybody's: such a read proves nobody to be without.
        if asked_ids is None and all(each.uid or each.id in self._records for each in unread):
            self._count_read(began, uid)

    # Noting our own writes: each is called when EC2 has answered that the call was done

    def note_created(self, interface: Interface) -> bool:
        """Our Create was answered with this interface (perhaps one that an earlier try had made).

        False if it is known to be gone: EC2 remembers a client token for longer than the interface lived,
        and the next generation of the token is called for.
        """
        if interface.id in self._tombstones:
            return False
        if interface.id not in self._records:
            self._add(interface.id, Record(interface, created_at=self._clock()))
        return True

    def note_adopted(self, interface: Interface, tags: Mapping[str, str]) -> None:
        """Our CreateTags made an interface of somebody else's ours."""
        record = Record(interface, created_at=self._clock())
        record.tags_write(self._clock(), dict(tags))
        self._add(interface.id, record)

    def note_uncertain(self, uid: str) -> None:
        """A Create for that NodeENI got no answer: for the time of the lag no read is sure to show it."""
        self._proofs.uncertain(uid, self._clock() + self._lag)

    def note_attaching(self, eni_id: str, attachment: Attachment) -> None:
        self._attachment_reached(eni_id, Stage.ATTACHING, attachment)

    def note_attached(self, eni_id: str) -> None:
        """Evidence from outside, such as the node's report that the link is there."""
        self._attachment_reached(eni_id, Stage.ATTACHED)

    def note_detaching(self, eni_id: str) -> None:
        self._attachment_reached(eni_id, Stage.DETACHING)

    def note_detached(self, eni_id: str) -> None:
        """EC2 said that there is no such attachment (any more)."""
        self._attachment_reached(eni_id, Stage.DETACHED)

    def note_deleted(self, eni_id: str) -> None:
        """Our Delete was done; reads that lag do not bring the interface back."""
        record = self._records.get(eni_id)
        if record is not None:
            self._proofs.deleted(record.view.tags.get(TAG_UID, ""), self._clock())
            self._remove(eni_id, until=self._clock() + self._lag)

    def note_modified(self, eni_id: str, attribute: Attribute[V], value: V) -> None:
        """An attribute that we changed."""
        record = self._records.get(eni_id)
        if record is not None:
            before = record.view
            record.attribute_write(self._clock(), attribute, value)
            self._changed(before, record.view)

    def note_addresses(
        self,
        eni_id: str,
        kind: AddressKind,
        *,
        added: tuple[str, ...] = (),
        removed: tuple[str, ...] = (),
    ) -> None:
        """Addresses that EC2 assigned, or took back, for us."""
        record = self._records.get(eni_id)
        if record is not None:
            before = record.view
            record.addresses_write(self._clock(), kind, added, removed)
            self._changed(before, record.view)

    def note_unsure(self, eni_id: str) -> None:
        """A call about its addresses got no answer: for the time of the lag no read is sure to show it."""
        record = self._records.get(eni_id)
        if record is not None:
            record.is_unsure(self._clock() + self._lag)

    def unsure_for(self, eni_id: str) -> float | None:
        """Seconds until a read shows for sure how many addresses it has; None: they are known."""
        record = self._records.get(eni_id)
        if record is None or record.unsure_until == float("-inf"):
            return None
        return max(0.0, record.unsure_until - self._clock())

    def note_tags(self, eni_id: str, tags: Mapping[str, str | None]) -> None:
        """Tags that we set, or took away where the value is None."""
        record = self._records.get(eni_id)
        if record is not None and tags:
            before = record.view
            record.tags_write(self._clock(), dict(tags))
            self._changed(before, record.view)

    # Within

    def _views(self, eni_ids: Iterable[str]) -> list[Interface]:
        return [self._records[eni_id].view for eni_id in eni_ids]

    async def _pages(self, filters: Filters, unread: list[Unreadable]) -> AsyncIterator[list[Interface]]:
        """Of what a reading under way has shown already, or one before, no second copy."""
        self._readings += 1
        try:
            async for page in self._client.describe_interfaces(filters, unread):
                yield [self._one_copy(interface) for interface in page]
        finally:
            self._readings -= 1
            if not self._readings:
                self._shown.clear()

    def _one_copy(self, interface: Interface) -> Interface:
        record = self._records.get(interface.id)
        known = record.seen if record else self._shown.setdefault(interface.id, interface)
        return known if known == interface else interface

    def _note_unread(self, unread: Iterable[Unreadable], began: float, *, whole: bool) -> None:
        for each in unread:
            if each.uid:
                self._proofs.shown(each.uid, began)
        if whole:
            self._unread = [each for each in unread if each.id not in self._records]
        elif self._unread:
            self._unread = [each for each in self._unread if each.id not in self._records]

    def _is_tagged(self, interface: Interface) -> bool:
        """Whether a read by cluster tag shows it."""
        return interface.tags.get(TAG_CLUSTER) in self._cluster_ids

    def _is_ours(self, interface: Interface) -> bool:
        record = self._records.get(interface.id)
        if self._is_tagged(interface) or (record is not None and record.has_tags_pending()):
            return True
        return self._concerns(interface, record is not None)

    def _sighted(self, interface: Interface, began: float) -> bool:
        """Whether it is ours, in which case it was taken in."""
        if not self._is_ours(interface):
            return False
        uid = interface.tags.get(TAG_UID)
        if uid is not None:
            self._proofs.shown(uid, began)
        if began <= self._tombstones.get(interface.id, float("-inf")):
            return True
        record = self._records.get(interface.id)
        if record is None:
            record = Record(interface, unsure_until=self._clock() + self._lag)
            record.read(interface, began, self._lag, self.gap)
            self._add(interface.id, record)
            return True
        before, was_absent = record.view, record.absent_at is not None
        record.read(interface, began, self._lag, self.gap)
        self._changed(before, record.view, always=was_absent)
        return True

    def _missed(self, eni_id: str, began: float) -> None:
        record = self._records[eni_id]
        was_absent = record.absent_at is not None
        if record.missing(began, self._lag, self.gap):
            self._proofs.vanished(record.view.tags.get(TAG_UID, ""), self._clock())
            self._remove(eni_id, until=began)
        elif record.absent_at is not None and not was_absent:
            self._changed(record.view, record.view, always=True)

    def _attachment_reached(self, eni_id: str, stage: Stage, attachment: Attachment | None = None) -> None:
        record = self._records.get(eni_id)
        if record is None:
            return
        before = record.view
        attachment = attachment or before.attachment
        if attachment is None:
            return
        record.attachment_write(self._clock(), stage, attachment)
        self._changed(before, record.view)

    def _count_read(self, began: float, uid: str | None) -> None:
        self._proofs.read(began, uid)
        if uid is None:
            # Twice the lag: a read that began before the tombstone was set may still be under way.
            self._tombstones = {
                eni_id: until for eni_id, until in self._tombstones.items() if until > began - 2 * self._lag
            }
            self._never_shown &= self._tombstones.keys()

    def _add(self, eni_id: str, record: Record) -> None:
        earlier = self._records.get(eni_id)
        self._records[eni_id] = record
        self._changed(earlier.view if earlier else None, record.view)

    def _remove(self, eni_id: str, *, until: float) -> None:
        self._tombstones[eni_id] = until
        if not self._records[eni_id].sightings:
            self._never_shown.add(eni_id)
        self._changed(self._records.pop(eni_id).view, None)

    def _changed(self, before: Interface | None, after: Interface | None, *, always: bool = False) -> None:
        if before is not after:
            for index in (self._nodes, self._instances, self._nodeenis):
                index.move(before, after)
        elif not always:
            return
        for listener in self._listeners:
            listener(before, after)

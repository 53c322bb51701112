"""Reads lag writes: what one interface looks like while EC2 does not show our own writes yet.

A `Record` keeps what EC2 last showed and lays over it the writes that EC2 has confirmed to us but not
shown. A write leaves the overlay when a read begun after it shows it, or when it is older than the lag:
then what EC2 shows is the truth, since somebody else must have changed it. Pure: times are handed in.
"""

from enum import IntEnum
from typing import Any, Protocol

from msgspec.structs import replace

from nodeeni.api.packed import Packed
from nodeeni.ec2.addresses import AddressKind
from nodeeni.ec2.attributes import Attribute, V
from nodeeni.ec2.types import Attachment, Interface


class Stage(IntEnum):
    """How far one attachment has come; it never goes back."""

    BEFORE = 0
    ATTACHING = 1
    ATTACHED = 2
    DETACHING = 3
    DETACHED = 4


_NEVER = float("-inf")  # one for thousands of records

_STAGES = {"attaching": Stage.ATTACHING, "attached": Stage.ATTACHED, "detaching": Stage.DETACHING}
_STATUS = {
    Stage.ATTACHING: ("attaching", "in-use"),
    Stage.ATTACHED: ("attached", "in-use"),
    Stage.DETACHING: ("detaching", "detaching"),
}


class Write(Protocol):
    """One write of ours; `at` is when EC2 had answered it."""

    at: float

    def shown(self, read: Interface, began: float, lag: float) -> bool:
        """Whether that read, begun at `began`, shows this write, or a later state."""

    def apply(self, view: Interface) -> Interface:
        """The interface with this write done."""


class AttachmentWrite:
    """That one attachment has reached a stage.

    An interface that is not attached may be one that EC2 does not show as attached *yet*, or one that is
    attached *no more*: the latter only once that attachment has been seen, or must have been.
    """

    def __init__(
        self, at: float, stage: Stage, attachment: Attachment, seen: Interface, earlier: Write | None
    ) -> None:
        self.at = at
        self._stage = stage
        self._attachment = attachment
        self._begun_at = at
        shown = seen.attachment
        self._was_shown = shown is not None and shown.id == attachment.id
        self._past = frozenset({shown.id} - {attachment.id}) if shown is not None else frozenset()
        if not isinstance(earlier, AttachmentWrite):
            return
        self._past |= earlier._past
        if earlier._attachment.id == attachment.id:
            self._begun_at = earlier._begun_at
        else:
            self._past |= {earlier._attachment.id}

    def shown(self, read: Interface, began: float, lag: float) -> bool:
        same = read.attachment is not None and read.attachment.id == self._attachment.id
        self._was_shown = self._was_shown or same or began > self._begun_at + lag
        return self._stage_of(read) >= self._stage

    def apply(self, view: Interface) -> Interface:
        if self._stage_of(view) >= self._stage:
            return view
        if self._stage is Stage.DETACHED:
            return replace(view, attachment=None, status="available")
        base = view.attachment
        if base is None or base.id != self._attachment.id:
            base = self._attachment
        attachment_status, status = _STATUS[self._stage]
        return replace(view, status=status, attachment=replace(base, status=attachment_status))

    def _stage_of(self, shown: Interface) -> Stage:
        attachment = shown.attachment
        if attachment is None:
            return Stage.DETACHED if self._was_shown else Stage.BEFORE
        if attachment.id == self._attachment.id:
            return _STAGES.get(attachment.status, Stage.ATTACHED)
        return Stage.BEFORE if attachment.id in self._past else Stage.DETACHED


class AttributeWrite:
    """The value of one attribute; of an attachment, as long as it is that one."""

    def __init__(self, at: float, attribute: Attribute[V], value: V, attachment_id: str) -> None:
        self.at = at
        self._attribute: Attribute[Any] = attribute
        self._value: Any = value
        self._attachment_id = attachment_id

    def shown(self, read: Interface, began: float, lag: float) -> bool:
        return self._concerns(read) and not self._attribute.differs(read, self._value)

    def apply(self, view: Interface) -> Interface:
        return self._attribute.written(view, self._value) if self._concerns(view) else view

    def _concerns(self, interface: Interface) -> bool:
        if not self._attribute.of_attachment:
            return True
        return interface.attachment is not None and interface.attachment.id == self._attachment_id


class AddressesWrite:
    """Addresses of one kind that were assigned or given back; writes that are not shown yet add up."""

    def __init__(
        self,
        at: float,
        kind: AddressKind,
        added: tuple[str, ...],
        removed: tuple[str, ...],
        earlier: Write | None,
    ) -> None:
        self.at = at
        self._kind = kind
        self._added, self._removed = added, removed
        if isinstance(earlier, AddressesWrite):
            self._added = (*(each for each in earlier._added if each not in removed), *added)
            self._removed = (*(each for each in earlier._removed if each not in added), *removed)

    def shown(self, read: Interface, began: float, lag: float) -> bool:
        held = set(self._kind.on(read))
        return held.issuperset(self._added) and held.isdisjoint(self._removed)

    def apply(self, view: Interface) -> Interface:
        return self._kind.written(view, self._added, self._removed)


class TagsWrite:
    """Tags set, or taken away where the value is None; writes that are not shown yet add up."""

    def __init__(self, at: float, tags: dict[str, str | None], earlier: Write | None = None) -> None:
        self.at = at
        self._tags: dict[str, str | None] = dict(tags)
        if isinstance(earlier, TagsWrite):
            self._tags = {**earlier._tags, **tags}

    def shown(self, read: Interface, began: float, lag: float) -> bool:
        return all(read.tags.get(key) == value for key, value in self._tags.items())

    def apply(self, view: Interface) -> Interface:
        merged = {**view.tags, **self._tags}
        return replace(view, tags=Packed({key: value for key, value in merged.items() if value is not None}))


class Record:
    """One interface: what EC2 last showed as `seen`, our writes on top, and the two together as `view`."""

    __slots__ = (
        "_known_since",
        "_read_at",
        "_unsure_until",
        "_writes",
        "absent_at",
        "created_at",
        "seen",
        "sighted_at",
        "sightings",
        "view",
    )

    def __init__(
        self, seen: Interface, *, created_at: float | None = None, unsure_until: float = _NEVER
    ) -> None:
        self.view = seen
        self.created_at = created_at  # when our own Create was answered
        self.absent_at: float | None = None  # begin of the first covering read that lacked it
        self.sightings = 0
        self.sighted_at = _NEVER
        self.seen = seen
        self._read_at = _NEVER
        self._known_since = created_at
        self._unsure_until = unsure_until
        self._writes: dict[str, Write] | None = None  # as a rule

    def read(self, shown: Interface, began: float, lag: float, gap: float) -> None:
        """A read begun at `began` showed this interface; an older one than the last counts nothing."""
        if began < self._read_at:
            return
        self._read_at = began
        self._known_since = began if self._known_since is None else self._known_since
        self.absent_at = None
        if began >= self.sighted_at + gap:
            self.sightings += 1
            self.sighted_at = began
        if began >= self._unsure_until:
            self._unsure_until = _NEVER
        if shown is not self.seen and shown != self.seen:
            self.seen = shown
        if self._writes is not None:
            left = {
                field: write
                for field, write in self._writes.items()
                if began < write.at or not (write.shown(shown, began, lag) or began > write.at + lag)
            }
            self._writes = left or None
        self._look()

    def missing(self, began: float, lag: float, gap: float) -> bool:
        """A covering read begun at `began` lacked this interface; true when that proves it gone.

        Two such reads, `gap` seconds apart, are proof, and none that may be too early to show the Create:
        ours, or a predecessor's, which may be as young as our first sight of it.
        """
        if began < self._read_at or (self._known_since is not None and began < self._known_since + lag):
            return False
        self._read_at = began
        if self.absent_at is None:
            self.absent_at = began
        return began >= self.absent_at + gap

    def attachment_write(self, at: float, stage: Stage, attachment: Attachment) -> None:
        earlier = self._earlier("attachment")
        self._write("attachment", AttachmentWrite(at, stage, attachment, self.seen, earlier))

    def tags_write(self, at: float, tags: dict[str, str | None]) -> None:
        self._write("tags", TagsWrite(at, tags, self._earlier("tags")))

    def attribute_write(self, at: float, attribute: Attribute[V], value: V) -> None:
        attachment = self.view.attachment
        if attachment is not None or not attribute.of_attachment:
            attachment_id = attachment.id if attachment else ""
            self._write(attribute.name, AttributeWrite(at, attribute, value, attachment_id))

    def addresses_write(
        self, at: float, kind: AddressKind, added: tuple[str, ...], removed: tuple[str, ...]
    ) -> None:
        earlier = self._earlier(kind.name)
        self._write(kind.name, AddressesWrite(at, kind, added, removed, earlier))

    @property
    def unsure_until(self) -> float:
        """From when on a read shows what was assigned before, by a try without an answer or by a predecessor;
        negative infinity: one has."""
        return self._unsure_until

    def is_unsure(self, until: float) -> None:
        self._unsure_until = max(self._unsure_until, until)

    def has_tags_pending(self) -> bool:
        return self._earlier("tags") is not None

    def _earlier(self, field: str) -> Write | None:
        return None if self._writes is None else self._writes.get(field)

    def _write(self, field: str, write: Write) -> None:
        self._writes = {**(self._writes or {}), field: write}
        self._look()

    def _look(self) -> None:
        view = self.seen
        for write in (self._writes or {}).values():
            view = write.apply(view)
        if view is not self.view and view != self.view:
            self.view = view

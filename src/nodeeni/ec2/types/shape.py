"""How an item of EC2's answers is decoded, and what is told of one that cannot be."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from nodeeni.api.names import TAG_INSTANCE, TAG_NODE, TAG_UID
from nodeeni.api.packed import Packed

Answer = Mapping[str, Any]  # as botocore decodes it


class Shape(msgspec.Struct, rename="pascal"):
    """What is read of one shape of EC2's model: the class's name without `Shape`."""


class TagShape(Shape):
    key: str
    value: str


def tags_of(pairs: Iterable[TagShape]) -> Mapping[str, str]:
    return Packed({pair.key: pair.value for pair in pairs})


class Unreadable(msgspec.Struct, frozen=True):
    """An item of an answer to `action` that lacks something, and what of it could be read all the same.

    `shape` is EC2's name of it, `why` names what is missing, `known_by` are its id and names. `uid` and
    `node` are those of our tags, empty where unknown.
    """

    action: str
    shape: str
    id: str
    why: str
    known_by: tuple[str, ...] = ()
    uid: str = ""
    node: str = ""
    instance_id: str = ""

    @property
    def text(self) -> str:
        return f"EC2's answer on {self.shape} {self.id or 'without an id'} cannot be read: {self.why}"


def unreadable(action: str, shape: str, member: str, answer: Answer, why: str) -> Unreadable:
    """One whose id is what its `member` holds."""
    found = answer.get(member)
    pairs = _members(answer.get("TagSet")) + _members(answer.get("Tags"))
    tags = {str(pair.get("Key")): str(pair.get("Value", "")) for pair in pairs}
    known_by = (found, tags.get("Name"), answer.get("GroupName"))
    attachments = _members([answer.get("Attachment")])
    instance_id = next((str(each.get("InstanceId") or "") for each in attachments), "")
    return Unreadable(
        action=action,
        shape=shape,
        id=found if isinstance(found, str) else "",
        why=why,
        known_by=tuple(name for name in known_by if isinstance(name, str) and name),
        uid=tags.get(TAG_UID, ""),
        node=tags.get(TAG_NODE, ""),
        instance_id=instance_id or tags.get(TAG_INSTANCE, ""),
    )


def _members(answers: Any) -> list[Answer]:
    return [each for each in answers if isinstance(each, Mapping)] if isinstance(answers, list) else []

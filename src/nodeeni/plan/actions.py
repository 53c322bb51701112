"""The actions that a plan can ask for: one struct per kind of EC2 call, complete and printable.

Two actions are the same piece of work when their `key` is the same, and the same call when they are equal:
the executor starts what is new, leaves what is under way, and drops what is no longer asked for.
"""

from enum import StrEnum
from typing import Any, ClassVar

import msgspec

from nodeeni.api import names
from nodeeni.api.reasons import EventReason
from nodeeni.ec2.addresses import AddressKind
from nodeeni.ec2.attributes import Attribute, InterfaceRequest, Values
from nodeeni.ec2.types import Action as EC2Action
from nodeeni.ec2.types import Interface


class Cause(StrEnum):
    """Why an interface is taken away. People read these in logs, events and `nodeeni plan`."""

    UNMATCHED = "the node no longer matches the NodeENI"
    MOVED = "another NodeENI of the node has its place"
    NODEENI_DELETED = "the NodeENI is being deleted"
    NODE_GONE = "the node is gone"
    ORPHAN = "no NodeENI owns it"
    SURPLUS = "the node has another one for the same NodeENI"
    REPLACED = "subnet, device index or network card were edited, or what EC2 does not take back"
    MISPLACED = "its subnet is none of those that fit the NodeENI and the instance"
    REFUSED = "it cannot be attached as the NodeENI asks"
    HANGS = "its attach hangs, and is tried once more"
    STUCK = "its detach hangs, and it is to be attached anew"


class _Action(msgspec.Struct, frozen=True, kw_only=True):
    CALL: ClassVar[EC2Action]
    REMOVES: ClassVar[bool] = False
    FAILED: ClassVar[EventReason] = EventReason.ENI_UPDATE_FAILED  # what people are told by when it fails

    node: str
    nodeeni: str
    uid: str  # of the NodeENI

    @property
    def key(self) -> tuple[str, str]:
        return (type(self).__name__, self.target)

    @property
    def call(self) -> EC2Action:
        return self.CALL

    @property
    def word(self) -> str:
        """Its kind, as `nodeeni plan -o json` has it."""
        return type(self).__name__

    @property
    def target(self) -> str:
        raise NotImplementedError

    @property
    def text(self) -> str:
        raise NotImplementedError


class Create(_Action, frozen=True, kw_only=True):
    """Make an interface. `device_index` is where it is going to be attached."""

    CALL = EC2Action.CREATE
    FAILED = EventReason.ENI_CREATION_FAILED

    instance_id: str
    request: InterfaceRequest
    device_index: int
    network_card_index: int

    @property
    def target(self) -> str:
        return f"{self.uid}@{self.instance_id}"

    @property
    def text(self) -> str:
        groups = ",".join(self.request.group_ids)
        counts = (kind.numbered(count) for kind, count in self.request.counts.items() if count)
        what = " and ".join((groups, *counts))
        return f"create an ENI in {self.request.subnet_id} with {what} for index {self.device_index}"


class _OnInterface(_Action, frozen=True, kw_only=True):
    eni_id: str

    @property
    def target(self) -> str:
        return self.eni_id


class Attach(_OnInterface, frozen=True, kw_only=True):
    """`values` are those of attributes that the call carries."""

    CALL = EC2Action.ATTACH
    FAILED = EventReason.ENI_ATTACHMENT_FAILED

    instance_id: str
    device_index: int
    network_card_index: int
    values: Values = msgspec.field(default_factory=dict)

    @property
    def text(self) -> str:
        card = f" of card {self.network_card_index}" if self.network_card_index else ""
        told = [f"{attribute.label} {attribute.printed(value)}" for attribute, value in self.values.items()]
        beside = f", {', '.join(told)}" if told else ""
        return f"attach {self.eni_id} to {self.instance_id} at index {self.device_index}{card}{beside}"


class Detach(_OnInterface, frozen=True, kw_only=True):
    CALL = EC2Action.DETACH
    FAILED = EventReason.ENI_DETACHMENT_FAILED
    REMOVES = True

    attachment_id: str
    instance_id: str
    force: bool = False
    cause: Cause
    detail: str = ""  # says more than the cause

    @property
    def text(self) -> str:
        return f"{'force-' if self.force else ''}detach {self.eni_id}: {self.detail or self.cause}"


class Delete(_OnInterface, frozen=True, kw_only=True):
    CALL = EC2Action.DELETE
    FAILED = EventReason.ENI_DELETION_FAILED
    REMOVES = True

    cause: Cause

    @property
    def text(self) -> str:
        return f"delete {self.eni_id}: {self.cause}"


class Modify(_OnInterface, frozen=True, kw_only=True):
    """Set one attribute. Of an interface each attribute is a piece of work of its own."""

    CALL = EC2Action.MODIFY

    attribute: Attribute[Any]
    value: Any
    attachment_id: str = ""  # where the attribute is one of the attachment

    @property
    def word(self) -> str:
        name = self.attribute.name
        return f"Set{name[0].upper()}{name[1:]}"

    @property
    def key(self) -> tuple[str, str]:
        return (self.word, self.target)

    @property
    def text(self) -> str:
        return f"set {self.attribute.label} of {self.eni_id} to {self.attribute.printed(self.value)}"


class _OfAddresses(_OnInterface, frozen=True, kw_only=True):
    """Of an interface each kind of addresses is a piece of work of its own."""

    kind: AddressKind

    @property
    def word(self) -> str:
        name = self.kind.name.removesuffix("Count")
        return f"{type(self).__name__}{name[0].upper()}{name[1:]}"

    @property
    def key(self) -> tuple[str, str]:
        return (self.word, self.target)


class Assign(_OfAddresses, frozen=True, kw_only=True):
    """Give it so many more, which EC2 chooses."""

    count: int

    @property
    def call(self) -> EC2Action:
        return self.kind.assign

    @property
    def text(self) -> str:
        return f"assign {self.kind.numbered(self.count)} to {self.eni_id}"


class Unassign(_OfAddresses, frozen=True, kw_only=True):
    """Give these back to the subnet."""

    addresses: tuple[str, ...]

    @property
    def call(self) -> EC2Action:
        return self.kind.unassign

    @property
    def text(self) -> str:
        what = self.kind.one if len(self.addresses) == 1 else self.kind.many
        return f"give back the {what} {', '.join(self.addresses)} of {self.eni_id}"


class SetTags(_OnInterface, frozen=True, kw_only=True):
    """Add tags or change their values; also how an interface of an older version is adopted."""

    CALL = EC2Action.CREATE_TAGS

    tags: dict[str, str]

    @property
    def text(self) -> str:
        tags = ", ".join(f"{k}={v}" for k, v in sorted(self.tags.items()))
        # One of ours that somebody took the cluster tag from still has its uid.
        if {names.TAG_CLUSTER, names.TAG_UID} <= self.tags.keys():
            return f"adopt {self.eni_id} of an older version, by tagging it with {tags}"
        return f"tag {self.eni_id} with {tags}"


class Adopt(_OnInterface, frozen=True, kw_only=True):
    """Take over an interface that came with its instance's launch, by the tags that all nodes share: many of
    them are one call.
    """

    CALL = EC2Action.CREATE_TAGS
    FAILED = EventReason.ENI_NOT_ADOPTED

    instance_id: str
    tags: dict[str, str]
    interface: Interface  # as it was found

    @property
    def text(self) -> str:
        tags = ", ".join(f"{k}={v}" for k, v in sorted(self.tags.items()))
        came = f"which came with the launch of {self.instance_id}"
        return f"adopt {self.eni_id}, {came}, by tagging it with {tags}"


class RemoveTags(_OnInterface, frozen=True, kw_only=True):
    CALL = EC2Action.DELETE_TAGS

    keys: tuple[str, ...]

    @property
    def text(self) -> str:
        return f"remove the tags {', '.join(self.keys)} from {self.eni_id}"


Action = Create | Attach | Detach | Delete | Modify | Assign | Unassign | Adopt | SetTags | RemoveTags

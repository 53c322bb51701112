"""What can be changed on an interface that stands: each attribute is declared here once. Pure.

A declaration says on which fields of the spec an attribute stands, how its value is shown by EC2, sent,
compared and printed, what it costs, and what EC2 refuses. Everything else goes over `ATTRIBUTES`: the wanted
values (`plan/desired.py`), what differs (`plan/corrections.py`), the calls (`client.py`), our writes over
stale reads (`overlay.py`), and the field's row in `docs/reference.md`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from operator import eq
from typing import Any, Generic, TypeVar

import msgspec
from msgspec.structs import replace

from nodeeni.api.v1alpha1 import ConnectionTracking, EnaExpress
from nodeeni.ec2.addresses import Counts, creation
from nodeeni.ec2.types import NO_EXPRESS, NO_TRACKING, EnaQueues, Interface

V = TypeVar("V")
Parameters = Mapping[str, Any]  # of a call, as botocore takes them


def _nothing(_: Any) -> tuple[str, ...]:
    return ()


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Attribute(Generic[V]):
    """One attribute with values of type `V`. None as the wanted value asks for nothing: EC2's stays.

    `fields` are those of `NodeENISpec` that it stands on; where `desired.py` works nothing else out, the
    first one's value is wanted. `shown_as` is the field of `Interface`, or of its `Attachment` where the
    attribute is one `of_attachment`: such a one goes with each detach, and can be set once it is attached.

    `create` gives parameters of CreateNetworkInterface, `attach` those of AttachNetworkInterface; without
    either a Modify follows the create where the wanted value is not `made_with`, which is what EC2 gives an
    interface by itself. `modify` gives those of
    ModifyNetworkInterfaceAttribute, from value and attachment id ("" where it is not of the attachment).

    `of_stopped`: EC2 changes it on a stopped instance alone.

    `for_good` is a value that EC2 does not take back: where another one is wanted, the interface is replaced.

    `printed` is the value in logs, `nodeeni plan` and refusals: "set NAME of eni-1 to PRINTED". `refused`:
    EC2's codes for values that it does not take, in the words of `errors.py`. `references`: the ids of
    security groups in a value, which are looked up anew when EC2 says that one does not exist.
    """

    name: str
    label: str
    fields: tuple[str, ...]
    shown_as: str
    made_with: V | None
    modify: Callable[[V, str], Parameters]
    create: Callable[[V], Parameters] | None = None
    attach: Callable[[V], Parameters] | None = None
    of_attachment: bool = False
    of_stopped: bool = False
    same: Callable[[V, V], bool] = eq
    printed: Callable[[V], str] = str
    for_good: V | None = None
    refused: tuple[str, ...] = ()
    references: Callable[[V], Iterable[str]] = _nothing

    def __repr__(self) -> str:
        return self.name

    def calls_after_create(self, wanted: V | None) -> int:
        """How many calls a new interface costs beside CreateNetworkInterface; an edit costs one."""
        carried = self.create is not None or self.attach is not None
        return int(not carried and wanted is not None and wanted != self.made_with)

    def shown(self, interface: Interface) -> V | None:
        """Its value as EC2 shows it; None for one of the attachment where there is none."""
        holder = interface.attachment if self.of_attachment else interface
        value: V | None = None if holder is None else getattr(holder, self.shown_as)
        return value

    def written(self, interface: Interface, value: V) -> Interface:
        """The interface with that value."""
        if not self.of_attachment:
            return replace(interface, **{self.shown_as: value})
        if interface.attachment is None:
            return interface
        return replace(interface, attachment=replace(interface.attachment, **{self.shown_as: value}))

    def differs(self, interface: Interface, wanted: V | None) -> bool:
        """Whether it has to be set: a value is wanted, and EC2 shows another one."""
        shown = self.shown(interface)
        return wanted is not None and shown is not None and not self.same(wanted, shown)

    def stands_in_the_way(self, interface: Interface, wanted: V | None) -> bool:
        """Whether it differs, and only another interface can have what is wanted."""
        return (
            self.for_good is not None
            and self.shown(interface) == self.for_good
            and self.differs(interface, wanted)
        )


def _truth(value: bool) -> str:
    return str(value).lower()


DELETE_ON_TERMINATION: Attribute[bool] = Attribute(
    name="deleteOnTermination",
    label="DeleteOnTermination",
    fields=("delete_on_termination",),
    shown_as="delete_on_termination",
    of_attachment=True,
    made_with=False,
    modify=lambda value, attachment_id: {
        "Attachment": {"AttachmentId": attachment_id, "DeleteOnTermination": value}
    },
    printed=_truth,
    refused=("OperationNotPermitted",),
)

GROUPS: Attribute[tuple[str, ...]] = Attribute(
    name="groups",
    label="the security groups",
    fields=("security_group_ids", "security_group_names"),
    shown_as="group_ids",
    made_with=None,
    create=lambda value: {"Groups": list(value)},
    modify=lambda value, _: {"Groups": list(value)},
    same=lambda wanted, shown: set(wanted) == set(shown),
    printed=",".join,
    refused=(
        "InvalidGroup.NotFound",
        "InvalidSecurityGroupID.NotFound",
        "InvalidSecurityGroupID.Malformed",
        "SecurityGroupsPerInterfaceLimitExceeded",
        "InvalidParameter",
    ),
    references=tuple,
)

DESCRIPTION: Attribute[str] = Attribute(
    name="description",
    label="the description",
    fields=("description",),
    shown_as="description",
    made_with="",
    create=lambda value: {"Description": value},
    modify=lambda value, _: {"Description": {"Value": value}},
    printed=repr,
    refused=("InvalidParameterValue",),
)

SOURCE_DEST_CHECK: Attribute[bool] = Attribute(
    name="sourceDestCheck",
    label="the source/destination check",
    fields=("source_dest_check",),
    shown_as="source_dest_check",
    made_with=True,
    modify=lambda value, _: {"SourceDestCheck": {"Value": value}},
    printed=_truth,
)

PRIMARY_IPV6: Attribute[bool] = Attribute(
    name="enablePrimaryIPv6",
    label="the primary IPv6 address",
    fields=("enable_primary_ipv6",),
    shown_as="primary_ipv6",
    made_with=False,
    create=lambda value: {"EnablePrimaryIpv6": True} if value else {},
    modify=lambda value, _: {"EnablePrimaryIpv6": value},
    printed=_truth,
    for_good=True,
    refused=("InvalidParameterValue", "InvalidParameterCombination"),
)


class TrackingOfType(ConnectionTracking, frozen=True, kw_only=True):
    """Timeouts as asked for. Of those that are not, `default` holds: the instance type's, which EC2 does not
    put back by itself. It is empty while the type is not known, and what is not asked for stays then.
    """

    default: ConnectionTracking = NO_TRACKING

    @property
    def asked(self) -> dict[str, int]:
        """By field, those that the spec has."""
        return _set(self)

    @property
    def whole(self) -> dict[str, int]:
        """By field, every timeout that is known."""
        return _set(self.default) | self.asked

    def holds(self, shown: ConnectionTracking) -> bool:
        """Whether they are in force where EC2 shows those: of what it does not show, the default is."""
        return self.whole.items() <= (_set(self.default) | _set(shown)).items()

    def __str__(self) -> str:
        names = {field.name: field.encode_name for field in msgspec.structs.fields(ConnectionTracking)}
        return ", ".join(
            f"{names[field]} {seconds} s{'' if field in self.asked else ' (default)'}"
            for field, seconds in self.whole.items()
        )


def _set(timeouts: ConnectionTracking) -> dict[str, int]:
    fields = ConnectionTracking.__struct_fields__
    return {field: seconds for field in fields if (seconds := getattr(timeouts, field)) is not None}


def _tracking(timeouts: Mapping[str, int]) -> Parameters:
    named = {"".join(word.capitalize() for word in f.split("_")): seconds for f, seconds in timeouts.items()}
    return {"ConnectionTrackingSpecification": named} if named else {}


CONNECTION_TRACKING: Attribute[TrackingOfType] = Attribute(
    name="connectionTracking",
    label="the connection tracking timeouts",
    fields=("connection_tracking",),
    shown_as="connection_tracking",
    made_with=None,
    create=lambda value: _tracking(value.asked),
    modify=lambda value, _: _tracking(value.whole),
    same=lambda wanted, shown: wanted.holds(shown),
    refused=("InvalidParameterValue", "InvalidParameterCombination", "UnsupportedOperation"),
)

ENA_EXPRESS: Attribute[EnaExpress] = Attribute(
    name="enaExpress",
    label="ENA Express",
    fields=("ena_express",),
    shown_as="ena_express",
    of_attachment=True,
    made_with=NO_EXPRESS,
    attach=lambda value: _express(value) if value.enabled else {},
    modify=lambda value, _: _express(value),
    printed=lambda value: ("on, with UDP" if value.udp else "on") if value.enabled else "off",
    refused=("UnsupportedOperation", "InvalidParameterCombination"),
)


def _express(value: EnaExpress) -> Parameters:
    udp = {"EnaSrdUdpEnabled": value.udp}
    return {"EnaSrdSpecification": {"EnaSrdEnabled": value.enabled, "EnaSrdUdpSpecification": udp}}


ENA_QUEUES: Attribute[EnaQueues] = Attribute(
    name="enaQueueCount",
    label="the number of ENA queues",
    fields=("ena_queue_count",),
    shown_as="ena_queues",
    of_attachment=True,
    made_with=None,
    attach=lambda value: {} if value.by_default else {"EnaQueueCount": value.count},
    modify=lambda value, attachment_id: {"Attachment": {"AttachmentId": attachment_id, **_queues(value)}},
    of_stopped=True,
    same=lambda wanted, shown: wanted.count == shown.count or (wanted.by_default and not shown.count),
    refused=("IncorrectInstanceState", "UnsupportedOperation", "InvalidParameterValue"),
)


def _queues(value: EnaQueues) -> Parameters:
    return {"DefaultEnaQueueCount": True} if value.by_default else {"EnaQueueCount": value.count}


# In the order in which they are put right.
ATTRIBUTES: tuple[Attribute[Any], ...] = (
    DELETE_ON_TERMINATION,
    GROUPS,
    DESCRIPTION,
    SOURCE_DEST_CHECK,
    PRIMARY_IPV6,
    CONNECTION_TRACKING,
    ENA_EXPRESS,
    ENA_QUEUES,
)

Values = Mapping[Attribute[Any], Any]


class InterfaceRequest(msgspec.Struct, frozen=True):
    """One CreateNetworkInterface. The same token with the same fields gives the same interface."""

    subnet_id: str
    values: Values  # of the attributes that a create takes
    tags: dict[str, str]
    client_token: str  # at most 64 ASCII characters
    counts: Counts = msgspec.field(default_factory=dict)

    @property
    def group_ids(self) -> tuple[str, ...]:
        return tuple(self.values[GROUPS])

    @property
    def parameters(self) -> dict[str, Any]:
        """Attributes and addresses, as parameters of the call."""
        sent: dict[str, Any] = dict(creation(self.counts))
        for attribute, value in self.values.items():
            if attribute.create is not None:
                sent |= attribute.create(value)
        return sent


def creatable(values: Values) -> Values:
    """Those that a create takes; the others are left to Modify."""
    return {a: value for a, value in values.items() if a.create is not None and value is not None}


def attachable(values: Values) -> Values:
    """Those that an attach carries, where they are not what EC2 attaches with by itself."""
    return {a: v for a, v in values.items() if a.attach is not None and v is not None and a.attach(v)}


def attach_parameters(values: Values) -> dict[str, Any]:
    """Of AttachNetworkInterface."""
    sent: dict[str, Any] = {}
    for attribute, value in values.items():
        if attribute.attach is not None:
            sent |= attribute.attach(value)
    return sent

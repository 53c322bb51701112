"""EC2's calls with our types going in and coming out, and `EC2Error`.

Mutating calls are sent once: the executor owns their retries, since only it knows whether the work may
have been done. Describe calls change nothing and are tried again here.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Generic, Self, TypeVar

import msgspec

from nodeeni.ec2 import sdk
from nodeeni.ec2.addresses import ADDRESS_KINDS, AddressKind
from nodeeni.ec2.attributes import Attribute, InterfaceRequest, V, Values, attach_parameters
from nodeeni.ec2.errors import EC2Error, ErrorClass
from nodeeni.ec2.types import (
    Action,
    Answer,
    Instance,
    InstanceType,
    Interface,
    Rehearsal,
    SecurityGroup,
    Subnet,
    Unreadable,
    read_instance,
    read_instance_type,
    read_interface,
    read_security_group,
    read_subnet,
    read_usable_group,
    unreadable,
)

# Called after each request: action, seconds, and the error if there was one.
OnCall = Callable[[str, float, EC2Error | None], None]
OnUnreadable = Callable[[Unreadable], None]
LeftOut = list[Unreadable]
Filters = Mapping[str, Sequence[str]]

MOST_FILTER_VALUES = 200  # EC2's limit
# A page is decoded in one go, and the event loop waits for it: 0.02 s for 500 interfaces. EC2 takes 1,000 at
# the most; smaller ones cost more calls, and 20,000 interfaces as many turns of waiting for EC2.
_PAGE = 500
_PAGE_OF_TYPES = 100  # DescribeInstanceTypes allows no more
_DESCRIBE_TRIES = 4
_RETRIED = frozenset({ErrorClass.THROTTLED, ErrorClass.UNKNOWN_OUTCOME})

_T = TypeVar("_T")


def _ignore_call(action: str, seconds: float, error: EC2Error | None) -> None:
    return None


class _Kind(msgspec.Struct, Generic[_T], frozen=True):
    """What a describe of `action` has in `field`, page by page, and how each item is read: `shape` is EC2's
    name of it, `id` the member that has its id.
    """

    action: str
    field: str
    shape: str
    id: str
    read: Callable[[Answer], _T]


_INTERFACES = _Kind(
    "DescribeNetworkInterfaces", "NetworkInterfaces", "NetworkInterface", "NetworkInterfaceId", read_interface
)
_INSTANCES = _Kind("DescribeInstances", "Reservations", "Instance", "InstanceId", read_instance)
_TYPES = _Kind(
    "DescribeInstanceTypes", "InstanceTypes", "InstanceTypeInfo", "InstanceType", read_instance_type
)
_SUBNETS = _Kind("DescribeSubnets", "Subnets", "Subnet", "SubnetId", read_subnet)
_GROUPS = _Kind("DescribeSecurityGroups", "SecurityGroups", "SecurityGroup", "GroupId", read_security_group)
_USABLE_GROUPS = _Kind(
    "GetSecurityGroupsForVpc", "SecurityGroupForVpcs", "SecurityGroupForVpc", "GroupId", read_usable_group
)


class EC2Client:
    """Made by `connect`. Every method raises `EC2Error` and nothing else."""

    def __init__(
        self,
        client: Any,
        on_call: OnCall,
        on_unreadable: OnUnreadable,
        in_vain: Callable[[str], EC2Error | None] = lambda action: None,
    ) -> None:
        self._client = client
        self._in_vain = in_vain
        self._failing: set[str] = set()  # describes whose last call was to be tried again
        self._on_call = on_call
        self._on_unreadable = on_unreadable

    @classmethod
    @asynccontextmanager
    async def connect(
        cls,
        region: str,
        *,
        endpoint_url: str | None = None,
        pool: int = 64,
        read_timeout: float = sdk.READ_TIMEOUT,
        on_call: OnCall = _ignore_call,
        on_unreadable: OnUnreadable = lambda _: None,
        may_change: Callable[[], bool] = lambda: True,
        in_vain: Callable[[str], EC2Error | None] = lambda action: None,
    ) -> AsyncIterator[Self]:
        """A client for `region` with at most `pool` connections; `endpoint_url` overrides the SDK's.

        An answer that takes longer than `read_timeout` seconds is an unknown outcome. `may_change` is asked
        as each mutating call is sent, when it has been signed and may have waited for credentials. `in_vain`
        is asked before a describe: the error that it would meet, and is not sent for.
        """
        async with sdk.ec2(region, endpoint_url, pool, read_timeout, may_change) as client:
            yield cls(client, on_call, on_unreadable, in_vain)

    # Mutating calls: one request each, no retry.

    async def create_interface(self, request: InterfaceRequest) -> Interface:
        """The answer holds id, MAC and address; a token used before gives the interface of that time."""
        answer = await self._send(
            Action.CREATE,
            SubnetId=request.subnet_id,
            ClientToken=request.client_token,
            TagSpecifications=[{"ResourceType": "network-interface", "Tags": _tag_pairs(request.tags)}],
            **request.parameters,
        )
        return self._read_interface(answer)

    async def attach(
        self,
        eni_id: str,
        instance_id: str,
        device_index: int,
        network_card_index: int = 0,
        values: Values | None = None,
    ) -> str:
        """Begin to attach; returns the attachment id. The state is seen by describing only. `values` are
        those of attributes that an attach takes.
        """
        answer = await self._send(
            Action.ATTACH,
            NetworkInterfaceId=eni_id,
            InstanceId=instance_id,
            DeviceIndex=device_index,
            NetworkCardIndex=network_card_index,
            **attach_parameters(values or {}),
        )
        attachment_id = answer.get("AttachmentId")
        if not attachment_id:
            raise EC2Error(Action.ATTACH, "MalformedAnswer", "no attachment id")
        return str(attachment_id)

    async def detach(self, attachment_id: str, *, force: bool = False) -> None:
        """Begin to detach. `force` can leave the device index unusable until the instance restarts."""
        await self._send(Action.DETACH, AttachmentId=attachment_id, Force=force)

    async def delete(self, eni_id: str) -> None:
        await self._send(Action.DELETE, NetworkInterfaceId=eni_id)

    async def modify(self, eni_id: str, attribute: Attribute[V], value: V, attachment_id: str = "") -> None:
        """`attachment_id`: where the attribute is one of the attachment."""
        parameters = attribute.modify(value, attachment_id)
        await self._send(Action.MODIFY, NetworkInterfaceId=eni_id, **parameters)

    async def assign(self, eni_id: str, kind: AddressKind, count: int) -> tuple[str, ...]:
        """So many more of that kind; returns them. Not idempotent: one whose answer was lost may be done."""
        answer = await self._send(kind.assign, NetworkInterfaceId=eni_id, **{kind.count: count})
        listed, member = kind.answered
        return sdk.decoded(
            kind.assign,
            lambda told: tuple(str(each[member] if member else each) for each in told.get(listed) or ()),
            answer,
        )

    async def unassign(self, eni_id: str, kind: AddressKind, addresses: Sequence[str]) -> None:
        await self._send(kind.unassign, NetworkInterfaceId=eni_id, **{kind.listed: list(addresses)})

    async def create_tags(self, eni_ids: Sequence[str], tags: Mapping[str, str]) -> None:
        await self._send(Action.CREATE_TAGS, Resources=list(eni_ids), Tags=_tag_pairs(tags))

    async def delete_tags(self, eni_ids: Sequence[str], keys: Iterable[str]) -> None:
        await self._send(
            Action.DELETE_TAGS, Resources=list(eni_ids), Tags=[{"Key": key} for key in sorted(keys)]
        )

    async def rehearse(self, action: Action, on: Rehearsal) -> None:
        """Have EC2 check one of `REHEARSED` without doing it (DryRun): whether IAM permits it, above
        all. Returns where it would be done; raises what the call itself would.
        """
        try:
            await self._send(action, DryRun=True, **_rehearsed(action, on))
        except EC2Error as error:
            if error.code != _WOULD_BE_DONE:
                raise

    # Describe calls: paginated, tried again.

    # An item that lacks something goes into `left_out`; where nobody takes it, the whole answer is refused.

    async def describe_interfaces(
        self, filters: Filters, left_out: LeftOut | None = None
    ) -> AsyncIterator[list[Interface]]:
        """Pages of the interfaces that match; a filter with more than 200 values becomes several calls."""
        for part in _parts(filters):
            async for page in self._pages(_INTERFACES, part):
                yield self._read(_INTERFACES, page, left_out)

    async def describe_instances(self, ids: Sequence[str], left_out: LeftOut | None = None) -> list[Instance]:
        """The instances that exist, those that the account's *managed resource visibility* hides among them;
        the others are absent from the answer.
        """
        reservations = await self._all(_INSTANCES, {"instance-id": ids}, IncludeManagedResources=True)
        answer = [item for reservation in reservations for item in reservation.get("Instances") or ()]
        return self._read(_INSTANCES, answer, left_out)

    async def describe_instance_types(
        self, names: Sequence[str], left_out: LeftOut | None = None
    ) -> list[InstanceType]:
        """The types that the region knows among `names`."""
        answer = await self._all(_TYPES, {"instance-type": names}, page=_PAGE_OF_TYPES)
        return self._read(_TYPES, answer, left_out)

    async def describe_subnets(self, filters: Filters, left_out: LeftOut | None = None) -> list[Subnet]:
        return self._read(_SUBNETS, await self._all(_SUBNETS, filters), left_out)

    async def describe_security_groups(
        self, filters: Filters, left_out: LeftOut | None = None
    ) -> list[SecurityGroup]:
        return self._read(_GROUPS, await self._all(_GROUPS, filters), left_out)

    async def groups_for_vpc(
        self, vpc_id: str, ids: Sequence[str], left_out: LeftOut | None = None
    ) -> list[str]:
        """Those of the security groups that can be used in the VPC: its own, and associated ones."""
        answer = await self._all(_USABLE_GROUPS, {"group-id": ids}, VpcId=vpc_id)
        return self._read(_USABLE_GROUPS, answer, left_out)

    def _read(self, kind: _Kind[_T], items: Iterable[Answer], left_out: LeftOut | None) -> list[_T]:
        found = []
        for item in items:
            try:
                found.append(kind.read(item))
            except msgspec.ValidationError as error:
                spoilt = unreadable(kind.action, kind.shape, kind.id, item, str(error))
                self._on_unreadable(spoilt)
                if left_out is None:
                    raise EC2Error(kind.action, "MalformedAnswer", spoilt.text) from error
                left_out.append(spoilt)
        return found

    async def _all(self, kind: _Kind[Any], filters: Filters, page: int = _PAGE, **named: Any) -> list[Any]:
        return [
            item
            for part in _parts(filters)
            async for found in self._pages(kind, part, page, **named)
            for item in found
        ]

    async def _pages(
        self, kind: _Kind[Any], filters: Filters, page: int = _PAGE, **named: Any
    ) -> AsyncIterator[list[Any]]:
        """`named`: what else the question names."""
        listed = [{"Name": name, "Values": list(values)} for name, values in filters.items()]
        token: str | None = None
        while True:
            more = named | ({"NextToken": token} if token else {})
            try:
                answer = await self._send_again(kind.action, Filters=listed, MaxResults=page, **more)
            except EC2Error as error:
                if token and error.error_class is ErrorClass.BAD_REFERENCE:
                    # The question was taken, so it is the token that is refused: it has expired.
                    raise EC2Error(kind.action, "InvalidNextToken", error.message) from error
                raise
            yield answer.get(kind.field) or []
            token = answer.get("NextToken")
            if not token:
                return

    async def _send_again(self, action: str, **parameters: Any) -> Mapping[str, Any]:
        """Send a call that changes nothing, again where that may help: not where it did not the last time."""
        error = self._in_vain(action)
        if error is not None:
            raise error
        for attempt in range(0 if action in self._failing else _DESCRIBE_TRIES - 1):
            try:
                return await self._send(action, **parameters)
            except EC2Error as refused:
                if refused.error_class not in _RETRIED:
                    raise
                wait = refused.delay(attempt, random.random())
            await asyncio.sleep(wait)
        self._failing.add(action)
        answer = await self._send(action, **parameters)
        self._failing.discard(action)
        return answer

    async def _send(self, action: str, **parameters: Any) -> Mapping[str, Any]:
        started = time.monotonic()
        try:
            answer = await sdk.call(self._client, action, parameters)
        except sdk.NotSent as error:
            raise EC2Error(action, "LeaseLost", "not sent: the lease is not ours") from error
        except EC2Error as error:
            self._on_call(action, time.monotonic() - started, error)
            raise
        self._on_call(action, time.monotonic() - started, None)
        return answer

    def _read_interface(self, answer: Mapping[str, Any]) -> Interface:
        if "NetworkInterface" not in answer:
            raise EC2Error(Action.CREATE, "MalformedAnswer", "no interface")
        return sdk.decoded(Action.CREATE, read_interface, answer["NetworkInterface"])


def _tag_pairs(values: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags as EC2's calls take them, in one order whatever the mapping's: they count as parameters."""
    return [{"Key": key, "Value": values[key]} for key in sorted(values)]


_WOULD_BE_DONE = "DryRunOperation"

# EC2 has no DryRun of the calls that assign addresses and take them back.
_OF_ADDRESSES = {action for kind in ADDRESS_KINDS for action in (kind.assign, kind.unassign)}
REHEARSED = tuple(action for action in Action if action not in _OF_ADDRESSES)


def _rehearsed(action: Action, on: Rehearsal) -> dict[str, Any]:
    interface = {"NetworkInterfaceId": on.eni_id}
    tagged = {"Resources": [on.eni_id], "Tags": _tag_pairs(on.tags)}
    specification = {"ResourceType": "network-interface", "Tags": _tag_pairs(on.tags)}
    parameters: dict[Action, dict[str, Any]] = {
        Action.CREATE: {"SubnetId": on.subnet_id, "TagSpecifications": [specification]},
        Action.ATTACH: {**interface, "InstanceId": on.instance_id, "DeviceIndex": 1},
        Action.DETACH: {"AttachmentId": on.attachment_id},
        Action.DELETE: interface,
        Action.MODIFY: {**interface, "Description": {"Value": "nodeeni"}},
        Action.CREATE_TAGS: tagged,
        Action.DELETE_TAGS: tagged,
    }
    return parameters[action]


def _parts(filters: Filters) -> list[Filters]:
    """`filters` as several, none with more values than EC2 takes. At most one may be that long.

    A filter without values matches nothing (EC2 would refuse it): then there is nothing to ask.
    """
    if not all(filters.values()):
        return []
    long = [name for name, values in filters.items() if len(values) > MOST_FILTER_VALUES]
    if not long:
        return [filters]
    (name,) = long
    values = list(filters[name])
    return [
        {**filters, name: values[start : start + MOST_FILTER_VALUES]}
        for start in range(0, len(values), MOST_FILTER_VALUES)
    ]

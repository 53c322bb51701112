"""The only door to aiobotocore: EC2's calls with our types going in and coming out, and `EC2Error`.

Mutating calls are sent once: the executor owns their retries, since only it knows whether the work may
have been done. Describe calls change nothing and are tried again here. Credentials, signing, regions and
endpoints (`AWS_ENDPOINT_URL`, `AWS_ENDPOINT_URL_EC2`, `AWS_CA_BUNDLE`) are botocore's business.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache, partial
from typing import Any, Generic, Self, TypeVar
from urllib.parse import urlencode

import aiohttp
import msgspec
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from nodeeni.ec2.addresses import ADDRESS_KINDS, AddressKind
from nodeeni.ec2.answers import Answers
from nodeeni.ec2.attributes import Attribute, InterfaceRequest, V, Values, attach_parameters
from nodeeni.ec2.credentials import be_patient
from nodeeni.ec2.errors import EC2Error, ErrorClass, UnusableSettings
from nodeeni.ec2.models import cut_loader
from nodeeni.ec2.quotas import RateQuota, rate_quota
from nodeeni.ec2.types import (
    READ,
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
CONNECT_TIMEOUT = 5.0
READ_TIMEOUT = 30.0  # EC2 in trouble answers after 20 s: with less nothing would ever be done
# A page is decoded in one go, and the event loop waits for it: 0.02 s for 500 interfaces. EC2 takes 1,000 at
# the most; smaller ones cost more calls, and 20,000 interfaces as many turns of waiting for EC2.
_PAGE = 500
_PAGE_OF_TYPES = 100  # DescribeInstanceTypes allows no more
_PAGE_OF_QUOTAS = 100  # nor does ListServiceQuotas
_DESCRIBE_TRIES = 4
_RETRIED = frozenset({ErrorClass.THROTTLED, ErrorClass.UNKNOWN_OUTCOME})

_T = TypeVar("_T")


@cache
def _models() -> Any:
    """botocore's models, read once in a process."""
    return cut_loader(ACTIONS, READ)


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
        read_timeout: float = READ_TIMEOUT,
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
        config = AioConfig(
            connect_timeout=CONNECT_TIMEOUT,
            read_timeout=read_timeout,
            max_pool_connections=pool,
            retries={"total_max_attempts": 1, "mode": "standard"},
            user_agent="nodeeni aiobotocore",  # botocore's own is put together anew for each call: 0.15 ms
            parameter_validation=False,  # ours are typed, and EC2 validates them
        )
        session = get_session()
        session.register_component("data_loader", _models())
        try:
            be_patient(session)
            opening = session.create_client(
                "ec2", region_name=region, endpoint_url=endpoint_url, config=config
            )
            client = await opening.__aenter__()
        except (BotoCoreError, ValueError) as error:
            raise UnusableSettings("connect", type(error).__name__, str(error)) from error
        client.meta.events.register("before-call.ec2", _encode_once)
        client.meta.events.register("before-send.ec2", partial(_fence, may_change))
        client.meta.events.register("before-parse.ec2", Answers().decode)
        try:
            yield cls(client, on_call, on_unreadable, in_vain)
        finally:
            await opening.__aexit__(None, None, None)

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
        return _decoded(
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
            answer: Mapping[str, Any] = await getattr(self._client, _METHODS[action])(**parameters)
        except _NotSent as error:
            raise EC2Error(action, "LeaseLost", "not sent: the lease is not ours") from error
        except (ClientError, BotoCoreError, ResponseParserError, aiohttp.ClientError, OSError) as error:
            failure = _translated(action, error)
            self._on_call(action, time.monotonic() - started, failure)
            raise failure from error
        foreign = _foreign(action, answer)
        self._on_call(action, time.monotonic() - started, foreign)
        if foreign is not None:
            raise foreign
        return answer

    def _read_interface(self, answer: Mapping[str, Any]) -> Interface:
        if "NetworkInterface" not in answer:
            raise EC2Error(Action.CREATE, "MalformedAnswer", "no interface")
        return _decoded(Action.CREATE, read_interface, answer["NetworkInterface"])


class _NotSent(Exception):
    """The fence is closed."""


def _fence(may_change: Callable[[], bool], event_name: str, **_: Any) -> None:
    if event_name.rpartition(".")[2] in _MUTATING and not may_change():
        raise _NotSent


_MUTATING = frozenset(action.value for action in Action)


def _encode_once(params: dict[str, Any], **_: Any) -> None:
    """botocore encodes a form to sign it, and again to send it: a seventh of what a call costs."""
    if isinstance(params["body"], dict):
        params["body"] = urlencode(params["body"]).encode()


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


_METHODS: dict[str, str] = {
    Action.CREATE: "create_network_interface",
    Action.ATTACH: "attach_network_interface",
    Action.DETACH: "detach_network_interface",
    Action.DELETE: "delete_network_interface",
    Action.MODIFY: "modify_network_interface_attribute",
    Action.CREATE_TAGS: "create_tags",
    Action.DELETE_TAGS: "delete_tags",
    Action.ASSIGN_IPV4: "assign_private_ip_addresses",
    Action.UNASSIGN_IPV4: "unassign_private_ip_addresses",
    Action.ASSIGN_IPV6: "assign_ipv6_addresses",
    Action.UNASSIGN_IPV6: "unassign_ipv6_addresses",
    "DescribeNetworkInterfaces": "describe_network_interfaces",
    "DescribeInstances": "describe_instances",
    "DescribeInstanceTypes": "describe_instance_types",
    "DescribeSubnets": "describe_subnets",
    "DescribeSecurityGroups": "describe_security_groups",
    "GetSecurityGroupsForVpc": "get_security_groups_for_vpc",
}

ACTIONS = tuple(_METHODS)


async def caller_identity(region: str) -> tuple[str, float]:
    """The ARN behind the credentials in use, by STS, and how many seconds our clock is ahead of that.

    Raises EC2Error.
    """
    async with _opened("sts", "GetCallerIdentity", region) as sts:
        answer = await sts.get_caller_identity()
        arn = _decoded("GetCallerIdentity", lambda told: str(told["Arn"]), answer)
        return arn, _clock_ahead(answer)


async def rate_quotas(region: str) -> list[RateQuota]:
    """What Service Quotas tells of the account's request rates in EC2, nothing where it tells nothing.

    Raises EC2Error: `denied` above all, since most policies do not permit `servicequotas:ListServiceQuotas`.
    """
    told: list[RateQuota | None] = []
    more: dict[str, str] = {}
    async with _opened("service-quotas", "ListServiceQuotas", region) as quotas:
        while True:
            answer = await quotas.list_service_quotas(ServiceCode="ec2", MaxResults=_PAGE_OF_QUOTAS, **more)
            told += [_decoded("ListServiceQuotas", rate_quota, item) for item in answer.get("Quotas") or ()]
            if not answer.get("NextToken"):
                return [quota for quota in told if quota is not None]
            more = {"NextToken": answer["NextToken"]}


@asynccontextmanager
async def _opened(service: str, action: str, region: str) -> AsyncIterator[Any]:
    """A client of another service of AWS, for a call or two of `action` that change nothing."""
    config = AioConfig(
        connect_timeout=CONNECT_TIMEOUT, read_timeout=READ_TIMEOUT, retries={"total_max_attempts": 2}
    )
    session = get_session()
    session.register_component("data_loader", _models())
    try:
        async with session.create_client(service, region_name=region, config=config) as client:
            yield client
    except ValueError as error:  # as botocore has it of an endpoint that is no address
        raise UnusableSettings(action, type(error).__name__, str(error)) from error
    except (ClientError, BotoCoreError, ResponseParserError, aiohttp.ClientError, OSError) as error:
        raise _translated(action, error) from error


def _translated(action: str, error: Exception) -> EC2Error:
    """EC2's own code where it answered the call of that name, else the name of what went wrong on the way."""
    if not isinstance(error, ClientError):
        return EC2Error(action, type(error).__name__, str(error))
    told = error.response.get("Error", {})
    code, message = str(told.get("Code", "Unknown")), str(told.get("Message", ""))
    about = error.response.get("ResponseMetadata", {})
    if error.operation_name != action:  # one that botocore made to have credentials
        code, message = "CredentialRetrievalError", f"{error.operation_name}: {code}: {message}"
    return EC2Error(
        action,
        code,
        message,
        _clock_ahead(error.response),
        status=int(about.get("HTTPStatusCode", 0)),
        request_id=str(about.get("RequestId", "")),
    )


def _clock_ahead(answer: Mapping[str, Any]) -> float:
    """Seconds that our clock is ahead of the Date of EC2's answer, which has whole seconds; 0 without one."""
    try:
        date = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
        return (datetime.now(UTC) - date).total_seconds()
    except (KeyError, TypeError, ValueError):
        return 0.0


def _foreign(action: str, answer: Mapping[str, Any]) -> EC2Error | None:
    """An answer that is not EC2's: a page of a proxy, say. botocore does not look at an answer's root, so any
    well-formed page would be an answer with nothing in it: no interfaces, or a success. EC2's have an id.
    """
    if answer["ResponseMetadata"].get("RequestId"):
        return None
    return EC2Error(
        action, "MalformedAnswer", "no request id: not an answer of EC2, but of something between"
    )


def _decoded(action: str, decode: Callable[[Mapping[str, Any]], _T], item: Mapping[str, Any]) -> _T:
    """An answer that lacks a field is one whose outcome we do not know."""
    try:
        return decode(item)
    except (msgspec.ValidationError, KeyError, TypeError, AttributeError) as error:
        raise EC2Error(action, "MalformedAnswer", f"{type(error).__name__}: {error}") from error


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

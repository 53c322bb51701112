"""The only door to aiobotocore: clients of AWS' services, their calls, and what went wrong as `EC2Error`.

Credentials, signing, regions and endpoints (`AWS_ENDPOINT_URL`, `AWS_ENDPOINT_URL_EC2`, `AWS_CA_BUNDLE`) are
botocore's business.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache, lru_cache, partial
from typing import Any, TypeVar
from urllib.parse import quote_plus, urlsplit

import aiohttp
import msgspec
from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession, get_session
from botocore.exceptions import BotoCoreError, ClientError
from botocore.handlers import (
    add_recursion_detection_header,
    add_retry_headers,
    inject_api_version_header_if_needed,
)
from botocore.parsers import ResponseParserError

from nodeeni.ec2.answers import Answers
from nodeeni.ec2.credentials import be_patient
from nodeeni.ec2.errors import EC2Error, UnusableSettings
from nodeeni.ec2.models import cut_loader
from nodeeni.ec2.types import READ, Action

CONNECT_TIMEOUT = 5.0
READ_TIMEOUT = 30.0  # EC2 in trouble answers after 20 s: with less nothing would ever be done
_WENT_WRONG = (ClientError, BotoCoreError, ResponseParserError, aiohttp.ClientError, OSError)

_T = TypeVar("_T")

_PLAIN = re.compile(r"[A-Za-z0-9_.~-]*").fullmatch  # what stands for itself in a form

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
_MUTATING = frozenset(action.value for action in Action)


class NotSent(Exception):
    """A mutating call was held back as it was to be sent: `may_change` said no."""


@cache
def models() -> Any:
    """botocore's models, read once in a process."""
    return cut_loader(ACTIONS, READ)


async def _session(service: str) -> AioSession:
    """For a client of that service. What takes long of making both is done in a thread: of 80 ms in which
    nothing else would be heard 10 are left.
    """
    return await asyncio.to_thread(_with_models, service)


def _with_models(service: str) -> AioSession:
    loader = models()
    for kind in ("service-2", "endpoint-rule-set-1"):
        loader.load_service_model(service, kind)
    session = get_session()
    session.register_component("data_loader", loader)
    return session


@asynccontextmanager
async def ec2(
    region: str,
    endpoint_url: str | None,
    pool: int,
    read_timeout: float,
    may_change: Callable[[], bool],
) -> AsyncIterator[Any]:
    """EC2's client, for `call`: see `EC2Client.connect`. Raises UnusableSettings."""
    config = AioConfig(
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=read_timeout,
        max_pool_connections=pool,
        retries={"total_max_attempts": 1, "mode": "standard"},
        user_agent="nodeeni aiobotocore",  # botocore's own is put together anew for each call: 0.15 ms
        parameter_validation=False,  # ours are typed, and EC2 validates them
    )
    session = await _session("ec2")
    try:
        be_patient(session)
        opening = session.create_client("ec2", region_name=region, endpoint_url=endpoint_url, config=config)
        client = await opening.__aenter__()
    except (BotoCoreError, ValueError) as error:
        raise UnusableSettings("connect", type(error).__name__, str(error)) from error
    _spare_work(client)
    client.meta.events.register("before-send.ec2", partial(_fence, may_change))
    client.meta.events.register("before-parse.ec2", Answers().decode)
    try:
        yield client
    finally:
        await opening.__aexit__(None, None, None)


async def call(client: Any, action: str, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """One request of EC2's client, and its answer. Raises EC2Error and NotSent."""
    try:
        answer: Mapping[str, Any] = await getattr(client, _METHODS[action])(**parameters)
    except _WENT_WRONG as error:
        raise _translated(action, error) from error
    foreign = _foreign(action, answer)
    if foreign is not None:
        raise foreign
    return answer


@asynccontextmanager
async def other(service: str, action: str, region: str) -> AsyncIterator[Any]:
    """A client of another service of AWS, for a call or two of `action` that change nothing.

    Raises EC2Error.
    """
    config = AioConfig(
        connect_timeout=CONNECT_TIMEOUT, read_timeout=READ_TIMEOUT, retries={"total_max_attempts": 2}
    )
    try:
        session = await _session(service)
        async with session.create_client(service, region_name=region, config=config) as client:
            yield client
    except ValueError as error:  # as botocore has it of an endpoint that is no address
        raise UnusableSettings(action, type(error).__name__, str(error)) from error
    except _WENT_WRONG as error:
        raise _translated(action, error) from error


def _fence(may_change: Callable[[], bool], event_name: str, **_: Any) -> None:
    if event_name.rpartition(".")[2] in _MUTATING and not may_change():
        raise NotSent


def _spare_work(client: Any) -> None:
    """What botocore would do anew for each call: together a third of a call's CPU with nothing sent."""
    rules, events = client._ruleset_resolver, client.meta.events
    rules.construct_endpoint = _once(rules.construct_endpoint)
    events.unregister("request-created", add_retry_headers)  # it does no retries
    events.unregister("needs-retry.ec2", unique_id="retry-config-ec2")
    events.unregister("before-call", add_recursion_detection_header)  # of Lambda's functions
    events.unregister("before-call", inject_api_version_header_if_needed)  # of other protocols
    events.register("before-call.ec2", _prepare)


def _once(construct_endpoint: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """AWS's rules make EC2's endpoint of region and settings, and of nothing that a call names."""
    found: Any = None

    async def constructed(**asked: Any) -> Any:
        nonlocal found
        if found is None:
            found = await construct_endpoint(**asked)
        return found

    return constructed


def _prepare(params: dict[str, Any], **_: Any) -> None:
    """botocore encodes a form to sign it, and again to send it; and takes the host out of the URL twice."""
    params["headers"]["Host"] = _host(params["url"])
    if isinstance(params["body"], dict):
        params["body"] = encoded(params["body"])


@lru_cache(1)
def _host(url: str) -> str:
    """As botocore signs it, and as aiohttp sends it: in small letters, without a port that is the default."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    default = {"http": 80, "https": 443}.get(parts.scheme)
    return host if parts.port in (None, default) else f"{host}:{parts.port}"


def encoded(form: Mapping[str, Any]) -> bytes:
    """As `urllib.parse.urlencode`, which looks at each letter even where nothing is to be quoted."""
    return "&".join([f"{_quoted(str(key))}={_quoted(str(value))}" for key, value in form.items()]).encode()


def _quoted(text: str) -> str:
    return text if _PLAIN(text) else quote_plus(text)


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
        clock_ahead(error.response),
        status=int(about.get("HTTPStatusCode", 0)),
        request_id=str(about.get("RequestId", "")),
    )


def clock_ahead(answer: Mapping[str, Any]) -> float:
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


def decoded(action: str, decode: Callable[[Mapping[str, Any]], _T], item: Mapping[str, Any]) -> _T:
    """An answer that lacks a field is one whose outcome we do not know."""
    try:
        return decode(item)
    except (msgspec.ValidationError, KeyError, TypeError, AttributeError) as error:
        raise EC2Error(action, "MalformedAnswer", f"{type(error).__name__}: {error}") from error

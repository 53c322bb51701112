"""Requests to the API server: the only place that speaks HTTP to it.

Callers name a Resource and the Struct they want back. Every failure leaves as a KubeError (errors.py).
"""

import asyncio
import copy
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any, TypeAlias, TypeVar, overload

import httpx2
import msgspec
from lightkube.core.exceptions import ConfigError as LightkubeConfigError

from nodeeni.kube import config
from nodeeni.kube.connections import Connections
from nodeeni.kube.errors import (
    Fenced,
    Invalid,
    KubeError,
    Unauthorized,
    Unavailable,
    Untrusted,
    decode_status,
    from_status,
)
from nodeeni.kube.reach import Reach
from nodeeni.kube.resources import Resource
from nodeeni.kube.transport import no_rest

T = TypeVar("T")
Items: TypeAlias = list[T]
Body: TypeAlias = dict[str, Any] | list[dict[str, Any]] | msgspec.Struct

REQUEST_TIMEOUT = 10.0  # seconds to connect, and to wait for each part of an answer
_METHODS = {"get": "GET", "list": "GET", "create": "POST", "patch": "PATCH", "delete": "DELETE"}
_WRITES = frozenset({"create", "patch", "delete"})
_WHOLE = 3  # times that, for the request as a whole: authentication, connection and answer
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"


class _ListMeta(msgspec.Struct, rename="camel"):
    resource_version: str = ""
    continue_: str = msgspec.field(default="", name="continue")


class _NameMeta(msgspec.Struct):
    name: str = ""


class _Named(msgspec.Struct):
    metadata: _NameMeta


class Page(msgspec.Struct):
    """One page of a list: items as they came, so that one bad item does not spoil the others."""

    items: list[msgspec.Raw] = []
    metadata: _ListMeta = msgspec.field(default_factory=_ListMeta)

    @property
    def resource_version(self) -> str:
        return self.metadata.resource_version

    def names(self) -> list[str]:
        return [msgspec.json.decode(item, type=_Named).metadata.name for item in self.items]


class KubeClient:
    """One connection pool to one API server. Use `connect`; `close` when done."""

    def __init__(
        self,
        connection: config.Connection,
        *,
        timeout: float = REQUEST_TIMEOUT,
        find: Callable[[], config.Connection] | None = None,
        reach: Reach | None = None,
    ) -> None:
        """`find` reads the files of the connection again, when they have changed. With `reach` requests are
        not sent in vain while the server is away.
        """
        self._reach = reach
        self._at_once = False
        self._timeout = timeout
        self._may_write: Callable[[], bool] = lambda: True
        self._connections = Connections(connection, timeout, find)

    @classmethod
    def connect(
        cls,
        kubeconfig: str | None = None,
        *,
        context: str | None = None,
        timeout: float = REQUEST_TIMEOUT,
        reach: Reach | None = None,
    ) -> "KubeClient":
        """A client for the cluster that `config.find` finds; raises ConfigError. Opens no connection yet."""
        find = partial(config.find, kubeconfig, context=context)
        return cls(find(), timeout=timeout, find=find, reach=reach)

    @property
    def url(self) -> str:
        return self._connections.url

    async def close(self) -> None:
        await self._connections.close()

    def fenced(self, may_write: Callable[[], bool]) -> "KubeClient":
        """The same connections, for one that must ask before each write: Fenced where it may not."""
        fenced = copy.copy(self)
        fenced._may_write = may_write
        return fenced

    def at_once(self) -> "KubeClient":
        """The same connections, for one that cannot wait until others find out that the server is back."""
        urgent = copy.copy(self)
        urgent._at_once = True
        return urgent

    def tells(self, error: KubeError) -> bool:
        """Whether a failure is told for all who use these connections: nobody else has to."""
        if isinstance(error, Fenced):
            return True  # as leadership does
        if self._reach is None or not isinstance(error, Unavailable):
            return False
        self._reach.tell(error)
        return True

    def returns(self) -> int:
        """How often a server that was away came back."""
        return self._reach.returns if self._reach is not None else 0

    async def back(self, timeout: float) -> None:
        """Wait `timeout` seconds, or until a server that is away is back."""
        if self._reach is None:
            await asyncio.sleep(timeout)
        else:
            await self._reach.back(timeout)

    async def get(self, resource: Resource, name: str, type: type[T], *, namespace: str | None = None) -> T:
        """One object as `type`; raises NotFound."""
        body = await self._send("get", resource, name=name, namespace=namespace)
        return _decode(body, type, resource)

    @overload
    async def create(self, resource: Resource, obj: Body, *, namespace: str | None = ...) -> bytes: ...
    @overload
    async def create(
        self, resource: Resource, obj: Body, type: type[T], *, namespace: str | None = ...
    ) -> T: ...
    async def create(
        self, resource: Resource, obj: Body, type: type[T] | None = None, *, namespace: str | None = None
    ) -> T | bytes:
        """Create `obj`; the object as stored, as `type` or as JSON. Raises AlreadyExists."""
        body = await self._send("create", resource, namespace=namespace, content=obj)
        return body if type is None else _decode(body, type, resource)

    @overload
    async def patch(
        self,
        resource: Resource,
        name: str,
        body: Body,
        *,
        subresource: str = ...,
        namespace: str | None = ...,
        content_type: str = ...,
    ) -> bytes: ...
    @overload
    async def patch(
        self,
        resource: Resource,
        name: str,
        body: Body,
        type: type[T],
        *,
        subresource: str = ...,
        namespace: str | None = ...,
        content_type: str = ...,
    ) -> T: ...
    async def patch(
        self,
        resource: Resource,
        name: str,
        body: Body,
        type: type[T] | None = None,
        *,
        subresource: str = "",
        namespace: str | None = None,
        content_type: str = MERGE_PATCH,
    ) -> T | bytes:
        """Patch one object, by default with a merge patch; the object as stored, as `type` or as JSON.

        With `metadata.resourceVersion` in the body the patch raises Conflict when somebody wrote first.
        """
        answer = await self._send(
            "patch",
            resource,
            name=name,
            namespace=namespace,
            subresource=subresource,
            content=body,
            content_type=content_type,
        )
        return answer if type is None else _decode(answer, type, resource)

    async def delete(
        self, resource: Resource, name: str, *, namespace: str | None = None, uid: str | None = None
    ) -> None:
        """Ask for the object's deletion; with `uid`, only of that one (else Conflict). Raises NotFound."""
        options = {"preconditions": {"uid": uid}} if uid else None
        await self._send("delete", resource, name=name, namespace=namespace, content=options)

    async def pages(
        self,
        resource: Resource,
        *,
        namespace: str | None = None,
        label_selector: str | None = None,
        field_selector: str | None = None,
        limit: int = 500,
    ) -> AsyncIterator[Page]:
        """The pages of one consistent list. Raises Gone when the list took so long that its snapshot went."""
        query = _selectors(label_selector, field_selector)
        query["limit"] = str(limit)
        while True:
            body = await self._send("list", resource, namespace=namespace, query=query)
            page = _decode(body, Page, resource)
            yield page
            if not page.metadata.continue_:
                return
            query["continue"] = page.metadata.continue_

    @asynccontextmanager
    async def watch(
        self,
        resource: Resource,
        *,
        resource_version: str,
        timeout: float,
        namespace: str | None = None,
        label_selector: str | None = None,
        field_selector: str | None = None,
        silence: float | None = None,
        gather: Callable[[], float] = no_rest,
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """A watch from `resource_version` on, with bookmarks, as raw chunks of its lines.

        The server ends it after `timeout` seconds. `silence` seconds without a byte (default: 10 more than
        `timeout`) raise Unavailable: the other end is gone without a word. After each chunk the connection
        rests for the seconds that `gather` says: what comes meanwhile is one chunk (not behind a proxy).
        """
        query = _selectors(label_selector, field_selector) | {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(max(1, round(timeout))),
        }
        quiet = timeout + 10 if silence is None else silence
        http = self._connections.current()
        request = http.build_request(
            "GET",
            resource.path(namespace=namespace),
            params=query,
            extensions={**self._extensions(), "gather": gather},
            timeout=httpx2.Timeout(self._timeout, read=quiet),
        )
        with self._translated("watch", resource.described()) as sent:
            async with asyncio.timeout(self._timeout * _WHOLE):
                response = await http.send(request, stream=True)
            try:
                if not response.is_success:
                    await response.aread()
                    raise _error(response, "watch", resource.described())
                self._hear(None, sent)
                yield response.aiter_raw()
            finally:
                await response.aclose()

    async def list(
        self,
        resource: Resource,
        type: type[T],
        *,
        namespace: str | None = None,
        label_selector: str | None = None,
        field_selector: str | None = None,
        limit: int = 500,
    ) -> tuple[Items[T], str]:
        """All objects as `type`, and the resourceVersion of the list. Pages are followed."""
        items: Items[T] = []
        version = ""
        async for page in self.pages(
            resource,
            namespace=namespace,
            label_selector=label_selector,
            field_selector=field_selector,
            limit=limit,
        ):
            items.extend(_decode(raw, type, resource) for raw in page.items)
            version = page.resource_version
        return items, version

    async def _send(
        self,
        verb: str,
        resource: Resource,
        *,
        namespace: str | None = None,
        name: str | None = None,
        subresource: str = "",
        query: Mapping[str, str] | None = None,
        content: Body | None = None,
        content_type: str = "application/json",
    ) -> bytes:
        http = self._connections.current()
        request = http.build_request(
            _METHODS[verb],
            resource.path(namespace=namespace, name=name, subresource=subresource),
            params=query,
            content=None if content is None else msgspec.json.encode(content),
            headers=None if content is None else {"Content-Type": content_type},
            extensions=self._extensions(),
        )
        described = resource.described(subresource)
        if verb in _WRITES and not self._may_write():
            raise Fenced(f"{verb} {described}: the lease is not ours")
        with self._translated(verb, described):
            async with asyncio.timeout(self._timeout * _WHOLE):
                response = await http.send(request)
            if not response.is_success:
                raise _error(response, verb, described)
        return response.content

    def _extensions(self) -> dict[str, str]:
        name = self._connections.connection.server_name
        return {"sni_hostname": name} if name else {}

    @contextmanager
    def _translated(self, verb: str, resource: str) -> Iterator[float]:
        """When the request is sent; failures as KubeErrors. Those of trust have the files read again."""
        if self._reach is not None and not self._at_once and (away := self._reach.in_vain()) is not None:
            raise away
        sent = self._reach.clock() if self._reach is not None else 0.0
        try:
            with _translated(verb, resource):
                yield sent
        except KubeError as error:
            if isinstance(error, Unauthorized | Untrusted):
                self._connections.doubt()
            self._hear(error, sent)
            raise
        self._hear(None, sent)

    def _hear(self, error: KubeError | None, sent: float) -> None:
        if self._reach is not None:
            self._reach.heard(error, sent)


@contextmanager
def _translated(verb: str, resource: str) -> Iterator[None]:
    try:
        yield
    except (httpx2.RequestError, httpx2.StreamError, TimeoutError) as error:
        reason = str(error) or type(error).__name__
        raise (Untrusted if _of_tls(error) else Unavailable)(f"{verb} {resource}: {reason}") from error
    except (LightkubeConfigError, OSError) as error:  # a token file that went away
        raise Unauthorized(f"{verb} {resource}: {error}") from error


def _of_tls(error: BaseException | None) -> bool:
    """Whether certificates are behind it: the server's, which we do not believe, or ours."""
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    return error is not None


def _error(response: httpx2.Response, verb: str, resource: str) -> KubeError:
    try:
        retry_after = float(response.headers.get("Retry-After", ""))
    except ValueError:
        retry_after = None
    status = decode_status(response.content)
    return from_status(response.status_code, status, verb=verb, resource=resource, retry_after=retry_after)


def _decode(body: bytes | msgspec.Raw, type: type[T], resource: Resource) -> T:
    try:
        return msgspec.json.decode(body, type=type)
    except msgspec.DecodeError as error:
        raise Invalid(f"{resource.described()}: the answer is not what we know: {error}") from error


def _selectors(label_selector: str | None, field_selector: str | None) -> dict[str, str]:
    pairs = {"labelSelector": label_selector, "fieldSelector": field_selector}
    return {key: value for key, value in pairs.items() if value}

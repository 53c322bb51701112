"""The HTTP side: what a request asks goes to discovery, reads, writes or a watch, and every refusal comes
back as a Status object.
"""

import asyncio
import socket
import ssl
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from aiohttp import web

from nodeeni.sandbox.kube import discovery, kubeconfig, openapi, reads, reviews, watch
from nodeeni.sandbox.kube.faults import Fault, Faults
from nodeeni.sandbox.kube.lifecycle import Lifecycle
from nodeeni.sandbox.kube.operations import Deletion, Operations, Options, Target
from nodeeni.sandbox.kube.patches import MERGE_PATCH
from nodeeni.sandbox.kube.requests import (
    ApiRequest,
    decode_object,
    decode_patch,
    deletion,
    parse,
    write_options,
)
from nodeeni.sandbox.kube.resources import Registry, Resource
from nodeeni.sandbox.kube.status import (
    ApiError,
    Object,
    details,
    no_such_path,
    unauthorized,
)
from nodeeni.sandbox.kube.storage import Store

MAX_BODY = 3 * 1024 * 1024  # the API server's limit of a request body
VERSION: Object = {
    "major": "1",
    "minor": "34",
    "gitVersion": "v1.34.0-nodeeni-sandbox",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "2025-08-27T00:00:00Z",
    "goVersion": "",
    "compiler": "",
    "platform": "linux/amd64",
}
_HEALTH = ("healthz", "readyz", "livez")


class KubeServer:
    """An API server with the namespaces of a fresh cluster and nothing else.

    `log_length` is how many changes of each resource a watch can catch up on (older: 410);
    `bookmark_every` and `collect_delay` are in seconds. With `tokens`, requests need one of them as bearer
    token; the set may be changed while running. `certfile` and `keyfile` switch to TLS.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        tokens: Iterable[str] = (),
        certfile: str | None = None,
        keyfile: str | None = None,
        log_length: int = 10_000,
        bookmark_every: float = 60.0,
        collect_delay: float = 0.02,
    ) -> None:
        self.host = host
        self.port = port
        self.tokens = set(tokens)
        self.requests: Counter[tuple[str, str]] = Counter()
        self.faults = Faults()
        self.store = Store(log_length)
        self._certfile = certfile
        self._keyfile = keyfile
        self._bookmark_every = bookmark_every
        self._registry = Registry()
        self._operations = Operations(self.store, self._registry)
        self._lifecycle = Lifecycle(self._operations, collect_delay, self._end_watches)
        for resource in reviews.RESOURCES:
            self._registry.add(resource)
        self._http: web.Server | None = None
        self._listener: asyncio.Server | None = None
        self._others: list[asyncio.Server] = []
        self._task: asyncio.Task[None] | None = None
        for name in ("default", "kube-system", "kube-public", "kube-node-lease"):
            self.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})

    # Running.

    @property
    def url(self) -> str:
        return f"{'https' if self._certfile else 'http'}://{self.host}:{self.port}"

    async def start(self) -> None:
        def request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
            loop = asyncio.get_running_loop()
            return web.BaseRequest(
                message, payload, protocol, writer, task, loop, client_max_size=MAX_BODY + 1
            )

        self._http = web.Server(
            self._handle, request_factory=request, handler_cancellation=True, access_log=None
        )
        await self.listen()
        self._task = asyncio.create_task(self._lifecycle.run(), name="sandbox-kube-lifecycle")

    async def stop(self) -> None:
        self.refuse_connections()
        for listener in self._others:
            listener.close()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        if self._http is not None:
            await self._http.shutdown(0.1)
            self._http = None

    async def listen(self) -> None:
        """Starts to accept connections: at first, and again after `refuse_connections`, on the same port."""
        assert self._http is not None, "start() comes first"
        context: ssl.SSLContext | None = None
        if self._certfile:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(self._certfile, self._keyfile)
        self._listener = await asyncio.get_running_loop().create_server(
            self._http, self.host, self.port, ssl=context, reuse_address=True, backlog=4096
        )
        self.port = self._listener.sockets[0].getsockname()[1]

    async def listen_on(self, listening: socket.socket) -> None:
        """Accepts on one more socket, such as one inside a host's namespace, until `stop`."""
        assert self._http is not None, "start() comes first"
        self._others.append(await asyncio.get_running_loop().create_server(self._http, sock=listening))

    def refuse_connections(self) -> None:
        """Stops listening and resets every open connection; what is stored stays."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for connection in self._http.connections if self._http is not None else ():
            if connection.transport is not None:
                connection.transport.abort()

    def kubeconfig(self) -> str:
        """A kubeconfig (YAML) that needs no flags; with a token of `tokens`, if there are any."""
        return kubeconfig.text(self.url, self._certfile, min(self.tokens, default=None))

    # Direct access, for tests and for setting up a cluster: no HTTP, not counted in `requests`.

    def objects(self, group: str, plural: str) -> list[Object]:
        """What is stored of this resource, by namespace and name. Not to be changed in place."""
        entries = self.store.collection(self._resource(group, plural).stored_in).entries
        return [entries[key].obj for key in sorted(entries)]

    def get(self, group: str, plural: str, name: str, namespace: str = "") -> Object | None:
        entry = self.store.get(self._resource(group, plural).stored_in, (namespace, name))
        return entry.obj if entry else None

    def create(self, obj: Object) -> Object:
        """Creates the object as a client would, and then sets the status that it carries, if any.

        Raises ApiError as the API server refuses.
        """
        resource = self._registry.by_kind(obj["apiVersion"], obj["kind"])
        if resource is None:
            raise no_such_path()
        namespace = obj.get("metadata", {}).get("namespace") or "default" if resource.namespaced else ""
        made = self._operations.create(Target(resource, (namespace, "")), obj, _direct()).obj
        if resource.status and obj.get("status") and made.get("status") != obj["status"]:
            target = Target(resource, (namespace, made["metadata"]["name"]), "status")
            return self._operations.patch(target, MERGE_PATCH, {"status": obj["status"]}, _direct()).obj
        return made

    def apply(self, obj: Object) -> Object:
        """Creates the object, or merges it into the one that is there."""
        resource = self._registry.by_kind(obj["apiVersion"], obj["kind"])
        if resource is None:
            raise no_such_path()
        namespace = obj.get("metadata", {}).get("namespace") or "default" if resource.namespaced else ""
        name = obj["metadata"]["name"]
        if self.store.get(resource.stored_in, (namespace, name)) is None:
            return self.create(obj)
        target = Target(resource, (namespace, name))
        return self._operations.patch(target, MERGE_PATCH, obj, _direct()).obj

    def patch(
        self, group: str, plural: str, name: str, patch: Object, *, namespace: str = "", subresource: str = ""
    ) -> Object:
        """A JSON merge patch."""
        target = Target(self._resource(group, plural), (namespace, name), subresource)
        return self._operations.patch(target, MERGE_PATCH, patch, _direct()).obj

    def delete(self, group: str, plural: str, name: str, *, namespace: str = "") -> bool:
        """Whether the object is gone at once; else its finalizers hold it. Raises ApiError 404."""
        target = Target(self._resource(group, plural), (namespace, name))
        return self._operations.delete(target, Deletion(), _direct())[1]

    def _resource(self, group: str, plural: str) -> Resource:
        resource = self._registry.by_plural(group, plural)
        if resource is None:
            raise no_such_path()
        return resource

    def _end_watches(self, storage: str) -> None:
        self.faults.break_watches("end", storage.partition(".")[0])

    # Serving.

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await self._route(request)
        except ApiError as error:
            return _json(msgspec.json.encode(error.status()), error.code, error.headers)

    async def _route(self, request: web.BaseRequest) -> web.StreamResponse:
        segments = [part for part in request.path.split("/") if part]
        if segments and segments[0] in _HEALTH:
            return web.Response(text="ok")
        if self.tokens and request.headers.get("Authorization", "")[7:] not in self.tokens:
            raise unauthorized()
        if len(segments) > (2 if segments[0] == "api" else 3) and segments[0] in ("api", "apis"):
            asked = parse(request.method, segments, dict(request.query), self._registry)
            return await self._serve(request, asked)
        return self._describe(request, segments)

    def _describe(self, request: web.BaseRequest, segments: list[str]) -> web.Response:
        accept = request.headers.get("Accept", "")
        registry = self._registry
        match segments:
            case ["version"]:
                return _body(VERSION)
            case ["api" | "apis" as root] if discovery.wants_aggregated(accept):
                body = msgspec.json.encode(discovery.aggregated(registry, core=root == "api"))
                return web.Response(body=body, headers={"Content-Type": discovery.AGGREGATED})
            case ["api"]:
                return _body(discovery.core_versions(f"{self.host}:{self.port}"))
            case ["apis"]:
                return _body(discovery.groups(registry))
            case ["apis", group] if group in registry.versions():
                return _body(discovery.group(registry, group))
            case ["api", version]:
                return self._resource_list("", version)
            case ["apis", group, version]:
                return self._resource_list(group, version)
            case ["openapi", "v2"]:
                return _body(openapi.swagger(registry))
            case ["openapi", "v3"]:
                return _body(openapi.index(registry, str(self.store.revision)))
            case ["openapi", "v3", "api", version]:
                return _body(openapi.document(self._of("", version)))
            case ["openapi", "v3", "apis", group, version]:
                return _body(openapi.document(self._of(group, version)))
            case []:
                return _body({"paths": ["/api", "/apis", "/healthz", "/livez", "/openapi/v3", "/version"]})
            case _:
                raise no_such_path()

    def _of(self, group: str, version: str) -> list[Resource]:
        found = [r for r in self._registry if (r.group, r.version) == (group, version)]
        if not found:
            raise no_such_path()
        return found

    def _resource_list(self, group: str, version: str) -> web.Response:
        return _body(
            discovery.resource_list(self._of(group, version), f"{group}/{version}" if group else version)
        )

    async def _serve(self, request: web.BaseRequest, asked: ApiRequest) -> web.StreamResponse:
        self.requests[asked.verb, asked.counted_as] += 1
        fault = self.faults.take(asked.verb, asked.counted_as, asked.target.key[1])
        body = await self._read(request)
        if fault is not None:
            await self._misbehave(request, fault)
        if asked.verb == "watch":
            return await self._watch(request, asked)
        response = _VERBS[asked.verb](self, request, asked, body)
        if fault is not None and fault.drop == "after":
            _abort(request)
        return response

    async def _read(self, request: web.BaseRequest) -> bytes:
        try:
            return await request.read()
        except web.HTTPRequestEntityTooLarge as error:
            message = f"Request entity too large: limit is {MAX_BODY}"
            raise ApiError(413, "RequestEntityTooLarge", message) from error

    async def _misbehave(self, request: web.BaseRequest, fault: Fault) -> None:
        if fault.delay:
            await asyncio.sleep(fault.delay)
        if fault.hang:
            await asyncio.Event().wait()
        if fault.drop == "before":
            _abort(request)
        if fault.status is not None:
            reason = fault.reason or _REASONS.get(fault.status, "")
            body: Object | None = None
            headers: dict[str, str] = {}
            if fault.retry_after is not None:
                body, headers = (
                    {"retryAfterSeconds": fault.retry_after},
                    {"Retry-After": str(fault.retry_after)},
                )
            raise ApiError(fault.status, reason, fault.message or "asked for by a test", body, headers)

    async def _watch(self, request: web.BaseRequest, asked: ApiRequest) -> web.StreamResponse:
        query = dict(request.query)
        form = reads.form_of(request.headers.get("Accept", ""))
        chosen = reads.selection(asked.resource, asked.target.key[0], query)
        wish = watch.wish(chosen, form, query)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.enable_chunked_encoding()
        with self.faults.open_watch(asked.resource.plural) as opened:
            await response.prepare(request)
            stream = watch.Stream(self.store, wish, response, opened, self._bookmark_every)
            await stream.run(request.transport)
            if opened.broken == "reset":
                raise ConnectionResetError("reset by a test")
            await response.write_eof()
        return response

    def _get(self, request: web.BaseRequest, asked: ApiRequest, body: bytes) -> web.Response:
        form = reads.form_of(request.headers.get("Accept", ""))
        entry = self._operations.get(asked.target)
        if form is reads.Form.PLAIN:
            return _json(reads.object_body(entry.obj, asked.resource, entry))
        include = request.query.get("includeObject", "Metadata")
        return _json(reads.object_in_form(entry.obj, asked.resource, form, include))

    def _list(self, request: web.BaseRequest, asked: ApiRequest, body: bytes) -> web.Response:
        query = dict(request.query)
        form = reads.form_of(request.headers.get("Accept", ""))
        chosen = reads.selection(asked.resource, asked.target.key[0], query)
        found = reads.page(self.store, chosen, query)
        return _json(reads.list_body(found, asked.resource, form, query.get("includeObject", "Metadata")))

    def _create(self, request: web.BaseRequest, asked: ApiRequest, body: bytes) -> web.Response:
        obj = decode_object(body, request.content_type)
        if asked.resource in reviews.RESOURCES:
            return _json(msgspec.json.encode(reviews.answered(asked.resource, obj)), 201)
        options = self._options(request)
        written = self._operations.create(asked.target, obj, options)
        return self._written(request, asked, written.obj, options, 201)

    def _update(self, request: web.BaseRequest, asked: ApiRequest, body: bytes) -> web.Response:
        options = self._options(request)
        written = self._operations.update(asked.target, decode_object(body, request.content_type), options)
        return self._written(request, asked, written.obj, options, 201 if written.created else 200)

    def _patch(self, request: web.BaseRequest, asked: ApiRequest, body: bytes) -> web.Response:
        options = self._options(request)
        if request.content_type.startswith("application/apply-patch"):
            options.manager = request.query.get("fieldManager", "")
        patch = decode_patch(body, request.content_type)
        written = self._operations.patch(asked.target, request.content_type, patch, options)
        return self._written(request, asked, written.obj, options, 201 if written.created else 200)

    def _delete(self, request: web.BaseRequest, asked: ApiRequest, body: bytes) -> web.Response:
        options = self._options(request)
        wanted, dry = deletion(body, dict(request.query))
        options.dry_run = options.dry_run or dry
        last, gone = self._operations.delete(asked.target, wanted, options)
        resource = asked.resource
        if not gone or resource.plural == "pods":
            return _json(reads.object_body(last, resource))
        about = details(asked.target.key[1], resource.group, resource.plural, uid=last["metadata"]["uid"])
        return _body(
            {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": about}
        )

    def _delete_collection(self, request: web.BaseRequest, asked: ApiRequest, body: bytes) -> web.Response:
        options = self._options(request)
        wanted, dry = deletion(body, dict(request.query))
        options.dry_run = options.dry_run or dry
        query = dict(request.query)
        found = reads.page(self.store, reads.selection(asked.resource, asked.target.key[0], query), query)
        for entry in found.entries:
            meta = entry.obj["metadata"]
            target = Target(asked.resource, (meta.get("namespace", ""), meta["name"]))
            self._operations.delete(target, wanted, options)
        return _json(reads.list_body(found, asked.resource, reads.Form.PLAIN, "Object"))

    def _options(self, request: web.BaseRequest) -> Options:
        return write_options(dict(request.query), request.headers.get("User-Agent", ""))

    def _written(
        self, request: web.BaseRequest, asked: ApiRequest, obj: Object, options: Options, code: int
    ) -> web.Response:
        form = reads.form_of(request.headers.get("Accept", ""))
        include = request.query.get("includeObject", "Metadata")
        warnings = [("Warning", f'299 - "{_quoted(text)}"') for text in options.warnings]
        body = reads.object_in_form(obj, asked.resource, form, include)
        response = _json(body, code)
        for name, value in warnings:
            response.headers.add(name, value)
        return response


_Verb = Callable[[KubeServer, web.BaseRequest, ApiRequest, bytes], web.Response]
_VERBS: dict[str, _Verb] = {
    "get": KubeServer._get,
    "list": KubeServer._list,
    "create": KubeServer._create,
    "update": KubeServer._update,
    "patch": KubeServer._patch,
    "delete": KubeServer._delete,
    "deletecollection": KubeServer._delete_collection,
}
_REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    410: "Expired",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}


def _direct() -> Options:
    return Options(manager="sandbox", field_validation="Strict")


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _json(body: bytes, code: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        body=body, status=code, headers={"Content-Type": "application/json", **(headers or {})}
    )


def _body(obj: Object) -> web.Response:
    return _json(msgspec.json.encode(obj))


def _abort(request: web.BaseRequest) -> None:
    """Resets the connection: the client gets no answer, whatever was done."""
    if request.transport is not None:
        request.transport.abort()
    raise ConnectionResetError("dropped by a test")

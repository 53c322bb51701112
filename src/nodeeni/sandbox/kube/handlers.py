"""The HTTP side: what a request asks goes to discovery, reads, writes or a watch, and every refusal comes
back as a Status object.
"""

from collections import Counter
from collections.abc import Callable

import msgspec
from aiohttp import web

from nodeeni.sandbox.kube import discovery, openapi, reads, reviews, watch
from nodeeni.sandbox.kube.faults import Faults, abort, suffer
from nodeeni.sandbox.kube.operations import Operations
from nodeeni.sandbox.kube.requests import (
    ApiRequest,
    decode_object,
    decode_patch,
    deletion,
    parse,
    write_options,
)
from nodeeni.sandbox.kube.resources import Resource
from nodeeni.sandbox.kube.status import ApiError, Object, details, no_such_path, unauthorized
from nodeeni.sandbox.kube.targets import Options, Target

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


class Api:
    """`tokens` (none: no authentication), `requests` and `faults` are the server's own."""

    def __init__(
        self, operations: Operations, tokens: set[str], faults: Faults, bookmark_every: float
    ) -> None:
        self.requests: Counter[tuple[str, str]] = Counter()
        self._operations = operations
        self._registry = operations.registry
        self._store = operations.store
        self._tokens = tokens
        self._faults = faults
        self._bookmark_every = bookmark_every

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await self._route(request)
        except ApiError as error:
            if error.plain:
                return web.Response(text=error.message, status=error.code)
            return _json(msgspec.json.encode(error.status()), error.code, error.headers)

    async def _route(self, request: web.BaseRequest) -> web.StreamResponse:
        segments = [part for part in request.path.split("/") if part]
        if segments and segments[0] in _HEALTH:
            return web.Response(text="ok")
        if self._tokens and request.headers.get("Authorization", "")[7:] not in self._tokens:
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
                return _body(discovery.core_versions(request.host))
            case ["apis"]:
                return _body(discovery.groups(registry))
            case ["apis", group] if group in registry.versions():
                return _body(discovery.group(registry, group))
            case ["api", version]:
                return self._resource_list("", version)
            case ["apis", group, version]:
                return self._resource_list(group, version)
            case ["openapi", "v2"] if openapi.SWAGGER_ASKED in accept and "json" not in accept:
                return web.Response(
                    body=openapi.swagger_protobuf(), headers={"Content-Type": openapi.SWAGGER_GIVEN}
                )
            case ["openapi", "v2"]:
                return _body(openapi.swagger(registry))
            case ["openapi", "v3"]:
                return _body(openapi.index(registry, str(self._store.revision)))
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
        fault = self._faults.take(asked.verb, asked.counted_as, asked.target.key[1])
        body = await self._read(request)
        if fault is not None:
            await suffer(fault, request)
        if asked.verb == "watch":
            return await self._watch(request, asked)
        response = _VERBS[asked.verb](self, request, asked, body)
        if fault is not None and fault.drop == "after":
            abort(request)
        return response

    async def _read(self, request: web.BaseRequest) -> bytes:
        try:
            return await request.read()
        except web.HTTPRequestEntityTooLarge as error:
            message = f"Request entity too large: limit is {MAX_BODY}"
            raise ApiError(413, "RequestEntityTooLarge", message) from error

    async def _watch(self, request: web.BaseRequest, asked: ApiRequest) -> web.StreamResponse:
        query = dict(request.query)
        form = reads.form_of(request.headers.get("Accept", ""))
        chosen = reads.selection(asked.resource, asked.target.key[0], query)
        wish = watch.wish(chosen, form, query)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.enable_chunked_encoding()
        with self._faults.open_watch(asked.resource.plural) as opened:
            await response.prepare(request)
            stream = watch.Stream(self._store, wish, response, opened, self._bookmark_every)
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
        found = reads.page(self._store, chosen, query)
        return _json(reads.list_body(found, asked.resource, form, query.get("includeObject", "Metadata")))

    def _create(self, request: web.BaseRequest, asked: ApiRequest, body: bytes) -> web.Response:
        obj = decode_object(body, _content_type(request))
        if asked.resource in reviews.RESOURCES:
            return _json(msgspec.json.encode(reviews.answered(asked.resource, obj)), 201)
        options = self._options(request)
        written = self._operations.create(asked.target, obj, options)
        return self._written(request, asked, written.obj, options, 201)

    def _update(self, request: web.BaseRequest, asked: ApiRequest, body: bytes) -> web.Response:
        options = self._options(request)
        written = self._operations.update(asked.target, decode_object(body, _content_type(request)), options)
        return self._written(request, asked, written.obj, options, 201 if written.created else 200)

    def _patch(self, request: web.BaseRequest, asked: ApiRequest, body: bytes) -> web.Response:
        options = self._options(request)
        if _content_type(request).startswith("application/apply-patch"):
            options.manager = request.query.get("fieldManager", "")
        patch = decode_patch(body, _content_type(request))
        written = self._operations.patch(asked.target, _content_type(request), patch, options)
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
        found = reads.page(self._store, reads.selection(asked.resource, asked.target.key[0], query), query)
        for entry in found.entries:
            meta = entry.obj["metadata"]
            target = Target(asked.resource, (meta.get("namespace", ""), meta["name"]))
            self._operations.delete(target, wanted, options)
        return _json(reads.list_body(found, asked.resource, reads.Form.PLAIN, "Object"))

    def _options(self, request: web.BaseRequest) -> Options:
        return write_options(dict(request.query), request.headers.get("User-Agent", ""), request.method)

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


_Verb = Callable[[Api, web.BaseRequest, ApiRequest, bytes], web.Response]
_VERBS: dict[str, _Verb] = {
    "get": Api._get,
    "list": Api._list,
    "create": Api._create,
    "update": Api._update,
    "patch": Api._patch,
    "delete": Api._delete,
    "deletecollection": Api._delete_collection,
}


def _content_type(request: web.BaseRequest) -> str:
    """The body's media type; none at all means JSON to the API server."""
    return request.content_type if "Content-Type" in request.headers else "application/json"


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _json(body: bytes, code: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        body=body, status=code, headers={"Content-Type": "application/json", **(headers or {})}
    )


def _body(obj: Object) -> web.Response:
    return _json(msgspec.json.encode(obj))

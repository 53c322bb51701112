"""The server as a whole: starts, stops, stops listening for a while; and gives tests a direct way in."""

import asyncio
import socket
import ssl
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from aiohttp import web

from nodeeni.sandbox.kube import builtin, kubeconfig, reviews
from nodeeni.sandbox.kube.faults import Faults
from nodeeni.sandbox.kube.handlers import MAX_BODY, Api
from nodeeni.sandbox.kube.lifecycle import Lifecycle
from nodeeni.sandbox.kube.operations import Operations
from nodeeni.sandbox.kube.patches import MERGE_PATCH
from nodeeni.sandbox.kube.resources import Registry, Resource
from nodeeni.sandbox.kube.status import Object, no_such_path
from nodeeni.sandbox.kube.storage import Store
from nodeeni.sandbox.kube.targets import Deletion, Options, Target


class KubeServer:
    """An API server with the namespaces of a fresh cluster and nothing else.

    `log_length` is how many changes of each resource a watch can catch up on (older: 410);
    `bookmark_every` and `collect_delay` are in seconds. With `tokens`, requests need one of them as bearer
    token; the set may be changed while running. `certfile` and `keyfile` switch to TLS;
    with `client_authority` (a file) clients have to show a certificate that it signed.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        tokens: Iterable[str] = (),
        certfile: str | None = None,
        keyfile: str | None = None,
        client_authority: str | None = None,
        log_length: int = 10_000,
        bookmark_every: float = 60.0,
        collect_delay: float = 0.02,
    ) -> None:
        self.host = host
        self.port = port
        self.tokens = set(tokens)
        self.faults = Faults()
        self.store = Store(log_length)
        self._certfile = certfile
        self._keyfile = keyfile
        self._client_authority = client_authority
        self._registry = Registry([*builtin.resources(), *reviews.RESOURCES])
        self._operations = Operations(self.store, self._registry)
        self._lifecycle = Lifecycle(self._operations, collect_delay, self._end_watches)
        self._api = Api(self._operations, self.tokens, self.faults, bookmark_every)
        self._http: web.Server | None = None
        self._listener: asyncio.Server | None = None
        self._others: list[asyncio.Server] = []
        self._task: asyncio.Task[None] | None = None
        for name in ("default", "kube-system", "kube-public", "kube-node-lease"):
            self.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})

    # Running.

    @property
    def requests(self) -> Counter[tuple[str, str]]:
        """How many requests were served, by verb and resource (`nodeenis`, `nodeenis/status`)."""
        return self._api.requests

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
            self._api.handle, request_factory=request, handler_cancellation=True, access_log=None
        )
        await self.listen()
        self._task = asyncio.create_task(self._lifecycle.run(), name="sandbox-kube-lifecycle")

    async def stop(self) -> None:
        self.refuse_connections()
        for listener in self._others:
            listener.close()
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):  # a fault of its own is raised here
                await self._task
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
            if self._client_authority:
                context.verify_mode = ssl.CERT_REQUIRED
                context.load_verify_locations(self._client_authority)
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


def _direct() -> Options:
    return Options(manager="sandbox", field_validation="Strict")

"""The way to a real API server on which a test can ask for the same faults as of the sandbox's.

client ──TLS──► proxy, with the server's own certificate ──TLS──► API server
"""

import asyncio
import ssl
from collections import Counter
from contextlib import nullcontext

import aiohttp
import msgspec
from aiohttp import web
from hack.apiserver.processes import RealServer
from yarl import URL

from nodeeni.sandbox.kube.faults import Faults, OpenWatch, abort, suffer
from nodeeni.sandbox.kube.status import ApiError, expired

_OF_THE_HOP = {"host", "connection", "transfer-encoding", "content-length", "keep-alive", "date"}
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete", "GET": "get"}


class Proxy:
    def __init__(self, server: RealServer, faults: Faults) -> None:
        self.port = 0
        self.requests: Counter[tuple[str, str]] = Counter()
        self._server = server
        self._faults = faults
        self._http: web.Server | None = None
        self._listener: asyncio.Server | None = None
        self._session: aiohttp.ClientSession | None = None
        self._begun: set[asyncio.Future[aiohttp.ClientResponse]] = set()

    async def start(self) -> None:
        def request(
            message: object, payload: object, protocol: object, writer: object, task: object
        ) -> object:
            loop = asyncio.get_running_loop()
            return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=1 << 24)  # type: ignore[arg-type]

        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._server.tls(), limit=0),
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,
        )
        self._http = web.Server(
            self._handle,
            request_factory=request,  # type: ignore[arg-type]
            handler_cancellation=True,
            access_log=None,
        )
        await self.listen()

    async def listen(self) -> None:
        assert self._http is not None, "start() comes first"
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        certificate = self._server.certificate
        context.load_cert_chain(certificate, certificate.with_suffix(".key"))
        self._listener = await asyncio.get_running_loop().create_server(
            self._http, "127.0.0.1", self.port, ssl=context, reuse_address=True, backlog=1024
        )
        self.port = self._listener.sockets[0].getsockname()[1]

    def refuse(self) -> None:
        """Stops listening and resets every open connection."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for connection in self._http.connections if self._http is not None else ():
            if connection.transport is not None:
                connection.transport.abort()

    async def stop(self) -> None:
        self.refuse()
        if self._http is not None:
            await self._http.shutdown(0.1)
        await asyncio.gather(*self._begun, return_exceptions=True)
        if self._session is not None:
            await self._session.close()
            for _ in range(3):  # turns of the loop until a transport with TLS is closed
                await asyncio.sleep(0)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await self._pass_on(request)
        except ApiError as error:
            return web.json_response(error.status(), status=error.code, headers=error.headers)

    async def _pass_on(self, request: web.BaseRequest) -> web.StreamResponse:
        verb, resource, name = _asked(request)
        self.requests[verb, resource] += 1
        body = await request.read()
        fault = self._faults.take(verb, resource, name)
        if fault is not None:
            await suffer(fault, request)
        # A watch is open from here on: who breaks watches means also the one whose answer is still under way.
        with self._faults.open_watch(resource) if verb == "watch" else nullcontext() as opened:
            answer = await self._begin(request, body)
            try:
                if opened is not None and answer.status == 200:
                    return await self._stream(request, answer, opened)
                content = await answer.read()
                if fault is not None and fault.drop == "after":
                    abort(request)
                kept = {k: v for k, v in answer.headers.items() if k.lower() not in _OF_THE_HOP}
                return web.Response(status=answer.status, body=content, headers=kept)
            finally:
                _leave(answer)

    async def _begin(self, request: web.BaseRequest, body: bytes) -> aiohttp.ClientResponse:
        """The head of the API server's answer. A client that leaves meanwhile cancels the wait, not the
        request: asyncio loses the socket of a TLS handshake that is cancelled."""
        assert self._session is not None
        url = URL(f"https://127.0.0.1:{self._server.port}{request.raw_path}", encoded=True)
        headers = {k: v for k, v in request.headers.items() if k.lower() not in _OF_THE_HOP}
        asking = self._session.request(request.method, url, headers=headers, data=body or None)
        task = asyncio.ensure_future(asking)
        self._begun.add(task)
        task.add_done_callback(self._begun.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(_close)
            raise

    async def _stream(
        self, request: web.BaseRequest, answer: aiohttp.ClientResponse, opened: OpenWatch
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": answer.headers["Content-Type"]})
        response.enable_chunked_encoding()
        await response.prepare(request)
        opened.wake = asyncio.Event()
        if opened.broken is not None:
            opened.wake.set()
        pumping = asyncio.create_task(_pump(answer, response, opened))
        breaking = asyncio.create_task(opened.wake.wait())
        try:
            await asyncio.wait((pumping, breaking), return_when=asyncio.FIRST_COMPLETED)
        finally:
            pumping.cancel()
            breaking.cancel()
            await asyncio.gather(pumping, breaking, return_exceptions=True)
        if opened.broken == "silent":
            await asyncio.Event().wait()
        if opened.broken == "reset":
            abort(request)
        if opened.broken == "gone":
            event = {
                "type": "ERROR",
                "object": expired("too old resource version: broken by a test").status(),
            }
            await response.write(msgspec.json.encode(event) + b"\n")
        await response.write_eof()
        return response


def _close(done: asyncio.Future[aiohttp.ClientResponse]) -> None:
    if done.exception() is None:
        _leave(done.result())


def _leave(answer: aiohttp.ClientResponse) -> None:
    """Without the goodbye of TLS, which a test that ends would have to wait for."""
    if answer.connection is not None and answer.connection.transport is not None:
        answer.connection.transport.abort()
    answer.close()


async def _pump(answer: aiohttp.ClientResponse, response: web.StreamResponse, opened: OpenWatch) -> None:
    while (chunk := await answer.content.readany()) and opened.broken is None:
        await response.write(chunk)


def _asked(request: web.BaseRequest) -> tuple[str, str, str]:
    """Verb, resource with subresource, and name, as the sandbox's API server counts requests."""
    parts = [part for part in request.path.split("/") if part]
    rest = parts[2:] if parts[:1] == ["api"] else parts[3:] if parts[:1] == ["apis"] else []
    if len(rest) > 2 and rest[0] == "namespaces":
        rest = rest[2:]
    resource, name = [*rest, "", ""][:2]
    if len(rest) > 2:
        resource += f"/{rest[2]}"
    verb = _VERBS.get(request.method, "")
    if not name:
        verb = {"get": "list", "delete": "deletecollection"}.get(verb, verb)
    if verb == "list" and request.query.get("watch") in ("true", "1"):
        verb = "watch"
    return verb, resource, name

"""The bytes between httpx2's client and the API server, moved by aiohttp.

httpx2's own transport parses HTTP in Python, chunk by chunk: with 500 heartbeats a second on the watch of
Nodes that alone is 5 % of a core. aiohttp's parser is C. What the client does (URLs, headers,
authentication) stays httpx2's.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Protocol, cast

import aiohttp
import httpx2
from yarl import URL

# Bytes. One reading takes a quarter of a megabyte at most: where it took nearly that, more may lie there.
_LARGE = 224 * 1024


def no_rest() -> float:
    """Seconds that a stream rests after a reading: none."""
    return 0.0


class AiohttpTransport(httpx2.AsyncBaseTransport):
    """Connections straight to the server, without a proxy. Failures leave as httpx2's RequestError.

    A response is streamed: `read` of the request's timeouts is the longest silence between two parts. Once
    all that has come is read, nothing is read for the seconds that the request's extension `gather` says.
    """

    def __init__(self, tls: ssl.SSLContext) -> None:
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        timeouts = request.extensions.get("timeout", {})
        body = await request.aread()
        with _translated(request):
            response = await self._opened().request(
                request.method,
                URL(str(request.url), encoded=True),
                data=body or None,
                headers=[(name.decode(), value.decode()) for name, value in request.headers.raw],
                timeout=aiohttp.ClientTimeout(
                    total=None, connect=timeouts.get("connect"), sock_read=timeouts.get("read")
                ),
                ssl=self._tls,
                server_hostname=request.extensions.get("sni_hostname"),
                allow_redirects=False,
            )
        return httpx2.Response(
            response.status, headers=list(response.raw_headers), stream=_Stream(response, request)
        )

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:  # made here because it belongs to the loop that runs
            self._session = aiohttp.ClientSession(
                auto_decompress=False,  # httpx2 does
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            )
        return self._session


class _OverTls(Protocol):
    """asyncio's transport over TLS: paused, it still wakes for each packet, to keep it undeciphered. With no
    room for any it leaves the socket alone, which halves what a heartbeat costs.
    """

    def set_read_buffer_limits(self, high: int | None) -> None: ...


class _Stream(httpx2.AsyncByteStream):
    def __init__(self, response: aiohttp.ClientResponse, request: httpx2.Request) -> None:
        self._response = response
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        gather = self._request.extensions.get("gather", no_rest)
        with _translated(self._request):
            async for part in self._response.content.iter_any():
                yield part
                if len(part) < _LARGE and (seconds := gather()):
                    await self._rest(seconds)

    async def _rest(self, seconds: float) -> None:
        """Let what arrives wait in the socket: one reading of it costs as much as one of a single event."""
        transport = self._transport()
        if transport is not None:
            self._read(transport, False)
            await asyncio.sleep(seconds)
            if self._transport() is transport:  # else it was closed meanwhile
                self._read(transport, True)

    def _transport(self) -> asyncio.Transport | None:
        connection = self._response.connection
        return connection.transport if connection is not None else None

    def _read(self, transport: asyncio.Transport, wanted: bool) -> None:
        if self._request.url.scheme == "https":
            cast("_OverTls", transport).set_read_buffer_limits(None if wanted else 0)
        elif wanted:
            transport.resume_reading()
        else:
            transport.pause_reading()

    async def aclose(self) -> None:
        if self._response.content.is_eof():
            self._response.release()
        else:
            self._response.close()


@contextmanager
def _translated(request: httpx2.Request) -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise httpx2.ReadTimeout(f"no answer in time: {error}", request=request) from error
    except aiohttp.ClientConnectorError as error:
        why = error.os_error.strerror or type(error.os_error).__name__
        raise httpx2.NetworkError(f"cannot reach {_server(request)}: {why}", request=request) from error
    except (aiohttp.ClientError, OSError) as error:
        why = str(error) or type(error).__name__
        raise httpx2.NetworkError(f"{_server(request)}: {why}", request=request) from error


def _server(request: httpx2.Request) -> str:
    return f"the API server {request.url.scheme}://{request.url.netloc.decode()}"

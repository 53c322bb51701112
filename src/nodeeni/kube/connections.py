"""The HTTP client behind every request, made anew when the files that it was made of have changed.

Certificates and their authority are rotated while a process runs for months: what was read once is refused
one day, and only a look at the files tells that there are others.
"""

import logging
import os
from collections.abc import Callable
from importlib import metadata

import httpx2

from nodeeni.kube.config import Connection
from nodeeni.kube.errors import ConfigError
from nodeeni.kube.transport import AiohttpTransport

log = logging.getLogger(__name__)

_Looks = tuple[tuple[int, int, int] | None, ...]


class Connections:
    """`timeout` in seconds. `find` reads the files again; without it the first connection is the only one."""

    def __init__(
        self, connection: Connection, timeout: float, find: Callable[[], Connection] | None = None
    ) -> None:
        self.connection = connection
        self._timeout = timeout
        self._find = find
        self._looks = _looks(connection)
        self._doubted = False
        self._http = _client(connection, timeout)
        self._former: list[httpx2.AsyncClient] = []  # watches may still hang on them

    @property
    def url(self) -> str:
        return self.connection.url

    def current(self) -> httpx2.AsyncClient:
        """The client for the next request."""
        if self._find is not None and (self._doubted or _looks(self.connection) != self._looks):
            self._renew(self._find)
        return self._http

    def doubt(self) -> None:
        """We or the server were not believed: read the files again before the next request."""
        self._doubted = True

    async def close(self) -> None:
        for client in (*self._former, self._http):
            await client.aclose()

    def _renew(self, find: Callable[[], Connection]) -> None:
        changed, self._doubted = _looks(self.connection) != self._looks, False
        self._looks = _looks(self.connection)
        try:
            connection = find()
        except ConfigError as error:  # read between two writes, or gone: what we have may do
            if changed:
                log.warning("going on with the credentials as they were: %s", error)
            return
        if (
            connection.url != self.connection.url
        ):  # somebody chose another context: our ENIs are of this cluster
            log.warning(
                "the kubeconfig leads to %s now: staying with %s", connection.url, self.connection.url
            )
            return
        self.connection, self._looks = connection, _looks(connection)
        self._former = [client for client in self._former if not client.is_closed]
        self._former.append(self._http)
        self._http = _client(connection, self._timeout)
        if changed:
            log.info("credentials of the API server read again: their files have changed")


def _looks(connection: Connection) -> _Looks:
    """What tells one version of the files from the next; None for one that is not there."""
    return tuple(_look(path) for path in connection.files)


def _look(path: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _client(connection: Connection, timeout: float) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(
        base_url=connection.url,
        verify=connection.tls,
        auth=connection.auth,
        transport=None if connection.by_proxy else AiohttpTransport(connection.tls),
        proxy=connection.proxy,
        trust_env=connection.use_proxy_env,
        timeout=timeout,
        headers={
            "User-Agent": f"nodeeni/{metadata.version('nodeeni')}",
            "Accept": "application/json",
            # Next to the server, unpacking costs more than the bytes do.
            "Accept-Encoding": "identity",
        },
    )

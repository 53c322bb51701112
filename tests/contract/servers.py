"""The API server that a test meets: the sandbox's, or under `make apitest` the real one."""

import ssl
from typing import cast

import aiohttp
from tests.contract.processes import real_is_wanted
from tests.contract.real import RealKube

from nodeeni.sandbox.kube import KubeServer


def new_server(*, troubled: bool = False) -> KubeServer:
    """A server that looks fresh. Of `KubeServer` the real one has what tests use; without it they skip.

    With `troubled` faults can be asked of the real one too.
    """
    return cast("KubeServer", RealKube(troubled=troubled)) if real_is_wanted() else KubeServer()


def session(server: KubeServer) -> aiohttp.ClientSession:
    """HTTP to it as an administrator."""
    headers, authority = access(server)
    tls = True if authority is None else ssl.create_default_context(cafile=authority)
    return aiohttp.ClientSession(server.url, headers=headers, connector=aiohttp.TCPConnector(ssl=tls))


def access(server: object) -> tuple[dict[str, str], str | None]:
    """What an administrator's client needs: headers, and the file of the certificate to trust, if any."""
    return (server.headers, server.authority) if isinstance(server, RealKube) else ({}, None)

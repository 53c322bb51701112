"""The real kube-apiserver and etcd in place of the sandbox's: TLS, the rights of the shipped manifests."""

import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import aiohttp
import msgspec
from hack.apiserver import accounts
from hack.apiserver.processes import BINARY, start
from hack.apiserver.server import MERGE_PATCH, ApiServer

Object = dict[str, Any]

_NODES = "/api/v1/nodes"


def missing() -> str:
    """What this machine lacks for a real API server, in a line; empty if it has all."""
    if not shutil.which("etcd"):
        return "there is no etcd: apt-get install etcd-server, or set KUBEBUILDER_ASSETS"
    if not os.access(os.environ.get(BINARY, ""), os.X_OK):
        return f"{BINARY} names no kube-apiserver: `make bench-real` builds one and sets it"
    return ""


def versions() -> str:
    """The two programs by name and version, and what is unusual about how they run."""
    server, etcd = (_first_line(program) for program in (os.environ[BINARY], "etcd"))
    return f"kube-apiserver {server.split()[-1]} with etcd {etcd.split()[-1]} on tmpfs, on the same cores"


def _first_line(program: str) -> str:
    said = subprocess.run([program, "--version"], check=True, capture_output=True, text=True)
    return said.stdout.splitlines()[0]


@contextmanager
def real_server() -> Iterator[ApiServer]:
    """A new one, which ends with the block."""
    server = start()
    try:
        yield ApiServer(server)
    finally:
        server.end()


def kubeconfig(kube: ApiServer) -> str:
    """The controller's, with the token of its service account and no other rights than the shipped ones."""
    accounts.install(kube)
    return kube.kubeconfig(accounts.token(kube, accounts.CONTROLLER))


class RealNodes:
    """Over TLS, as the administrator whom the audit log leaves out."""

    at_once = 16

    def __init__(self, url: str, http: aiohttp.ClientSession) -> None:
        self._url = url
        self._http = http

    async def register(self, node: Object) -> None:
        await self._ask("POST", _NODES, node, "application/json")

    async def report(self, name: str, status: Object) -> None:
        await self._ask("PATCH", f"{_NODES}/{name}/status", {"status": status}, MERGE_PATCH)

    async def _ask(self, method: str, path: str, body: Object, content_type: str) -> None:
        data, headers = msgspec.json.encode(body), {"Content-Type": content_type}
        async with self._http.request(method, self._url + path, data=data, headers=headers) as answer:
            content = await answer.read()
            if answer.status >= 300:
                raise RuntimeError(f"{method} {path}: {answer.status} {content[:500]!r}")


@asynccontextmanager
async def real_nodes(kube: ApiServer) -> AsyncIterator[RealNodes]:
    server = kube.server
    headers = {"Authorization": f"Bearer {server.admin}"}
    connector = aiohttp.TCPConnector(ssl=server.tls(), limit=0)
    async with aiohttp.ClientSession(headers=headers, connector=connector) as http:
        yield RealNodes(kube.url, http)

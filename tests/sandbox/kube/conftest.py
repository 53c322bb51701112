"""A fresh API server for each test, ways to talk to it, and a CRD to try it with."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.contract.processes import real_is_wanted
from tests.contract.servers import new_server, session
from tests.needs import program
from tests.sandbox.kube.clients import Client, Kubectl

from nodeeni.sandbox.kube import KubeServer

_HERE = Path(__file__).parent


@pytest.fixture
def sandbox_only() -> None:
    """For what a real API server does not do alone, or not within reach of a test."""
    if real_is_wanted():
        pytest.skip("of the sandbox's API server alone")


@pytest.fixture
async def server() -> AsyncIterator[KubeServer]:
    server = new_server()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
def definition() -> dict[str, Any]:
    """A CRD with something of everything that is checked: defaults, patterns, limits, lists, rules."""
    loaded: dict[str, Any] = msgspec.yaml.decode((_HERE / "widgets_crd.yaml").read_bytes())
    return loaded


@pytest.fixture
def widgets(server: KubeServer, definition: dict[str, Any]) -> KubeServer:
    """The server, serving widgets."""
    server.create(definition)
    return server


@pytest.fixture
async def client(server: KubeServer) -> AsyncIterator[Client]:
    async with session(server) as http:
        yield Client(http)


@pytest.fixture
def kubectl(server: KubeServer, tmp_path: Path) -> Kubectl:
    program("kubectl")
    return Kubectl(tmp_path, server.kubeconfig())

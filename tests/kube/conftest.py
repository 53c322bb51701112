from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.contract.servers import new_server
from tests.kube.waiting import Background
from tests.kube.wire import Wire

from nodeeni.kube.client import KubeClient
from nodeeni.sandbox.kube import KubeServer


@pytest.fixture
async def server() -> AsyncIterator[KubeServer]:
    server = new_server(troubled=True)
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def wire(server: KubeServer) -> AsyncIterator[Wire]:
    url = urlsplit(server.url)
    wire = Wire(url.port or 0, scheme=url.scheme)
    await wire.listen()
    yield wire
    await wire.close()


@pytest.fixture
async def client(server: KubeServer, wire: Wire, tmp_path: Path) -> AsyncIterator[KubeClient]:
    """A client that reaches the server through the wire."""
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(server.kubeconfig().replace(server.url, wire.url))
    client = KubeClient.connect(str(kubeconfig), timeout=2.0)
    yield client
    await client.close()


@pytest.fixture
async def background() -> AsyncIterator[Background]:
    background = Background()
    yield background
    await background.stop()

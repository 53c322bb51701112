"""A cluster that has our two CRDs and nothing else, reached over HTTP."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.contract.servers import new_server

from nodeeni.api.crd import manifests
from nodeeni.kube.client import KubeClient


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[KubeClient]:
    server = new_server()
    for manifest in manifests().values():
        server.create(manifest)
    await server.start()
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(server.kubeconfig())
    client = KubeClient.connect(str(kubeconfig))
    yield client
    await client.close()
    await server.stop()

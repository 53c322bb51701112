from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.agent.situation import Kernel, Node

from nodeeni.sandbox.hosts import probe
from nodeeni.sandbox.kube import KubeServer


@pytest.fixture(scope="session")
def namespaces() -> None:
    capability = probe()
    if not capability.possible or capability.needs_wrap:
        pytest.skip(capability.reason or "named network namespaces need root")


@pytest.fixture
async def bare_node(namespaces: None, tmp_path: Path) -> AsyncIterator[Node]:
    """A kernel without a primary interface, and an API server without our CRDs."""
    kube = KubeServer()
    await kube.start()
    kernel = Kernel()
    node = Node(kernel, kube, tmp_path)
    await node.relay.open()
    yield node
    codes = [await agent.stop() for agent in node.agents]
    await node.relay.cut()
    kernel.remove()
    await kube.stop()
    assert codes == [0] * len(codes)


@pytest.fixture
async def node(bare_node: Node) -> Node:
    """A node as a cluster has it: `eth0` with the default route, our CRDs applied."""
    bare_node.kernel.add_primary()
    bare_node.apply_crds()
    return bare_node

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.agent.situation import Node, a_node
from tests.contract.servers import new_server
from tests.needs import kernels


@pytest.fixture(scope="session")
def namespaces() -> None:
    kernels()


@pytest.fixture
async def bare_node(namespaces: None, tmp_path: Path) -> AsyncIterator[Node]:
    """A kernel without a primary interface, and an API server without our CRDs."""
    async with a_node(new_server(troubled=True), tmp_path) as node:
        yield node


@pytest.fixture
async def node(bare_node: Node) -> Node:
    """A node as a cluster has it: `eth0` with the default route, our CRDs applied."""
    bare_node.kernel.add_primary()
    bare_node.apply_crds()
    return bare_node

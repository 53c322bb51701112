"""Only with `make clustertest`. One cluster serves all of them: its parts are built once a machine, its start
takes minutes. Each finds two nodes Ready, and leaves no ENI."""

import os
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from hack.cluster.cluster import cluster, why_not
from tests.cluster.operator import Operator

PATIENCE = 1800.0  # seconds for one test; what has to be built first takes a quarter of an hour
WANTED = os.environ.get("NODEENI_CLUSTER") == "1"
collect_ignore_glob = [] if WANTED else ["test_*.py"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name != "test_endings.py")  # one cluster a machine
    for item in items:
        if "cluster" in item.path.parts:
            item.add_marker(pytest.mark.timeout(PATIENCE))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def _started() -> AsyncIterator[Operator]:
    if reason := why_not():
        pytest.skip(reason)
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - began:6.1f} s  {text}")

    async with cluster(2, say) as made:
        operator = Operator(made)
        await operator.until_ready()
        say("both nodes are Ready")
        yield operator


@pytest_asyncio.fixture(loop_scope="session")
async def two_nodes(_started: Operator) -> Operator:
    """Ready, in two zones, whatever became of those before."""
    while len(_started.nodes) < 2:
        await _started.cluster.add_node()
    await _started.until_ready()
    return _started


@pytest_asyncio.fixture(loop_scope="session")
async def bare(two_nodes: Operator) -> Operator:
    """A cluster with nothing of ours in it."""
    await two_nodes.remove_all()
    return two_nodes


@pytest_asyncio.fixture(loop_scope="session")
async def operator(two_nodes: Operator) -> AsyncIterator[Operator]:
    """The release is installed, and each node has an ENI; afterwards none is left, anywhere."""
    await two_nodes.install()
    await two_nodes.apply()
    await two_nodes.until_up(2)
    await two_nodes.agree()
    yield two_nodes
    await two_nodes.delete()

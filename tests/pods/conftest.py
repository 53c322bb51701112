"""Only with `make podstest`: guests under QEMU, and programs that Go builds, both made once a machine.

The machines are booted once for all scenarios; each begins with no pods and the same NodeENI.
"""

import os
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from tests.pods.stage import Pods, two_nodes

from nodeeni.sandbox.machines.hosts import why_impossible

WANTED = os.environ.get("NODEENI_PODS") == "1"
collect_ignore_glob = [] if WANTED else ["test_*.py"]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def booted(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pods]:
    if reason := why_impossible():
        pytest.skip(reason)
    async with two_nodes(tmp_path_factory.mktemp("pods") / "stage") as pods:
        await pods.start_processes()
        yield pods


@pytest_asyncio.fixture(loop_scope="session")
async def pods(booted: Pods) -> Pods:
    await booted.renew()
    return booted

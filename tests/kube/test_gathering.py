"""A watch that rests after each reading: what comes meanwhile waits in the kernel, and is read at once."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.kube.certificates import certified
from tests.kube.waiting import Background, until

from nodeeni.kube.client import KubeClient
from nodeeni.kube.resources import NODES
from nodeeni.sandbox.kube import KubeServer

REST = 1.0  # seconds


def waiting_in_the_kernel(port: int) -> int:
    """Bytes that came from `port` of this machine and that nobody has read yet."""
    rows = [line.split() for line in Path("/proc/self/net/tcp").read_text().splitlines()[1:]]
    return sum(int(row[4].split(":")[1], 16) for row in rows if row[2].endswith(f":{port:04X}"))


@pytest.fixture(params=["plain", "tls"])
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[KubeServer]:
    tls = request.param == "tls"
    server = KubeServer(**await certified(tmp_path, "IP:127.0.0.1")) if tls else KubeServer()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def client(server: KubeServer, tmp_path: Path) -> AsyncIterator[KubeClient]:
    """Straight to the server, whose connections are then those to its port."""
    config = yaml.safe_load(server.kubeconfig())
    if server.url.startswith("https"):
        config["clusters"][0]["cluster"]["certificate-authority"] = "tls.crt"
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
    client = KubeClient.connect(str(tmp_path / "kubeconfig"))
    yield client
    await client.close()


async def test_events_that_come_while_a_watch_rests_are_read_at_once(
    server: KubeServer, client: KubeClient, background: Background
) -> None:
    async with client.watch(NODES, resource_version="0", timeout=30, gather=lambda: REST) as chunks:
        server.create(node("n0"))
        first = await anext(chunks)
        following = background.start(_next(chunks))
        server.create(node("n1"))
        await until(lambda: waiting_in_the_kernel(server.port) > 0)
        one = waiting_in_the_kernel(server.port)
        server.create(node("n2"))
        await until(lambda: waiting_in_the_kernel(server.port) > one)
        assert [chunk.count(b'"ADDED"') for chunk in (first, await following)] == [1, 2]


async def test_a_watch_that_rests_keeps_up_with_more_than_one_reading_holds(
    server: KubeServer, client: KubeClient
) -> None:
    """A rest for each quarter of a megabyte would fall further and further behind a busy cluster."""
    large = {"example.com/filling": "x" * 200_000}
    async with client.watch(NODES, resource_version="0", timeout=60, gather=lambda: REST) as chunks:
        for number in range(80):  # 16 MB
            server.create({**node(f"n{number}"), "metadata": {"name": f"n{number}", "annotations": large}})
        read = 0
        async with asyncio.timeout(10 * REST):
            while read < 80:
                read += (await anext(chunks)).count(b'"ADDED"')


def node(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}


async def _next(chunks: AsyncIterator[bytes]) -> bytes:
    return await anext(chunks)

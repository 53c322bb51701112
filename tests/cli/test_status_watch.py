"""`nodeeni status --watch`: what is said of an attach of several nodes while it lasts, and how it ends."""

import asyncio
import io
import itertools
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from rich.console import Console
from tests.cli.looking import NAME, Site, until
from tests.cli.reported import a_lease

from nodeeni.api.meta import ObjectMeta
from nodeeni.api.v1alpha1 import NodeENI
from nodeeni.cli import status
from nodeeni.cli.status.looking import Progress
from nodeeni.cli.status.watch import watch
from nodeeni.flags import UsageError
from nodeeni.kube.client import KubeClient

FOREVER = "2999-01-01T00:00:00.000000Z"


@asynccontextmanager
async def watched(site: Site, to: Console, name: str | None = None) -> AsyncIterator[None]:
    client = KubeClient.connect(None)
    task = asyncio.create_task(watch(client, name, to))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await client.close()


async def test_without_a_terminal_each_change_is_a_line(site: Site) -> None:
    a_lease(site, "pod-1", FOREVER)
    for number in range(3):
        await site.node(f"n{number}")
    written = io.StringIO()

    def lines() -> list[str]:
        return [re.sub(r"^[0-9:]{8}  ", "", line) for line in written.getvalue().splitlines()]

    async with watched(site, Console(file=written, width=10_000)):
        site.apply()
        await until(lambda: f"{NAME}: 0 of 0: no controller has looked at it yet: is it running?" in lines())
        async with site.controller():
            await until(lambda: f"{NAME}: 3 of 3: attached on 3 nodes" in lines())
        site.world.kube.faults.fail(503, times=1000)
        site.world.kube.faults.break_watches("reset")
        await until(lambda: any(line.startswith("API server: the API server: ") for line in lines()))
        site.world.kube.faults.planned.clear()
        await until(lambda: "API server: over" in lines())
    told = lines()
    assert f"✗ {NAME}: nothing is reported: is the controller running?" in told
    assert f"✗ {NAME}: over" in told
    assert all(before != after for before, after in itertools.pairwise(told)), "only changes"


async def test_on_a_terminal_there_is_a_bar_and_what_is_wrong_is_above_it(site: Site) -> None:
    a_lease(site, "pod-1", FOREVER)
    await site.node("n1")
    await site.node("n2", zone="b")
    written = io.StringIO()
    to = Console(file=written, width=80, height=24, force_terminal=True, color_system=None)
    async with watched(site, to):
        site.apply()
        async with site.controller():
            await until(lambda: "1 of 2" in written.getvalue())
            await until(lambda: "✗ n2 " in written.getvalue())
    last = written.getvalue().rpartition("✗ n2 ")[2]
    assert last.startswith(f"{NAME}: NoSubnetInZone: instance")
    assert "━" in last
    assert "  attached on 1 of 2 nodes; not as spec asks on 1 node" in last
    assert written.getvalue().endswith("\x1b[?25h"), "the cursor is there again"


async def test_a_name_that_is_not_there_is_one_line_and_no_watch(site: Site) -> None:
    line = "nodeeni status: no NodeENI and no node with an ENI has the name nobody\n"
    assert await site.run("status", "--watch", "nobody") == (1, "", line)


def test_json_is_not_watched() -> None:
    with pytest.raises(UsageError, match="--watch is for people"):
        status.main(["-w", "-o", "json"])


def deleting(removing: int | None) -> NodeENI:
    nodeeni = NodeENI(metadata=ObjectMeta(name=NAME, deletion_timestamp="2026-01-01T00:00:00Z"), spec=None)  # type: ignore[arg-type]
    nodeeni.status.removing = removing
    return nodeeni


def test_the_rate_is_that_of_the_last_ten_seconds_and_a_deletion_counts_what_is_gone() -> None:
    progress = Progress()
    for second, left in enumerate([200, 195, 190]):
        progress.look(deleting(left), float(second))
    assert (progress.done, progress.total, progress.rate) == (10, 200, 5.0)
    for second in range(3, 14):
        progress.look(deleting(190), float(second))
    assert progress.rate == 0.0
    progress.look(deleting(None), 14.0)
    assert (progress.done, progress.total) == (200, 200)

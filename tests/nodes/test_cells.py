"""ENIs plugged into machines, with the ENI manager and without: no difference but what it is there for."""

import asyncio
import json
import statistics
from pathlib import Path
from typing import Any

import pytest
from tests.nodes.cells import CELLS, Cell, asked_for, plugs
from tests.nodes.node import Node, a_node, until

from nodeeni.sandbox.ec2 import Interface

UNDER_WAY = {"pending", "initialized", "configuring"}  # states of systemd-networkd that another follows
LONGEST_REST = 900  # seconds until the network service is done: a starved guest takes minutes for a lease
AT_A_TIME = 10  # on the machine at once, of its 25 slots

# Every third ENI is listed with all, every third with nothing, every third not at all.
WISHES: tuple[dict[str, Any] | None, ...] = ({"mtu": 9001, "interfaceName": "data{}"}, {}, None)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", asked_for())
async def test_with_and_without_the_manager(name: str, tmp_path: Path) -> None:
    cell = CELLS[name]
    async with a_node(cell.image, tmp_path / "without") as node:
        without = await plugged(node, cell, managed=False)
        alone = waits(node)
        unmanaged = await node.complaints()
    async with a_node(cell.image, tmp_path / "with") as node:
        with_manager = await plugged(node, cell, managed=True)
        managed = waits(node)
        complaints, taint = await node.complaints(), await node.taint()
    assert complaints == unmanaged == []
    assert taint == 0
    expected = [to_expect(number, view) for number, view in enumerate(without)]
    for number, (got, view) in enumerate(zip(with_manager, expected, strict=True)):
        assert got == view, f"plug {number} of {name}"
    print_timing(f"{name}, without", alone)
    print_timing(f"{name}, with", managed)
    assert len(managed) == len(without)


async def plugged(node: Node, cell: Cell, *, managed: bool) -> list[dict[str, Any]]:
    """Each ENI attached, looked at and detached; views in the order of the attaches."""
    views: list[dict[str, Any]] = []
    told = 0
    enis = [node.plant() for _ in range(plugs(cell))]
    if managed:
        listed = [(eni, wish) for number, eni in enumerate(enis) if (wish := wish_of(number)) is not None]
        node.list_enis(*listed)
        await node.start_manager()
    for start in range(0, len(enis), AT_A_TIME):
        batch = enis[start : start + AT_A_TIME]
        await node.at_rest()
        for eni in batch:
            await node.attach(eni)
            await until(lambda eni=eni: node.timing(eni)[0] is not None)  # type: ignore[misc]
            await node.at_rest()
        seen = await settled(node, batch)
        views += seen
        if managed:
            for number, eni in enumerate(batch, start):
                if wish_of(number) is not None:
                    await node.until_reported(eni, "Up")
            lines = node.managers[0].said("link configured")
            ours = {line["link"] for line in lines[told:] if line["change"].endswith((": up", ", up"))}
            told = len(lines)
            assert not ours & early(node, batch, seen), "set up before udev was done with it"
        for eni in reversed(batch):
            await node.detach(eni)
        await node.quiet(0.2)
        assert not [eni for eni in batch if eni.mac in await node.links()]
    return views


async def settled(node: Node, batch: list[Interface]) -> list[dict[str, Any]]:
    """The views, once two some time apart are the same and none is of a link that is still being set up."""
    before: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    deadline = loop.time() + LONGEST_REST
    while loop.time() < deadline:
        views = await node.views(batch)
        if views == before and not any(UNDER_WAY & set(view["networkd"]) for view in views):
            return views
        before = views
        await node.quiet(2)
    raise AssertionError(f"no rest: {json.dumps(before)}")


def wish_of(number: int) -> dict[str, Any] | None:
    wish = WISHES[number % len(WISHES)]
    return wish and {
        key: value.format(number) if key == "interfaceName" else value for key, value in wish.items()
    }


def to_expect(number: int, without: dict[str, Any]) -> dict[str, Any]:
    """What the manager is there for, on top of what the node does by itself."""
    wish = wish_of(number)
    view = {**without, "up": True}
    if not without["up"]:
        view["state"] = "UP"
        if without["networkd"]:
            view["networkd"] = (
                ["routable", without["networkd"][1]] if without["addresses"] else without["networkd"]
            )
    if wish:
        view["mtu"] = wish["mtu"]
        view["altnames"] = sorted([*without["altnames"], wish["interfaceName"]])
    return view


def early(node: Node, batch: list[Interface], views: list[dict[str, Any]]) -> set[str]:
    """The links that were up before udev's word. NetworkManager does that to most, networkd to one now and
    then; both can read udev's database, which has the word some time before all are told."""
    timings = [node.timing(eni) for eni in batch]
    return {
        view["name"]
        for (word, up), view in zip(timings, views, strict=True)
        if up is not None and (word is None or up < word)
    }


def waits(node: Node) -> list[float]:
    """ms from udev's word to up, of the links that came up."""
    timings = [node.timing(eni) for eni in node.enis]
    return [(up - word) * 1000 for word, up in timings if word is not None and up is not None]


def print_timing(what: str, taken: list[float]) -> None:
    if len(taken) > 1:
        cuts = statistics.quantiles(taken, n=100, method="inclusive")
        print(
            f"{what}: {len(taken)} links up, from udev's word to up: p50 {cuts[49]:.1f} ms,"
            f" p99 {cuts[98]:.1f} ms, minimum {min(taken):.1f} ms, maximum {max(taken):.1f} ms"
        )

"""What outlives a process and a boot: reboots, managers that come late, and nodes whose names were broken."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.nodes.cells import release
from tests.nodes.node import Node, a_node

from nodeeni.sandbox.machines.images import Image

pytestmark = pytest.mark.timeout(900)
ROOT = Path(__file__).parents[2]
OLD = "f7e1c1b"  # the last manager that did not wait for udev
PARTS = ("agent", "logs.py", "__init__.py")
ALL = {"mtu": 9001, "interfaceName": "data0"}


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    async with a_node(Image("12"), tmp_path / "node") as node:  # its kernel renames no link that is up
        yield node


@pytest.mark.parametrize("late", [False, True], ids=["early", "late"])
async def test_names_are_the_same_after_a_reboot(tmp_path: Path, late: bool) -> None:
    """With ENIs attached; the manager comes with the boot, or when udev has been done for long."""
    async with a_node(Image(release(), "networkd"), tmp_path / "node") as node:
        enis = [node.plant() for _ in range(3)]
        node.list_enis((enis[0], ALL), (enis[1], {}))
        first = await node.start_manager()
        for eni in enis:
            await node.attach(eni)
        for eni in enis[:2]:
            await node.until_reported(eni, "Up")
        await node.quiet(3)
        before = [await node.view(eni) for eni in enis]
        await node.reboot()
        await asyncio.wait_for(first.process.wait(), 10)  # it went with the machine
        node.managers.remove(first)
        if late:
            await node.sh("udevadm settle; systemctl is-system-running --wait", fails=True)
        await node.start_manager()
        for eni in enis[:2]:
            await node.until_reported(eni, "Up")
        await node.quiet(3)
        after = [await node.view(eni) for eni in enis]
        assert [view["name"] for view in after] == ["ens6", "ens7", "ens8"]
        for old, new in zip(before, after, strict=True):
            assert new == old
        assert await node.complaints() == []


async def test_a_node_that_ran_the_manager_before(node: Node) -> None:
    """Its names are broken until a reboot or a new attach; its links work at once, and it is told."""
    await bring_old_manager(node)
    eni, late = node.plant(), node.plant()
    node.list_enis((eni, ALL), (late, {**ALL, "interfaceName": "data1"}))
    old = await node.start_manager(old=True)
    await node.attach(eni)
    await node.until_reported(eni, "Up")
    await node.quiet()
    broken = await node.view(eni)
    assert (broken["name"], broken["udev"]["ID_RENAMING"]) == ("eth0", "1")
    assert await old.stop() == 0
    node.managers.remove(old)

    manager = await node.start_manager()
    await node.quiet(12)  # the time that udev is given
    view = await node.view(eni)
    assert (view["name"], view["mtu"], view["up"]) == ("eth0", 9001, True)
    assert "data0" in view["altnames"]
    assert "before udev could rename it" in node.reported()[eni.mac]["note"]
    assert manager.said("the link has another name than udev has for it")

    await node.attach(late)
    await node.until_reported(late, "Up")
    assert (await node.view(late))["name"] == "ens7"
    await node.detach(eni)
    await node.until_reported(eni, "Missing")
    await node.attach(eni)
    await node.until_reported(eni, "Up")
    assert (await node.view(eni))["name"] == "ens6"
    assert "note" not in node.reported()[eni.mac]


async def bring_old_manager(node: Node) -> None:
    argv = ["git", "-C", str(ROOT), "archive", OLD, *(f"src/nodeeni/{part}" for part in PARTS)]
    made = await asyncio.to_thread(subprocess.run, argv, capture_output=True, check=False)
    if made.returncode:
        pytest.skip(f"this clone has no commit {OLD}")
    await node.put("/run/old.tar", made.stdout)
    await node.sh("mkdir -p /opt/old && tar x -C /opt/old --strip-components=1 -f /run/old.tar")

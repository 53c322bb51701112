"""The shipped image, with the rights of the DaemonSet's pod and no others, next to a real udev."""

import asyncio
from pathlib import Path

import pytest
from tests.nodes import container
from tests.nodes.cells import release
from tests.nodes.node import a_node

from nodeeni.sandbox.machines.images import Image

WITH_A_RUNTIME = Image(release(), packages=("crun",))


@pytest.mark.timeout(900)
async def test_net_admin_alone_and_the_runtimes_seccomp_profile_are_enough(tmp_path: Path) -> None:
    """The image's files, read-only, run by crun with the profile that containerd gives for RuntimeDefault."""
    disk = await asyncio.to_thread(container.disk, tmp_path)
    async with a_node(WITH_A_RUNTIME, tmp_path / "node") as node:
        eni = node.plant()
        node.list_enis((eni, {"mtu": 9001, "interfaceName": "data0"}))
        await node.start_manager(within=await container.bring(node, disk, tmp_path / "node"))
        pid = (await node.sh(f"crun state {container.NAME} | grep '\"pid\"' | tr -dc 0-9")).strip()
        status = (await node.sh(f"cat /proc/{pid}/status")).splitlines()
        rights = dict(line.split(":\t", 1) for line in status)
        assert (rights["CapEff"], rights["NoNewPrivs"], rights["Seccomp"]) == ("0000000000001000", "1", "2")
        assert "/usr/bin/python3.11 -I -m nodeeni" in await node.sh(f"tr '\\0' ' ' </proc/{pid}/cmdline")
        await node.attach(eni)
        told = await node.until_reported(eni, "Up")
        assert (told["linkName"], told["mtu"], told["interfaceName"]) == ("ens6", 9001, "data0")
        word, up = node.timing(eni)
        assert word is not None
        assert up is not None
        assert up >= word

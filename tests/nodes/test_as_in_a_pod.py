"""With the rights of the DaemonSet's pod and no others, next to a real udev."""

import asyncio
from pathlib import Path

import pytest
from tests.nodes.node import a_node

from nodeeni.sandbox.machines.images import Image

CONFINED = (
    *("systemd-run", "--quiet", "--pipe", "--wait", "--unit=eni-manager"),
    *("-p", "CapabilityBoundingSet=CAP_NET_ADMIN", "-p", "NoNewPrivileges=yes"),
    *("-p", "SystemCallFilter=@system-service", "-p", "ProtectSystem=strict"),
)


@pytest.mark.timeout(600)
async def test_net_admin_alone_and_a_seccomp_filter_are_enough(tmp_path: Path) -> None:
    """The filter is systemd's, which a container's default profile resembles."""
    async with a_node(Image(), tmp_path / "node") as node:
        eni = node.plant()
        node.list_enis((eni, {"mtu": 9001, "interfaceName": "data0"}))
        manager = await node.start_manager(within=CONFINED)
        pid = (await node.sh("systemctl show -p MainPID --value eni-manager")).strip()
        status = (await node.sh(f"cat /proc/{pid}/status")).splitlines()
        rights = dict(line.split(":\t", 1) for line in status)
        assert (rights["CapEff"], rights["NoNewPrivs"], rights["Seccomp"]) == ("0000000000001000", "1", "2")
        await node.attach(eni)
        told = await node.until_reported(eni, "Up")
        assert (told["linkName"], told["mtu"], told["interfaceName"]) == ("ens6", 9001, "data0")
        word, up = node.timing(eni)
        assert word is not None
        assert up is not None
        assert up >= word
        await node.sh("systemctl stop eni-manager")
        assert await asyncio.wait_for(manager.process.wait(), 20) == 0  # the manager's, told by systemd-run

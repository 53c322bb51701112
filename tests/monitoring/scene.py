"""A sandbox in which something of everything happens, for Prometheus to look at."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.monitoring.prometheus import Prometheus, running
from tests.ports import free_port

from nodeeni.api.names import API_VERSION
from nodeeni.cli.stage import Stage, fast_settings
from nodeeni.sandbox.ec2.faults import Fault
from nodeeni.sandbox.hosts import Hosts, NodeHosts, probe
from nodeeni.sandbox.world import OTHER_SUBNETS, SECURITY_GROUP, SUBNET, process_environment

GOOD, WRONG, VANISHED = "multus-eni-config", "no-subnet-here", "racks-that-vanish"
LABELS = {"ng": "multi-eni"}
NODES = 6


class Scene:
    """`step` after `step` of `STEPS`, in order."""

    def __init__(self, stage: Stage, prometheus: Prometheus) -> None:
        self.stage = stage
        self.prometheus = prometheus
        self.begun = time.time()

    async def all_is_well(self) -> None:
        """Nodes whose links come up, where kernels can be had."""
        for number in range(NODES):
            await self._node(f"node-{number}", "ab"[number % 2])
        self._apply(GOOD, {"ng": "multi-eni"}, [SUBNET, OTHER_SUBNETS["b"]], 2)
        await self.until(lambda: self.status(GOOD).get("attached") == NODES)
        if self.stage.hosts is not None:
            await self.until(lambda: self.status(GOOD).get("linksUp") == NODES)

    async def one_fails(self) -> None:
        """Its subnet is in another zone."""
        self._apply(WRONG, {"ng": "multi-eni"}, [OTHER_SUBNETS["c"]], 3)
        await self.until(lambda: self.status(WRONG).get("failed") == NODES)

    async def ec2_refuses(self) -> None:
        """Throttled, denied, and an answer with an item that lacks something."""
        faults = self.stage.world.ec2.faults
        faults.error("CreateNetworkInterface", "RequestLimitExceeded", times=3)
        faults.add(Fault(action="AttachNetworkInterface", denied="identity-based policy", times=2))
        for number in range(4):
            await self._node(f"rack-{number}", "a", rack="1")
        self._apply(VANISHED, {"rack": "1"}, [SUBNET], 2)
        await self.until(lambda: self.status(VANISHED).get("attached") == 4)
        odd = self.stage.world.ec2.interfaces(NodeENI=VANISHED)[0]
        faults.lack("DescribeNetworkInterfaces", "macAddress", odd.id)
        await self.until_metric("sum(nodeeni_ec2_unreadable_items_total) > 0")

    async def nodes_vanish(self) -> None:
        """And their instances run: the removal is held."""
        for number in range(4):
            self.stage.world.kube.delete("", "nodes", f"rack-{number}")
        await self.until_metric("max(nodeeni_removals_held) > 0")

    STEPS: tuple[Callable[["Scene"], Any], ...] = (all_is_well, one_fails, ec2_refuses, nodes_vanish)

    def status(self, name: str) -> dict[str, Any]:
        found = self.stage.world.nodeeni(name) or {}
        status: dict[str, Any] = found.get("status") or {}
        return status

    async def until_metric(self, expression: str) -> None:
        while not await self.prometheus.query(expression):
            await self._pause(expression)

    async def until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            await self._pause("what a step waits for")

    async def told_by_status(self) -> dict[str, Any]:
        """`nodeeni status -o json`."""
        argv = (sys.executable, "-m", "nodeeni.cli.main", "status", "-o", "json")
        process = await asyncio.create_subprocess_exec(
            *argv,
            env=process_environment(self.stage.world, self.stage.kubeconfig),
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await process.communicate()
        found: dict[str, Any] = json.loads(out)
        return found

    async def _pause(self, what: str) -> None:
        assert time.time() < self.begun + 300, f"did not come: {what}"
        await asyncio.sleep(0.2)

    async def _node(self, name: str, zone: str, **labels: str) -> None:
        node = await self.stage.world.add_node(name, zone=zone, labels=labels or LABELS)
        if self.stage.hosts is not None and not labels:
            await self.stage.start_agent(node)

    def _apply(self, name: str, selector: dict[str, str], subnets: list[str], index: int) -> None:
        spec = {
            "nodeSelector": selector,
            "subnetIDs": subnets,
            "securityGroupIDs": [SECURITY_GROUP],
            "deviceIndex": index,
        }
        manifest = {"apiVersion": API_VERSION, "kind": "NodeENI", "metadata": {"name": name}, "spec": spec}
        self.stage.world.kube.apply(manifest)


@asynccontextmanager
async def scene(directory: Path) -> AsyncIterator[Scene]:
    """The controller, an ENI manager that has nothing to do beside those of the nodes, and Prometheus.

    That one's metrics are scraped: those of the nodes are in kernels of their own.
    """
    ports = {"controller": free_port(), "manager": free_port(), "prometheus": free_port()}
    lacking = (await asyncio.to_thread(probe)).reason
    hosts: NodeHosts | None = None if lacking else Hosts()
    async with Stage(directory, fast_settings(), hosts=hosts) as stage:
        address = f"--metrics-addr=127.0.0.1:{ports['controller']}"
        await stage.start_controller(address, "--read-lag=3s", "--resync-period=5s")
        manager = await idle_manager(stage, ports["manager"])
        targets = {"controller": ports["controller"], "manager": ports["manager"]}
        try:
            async with running(directory, ports["prometheus"], targets) as prometheus:
                await prometheus.comes_up()
                yield Scene(stage, prometheus)
        finally:
            manager.terminate()
            await manager.wait()


async def idle_manager(stage: Stage, port: int) -> asyncio.subprocess.Process:
    """It is told to touch what its ENINode lists alone, and nothing lists anything."""
    flags = ("--node-name=nobody", f"--kubeconfig={stage.kubeconfig}", f"--metrics-addr=127.0.0.1:{port}")
    argv = (sys.executable, "-m", "nodeeni.cli.main", "manager", "--manage-links=listed", *flags)
    environment = process_environment(stage.world, stage.kubeconfig)
    with (stage.directory / "manager.log").open("wb") as log:
        return await asyncio.create_subprocess_exec(*argv, env=environment, stdout=log, stderr=log)

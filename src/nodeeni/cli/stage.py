"""The sandbox with our two programs around it, as processes: what the demo and `nodeeni sandbox` stand on.

World (this process: API server, EC2, kernels) ◄── controller process, one agent process on each node
"""

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from nodeeni.sandbox.ec2 import EC2Settings
from nodeeni.sandbox.ec2.calls import OK
from nodeeni.sandbox.hosts import NodeHosts
from nodeeni.sandbox.kube import KubeServer
from nodeeni.sandbox.world import World, WorldNode, process_environment

STOP_TIMEOUT = 15.0  # seconds until a process that does not end is killed
FAST = 0.1  # of EC2's usual times
_NODEENI = (sys.executable, "-m", "nodeeni.cli.main")
_LIBC = ctypes.CDLL(None)  # loaded before any fork
_PR_SET_PDEATHSIG = 1


def fast_settings() -> EC2Settings:
    """EC2 with the usual limits, ten times as fast."""
    usual = EC2Settings()
    return replace(
        usual,
        replies={action: delay.scaled(FAST) for action, delay in usual.replies.items()},
        reply=usual.reply.scaled(FAST),
        attaching=usual.attaching.scaled(FAST),
        detaching=usual.detaching.scaled(FAST),
        terminating=usual.terminating.scaled(FAST),
    )


@dataclass
class Running:
    """A process of ours. `log` is the file that has its standard error."""

    name: str
    process: asyncio.subprocess.Process
    log: Path

    @property
    def ended(self) -> bool:
        return self.process.returncode is not None


class Stage:
    """Processes are ended, with SIGTERM, before the servers that they use. `directory` has to exist."""

    def __init__(
        self,
        directory: Path,
        ec2: EC2Settings | None = None,
        *,
        hosts: NodeHosts | None = None,
        kube: KubeServer | None = None,
        kube_port: int = 0,
        ec2_port: int = 0,
    ) -> None:
        self.directory = directory
        self.kubeconfig = directory / "kubeconfig"
        self.hosts = hosts
        self.world = World(ec2, hosts=hosts, kube=kube, kube_port=kube_port, ec2_port=ec2_port)
        self.controller: Running | None = None
        self.agents: dict[str, Running] = {}
        self._environment: dict[str, str] = {}

    async def __aenter__(self) -> Self:
        await self.world.__aenter__()
        self._environment = process_environment(self.world, self.kubeconfig)
        return self

    async def __aexit__(self, *error: object) -> None:
        try:
            await self.stop_processes()
        finally:
            await self.world.__aexit__(*error)

    @property
    def processes(self) -> list[Running]:
        return [*([self.controller] if self.controller else []), *self.agents.values()]

    async def start_controller(self, *flags: str, modules: Sequence[Path] = ()) -> None:
        """`modules`: folders whose modules go before ours, such as the `src` of another build."""
        argv = (*_NODEENI, "controller", *flags)
        path = {"PYTHONPATH": os.pathsep.join(map(str, modules))} if modules else {}
        self.controller = await self._start("controller", argv, path)

    def controller_is_ready(self) -> bool:
        """It has the lease and has read EC2, as seen from outside."""
        lease = self.world.kube.objects("coordination.k8s.io", "leases")
        return bool(lease) and self.world.ec2.calls.by_code["DescribeNetworkInterfaces", OK] > 0

    async def start_agent(self, node: WorldNode, *more: str) -> None:
        """The ENI manager of a node, inside its kernel; `more` are flags."""
        assert self.hosts is not None, "an agent needs a kernel"
        await self.hosts.bring(node.instance_id, self.kubeconfig)
        flags = ("--node-name", node.name, "--kubeconfig", str(self.kubeconfig), *more)
        argv = self.hosts.command(node.instance_id, (*self.hosts.nodeeni, "manager", *flags))
        self.agents[node.name] = await self._start(f"agent-{node.name.partition('.')[0]}", argv)

    async def stop_agent(self, node: WorldNode) -> int:
        """As when its machine is switched off. The exit status."""
        return await _stop(self.agents.pop(node.name))

    async def stop_processes(self) -> dict[str, int]:
        """End all at once; exit status by name."""
        running = self.processes
        self.controller, self.agents = None, {}
        statuses = await asyncio.gather(*(_stop(one) for one in running))
        return {one.name: status for one, status in zip(running, statuses, strict=True)}

    async def _start(self, name: str, argv: Sequence[str], beside: Mapping[str, str] = {}) -> Running:
        log = self.directory / f"{name}.log"
        with log.open("wb") as stderr:
            process = await asyncio.create_subprocess_exec(
                *argv,
                env={**self._environment, **beside},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=stderr,
                stderr=stderr,
                start_new_session=True,  # Ctrl-C is for us, who end the others in order
                preexec_fn=_end_with_parent if sys.platform == "linux" else None,
            )
        return Running(name, process, log)


async def _stop(running: Running) -> int:
    process = running.process
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(STOP_TIMEOUT):
            return await process.wait()
    except TimeoutError:
        process.kill()
        return await process.wait()


def _end_with_parent() -> None:
    """In the child: SIGTERM when we end without having ended it, as after a SIGKILL."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)

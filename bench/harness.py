"""One measurement: the sandbox in this process, the real controller in a process of its own.

So that CPU and memory of the controller are its own, only sockets are between the two. What EC2 did, and
when, is read off the sandbox's log of calls: its clock is this process's.
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple, cast

import aiohttp
from hack.apiserver.server import ApiServer

from nodeeni.api.names import GROUP
from nodeeni.cli.stage import Running, Stage
from nodeeni.ec2.types import Action
from nodeeni.sandbox.ec2 import EC2Settings, LaunchInterface
from nodeeni.sandbox.ec2.calls import OK
from nodeeni.sandbox.kube import KubeServer
from nodeeni.sandbox.world import NODE_LABELS, World, WorldNode, readme_nodeeni

from .kubelet import NodeApi, SandboxNodes, furnished, register_all
from .limits import ATTACH_SECONDS, steady_settings
from .real import kubeconfig, real_nodes, real_server

Object = dict[str, Any]

NAME = "multus-eni-config"
WATCHED = Path(__file__).parent / "watched"
STEPS = "longest steps of the event loop: "  # as WATCHED begins its lines
TASKS = "CPU of tasks: "
MUTATING = tuple(action.value for action in Action)
_TICKS = os.sysconf("SC_CLK_TCK")


class Usage:
    """What the controller's process has used. `cpu` is user and system seconds; sizes are MB."""

    def __init__(self, pid: int) -> None:
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        self.cpu = (int(stat[11]) + int(stat[12])) / _TICKS
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        sizes = {key: value.split() for key, _, value in (line.partition(":") for line in lines)}
        self.rss = int(sizes["VmRSS"][0]) / 1000
        self.peak_rss = int(sizes["VmHWM"][0]) / 1000


class Step(NamedTuple):
    """One of an event loop. `took` seconds of CPU, `garbage` of them in the search for garbage."""

    took: float
    who: str
    garbage: float


class Bench:
    """A world with the controller on it, and its figures."""

    def __init__(self, stage: Stage, kubelets: NodeApi, build: Path | None = None) -> None:
        """`build`: the `src` of another build whose controller it is to be."""
        self.build = build
        self.counts_steps = False  # of the event loop, and tasks: see `stop_counting`, `task_cpu`
        self.world: World = stage.world
        self.kubelets = kubelets
        self._stage = stage
        self._probe = ""
        self.started_at = 0.0
        self.ready_after = 0.0

    # -- the controller ------------------------------------------------------------------------------

    async def start_controller(self, *flags: str) -> None:
        """Start it and wait until it says that it is ready; `ready_after` is how long that took."""
        port = _free_port()
        self._probe = f"http://127.0.0.1:{port}"
        self.started_at = time.monotonic()
        await self._stage.start_controller(
            f"--metrics-addr=127.0.0.1:{port}",
            "--enable-leader-election",
            *flags,
            modules=[*([self.build] if self.build else []), *([WATCHED] if self.counts_steps else [])],
        )
        await self.until(self._is_ready, 600, pause=0.02)
        self.ready_after = time.monotonic() - self.started_at

    async def stop_controller(self) -> None:
        """In order: it gives its lease back."""
        await self._stage.stop_processes()

    async def stop_counting(self) -> list[Step]:
        """As `stop_controller`; the longest steps of its event loop, the longest first."""
        log = self.controller.log
        await self.stop_controller()
        return [Step(*step) for step in _told(log, STEPS)[-1]]

    async def task_cpu(self) -> dict[str, float]:
        """Seconds of CPU by kind of task, since it started: of those that took the most."""
        said = len(_told(self.controller.log, TASKS))
        self.controller.process.send_signal(signal.SIGUSR2)
        await self.until(lambda: len(_told(self.controller.log, TASKS)) > said, 10)
        return dict(_told(self.controller.log, TASKS)[-1])

    async def _is_ready(self) -> bool:
        if self.controller.ended:
            raise RuntimeError(f"the controller ended: {self.controller.log.read_text()[-2000:]}")
        with contextlib.suppress(aiohttp.ClientError):
            async with aiohttp.ClientSession() as http, http.get(f"{self._probe}/readyz") as answer:
                return answer.status == 200
        return False

    @property
    def controller(self) -> Running:
        assert self._stage.controller is not None
        return self._stage.controller

    def usage(self) -> Usage:
        return Usage(self.controller.process.pid)

    # -- the world -----------------------------------------------------------------------------------

    async def nodes(
        self, count: int, *, large: bool = False, brought: Sequence[LaunchInterface] = ()
    ) -> list[WorldNode]:
        """Instances, with what their launch brings, and their Nodes; `large`: of a kubelet's size."""
        launched = [
            self.world.launch(type="m5.4xlarge", labels=NODE_LABELS, brought=brought) for _ in range(count)
        ]
        await register_all(self.kubelets, [furnished(made) if large else made for _, made in launched])
        return [node for node, _ in launched]

    def apply(self, name: str = NAME, **spec: Any) -> float:
        """Apply a NodeENI; the moment of it."""
        self.world.kube.apply(readme_nodeeni(name, **spec))
        return time.monotonic()

    def delete(self, name: str = NAME) -> float:
        """Delete a NodeENI; the moment of it."""
        self.world.kube.delete(GROUP, "nodeenis", name)
        return time.monotonic()

    def status(self, name: str = NAME) -> Object:
        return (self.world.nodeeni(name) or {}).get("status") or {}

    # -- looking -------------------------------------------------------------------------------------

    async def until(self, holds: Callable[[], Any], timeout: float, pause: float = 0.05) -> float:
        """Wait for a condition, and the moment when it was seen."""
        deadline = time.monotonic() + timeout
        while True:
            seen = holds()
            if asyncio.iscoroutine(seen):
                seen = await seen
            if seen:
                return time.monotonic()
            if time.monotonic() > deadline:
                tail = self.controller.log.read_text()[-3000:]
                raise RuntimeError(f"not within {timeout:g} s; calls {self.calls()}; the controller:\n{tail}")
            await asyncio.sleep(pause)

    def attached(self) -> int:
        return self.world.ec2.calls.by_code["AttachNetworkInterface", OK]

    def done(self, action: str, count: int) -> bool:
        return self.world.ec2.calls.by_code[action, OK] >= count

    def attach_moments(self) -> list[float]:
        """When each ENI came into the state `attached` (a moment may lie ahead)."""
        return sorted(
            call.time + ATTACH_SECONDS for call in self.world.ec2.calls.of("AttachNetworkInterface", OK)
        )

    def calls(self) -> dict[str, int]:
        """EC2 calls by action, refused ones too."""
        return dict(sorted(self.world.ec2.calls.by_action.items()))

    def mutating(self) -> int:
        return sum(self.world.ec2.calls.by_action[action] for action in MUTATING)

    def throttled(self) -> int:
        return self.world.ec2.calls.throttled

    def describes(self) -> int:
        by_action = self.world.ec2.calls.by_action
        return sum(count for action, count in by_action.items() if action.startswith("Describe"))

    def kube_writes(self) -> dict[str, int]:
        """Writes that the API server served over its socket, by verb and resource."""
        return {
            f"{verb} {path}": count
            for (verb, path), count in sorted(self.world.kube.requests.items())
            if verb not in ("GET", "get", "list", "watch")
        }


class RealBench(Bench):
    """The world stands on a real API server, where the controller has the rights of the shipped manifests."""

    def __init__(self, stage: Stage, kubelets: NodeApi, kube: ApiServer) -> None:
        super().__init__(stage, kubelets)
        self._kube = kube

    def forbidden(self) -> int:
        return self._kube.forbidden


async def known_nodes(b: Bench) -> None:
    """Give the controller time to have looked at each node once, as it has in a cluster that stands."""
    await asyncio.sleep(1.0 + len(b.world.nodes) / 2000)


@asynccontextmanager
async def bench(settings: EC2Settings | None = None, build: Path | None = None) -> AsyncIterator[Bench]:
    with tempfile.TemporaryDirectory(prefix="nodeeni-bench-") as directory:
        async with Stage(Path(directory), settings or steady_settings()) as stage:
            yield Bench(stage, SandboxNodes(stage.world.kube), build)


@asynccontextmanager
async def real_bench(settings: EC2Settings | None = None) -> AsyncIterator[RealBench]:
    with real_server() as kube, tempfile.TemporaryDirectory(prefix="nodeeni-bench-") as directory:
        settings = settings or steady_settings()
        world_kube = cast("KubeServer", kube)  # of which it has what a world and a bench use
        async with (
            Stage(Path(directory), settings, kube=world_kube) as stage,
            real_nodes(kube) as nodes,
        ):
            stage.kubeconfig.write_text(kubeconfig(kube))
            yield RealBench(stage, nodes, kube)


def _told(log: Path, begin: str) -> list[Any]:
    """What WATCHED said in lines that begin so."""
    lines = log.read_text().split("\n")[:-1]
    return [json.loads(line.removeprefix(begin)) for line in lines if line.startswith(begin)]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

"""A world with real controller processes on it, and the wait for its one right final state."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.contract import by_the_model, permitted
from tests.contract.collector import collect
from tests.contract.processes import real_is_wanted
from tests.contract.servers import new_server
from tests.faults import processes
from tests.faults.guard import Guard
from tests.faults.lies import Writer
from tests.faults.processes import Controller, Zygote
from tests.faults.right import lease_holder, wrong

from nodeeni.api.names import GROUP
from nodeeni.sandbox.ec2 import EC2Settings, Interface, quick_settings
from nodeeni.sandbox.world import NODE_LABELS, World, WorldNode, process_environment, readme_nodeeni
from nodeeni.settings import controller_settings

Object = dict[str, Any]
LABELS = NODE_LABELS
NAME = "multus-eni-config"
LOOK = 0.1  # seconds
QUIET = 0.4  # seconds for which the final state has to stay as it is


class Situation:
    def __init__(self, world: World, zygote: Zygote, directory: Path, mutant: str = "") -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.world = world
        self.ec2 = world.ec2
        self.kube = world.kube
        self.mutant = mutant
        self.patience = 10.0 if mutant else 60.0  # seconds; a mutant is not going to become right
        self.log = directory / "controllers.log"
        self._zygote = zygote
        self._environment = process_environment(world, directory / "kubeconfig")
        self._policy = permitted.limit(world.ec2, self._environment)
        self.foreign = self._plant_foreign()
        self.guard = Guard(world, self.foreign, self._writer)
        self._controllers: list[Controller] = []
        self._frozen: dict[int, str] = {}  # pid → who held the lease when it froze

    async def start(self, *flags: str) -> Controller:
        settings = controller_settings([*processes.QUICK, *flags], self._environment)
        self.guard.lies.lag = max(self.guard.lies.lag, settings.read_lag)
        started = await processes.start(self._zygote, self._environment, self.log, flags, self.mutant)
        self._controllers.append(started)
        return started

    def _writer(self) -> Writer | None:
        """Who leads is not known of a process; so nobody does, while who held the lease may be frozen."""
        holder = lease_holder(self.world)
        running = {each.pid: each for each in self._controllers if each.running}
        frozen = [pid for pid, each in running.items() if each.frozen]
        self._frozen = {pid: self._frozen.get(pid, holder) for pid in frozen}
        if running.keys() == self._frozen.keys() or holder in self._frozen.values():
            return None
        return Writer((frozenset(running), frozenset(frozen), holder), frozenset(running) - frozenset(frozen))

    def apply(self, name: str = NAME, **spec: Any) -> Object:
        return self.kube.apply(readme_nodeeni(name, **spec))

    def delete(self, name: str = NAME) -> None:
        self.kube.delete(GROUP, "nodeenis", name)

    async def node(self, **labels: str) -> WorldNode:
        return await self.world.add_node(type="m5.4xlarge", labels=labels or LABELS)

    @property
    def made(self) -> int:
        """Interfaces that controllers have made so far, those that are gone included."""
        return len(self.ec2.account.created)

    def wrong(self) -> list[str]:
        """What at any moment was not as it must be, and what now is not."""
        denied = [f"denied: {each}" for each in permitted.denied(self._policy)]
        return [*self.guard.broken, *denied, *wrong(self.world)]

    async def righted(self, timeout: float | None = None) -> list[str]:
        """Wait until all is right and stays so; what is wrong when the time is over."""
        deadline = time.monotonic() + (timeout or self.patience)
        right_since: float | None = None
        while True:
            self.guard.look()
            now, faults = time.monotonic(), self.wrong()
            if self.guard.broken:
                return faults
            right_since = None if faults else right_since or now
            if right_since is not None and now - right_since >= QUIET:
                return []
            if now > deadline:
                return faults
            await asyncio.sleep(
                min(1.0, max(LOOK, 15 * (time.monotonic() - now)))
            )  # the judge is not to be the load

    async def watch(self, seconds: float = 10.0) -> None:
        """Let things go on for so long, in the guard's time, or until something is broken."""
        over = self.guard.lies.clock + seconds
        await self.until(lambda: self.guard.broken or self.guard.lies.clock > over, timeout=100)

    async def until(self, holds: Callable[[], Any], timeout: float = 40.0) -> None:
        """Wait for a condition; what does not come true in time fails the test."""
        deadline = time.monotonic() + timeout
        while not holds():
            assert time.monotonic() < deadline, "\n".join(self.wrong())
            await asyncio.sleep(0.005)

    async def until_right(self, timeout: float | None = None) -> None:
        faults = await self.righted(timeout)
        assert not faults, "\n".join(faults)

    def plant_cni(self, node: WorldNode) -> Interface:
        """What the VPC CNI has on a node, at index 1."""
        planted = self.ec2.vpc_cni_interface(self.ec2.instance(node.instance_id), 1)
        self.foreign.append(planted)
        return planted

    def plant_look_alike(self, nodeeni: str, node: str) -> None:
        """Another cluster's interface, which has all our names, and a cluster and a NodeENI of its own."""
        own = {"NodeENI": nodeeni, "Node": node, "kubernetes.io/cluster/managed-by": "nodeeni-controller"}
        others = {
            "nodeeni.networking.k8s.aws/cluster": "another",
            "nodeeni.networking.k8s.aws/uid": "uid-in-the-other",
        }
        subnet = self.world.subnets["a"]
        self.foreign += [
            self.ec2.plant_interface(subnet, tags=own),
            self.ec2.plant_interface(subnet, tags={**own, **others}),
        ]

    def _plant_foreign(self) -> list[Interface]:
        subnet = self.world.subnets["a"]
        return [self.ec2.plant_interface(subnet, tags={"Name": f"nodeeni-{NAME}-node", "NodeENI": NAME})]


def lagging(**changes: Any) -> EC2Settings:
    """EC2 whose reads lag by most of what the controllers are told to expect."""
    return quick_settings(**{"stale_reads": 0.3, **changes})


@asynccontextmanager
async def situated(
    zygote: Zygote, directory: Path, *, mutant: str = "", settings: EC2Settings | None = None
) -> AsyncIterator[Situation]:
    async with World(settings or quick_settings(), kube=new_server(troubled=True)) as world:
        at = Situation(world, zygote, directory, mutant)
        beside = [asyncio.create_task(at.guard.run())]
        if real_is_wanted():
            beside.append(asyncio.create_task(collect(world.kube)))
        try:
            yield at
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
        assert by_the_model.unknown(world.ec2.calls) == []

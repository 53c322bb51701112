"""The stage of the controller's tests: the real controller against the sandbox's two servers.

Everything goes over real sockets, and in EC2 the controller may do what our IAM policy permits, no more. Only
delays are shortened: EC2 settles in hundredths of a second, and its reads do not lag unless a test says so.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.contract import by_the_model, permitted
from tests.contract.processes import real_is_wanted
from tests.contract.servers import new_server
from tests.faults.guard import Guard
from tests.faults.lies import Writer
from tests.faults.right import lease_holder

from nodeeni.api.names import FINALIZER
from nodeeni.controller import app
from nodeeni.ec2.types import Action
from nodeeni.sandbox.ec2 import Delay, EC2Settings, Interface, quick_settings
from nodeeni.sandbox.ec2.settings import DOCUMENTED_BUCKETS
from nodeeni.sandbox.world import NODE_LABELS, World, WorldNode, readme_nodeeni
from nodeeni.settings import controller_settings

Object = dict[str, Any]

LABELS = NODE_LABELS
NAME = "multus-eni-config"
# The sandbox's reads do not lag, so absences need not be waited for as long as with EC2.
QUICK = (
    "--metrics-addr=127.0.0.1:0",
    "--read-lag=200ms",
    "--node-grace-period=500ms",
    # What waits longer is the subject of test_labels_blink.
    "--label-grace=200ms",
    "--mass-removal-delay=0",
)


class Stage:
    """A world, the controllers on it, and looks at what exists afterwards."""

    def __init__(self, world: World, environment: dict[str, str]) -> None:
        self.policy = permitted.limit(world.ec2, environment)
        self.world = world
        self.ec2 = world.ec2
        self.kube = world.kube
        self.environment = environment
        self.guard = Guard(world, [], self._writer)
        self._controllers: list[asyncio.Task[int]] = []

    # -- acting --------------------------------------------------------------------------------------

    @asynccontextmanager
    async def controller(self, *flags: str) -> AsyncIterator[asyncio.Task[int]]:
        """The real controller, stopped in order at the end of the block."""
        settings = controller_settings([*QUICK, *flags], self.environment)
        self.guard.lies.lag = max(self.guard.lies.lag, settings.read_lag)
        task = asyncio.create_task(app.run(settings, self.environment))
        self._controllers.append(task)
        try:
            yield task
        finally:
            self._controllers.remove(task)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _writer(self) -> Writer | None:
        running = frozenset(id(task) for task in self._controllers if not task.done())
        return Writer((running, lease_holder(self.world)), frozenset()) if running else None

    async def node(self, zone: str = "a", *, matching: bool = True, type: str = "m5.xlarge") -> WorldNode:
        return await self.world.add_node(zone=zone, type=type, labels=LABELS if matching else {})

    def apply(self, name: str = NAME, **spec: Any) -> Object:
        return self.kube.apply(readme_nodeeni(name, **spec))

    def report_link(self, node: WorldNode, state: str, **more: Any) -> None:
        """As the ENI manager of the node does it, of all that its ENINode lists."""
        eninode = self.world.eninode(node.name)
        assert eninode is not None
        links = [
            {"macAddress": entry["macAddress"], "linkName": "eth1", "state": state, **more}
            for entry in eninode["spec"]["interfaces"]
        ]
        status = {"status": {"interfaces": links}}
        self.kube.patch("networking.k8s.aws", "eninodes", node.name, status, subresource="status")

    def delete(self, name: str = NAME) -> None:
        self.kube.delete("networking.k8s.aws", "nodeenis", name)

    # -- looking -------------------------------------------------------------------------------------

    def ours(self, nodeeni: str = NAME, node: WorldNode | None = None) -> list[Interface]:
        """The interfaces of a NodeENI in EC2, or of one node of it."""
        tags = {"NodeENI": nodeeni} | ({"Node": node.name} if node else {})
        return self.ec2.interfaces(**tags)

    def status(self, name: str = NAME) -> Object:
        nodeeni = self.world.nodeeni(name)
        return dict((nodeeni or {}).get("status") or {})

    def row(self, node: WorldNode, name: str = NAME) -> Object:
        rows = self.status(name).get("attachments", [])
        return next((dict(row) for row in rows if row["nodeID"] == node.name), {})

    def condition(self, kind: str, name: str = NAME) -> Object:
        conditions = self.status(name).get("conditions", [])
        return next((dict(entry) for entry in conditions if entry["type"] == kind), {})

    def events(self) -> list[tuple[str, str]]:
        return [(event["reason"], event["message"]) for event in self.kube.objects("", "events")]

    def told(self, reason: str) -> list[tuple[str, str]]:
        """Type and message of the events with that reason."""
        events = self.kube.objects("", "events")
        return [(event["type"], event["message"]) for event in events if event["reason"] == reason]

    def reasons(self) -> set[str]:
        return {reason for reason, _ in self.events()}

    def calls(self) -> Counter[str]:
        """Calls that changed something or tried to, by action."""
        counted = {action.value: self.ec2.calls.by_action[action] for action in Action}
        return Counter({action: count for action, count in counted.items() if count})

    def has_finalizer(self, name: str = NAME) -> bool:
        nodeeni = self.world.nodeeni(name)
        return nodeeni is not None and FINALIZER in nodeeni["metadata"].get("finalizers", [])

    # -- waiting -------------------------------------------------------------------------------------

    async def until(self, holds: Callable[[], Any], timeout: float = 40.0) -> None:
        """Wait for a condition; what does not come true in time fails the test, with how things stand."""
        deadline = time.monotonic() + timeout
        while not holds():
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {timeout:g} s; {self._picture()}")
            await asyncio.sleep(0.01)

    async def until_attached(self, *nodes: WorldNode, name: str = NAME, timeout: float = 40.0) -> None:
        await self.until(
            lambda: all(self.row(node, name).get("status") == "attached" for node in nodes), timeout
        )

    async def until_one_detaches(self, nodes: Sequence[WorldNode]) -> tuple[WorldNode, list[WorldNode]]:
        """That node, and the others."""

        def detaching() -> list[WorldNode]:
            return [node for node in nodes if self.row(node)["status"] == "detaching"]

        await self.until(detaching)
        (first,) = detaching()
        return first, [node for node in nodes if node is not first]

    async def until_deleted(self, name: str = NAME) -> None:
        await self.until(lambda: self.world.nodeeni(name) is None)

    async def stays(self, holds: Callable[[], Any], seconds: float = 1.0) -> None:
        """The condition holds all the time for so long: for what must *not* happen."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert holds(), self._picture()
            await asyncio.sleep(0.02)

    def _picture(self) -> str:
        interfaces = [(i.id, i.tags.get("Node"), i.attachment) for i in self.ec2.secondary_interfaces()]
        statuses = {n["metadata"]["name"]: n.get("status") for n in self._nodeenis()}
        return f"EC2 has {interfaces}; calls {dict(self.calls())}; status {statuses}; events {self.events()}"

    def _nodeenis(self) -> list[Object]:
        return self.kube.objects("networking.k8s.aws", "nodeenis")


@asynccontextmanager
async def staged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: EC2Settings
) -> AsyncIterator[Stage]:
    async with World(settings, kube=new_server(troubled=True)) as world:
        environment = world.environment(tmp_path / "kubeconfig")
        for name, value in environment.items():  # botocore reads the process's own
            monkeypatch.setenv(name, value)
        made = Stage(world, environment)
        guarding = asyncio.create_task(made.guard.run())
        try:
            yield made
        finally:
            guarding.cancel()
            await asyncio.gather(guarding, return_exceptions=True)
        assert permitted.denied(made.policy) == []
        assert by_the_model.unknown(world.ec2.calls) == []
        assert list(made.guard.broken) == []


# Each situation runs with reads that come at once, and with EC2's usual ones; these two with slow ones too.
READS = {"reads at once": Delay(0.0), "reads as usual": Delay(0.15, spread=1 / 3), "slow reads": Delay(2.0)}
WITH_SLOW_READS = ("test_nodeeni_applied", "test_lookups_fail")
OpenStage = Callable[..., AbstractAsyncContextManager[Stage]]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "reads" not in metafunc.fixturenames:
        return
    chosen = ["reads at once"]
    if not real_is_wanted():  # which is about the API server
        chosen.append("reads as usual")
        if metafunc.module.__name__.endswith(WITH_SLOW_READS):
            chosen.append("slow reads")
    metafunc.parametrize("reads", [pytest.param(READS[name], id=name) for name in chosen])


@pytest.fixture
def reads() -> Delay:
    """How late EC2's reads are answered, where it is not a parameter."""
    return READS["reads at once"]


@pytest.fixture
def open_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reads: Delay) -> OpenStage:
    """Opens a stage on an EC2 with quick settings, changed like this."""
    at_once = dict.fromkeys(DOCUMENTED_BUCKETS, Delay(0.0))  # what changes something

    def opened(**changes: Any) -> AbstractAsyncContextManager[Stage]:
        settings = quick_settings(**{"reply": reads, "replies": at_once, **changes})
        return staged(tmp_path, monkeypatch, settings)

    return opened


@pytest.fixture
async def stage(open_stage: OpenStage) -> AsyncIterator[Stage]:
    async with open_stage() as made:
        yield made


@pytest.fixture
async def metered_stage(open_stage: OpenStage) -> AsyncIterator[Stage]:
    """EC2 with small buckets, which are soon empty."""
    buckets = {"CreateNetworkInterface": (5.0, 20.0), "AttachNetworkInterface": (5.0, 20.0)}
    async with open_stage(buckets=buckets) as made:
        yield made


@pytest.fixture
async def lagging_stage(open_stage: OpenStage) -> AsyncIterator[Stage]:
    """EC2 whose reads are a second behind its writes."""
    async with open_stage(stale_reads=1.0) as made:
        yield made

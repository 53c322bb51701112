"""docs/disaster-recovery.md on two real API servers, the second one on a copy of the first one's etcd.

EC2 is one and the same: what a restored or a cloned cluster does there is done to the living one.
"""

import asyncio
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from hack.apiserver import processes
from hack.apiserver.server import ApiServer
from tests.contract.processes import real_is_wanted
from tests.contract.real import RealKube
from tests.controller.conftest import NAME, QUICK, Stage
from tests.controller.holding import identities

from nodeeni.api.names import GROUP
from nodeeni.controller import app
from nodeeni.sandbox.ec2 import quick_settings
from nodeeni.sandbox.kube import KubeServer
from nodeeni.sandbox.world import World, WorldNode
from nodeeni.settings import controller_settings

pytestmark = pytest.mark.skipif(not real_is_wanted(), reason="for a real API server: make apitest")

Object = dict[str, Any]


class Copy:
    """A cluster on a copy of another one's etcd, as it was at that moment."""

    def __init__(self, directory: Path, environment: dict[str, str]) -> None:
        self.kube = ApiServer(processes.start(processes.Wishes(directory=directory)))
        path = directory / "kubeconfig"
        path.write_text(self.kube.kubeconfig())
        self._environment = {**environment, "KUBECONFIG": str(path)}

    @asynccontextmanager
    async def controller(self, *flags: str) -> AsyncIterator[None]:
        """With the same rights in EC2 as that of the first cluster."""
        settings = controller_settings([*QUICK, *flags], self._environment)
        task = asyncio.create_task(app.run(settings, self._environment))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def status(self, name: str = NAME) -> Object:
        nodeeni = self.kube.get(GROUP, "nodeenis", name) or {}
        return dict(nodeeni.get("status") or {})

    def degraded(self, name: str = NAME) -> Object:
        conditions = self.status(name).get("conditions", [])
        return next((dict(c) for c in conditions if c["type"] == "Degraded"), {})

    def end(self) -> None:
        self.kube.server.end()


@pytest.fixture
async def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    async with World(quick_settings(), kube=cast("KubeServer", RealKube())) as world:
        environment = world.environment(tmp_path / "kubeconfig")
        for name, value in environment.items():  # botocore reads the process's own
            monkeypatch.setenv(name, value)
        yield Stage(world, environment)


def backup(stage: Stage, directory: Path) -> Path:
    """Of etcd's files, while it stands still for a moment: as after a crash, which it recovers from."""
    server = cast("RealKube", stage.kube).server
    server.etcd.send_signal(signal.SIGSTOP)
    try:
        shutil.copytree(server.directory / "etcd", directory / "etcd")
    finally:
        server.etcd.send_signal(signal.SIGCONT)
    return directory


def delete_nodes(copy: Copy) -> None:
    for node in copy.kube.objects("", "nodes"):
        copy.kube.delete("", "nodes", node["metadata"]["name"])


def registration(stage: Stage, node: WorldNode) -> Object:
    """As a kubelet makes its Node anew."""
    found = stage.kube.get("", "nodes", node.name)
    assert found is not None
    fresh = {key: found["metadata"][key] for key in ("name", "labels")}
    return {"apiVersion": "v1", "kind": "Node", "metadata": fresh, "spec": found["spec"]}


async def test_a_copy_whose_nodes_are_deleted_takes_nothing_from_the_living(
    stage: Stage, tmp_path: Path
) -> None:
    """A clone for an upgrade's rehearsal, with rights in EC2 that it should not have."""
    nodes = [await stage.node() for _ in range(3)]
    stage.apply()
    async with stage.controller():
        await stage.until_attached(*nodes)
        await stage.until(lambda: stage.calls()["ModifyNetworkInterfaceAttribute"] == 3)
        before, calls = identities(stage), stage.calls()
        copy = Copy(backup(stage, tmp_path / "copy"), stage.environment)
        async with copy.controller():
            delete_nodes(copy)
            await stage.until(lambda: "3 of 3 Nodes" in copy.degraded().get("message", ""))
            assert copy.degraded()["reason"] == "RemovalHeld"
            await stage.stays(lambda: identities(stage) == before, 2.0)  # four times the grace
        copy.end()
        assert stage.status()["attached"] == 3
    assert (identities(stage), stage.calls()) == (before, calls)


async def test_a_restored_backup_goes_on_with_the_same_interfaces(stage: Stage, tmp_path: Path) -> None:
    """It knows neither the node nor the NodeENI that came after it was made."""
    nodes = [await stage.node() for _ in range(3)]
    stage.apply()
    async with stage.controller():
        await stage.until_attached(*nodes)
        saved = backup(stage, tmp_path / "copy")
        late = await stage.node()
        made = stage.apply("late", deviceIndex=3)
        await stage.until_attached(*nodes, late)
        await stage.until_attached(*nodes, late, name="late")
    copy = Copy(saved, stage.environment)
    before = identities(stage), identities(stage, "late")
    async with copy.controller("--node-grace-period=1h", "--resync-period=500ms", "--orphan-grace-period=1s"):
        await stage.until(lambda: copy.status().get("attached") == 3)
        copy.kube.create(registration(stage, late))
        await stage.until(lambda: copy.status().get("attached") == 4)
        await stage.until(lambda: _held_orphans(copy))
        fresh = {"apiVersion": made["apiVersion"], "kind": "NodeENI", "spec": made["spec"]}
        copy.kube.create({**fresh, "metadata": {"name": "late"}})
        await stage.until(lambda: copy.status("late").get("attached") == 4)
    copy.end()
    assert (identities(stage), identities(stage, "late")) == before


def _held_orphans(copy: Copy) -> bool:
    return any("which is gone: they stay" in event["message"] for event in copy.kube.objects("", "events"))

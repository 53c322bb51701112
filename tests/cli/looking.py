"""A world to look at, and the commands as people start them, in a thread of their own beside it."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import pytest

from nodeeni.api.names import API_VERSION, GROUP, interface_tags
from nodeeni.cli import cleanup, doctor, explain, nad, plan, status
from nodeeni.controller import app
from nodeeni.sandbox.ec2 import Interface
from nodeeni.sandbox.world import SECURITY_GROUP, SUBNET, World, WorldNode
from nodeeni.settings import controller_settings

LABELS = {"ng": "multi-eni"}
NAME = "multus-eni-config"
_COMMANDS = {
    "status": status.main,
    "plan": plan.main,
    "explain": explain.main,
    "nad": nad.main,
    "doctor": doctor.main,
    "cleanup": cleanup.main,
}
_QUICK = ("--metrics-addr=127.0.0.1:0", "--read-lag=200ms", "--label-grace=0")


class Seen(NamedTuple):
    """What a command left: exit status, standard output and error."""

    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Site:
    def __init__(self, world: World, capsys: pytest.CaptureFixture[str]) -> None:
        self.world = world
        self._capsys = capsys

    async def run(self, command: str, *arguments: str) -> Seen:
        status = await asyncio.to_thread(_COMMANDS[command], arguments)
        captured = self._capsys.readouterr()
        return Seen(status, captured.out, captured.err)

    async def node(self, name: str, zone: str = "a", type: str = "m5.xlarge") -> WorldNode:
        return await self.world.add_node(name, zone=zone, type=type, labels=LABELS)

    def manifest(self, name: str = NAME, **spec: Any) -> dict[str, Any]:
        given = {
            "nodeSelector": LABELS,
            "subnetID": SUBNET,
            "securityGroupIDs": [SECURITY_GROUP],
            "deviceIndex": 2,
        }
        return {
            "apiVersion": API_VERSION,
            "kind": "NodeENI",
            "metadata": {"name": name},
            "spec": {**given, **spec},
        }

    def apply(self, name: str = NAME, **spec: Any) -> None:
        self.world.kube.apply(self.manifest(name, **spec))

    def report(self, name: str = NAME, **status: Any) -> None:
        """Write a NodeENI's status, as a controller would."""
        self.world.kube.patch(GROUP, "nodeenis", name, {"status": status}, subresource="status")

    def report_links(self, node: str, *links: dict[str, Any]) -> None:
        """Make a node's ENINode with this status, as a controller and an ENI manager would."""
        self.world.kube.create(
            {
                "apiVersion": API_VERSION,
                "kind": "ENINode",
                "metadata": {"name": node},
                "status": {"interfaces": list(links)},
            }
        )

    def report_link(self, node: str, link: dict[str, Any]) -> None:
        """Write a link into the status of an ENINode that is there, as an ENI manager would."""
        status = {"status": {"interfaces": [link]}}
        self.world.kube.patch(GROUP, "eninodes", node, status, subresource="status")

    def delete(self, name: str = NAME) -> None:
        self.world.kube.delete(GROUP, "nodeenis", name)

    async def remove_definition(self, name: str) -> None:
        definition = ("apiextensions.k8s.io", "customresourcedefinitions", name)
        self.world.kube.delete(*definition)
        await until(lambda: self.world.kube.get(*definition) is None)

    @property
    def cluster_id(self) -> str:
        namespace = self.world.kube.get("", "namespaces", "kube-system")
        assert namespace is not None
        return str(namespace["metadata"]["uid"])

    def plant(
        self, node: WorldNode, *, owner: str, uid: str, cluster: str | None = None, attached: bool = False
    ) -> Interface:
        """An interface that carries our tags, free as a rule; `cluster` empty: as v1.x made them."""
        tags = interface_tags(
            cluster_id=self.cluster_id if cluster is None else cluster,
            nodeeni=owner,
            uid=uid,
            node=node.name,
            instance_id=node.instance_id,
        )
        if cluster == "":
            tags = {key: value for key, value in tags.items() if not key.startswith("nodeeni.")}
        instance = self.world.ec2.instance(node.instance_id) if attached else None
        return self.world.ec2.plant_interface(self.world.subnets["a"], tags=tags, instance=instance)

    @asynccontextmanager
    async def controller(self, *flags: str) -> AsyncIterator[None]:
        """The real controller, for as long as the block lasts."""
        environment: dict[str, str] = {}
        task = asyncio.create_task(app.run(controller_settings([*_QUICK, *flags]), environment))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def condition(self, kind: str, name: str = NAME) -> dict[str, Any]:
        status = (self.world.nodeeni(name) or {}).get("status") or {}
        return next((dict(c) for c in status.get("conditions", []) if c["type"] == kind), {})

    async def until_attached(self, count: int, name: str = NAME) -> None:
        """And nothing of them is still on its way: the controller may be ended."""

        def are() -> bool:
            status = (self.world.nodeeni(name) or {}).get("status") or {}
            updating = [row for row in status.get("attachments", ()) if row.get("reason") == "Updating"]
            return status.get("attached") == count and not updating

        await until(are)

    def changing_calls(self) -> int:
        """Calls to EC2 that are not reads and not dry runs."""
        return sum(
            not call.action.startswith(("Describe", "Get")) and call.parameters.get("DryRun") != "true"
            for call in self.world.ec2.calls
        )


async def until(holds: Callable[[], bool], within: float = 40.0) -> None:
    deadline = time.monotonic() + within
    while not holds():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        await asyncio.sleep(0.02)

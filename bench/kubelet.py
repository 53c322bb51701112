"""What kubelets do to an API server: they register Nodes, and report heartbeats in their status."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Protocol

from nodeeni.sandbox.kube import KubeServer

Object = dict[str, Any]

_CONDITIONS = ("MemoryPressure", "DiskPressure", "PIDPressure", "Ready")
_IMAGES = 40  # a kubelet reports up to 50; with these a Node is about 10 KB of JSON


class NodeApi(Protocol):
    """How kubelets reach their API server, `at_once` of them together."""

    at_once: int

    async def register(self, node: Object) -> None: ...

    async def report(self, name: str, status: Object) -> None: ...


class SandboxNodes:
    """Past the sandbox's socket: its figures are to be the controller's, not those of 5,000 clients."""

    at_once = 1

    def __init__(self, kube: KubeServer) -> None:
        self._kube = kube

    async def register(self, node: Object) -> None:
        self._kube.create(node)
        await asyncio.sleep(0)

    async def report(self, name: str, status: Object) -> None:
        self._kube.patch("", "nodes", name, {"status": status}, subresource="status")


async def register_all(api: NodeApi, nodes: Sequence[Object]) -> None:
    left = iter(nodes)

    async def some() -> None:
        for node in left:
            await api.register(node)

    await asyncio.gather(*(some() for _ in range(api.at_once)))


def furnished(node: Object) -> Object:
    """The Node with what a kubelet, the cloud controller and other agents write into one: about 10 KB."""
    metadata, status = node["metadata"], node["status"]
    labels = {f"example.com/label-{number}": f"value-{number}" for number in range(20)}
    annotations = {f"example.com/annotation-{number}": "a" * 60 for number in range(10)}
    return node | {
        "metadata": metadata | {"labels": metadata["labels"] | labels, "annotations": annotations},
        "status": status
        | {
            "images": [_image(number) for number in range(_IMAGES)],
            "capacity": {"cpu": "16", "memory": "64Gi", "pods": "110", "ephemeral-storage": "80Gi"},
            "allocatable": {"cpu": "15890m", "memory": "62Gi", "pods": "110", "ephemeral-storage": "76Gi"},
            "conditions": _conditions(),
        },
    }


def _image(number: int) -> dict[str, Any]:
    repository = f"123456789012.dkr.ecr.us-west-2.amazonaws.com/team-{number}/service-{number}"
    return {
        "names": [f"{repository}@sha256:{number:064x}", f"{repository}:v1.{number}.0"],
        "sizeBytes": 10**8,
    }


def _conditions() -> list[dict[str, str]]:
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return [
        {
            "type": name,
            "status": "True" if name == "Ready" else "False",
            "reason": f"Kubelet{name}",
            "message": f"kubelet says that {name} is as it should be",
            "lastHeartbeatTime": now,
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
        for name in _CONDITIONS
    ]


class Kubelets:
    """The nodes' kubelets, each in its turn, evenly spread, report `rate` heartbeats a second together."""

    def __init__(self, api: NodeApi, names: Sequence[str], rate: float) -> None:
        self._api = api
        self._names = names
        self._rate = rate
        self._due = 0
        self._beats = 0
        self._began = 0.0
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._began = time.monotonic()
        self._tasks = [asyncio.create_task(self._run(), name="kubelets") for _ in range(self._api.at_once)]

    async def stop(self) -> float:
        """The heartbeats a second that there were. Raises what one of them met."""
        took = time.monotonic() - self._began
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)
        for task in self._tasks:
            if not task.cancelled():
                task.result()
        return self._beats / took

    async def _run(self) -> None:
        while True:
            number = self._due
            self._due += 1
            await asyncio.sleep(max(0.0, self._began + number / self._rate - time.monotonic()))
            await self._api.report(self._names[number % len(self._names)], {"conditions": _conditions()})
            self._beats += 1

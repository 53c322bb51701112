"""What kubelets do to an API server: Nodes of their true size, and heartbeats in their status."""

import asyncio
import time
from typing import Any

from nodeeni.sandbox.world import World, WorldNode

_CONDITIONS = ("MemoryPressure", "DiskPressure", "PIDPressure", "Ready")
_IMAGES = 40  # a kubelet reports up to 50; with these a Node is about 10 KB of JSON


def furnish(world: World, node: WorldNode) -> None:
    """Give the Node what a kubelet, the cloud controller and other agents write into one: about 10 KB."""
    labels = {f"example.com/label-{number}": f"value-{number}" for number in range(20)}
    annotations = {f"example.com/annotation-{number}": "a" * 60 for number in range(10)}
    body = {
        "metadata": {"labels": labels, "annotations": annotations},
        "status": {
            "images": [_image(number) for number in range(_IMAGES)],
            "capacity": {"cpu": "16", "memory": "64Gi", "pods": "110", "ephemeral-storage": "80Gi"},
            "allocatable": {"cpu": "15890m", "memory": "62Gi", "pods": "110", "ephemeral-storage": "76Gi"},
            "conditions": _conditions(),
        },
    }
    world.kube.patch("", "nodes", node.name, {"metadata": body["metadata"]})
    world.kube.patch("", "nodes", node.name, {"status": body["status"]}, subresource="status")


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
    """Each node's kubelet patches its status once in `every` seconds, evenly spread."""

    def __init__(self, world: World, every: float) -> None:
        self._world = world
        self._every = every
        self._beats = 0
        self._began = 0.0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._began = time.monotonic()
        self._task = asyncio.create_task(self._run(), name="kubelets")

    async def stop(self) -> float:
        """The heartbeats a second that there were."""
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait([self._task])
        return self._beats / (time.monotonic() - self._began)

    async def _run(self) -> None:
        names = list(self._world.nodes)
        while True:
            for name in names:
                body = {"status": {"conditions": _conditions()}}
                self._world.kube.patch("", "nodes", name, body, subresource="status")
                self._beats += 1
                due = self._began + self._beats * self._every / len(names)
                await asyncio.sleep(max(0.0, due - time.monotonic()))

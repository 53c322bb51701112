"""How things stand, again and again: what `status --watch` and the sandbox's page show."""

import asyncio
import datetime
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping

from nodeeni.api.core import Node
from nodeeni.api.v1alpha1 import ENINode, NodeENI
from nodeeni.cli.leader import leader
from nodeeni.cli.status.picture import Picture, pictured
from nodeeni.kube.client import KubeClient
from nodeeni.kube.informer import Informer
from nodeeni.kube.resources import ENINODES, NODEENIS, NODES

LOOK = 0.5  # seconds between two pictures
LEADER_LOOK = 5.0  # seconds between two looks at the lease, which is renewed all the time
SPAN = 10.0  # seconds over which a rate is measured


class Progress:
    """How far one NodeENI has come. It is told at each look, and so knows how many there were and how fast
    they go."""

    def __init__(self) -> None:
        self.total = 0
        self.done = 0
        self._before: deque[tuple[float, int]] = deque()

    def look(self, nodeeni: NodeENI, now: float) -> None:
        """`now` is in seconds of one monotonic clock."""
        status = nodeeni.status
        if nodeeni.metadata.deleting:
            left = status.removing or 0
            self.total = max(self.total, left)
            self.done = self.total - left
        else:
            self.total, self.done = status.desired or 0, status.attached or 0
        self._before.append((now, self.done))
        while self._before[0][0] < now - SPAN:
            self._before.popleft()

    @property
    def rate(self) -> float:
        """Nodes a second that got done lately."""
        (since, had), (now, has) = self._before[0], self._before[-1]
        return max(0, has - had) / (now - since) if now > since else 0.0


Show = Callable[[Picture, Mapping[str, Progress], str], None]


async def look(client: KubeClient, name: str | None, show: Show) -> None:
    """Until cancelled: `show` is given a picture, the progress of each NodeENI by uid, and why the API server
    is away (empty: it is there).
    """
    logging.getLogger("nodeeni").addHandler(
        logging.NullHandler()
    )  # the informers' log would spoil the screen
    nodes: Informer[Node] = Informer(client, NODES, Node)
    nodeenis: Informer[NodeENI] = Informer(client, NODEENIS, NodeENI)
    eninodes: Informer[ENINode] = Informer(client, ENINODES, ENINode)
    progress: dict[str, Progress] = {}
    async with asyncio.TaskGroup() as group:
        for informer in (nodes, nodeenis, eninodes):
            group.create_task(informer.run())
        leading, looked = await leader(client), time.monotonic()
        while True:
            if time.monotonic() - looked > LEADER_LOOK:
                leading, looked = await leader(client), time.monotonic()
            if nodeenis.synced.is_set() and eninodes.synced.is_set():
                now = datetime.datetime.now(datetime.UTC)
                known = nodes.store.values() if nodes.synced.is_set() else None
                picture = pictured(
                    nodeenis.store.values(), eninodes.store.values(), known, leading, now, name
                )
                _note(picture, progress)
                away = nodeenis.failure if nodeenis.failing_since is not None else None
                show(picture, progress, f"the API server: {away}" if away else "")
            await asyncio.sleep(LOOK)


def _note(picture: Picture, progress: dict[str, Progress]) -> None:
    for gone in progress.keys() - {nodeeni.metadata.uid for nodeeni in picture.nodeenis}:
        del progress[gone]
    for nodeeni in picture.nodeenis:
        progress.setdefault(nodeeni.metadata.uid, Progress()).look(nodeeni, time.monotonic())

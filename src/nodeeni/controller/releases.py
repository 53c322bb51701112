"""Holds and people: who is told of a removal that the brake holds, and the annotation that lets one go on.

The annotation is a word said once: it is taken off when what it let go is gone, or at once where no removal
of that id is held. So a tool that puts it on again and again lets nothing go that comes later.
"""

import asyncio
import logging

from nodeeni import metrics
from nodeeni.api.names import RELEASE_HOLD
from nodeeni.api.v1alpha1 import NodeENI
from nodeeni.controller.announcer import Announcer
from nodeeni.controller.brake import Brake
from nodeeni.controller.cluster import Cluster
from nodeeni.kube.client import KubeClient
from nodeeni.kube.errors import KubeError
from nodeeni.kube.resources import NODEENIS

log = logging.getLogger(__name__)

GATHER = 1.0  # seconds: nodes that are lost together are told of together
RETRY = 2.0  # seconds


class Releases:
    """`surveyed` is set once every node was looked at since the start: before, no hold is whole."""

    def __init__(self, client: KubeClient, cluster: Cluster, brake: Brake, announcer: Announcer) -> None:
        self._client = client
        self._cluster = cluster
        self._brake = brake
        self._announcer = announcer
        self._woken = asyncio.Event()
        self._changed: set[str] = set()  # uids of NodeENIs of which other removals are held than before
        self._heard: dict[str, str] = {}  # uid → the annotation that is answered already
        self._taken_off: dict[str, str] = {}  # uid → resourceVersion of the object that still had it
        self.surveyed = asyncio.Event()

    def holds_changed(self, uid: str) -> None:
        """A listener of the brake."""
        self._changed.add(uid)
        self._woken.set()

    def nodeeni_changed(self, old: NodeENI | None, new: NodeENI | None) -> None:
        """A listener of the informer."""
        if new is None or not new.metadata.annotations.release_hold:
            uid = (new or old).metadata.uid if (new or old) else ""  # type: ignore[union-attr]
            self._heard.pop(uid, None)
            self._taken_off.pop(uid, None)
        else:
            self._woken.set()

    async def run(self) -> None:
        """Tell, let go and tidy up until cancelled."""
        await self.surveyed.wait()
        while True:
            busy = await self._pass()
            try:
                async with asyncio.timeout(RETRY if busy else None):
                    await self._woken.wait()
            except TimeoutError:
                pass
            await asyncio.sleep(GATHER if self._changed else 0)
            self._woken.clear()

    async def _pass(self) -> bool:
        """Whether an annotation is still to be taken off."""
        changed, self._changed = self._changed, set()
        busy = False
        for nodeeni in list(self._cluster.nodeenis.store.values()):
            uid = nodeeni.metadata.uid
            if uid in changed:
                self._announcer.removals_held(nodeeni, self._brake.holds(uid))
            if nodeeni.metadata.annotations.release_hold:
                busy |= not await self._obey(nodeeni)
        return busy

    async def _obey(self, nodeeni: NodeENI) -> bool:
        """Whether the annotation is done with."""
        uid, hold_id = nodeeni.metadata.uid, nodeeni.metadata.annotations.release_hold
        version = nodeeni.metadata.resource_version
        if self._taken_off.get(uid) == version:
            return True  # and soon shown to be so
        if self._brake.release(uid, hold_id):
            self._announcer.removal_released(nodeeni, hold_id)
        elif self._heard.get(uid) != hold_id:
            self._announcer.release_unknown(nodeeni, hold_id)
        self._heard[uid] = hold_id
        if self._brake.is_letting_go(uid):
            return False
        body = {"metadata": {"annotations": {RELEASE_HOLD: None}, "resourceVersion": version}}
        try:
            await self._client.patch(NODEENIS, nodeeni.metadata.name, body)
        except KubeError as error:
            log.info("the annotation of %s has to wait: %s", nodeeni.metadata.name, error)
            return False
        metrics.KUBE_WRITES.labels("nodeenis").inc()
        self._taken_off[uid] = version
        return True

"""The finalizer: set before anything is made for a NodeENI, taken off when it is proved that nothing is left.

Proof is two reads of EC2, some time apart, both without an interface of the object, and both begun when no
Create can be hidden any more: not one of ours without an answer, and not one of a predecessor that died.
They follow one another at once where all is accounted for: what a read listed before, or an answered Create
made, and went by a Delete that EC2 acknowledged. Nothing times it out.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Hashable

from nodeeni import metrics
from nodeeni.api.names import FINALIZER, TAG_UID
from nodeeni.api.v1alpha1 import NodeENI
from nodeeni.controller.adoption import Adoption
from nodeeni.controller.cluster import Cluster
from nodeeni.controller.evidence import Evidence
from nodeeni.controller.executor import Executor
from nodeeni.ec2.errors import EC2Error
from nodeeni.ec2.inventory import Inventory
from nodeeni.ec2.types import Interface
from nodeeni.kube.client import KubeClient
from nodeeni.kube.errors import Conflict, KubeError, NotFound
from nodeeni.kube.resources import NODEENIS
from nodeeni.logs import Lasting

log = logging.getLogger(__name__)

LOOK = 1.0  # seconds between looks at a NodeENI that is being deleted
PROOFS = 2  # reads
SERVED = 8  # NodeENIs at once: of many that are deleted together each has its reads
LONGEST_PAUSE = 30.0  # seconds after a refusal


class Finalizers:
    """`settled_at`: the moment (monotonic) from which reads show all that a predecessor may have made."""

    def __init__(
        self,
        client: KubeClient,
        cluster: Cluster,
        inventory: Inventory,
        executor: Executor,
        adoption: Adoption,
        evidence: Evidence,
        settled_at: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._cluster = cluster
        self._inventory = inventory
        self._executor = executor
        self._adoption = adoption
        self._evidence = evidence
        self._settled_at = settled_at
        self._clock = clock
        self._woken = asyncio.Event()
        self._empty_since: dict[str, float] = {}  # by uid of the NodeENI
        self._log = Lasting(log)
        self._failing: set[Hashable] = set()
        self._paused_until: dict[str, float] = {}  # as above
        self._looked_at: dict[str, float] = {}  # as above
        self._asked_to_list: set[str] = set()  # uids

    def nodeeni_changed(self, old: NodeENI | None, new: NodeENI | None) -> None:
        """A listener of the informer."""
        if old is not None:
            self._paused_until.pop(old.metadata.uid, None)
            if new is None:
                self._forget(old.metadata.uid)
        self._woken.set()

    def interface_changed(self, before: Interface | None, after: Interface | None) -> None:
        """A listener of the inventory: the last one of a NodeENI that went may be all that was waited for."""
        uid = before.tags.get(TAG_UID) if before is not None and after is None else None
        if uid is not None and not self._inventory.count_of_nodeeni(uid):
            self._woken.set()

    async def run(self) -> None:
        """Set and take off until cancelled."""
        while True:
            self._woken.clear()
            busy = await self._pass()
            try:
                async with asyncio.timeout(LOOK if busy else None):
                    await self._woken.wait()
            except TimeoutError:
                pass

    async def _pass(self) -> bool:
        """Whether something is left to look after."""
        # Set where it is missing, looked after where it holds.
        concerned = [
            (nodeeni, FINALIZER in nodeeni.metadata.finalizers)
            for nodeeni in self._cluster.nodeenis.store.values()
            if nodeeni.metadata.deleting == (FINALIZER in nodeeni.metadata.finalizers)
        ]
        now, some = self._clock(), asyncio.Semaphore(SERVED)
        await asyncio.gather(
            *(
                self._serve(nodeeni, has, some)
                for nodeeni, has in concerned
                if now >= self._paused_until.get(nodeeni.metadata.uid, 0.0)
            )
        )
        return bool(concerned)

    async def _serve(self, nodeeni: NodeENI, has: bool, some: asyncio.Semaphore) -> None:
        uid = nodeeni.metadata.uid
        try:
            async with some:
                await (self._take_off(nodeeni) if has else self._set(nodeeni))
            for failing in self._failing:
                self._log.over(failing, "finalizers are looked after again")
            self._failing.clear()
        except Conflict:
            pass  # the informer brings the newer object
        except NotFound:
            self._forget(uid)
        except (KubeError, EC2Error) as error:
            if isinstance(error, EC2Error) or not self._client.tells(error):
                what: Hashable = error.cause if isinstance(error, EC2Error) else type(error).__name__
                self._log.met(what, f"the finalizer of {nodeeni.metadata.name} has to wait: {error}")
                self._failing.add(what)
            delay = error.delay if isinstance(error, KubeError) else error.delay(0, random.random())
            self._paused_until[uid] = self._clock() + min(delay, LONGEST_PAUSE)

    async def _set(self, nodeeni: NodeENI) -> None:
        await self._write(nodeeni, [*nodeeni.metadata.finalizers, FINALIZER])

    async def _take_off(self, nodeeni: NodeENI) -> None:
        uid = nodeeni.metadata.uid
        if self._holds(nodeeni):
            self._empty_since.pop(uid, None)
            await self._list(uid)
            return
        since = max(self._empty_since.setdefault(uid, self._clock()), self._settled_at)
        if self._clock() < since:
            return
        await self._look(uid, since)
        if self._proofs(uid, since) < PROOFS or self._holds(nodeeni):
            return
        await self._write(nodeeni, [name for name in nodeeni.metadata.finalizers if name != FINALIZER])
        self._forget(uid)
        log.info("nothing is left of NodeENI %s", nodeeni.metadata.name)

    async def _list(self, uid: str) -> None:
        """Read once, while it is being removed, what a predecessor may have made for it."""
        if uid in self._asked_to_list or self._clock() <= self._settled_at:
            return
        self._asked_to_list.add(uid)
        if not self._inventory.listed(uid, self._settled_at):
            await self._inventory.refresh(uid=uid)

    async def _look(self, uid: str, since: float) -> None:
        """Read until it is proved, as far as that can be done now."""
        for _ in range(PROOFS if self._inventory.accounted(uid, self._settled_at) else 1):
            if self._proofs(uid, since) >= PROOFS:
                return
            if not self._inventory.accounted(uid, self._settled_at):
                if self._clock() < self._looked_at.get(uid, float("-inf")) + LOOK:
                    return
                self._looked_at[uid] = self._clock()
            await self._inventory.refresh(uid=uid)

    def _proofs(self, uid: str, since: float) -> int:
        return self._inventory.confirmed_empty(uid, since, self._settled_at)

    def _forget(self, uid: str) -> None:
        self._empty_since.pop(uid, None)
        self._looked_at.pop(uid, None)
        self._asked_to_list.discard(uid)

    def _holds(self, nodeeni: NodeENI) -> bool:
        """Whether something of it is left, on its way, or still to be taken over from v1.x."""
        uid, name = nodeeni.metadata.uid, nodeeni.metadata.name
        return (
            bool(self._inventory.of_nodeeni(uid))
            or self._executor.works_for(uid)
            or self._adoption.waits_for(name)
            or self._evidence.owns(uid, self._inventory.all())
        )

    async def _write(self, nodeeni: NodeENI, finalizers: list[str]) -> None:
        body = {
            "metadata": {
                "finalizers": finalizers,
                "resourceVersion": nodeeni.metadata.resource_version,
            }
        }
        await self._client.patch(NODEENIS, nodeeni.metadata.name, body)
        metrics.KUBE_WRITES.labels("nodeenis").inc()

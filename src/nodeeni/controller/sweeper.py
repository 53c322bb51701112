"""The inventory's keeper: reads EC2 anew each resync period, and finds what nobody owns any more.

An orphan is an interface with our cluster tag whose NodeENI does not exist. It is taken only when it was
seen without an owner twice, is older than the grace time, and the API server itself, asked last, knows no
such NodeENI; what works on many nodes is held. Interfaces on dying instances are looked at here until they
are gone with them.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress

from nodeeni import metrics
from nodeeni.api import names
from nodeeni.api.v1alpha1 import NodeENI
from nodeeni.controller.adoption import Adoption
from nodeeni.controller.announcer import Announcer
from nodeeni.controller.cluster import Cluster
from nodeeni.ec2.errors import EC2Error, RetryRule
from nodeeni.ec2.inventory import Inventory
from nodeeni.ec2.types import Interface
from nodeeni.kube.client import KubeClient
from nodeeni.kube.errors import KubeError, NotFound
from nodeeni.kube.resources import NODEENIS
from nodeeni.plan.brake import HeldRemoval, held_orphans
from nodeeni.plan.observed import Owner
from nodeeni.plan.ownership import is_doubtful, is_orphan
from nodeeni.slices import in_slices

log = logging.getLogger(__name__)

SIGHTINGS = 2
# Whatever was refused: everything stands on this one call, and it is one call that is refused.
READ_AGAIN = RetryRule(first=1, factor=2, most=30)
MOST_A_PASS = 50  # orphans: a mistake of ours must not take down a cluster's interfaces in one go
DYING_LOOK = 3.0  # seconds between looks at the interfaces of dying instances


class Sweeper:
    def __init__(
        self,
        *,
        client: KubeClient,
        cluster: Cluster,
        inventory: Inventory,
        adoption: Adoption,
        announcer: Announcer,
        again: Callable[[str], None],
        on_reading: Callable[[EC2Error | None], None],
        resync_period: float,
        grace: float,
        dry_run: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._cluster = cluster
        self._inventory = inventory
        self._adoption = adoption
        self._announcer = announcer
        self._again = again
        self._on_reading = on_reading
        self._resync_period = resync_period
        self._grace = grace
        self._dry_run = dry_run
        self._clock = clock
        self._doubted = asyncio.Event()
        self._looked_for_lost = False  # by uid: once, since what was known before is not lost by a tag
        self._unowned: dict[str, tuple[int, float]] = {}  # interface → sightings, the first at
        self._dying: set[str] = set()
        self._held: set[str] = set()  # orphans that the brake holds
        self.confirmed: frozenset[str] = frozenset()
        self.holds: list[HeldRemoval] = []

    def expect_gone(self, eni_ids: Iterable[str]) -> None:
        """These interfaces hang on instances that end: look until they are gone with them."""
        for eni_id in eni_ids:
            interface = self._inventory.get(eni_id)
            if eni_id in self._dying or interface is None or interface.attachment is None:
                continue
            self._dying.add(eni_id)
            log.info(
                "instance %s ends and takes %s along",
                interface.attachment.instance_id,
                eni_id,
                extra={"node": interface.tags.get(names.TAG_NODE, "")},
            )

    async def run(self) -> None:
        """Resync and sweep until cancelled. EC2's refusals delay the next resync and end nothing."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._resync_forever())
            group.create_task(self._watch_dying())

    def doubt(self) -> None:
        """Read now: it is not sure that EC2 can be."""
        self._doubted.set()

    async def read(self) -> None:
        """One resync, tried until EC2 answers."""
        failures = 0
        while True:
            try:
                await self.resync()
                return
            except EC2Error:
                await asyncio.sleep(READ_AGAIN.delay(failures, random.random()))
                failures += 1

    async def _resync_forever(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._resync_period):
                    await self._doubted.wait()
            self._doubted.clear()
            await self.read()

    async def resync(self) -> None:
        """One reading of all our interfaces, and one look for orphans. Raises EC2Error."""
        try:
            if self._looked_for_lost:
                await self._inventory.refresh()
            else:
                await self._inventory.refresh_and_look_for(self._cluster.owners())
                self._looked_for_lost = True
            await self._adoption.look()
        except EC2Error as error:
            self._on_reading(error)
            raise
        self._on_reading(None)
        await self._sweep()

    async def _sweep(self) -> None:
        owners = self._cluster.owners()
        suspects = [i async for i in in_slices(self._inventory.all()) if self._is_unowned(i, owners)]
        # As they are after all those slices.
        owners, now = self._cluster.owners(), self._clock()
        current = [i for each in suspects if (i := self._inventory.get(each.id)) is not None]
        unowned = [i for i in current if self._is_unowned(i, owners)]
        self._unowned = {
            i.id: (count + 1, first) for i in unowned for count, first in [self._unowned.get(i.id, (0, now))]
        }
        ripe = [
            i
            for i in unowned
            if self._unowned[i.id][0] >= SIGHTINGS and now - self._unowned[i.id][1] >= self._grace
        ]
        self._hold(ripe)
        free = [i for i in ripe if i.id not in self._held]
        confirmed = [i for i in free[:MOST_A_PASS] if await self._is_orphan(i)]
        for interface in confirmed:
            if interface.id not in self.confirmed and not self._dry_run:
                metrics.ORPHANS.inc()
                self._announcer.orphan_swept(interface)
        self.confirmed = frozenset(interface.id for interface in confirmed)
        for interface in confirmed:
            self._again(self._cluster.node_of(interface))

    def _hold(self, ripe: Iterable[Interface]) -> None:
        """What works on many nodes is left alone, to the last of it, until a person removes it, a NodeENI
        takes it over or the instances end.
        """
        told = self._held
        self.holds = held_orphans(ripe, known=told)
        self._held = {eni_id for hold in self.holds for eni_id in hold.eni_ids}
        for hold in self.holds:
            if not told.issuperset(hold.eni_ids) and not self._dry_run:
                self._announcer.orphans_held(hold)

    def _is_unowned(self, interface: Interface, owners: Mapping[str, Owner]) -> bool:
        if not is_doubtful(interface, owners):
            return False
        return is_orphan(interface, owners, self._cluster.told(interface.id))

    async def _is_orphan(self, interface: Interface) -> bool:
        """Ask the API server itself, last of all: the informer could be behind."""
        name = interface.tags.get(names.TAG_NODEENI, "")
        try:
            owner = await self._client.get(NODEENIS, name, NodeENI) if name else None
        except NotFound:
            return True
        except KubeError as error:
            if not self._client.tells(error):
                log.warning("cannot ask for the owner of %s: %s", interface.id, error)
            return False
        return owner is None  # one of that name keeps it: made anew, it takes over what the one before had

    async def _watch_dying(self) -> None:
        while True:
            await asyncio.sleep(DYING_LOOK * random.uniform(0.9, 1.1))
            self._dying = {eni_id for eni_id in self._dying if self._hangs(eni_id)}
            if not self._dying:
                continue
            try:
                await self._inventory.refresh_ids(sorted(self._dying))
            except EC2Error as error:
                log.debug("cannot look at the interfaces of dying instances: %s", error)

    def _hangs(self, eni_id: str) -> bool:
        interface = self._inventory.get(eni_id)
        return interface is not None and interface.attachment is not None

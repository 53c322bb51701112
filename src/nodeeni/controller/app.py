"""The controller process: this page builds every object, starts every task, and ends them in order.

start   serve health → find cluster, region → take the lease → list Kubernetes, read EC2 → work
stop    drop what waits → let begun calls end → write the last status and events → give the lease back
"""

import asyncio
import gc
import logging
import math
import os
import random
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

from nodeeni import metrics
from nodeeni.api.core import Namespace
from nodeeni.controller import health
from nodeeni.controller.adoption import Adoption
from nodeeni.controller.announcer import Announcer
from nodeeni.controller.cluster import Cluster, region_of
from nodeeni.controller.departures import Departures
from nodeeni.controller.eninodes import ENINodeWriter
from nodeeni.controller.executor import Executor, observe_call
from nodeeni.controller.finalizers import Finalizers
from nodeeni.controller.leadership import Leadership
from nodeeni.controller.memory import Memory
from nodeeni.controller.rates import AccountRates
from nodeeni.controller.reconciler import Reconciler
from nodeeni.controller.reporter import Reporter
from nodeeni.controller.sweeper import Sweeper
from nodeeni.controller.triggers import Triggers
from nodeeni.controller.turns import Turns
from nodeeni.controller.workqueue import WorkQueue
from nodeeni.ec2.buckets import Buckets
from nodeeni.ec2.client import EC2Client
from nodeeni.ec2.errors import EC2Error
from nodeeni.ec2.inventory import Inventory
from nodeeni.ec2.lookups import Lookups
from nodeeni.ec2.waiter import Waiter
from nodeeni.kube.client import KubeClient
from nodeeni.kube.errors import KubeError, LeaseLost
from nodeeni.kube.events import EventRecorder
from nodeeni.kube.resources import NAMESPACES
from nodeeni.settings import Settings

log = logging.getLogger(__name__)

# Reconciles under way at once: they wait for look-ups alone, never for EC2's work, and as many as wait
# together share one describe, whose filter takes 200 values.
WORKERS = 200
# Seconds for what has to end in order, below 10 together with what the lease takes; the pod is killed after
# 30. What is cut off is found again by whoever comes next.
CALLS_TIMEOUT, STATUS_TIMEOUT, EVENTS_TIMEOUT = 6.0, 1.0, 0.5
INVENTORY_GAP = 2.0  # seconds between two reads that both count; less where reads lag less than that
RETRY = 5.0  # seconds
FIRST_READ_RETRY = 30.0  # seconds at most: credentials that come late should not cost five minutes
DEFAULT_REGION = "us-west-2"  # v1.1.0's


class Stopped(Exception):
    """A signal asked the process to end."""


async def run(settings: Settings, environment: Mapping[str, str] = os.environ) -> int:
    """Run until a signal, and return the exit status: 0, or 1 when the lease was lost.

    Raises ConfigError when there is no usable kubeconfig and OSError when the metrics address is taken.
    """
    client = KubeClient.connect(settings.kubeconfig)
    controller = _Controller(settings, client, environment)
    try:
        async with health.serve(settings.metrics_addr, controller.checks, controller.on_scrape):
            return await controller.run()
    finally:
        await client.close()


class _Works(NamedTuple):
    """What works on nodes while we lead."""

    inventory: Inventory
    waiter: Waiter
    lookups: Lookups
    executor: Executor
    sweeper: Sweeper
    reconciler: Reconciler
    finalizers: Finalizers
    departures: Departures


class _Controller:
    def __init__(self, settings: Settings, client: KubeClient, environment: Mapping[str, str]) -> None:
        self._settings = settings
        self._client = client
        self._leadership = Leadership(client, settings)
        self._writer = client.fenced(self._leadership.may_act)
        self._environment = environment
        self._cluster = Cluster(client)
        self._queue = WorkQueue()
        self._turns = Turns(self._queue.add)
        self._recorder = EventRecorder(self._writer)
        self._announcer = Announcer(self._recorder, self._cluster)
        self._memory = Memory(settings.read_lag)
        self._reporter = Reporter(self._writer, self._cluster)
        self._eninodes = ENINodeWriter(self._writer, self._cluster)
        self._reach = health.Reach()
        self._buckets = Buckets()
        self._rates = AccountRates(self._buckets, settings.ec2_rate or {})
        self._inventory: Inventory | None = None
        self._executor: Executor | None = None
        self._failures: dict[str, int] = {}

    async def run(self) -> int:
        status = 0
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._until_signal())
                group.create_task(self._lead(group))
        except* Stopped:
            log.info("stopped")
        except* LeaseLost as lost:
            log.error("ending: %s", lost.exceptions[0])
            status = 1
        return status

    async def _until_signal(self) -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        await stop.wait()
        raise Stopped

    async def _lead(self, group: asyncio.TaskGroup) -> None:
        """Take the lease, then work until cancelled."""
        for informer in self._cluster.informers:
            group.create_task(informer.run())
        await self._leadership.take()
        group.create_task(self._leadership.keep())
        cluster_id = await self._cluster_id()
        await self._cluster.synced()
        region = await self._region()
        group.create_task(self._rates.run(region))
        async with EC2Client.connect(
            region,
            pool=self._settings.max_concurrent_nodes,
            on_call=self._observe_call,
            may_change=self._leadership.may_act,
        ) as ec2:
            await self._work(ec2, cluster_id, region)

    async def _cluster_id(self) -> str:
        if self._settings.cluster_id:
            return self._settings.cluster_id
        while True:
            try:
                return (await self._client.get(NAMESPACES, "kube-system", Namespace)).metadata.uid
            except KubeError as error:
                log.warning("cannot read the cluster's id: %s", error)
                await asyncio.sleep(max(RETRY, error.delay))

    async def _region(self) -> str:
        region = await region_of(self._settings.aws_region, self._environment, self._cluster)
        if region is None:
            log.warning("no region in flags, environment, metadata or Nodes: using %s", DEFAULT_REGION)
        return region or DEFAULT_REGION

    async def _work(self, ec2: EC2Client, cluster_id: str, region: str) -> None:
        works = self._works(ec2, cluster_id)
        self._inventory, self._executor = works.inventory, works.executor
        self._reporter.notes = self._memory.troubles
        await self._first_resync(works.sweeper)
        self._listen(works)
        log.info(
            "working on %d nodes and %d interfaces in %s",
            len(self._cluster.nodes.store),
            len(works.inventory.all()),
            region,
            extra={"cluster": cluster_id, "region": region},
        )
        async with self._ending(works.executor, works.lookups), asyncio.TaskGroup() as group:
            for _ in range(WORKERS):
                group.create_task(self._worker(works.reconciler))
            group.create_task(works.waiter.run())
            group.create_task(works.sweeper.run())
            group.create_task(works.departures.run())
            if not self._settings.dry_run:
                group.create_task(works.finalizers.run())
                group.create_task(self._reporter.run())
                group.create_task(self._eninodes.run())
            await self._queue.drained()
            self._reporter.ready.set()
            self._turns.begin()
            # What stands now stays: it need not be looked through for garbage again and again.
            gc.collect()
            gc.freeze()

    def _works(self, ec2: EC2Client, cluster_id: str) -> _Works:
        """What needs EC2, built around one inventory of it."""
        settings = self._settings
        inventory = Inventory(
            ec2, cluster_id, lag=settings.read_lag, gap=min(INVENTORY_GAP, settings.read_lag)
        )
        lookups = Lookups(ec2)
        adoption = Adoption(ec2, self._cluster, inventory)
        executor = Executor(
            ec2=ec2,
            buckets=self._buckets,
            inventory=inventory,
            lookups=lookups,
            memory=self._memory,
            adoption=adoption,
            fence=self._leadership.may_act,
            again=self._queue.add,
            on_failure=self._announcer.call_failed,
            concurrency=settings.max_concurrent_nodes,
        )
        sweeper = Sweeper(
            client=self._client,
            cluster=self._cluster,
            inventory=inventory,
            adoption=adoption,
            announcer=self._announcer,
            again=self._queue.add,
            resync_period=settings.resync_period,
            grace=settings.orphan_grace_period,
            dry_run=settings.dry_run,
        )
        reconciler = Reconciler(
            settings=settings,
            cluster_id=cluster_id,
            cluster=self._cluster,
            inventory=inventory,
            lookups=lookups,
            memory=self._memory,
            executor=executor,
            adoption=adoption,
            sweeper=sweeper,
            reporter=self._reporter,
            eninodes=self._eninodes,
            announcer=self._announcer,
            queue=self._queue,
            turns=self._turns,
        )
        finalizers = Finalizers(
            self._writer, self._cluster, inventory, executor, adoption, self._leadership.settled_at
        )
        departures = Departures(
            announcer=self._announcer,
            executor=executor,
            memory=self._memory,
            inventory=inventory,
            lookups=lookups,
            # Beside a controller that works, all that goes is its doing.
            settled_at=math.inf if settings.dry_run else self._leadership.settled_at,
            grace=settings.node_grace_period,
        )
        return _Works(
            inventory, Waiter(inventory), lookups, executor, sweeper, reconciler, finalizers, departures
        )

    def _listen(self, works: _Works) -> None:
        """From here on every change in Kubernetes and in the inventory is followed."""
        works.inventory.add_listener(self._announcer.interface_changed)
        works.inventory.add_listener(works.departures.interface_changed)
        self._cluster.nodes.add_listener(works.departures.node_changed)
        self._cluster.nodeenis.add_listener(self._reporter.nodeeni_changed)
        self._cluster.eninodes.add_listener(self._reporter.eninode_changed)
        self._cluster.eninodes.add_listener(self._eninodes.changed)
        if not self._settings.dry_run:
            self._cluster.nodeenis.add_listener(works.finalizers.nodeeni_changed)
        triggers = Triggers(
            self._queue, self._cluster, works.inventory, works.waiter, works.lookups, self._memory
        )
        triggers.listen()

    async def _first_resync(self, sweeper: Sweeper) -> None:
        attempt = 0
        while True:
            try:
                await sweeper.resync()
                return
            except EC2Error as error:
                log.warning("cannot read EC2: %s", error.explanation)
                await asyncio.sleep(min(FIRST_READ_RETRY, error.delay(attempt, random.random())))
                attempt += 1

    async def _worker(self, reconciler: Reconciler) -> None:
        while True:
            name = await self._queue.get()
            try:
                await reconciler.reconcile(name)
                self._failures.pop(name, None)
                metrics.RECONCILES.labels("ok").inc()
            except EC2Error as error:
                attempt = self._failures.get(name, 0)
                self._failures[name] = attempt + 1
                self._queue.add_after(name, error.delay(attempt, random.random()))
                metrics.RECONCILES.labels(error.error_class.value).inc()
            except Exception:
                # One node that cannot be planned must not stop the others; a bug here is seen in the log.
                log.exception("cannot reconcile", extra={"node": name})
                self._queue.add_after(name, RETRY)
                metrics.RECONCILES.labels("fault").inc()
            finally:
                self._queue.done(name)

    @asynccontextmanager
    async def _ending(self, executor: Executor, lookups: Lookups) -> AsyncIterator[None]:
        """What has to happen in order when the tasks of the block have ended, whatever ended them."""
        recorder = asyncio.create_task(self._recorder.run())
        try:
            yield
        finally:
            self._queue.close()
            await executor.close(CALLS_TIMEOUT if self._leadership.may_act() else 0.0)
            if self._leadership.may_act() and not self._settings.dry_run:
                with suppress(TimeoutError):
                    async with asyncio.timeout(STATUS_TIMEOUT):
                        await self._reporter.flush()
            await self._recorder.drain(EVENTS_TIMEOUT)
            recorder.cancel()
            await asyncio.gather(recorder, return_exceptions=True)
            await lookups.close()
            self._buckets.close()
            await self._leadership.end(release=not executor.abandoned)

    # -- health --------------------------------------------------------------------------------------

    def checks(self) -> dict[str, str | None]:
        """For `/readyz`: what is wrong, by check."""
        kubernetes = health.fault_of_watches(self._cluster.informers)
        if not self._leadership.leading:
            return {"kubernetes": kubernetes, "lease": None}  # a standby is ready to take over
        ec2 = self._reach.fault() or health.fault_of_inventory(
            self._inventory, 3 * self._settings.resync_period
        )
        return {"kubernetes": kubernetes, "ec2": ec2, "lease": None if self._leadership.may_act() else "lost"}

    def _observe_call(self, action: str, seconds: float, error: EC2Error | None) -> None:
        observe_call(action, seconds, error)
        self._reach.observe(error)

    def on_scrape(self) -> None:
        """Bring the gauges up to date."""
        for name, fault in self.checks().items():
            metrics.CHECKS.labels(name).set(fault is None)
        health.gauge_buckets(self._buckets)
        health.gauge_attachments(self._reporter)
        if self._inventory is not None:
            health.gauge_inventory(self._inventory)

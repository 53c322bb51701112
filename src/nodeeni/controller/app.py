"""The controller process: starts every task, and ends them in order. `wiring.py` builds what they work with.

start   serve health → find cluster, region → take the lease → list Kubernetes, read EC2 → work
stop    drop what waits → let begun calls end → write the last status and events → give the lease back
"""

import asyncio
import ctypes
import gc
import logging
import os
import random
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial

from nodeeni import metrics
from nodeeni.api.core import Namespace
from nodeeni.controller import wiring
from nodeeni.controller.cluster import region_of
from nodeeni.controller.executor import Executor
from nodeeni.controller.health import serve
from nodeeni.controller.questions import PATIENCE
from nodeeni.controller.reconciler import Reconciler
from nodeeni.controller.wiring import Parts
from nodeeni.ec2.client import EC2Client
from nodeeni.ec2.errors import EC2Error, UnusableSettings
from nodeeni.ec2.lookups import Lookups
from nodeeni.ec2.region import DEFAULT_REGION
from nodeeni.flags import UsageError
from nodeeni.kube.client import KubeClient
from nodeeni.kube.errors import KubeError, LeaseLost
from nodeeni.kube.reach import Reach
from nodeeni.kube.resources import NAMESPACES
from nodeeni.logs import Lasting
from nodeeni.settings import Settings

log = logging.getLogger(__name__)

# Reconciles under way at once: they wait for look-ups alone, never for EC2's work, and as many as wait
# together share one describe, whose filter takes 200 values.
WORKERS = 200
# Seconds for what has to end in order, below 10 together with what the lease takes; the pod is killed after
# 30. What is cut off is found again by whoever comes next.
CALLS_TIMEOUT, STATUS_TIMEOUT, EVENTS_TIMEOUT = 6.0, 1.0, 0.5
RETRY = 5.0  # seconds
# New objects until the next look for garbage: with Python's 700 that took a tenth of what 50 ENIs cost.
YOUNG_OBJECTS = 20_000


def _give_memory_back() -> None:
    """What the start needed, such as whole lists of Nodes as JSON, and glibc keeps for more of the kind."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


class Stopped(Exception):
    """A signal asked the process to end."""


async def run(settings: Settings, environment: Mapping[str, str] = os.environ) -> int:
    """Run until a signal, and return the exit status: 0, or 1 when the lease was lost.

    Raises ConfigError when there is no usable kubeconfig, OSError when the metrics address is taken, and
    UsageError when the AWS SDK cannot use its settings.
    """
    gc.freeze()  # what was imported stays: it need not be looked through for garbage again and again
    client = KubeClient.connect(settings.kubeconfig, reach=Reach())
    parts = Parts(settings, client)
    try:
        health = parts.health
        async with serve(
            settings.metrics_addr, alive=health.vital_signs, ready=health.checks, on_scrape=health.on_scrape
        ):
            return await _Controller(parts, environment).run()
    finally:
        await client.close()


class _Controller:
    def __init__(self, parts: Parts, environment: Mapping[str, str]) -> None:
        self._parts = parts
        self._settings = parts.settings
        self._environment = environment

    async def run(self) -> int:
        status, unusable = 0, None
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._until_signal())
                group.create_task(self._lead(group))
        except* Stopped:
            log.info("stopped")
        except* LeaseLost as lost:
            log.error("ending: %s", lost.exceptions[0])
            status = 1
        except* UnusableSettings as refused:
            unusable = refused.exceptions[0]
        if isinstance(unusable, UnusableSettings):
            raise UsageError(unusable.explanation)
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
        parts = self._parts
        for informer in parts.cluster.informers:
            group.create_task(informer.run())
        await parts.leadership.take()
        group.create_task(parts.leadership.keep())
        cluster_id = await self._cluster_id()
        await parts.cluster.synced()
        gc.freeze()  # so do thousands of Nodes
        region = await self._region()
        group.create_task(parts.rates.run(region))
        async with EC2Client.connect(
            region,
            pool=self._settings.max_concurrent_nodes,
            on_call=parts.health.observe_call,
            on_unreadable=parts.health.observe_unreadable,
            may_change=parts.leadership.may_act,
            in_vain=parts.troubles.in_vain,
        ) as ec2:
            await self._work(ec2, cluster_id, region)

    async def _cluster_id(self) -> str:
        if self._settings.cluster_id:
            return self._settings.cluster_id
        told = Lasting(log)
        while True:
            try:
                return (await self._parts.client.get(NAMESPACES, "kube-system", Namespace)).metadata.uid
            except KubeError as error:
                if not self._parts.client.tells(error):
                    told.met(type(error).__name__, f"cannot read the cluster's id: {error}")
                await asyncio.sleep(max(RETRY, error.delay))

    async def _region(self) -> str:
        region = await region_of(self._settings.aws_region, self._environment, self._parts.cluster)
        if region is None:
            log.warning("no region in flags, environment, metadata or Nodes: using %s", DEFAULT_REGION)
        return region or DEFAULT_REGION

    async def _work(self, ec2: EC2Client, cluster_id: str, region: str) -> None:
        parts, works = self._parts, wiring.works(self._parts, ec2, cluster_id)
        await wiring.listen_for_trouble(parts, works)
        async with self._ending(works.executor, works.lookups), asyncio.TaskGroup() as group:
            if not self._settings.dry_run:
                group.create_task(parts.reporter.run())
            parts.troubles.reading_begins()
            await works.sweeper.read()
            await works.triggers.expect_answers()
            await wiring.listen(parts, works)
            gc.freeze()  # as above: every node is planned now
            log.info(
                "working on %d nodes and %d interfaces in %s",
                len(parts.cluster.nodes.store),
                len(works.inventory.all()),
                region,
                extra={"cluster": cluster_id, "region": region},
            )
            for _ in range(WORKERS):
                group.create_task(self._worker(works.reconciler))
            group.create_task(works.waiter.run())
            group.create_task(works.sweeper.run())
            group.create_task(works.departures.run())
            if not self._settings.dry_run:
                group.create_task(works.finalizers.run())
                group.create_task(works.releases.run())
                group.create_task(parts.eninodes.run())
                if parts.readiness is not None:
                    group.create_task(parts.readiness.run())
            await parts.queue.drained()
            works.questions.patience = PATIENCE
            parts.reporter.begin()
            parts.turns.begin()
            works.brake.begin()
            if not self._settings.dry_run:
                works.first_sight.begin()
            works.releases.surveyed.set()
            if parts.readiness is not None:
                await parts.readiness.begin()
            # As in `run`: what stands now stays.
            gc.collect()
            gc.freeze()
            gc.set_threshold(YOUNG_OBJECTS)
            _give_memory_back()

    async def _worker(self, reconciler: Reconciler) -> None:
        queue = self._parts.queue
        while True:
            name = await queue.get()
            try:
                await reconciler.reconcile(name)
                queue.succeeded(name)
                metrics.RECONCILES.labels("ok").inc()
            except EC2Error as error:
                queue.failed(name, partial(error.delay, rand=random.random()))
                metrics.RECONCILES.labels(error.error_class.value).inc()
            except Exception:
                # One node that cannot be planned must not stop the others; a bug here is seen in the log.
                log.exception("cannot reconcile", extra={"node": name})
                queue.add_after(name, RETRY)
                metrics.RECONCILES.labels("fault").inc()
            finally:
                queue.done(name)

    @asynccontextmanager
    async def _ending(self, executor: Executor, lookups: Lookups) -> AsyncIterator[None]:
        """What has to happen in order when the tasks of the block have ended, whatever ended them."""
        parts = self._parts
        recorder = asyncio.create_task(parts.recorder.run())
        try:
            yield
        finally:
            parts.queue.close()
            await executor.close(CALLS_TIMEOUT if parts.leadership.may_act() else 0.0)
            if parts.leadership.may_act() and not parts.settings.dry_run:
                with suppress(TimeoutError):
                    async with asyncio.timeout(STATUS_TIMEOUT):
                        await parts.reporter.flush()
            await parts.recorder.drain(EVENTS_TIMEOUT)
            recorder.cancel()
            await asyncio.gather(recorder, return_exceptions=True)
            await lookups.close()
            parts.buckets.close()
            await parts.leadership.end(release=not executor.abandoned)

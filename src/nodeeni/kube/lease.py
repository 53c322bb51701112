"""Which of several controllers may act: a coordination.k8s.io/v1 Lease, written as client-go writes it.

The holder renews it every `retry` seconds. `held()` is the fence: whoever is about to change something asks
it, and it turns False in time whatever keeps the process from renewing: an API server that is away, a loop
that hangs, a stopped process that wakes up when somebody else has taken over.
"""

import asyncio
import logging
import math
import random
import time
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from typing import Any

import msgspec

from nodeeni.api.meta import ObjectMeta
from nodeeni.kube.client import KubeClient
from nodeeni.kube.errors import (
    Conflict,
    Forbidden,
    KubeError,
    LeaseLost,
    NotFound,
    Throttled,
    Unauthorized,
    Unavailable,
)
from nodeeni.kube.resources import LEASES
from nodeeni.logs import Lasting

log = logging.getLogger(__name__)


class LeaseSpec(msgspec.Struct, rename="camel"):
    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    lease_transitions: int | None = None
    renew_time: datetime | None = None


class LeaseMeta(ObjectMeta):
    annotations: dict[str, str] = msgspec.field(default_factory=dict)


class Lease(msgspec.Struct):
    metadata: LeaseMeta
    spec: LeaseSpec = msgspec.field(default_factory=LeaseSpec)


class Acquired(msgspec.Struct, frozen=True):
    """`clean`: the lease was absent or its last holder gave it back (or it was ours all the time). If not,
    the last holder let it expire: it may have died in the middle of a call.

    `idle`: seconds since the last holder renewed it or gave it back, by both clocks; infinite where there was
    none. `left` are the annotations that he left for his successor.
    """

    clean: bool
    idle: float = math.inf
    left: Mapping[str, str] = {}


def boot_clock() -> float:
    """Seconds that go on while the process is stopped and while the machine is suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class LeaderElection:
    """One candidate for the lease `namespace/name`. `identity` must be another one in every process.

    Others take the lease `duration` seconds after they saw its last renewal. We count from the moment
    before we sent it and stop at `deadline` seconds already: the difference is what a call that has just
    been let through `held()` may take to reach AWS. `leaves` are the annotations that a holder may leave:
    they are of one handover, and taken off at the next.
    """

    def __init__(
        self,
        client: KubeClient,
        namespace: str,
        name: str,
        identity: str,
        *,
        duration: int = 15,
        deadline: float = 10.0,
        retry: float = 2.0,
        leaves: AbstractSet[str] = frozenset(),
        clock: Callable[[], float] = boot_clock,
    ) -> None:
        if not retry < deadline < duration:
            raise ValueError(f"retry {retry} < deadline {deadline} < duration {duration} must hold")
        self._client = client
        self._urgent = client.at_once()
        self._log = Lasting(log)
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._duration = duration
        self._deadline = deadline
        self._retry = retry
        self._leaves = leaves
        self._clock = clock
        self._renewed: float | None = None  # clock time just before the last renewal was sent
        self._version: str | None = None  # of the lease as we last wrote it
        self._waits_for = ""  # the holder that the log named last
        self._seen: tuple[str, float] = ("", 0.0)  # another's lease: its version, when first seen

    def held(self) -> bool:
        """Whether we may act now. True only while nobody else can have taken the lease."""
        return self._renewed is not None and self._clock() < self._renewed + self._deadline

    async def acquire(self) -> Acquired:
        """Wait until the lease is ours. Failures of the API server are waited out."""
        complained = False
        while True:
            try:
                acquired = await self._try()
                if acquired is not None:
                    log.info("leading as %s", self._identity)
                    self._waits_for = ""
                    return acquired
                complained = False
            except Conflict:
                pass  # another candidate was faster
            except KubeError as error:
                if not complained and not self._client.tells(error):
                    log.warning("cannot take the lease: %s", error)
                complained = True
            await asyncio.sleep(self._retry * random.uniform(0.9, 1.2))

    async def run(self) -> None:
        """Renew until cancelled. Raises LeaseLost when `held()` has become False."""
        try:
            while True:
                await asyncio.sleep(self._retry)
                await self._renew_in_time()
        except LeaseLost:
            self._renewed = None
            raise

    async def regain(self) -> None:
        """After LeaseLost: wait until the lease is renewed, as long as nobody else had it meanwhile.

        Raises LeaseLost when somebody had or has it: what we know may be outdated then.
        """
        complained = False
        while True:
            try:
                if await self._renew_late():
                    return
            except KubeError as error:
                if not complained and not self._client.tells(error):
                    log.warning("cannot renew the lease: %s", error)
                complained = True
            await asyncio.sleep(self._retry * random.uniform(0.9, 1.2))

    async def release(self, leave: Mapping[str, str] | None = None, *, timeout: float = 5.0) -> None:
        """Give the lease back, so that the next holder starts at once and clean, and finds what we `leave`
        him as annotations. Call it when no change is under way any more. Never raises: at worst the lease
        expires.
        """
        if self._version is None:
            return
        self._renewed = None
        try:
            async with asyncio.timeout(timeout):
                await self._give_back(dict(leave or {}))
        except (KubeError, TimeoutError) as error:
            log.warning("the lease is left to expire: %s", error)
        self._version = None

    async def _try(self) -> Acquired | None:
        started = self._clock()
        try:
            lease = await self._read()
        except NotFound:
            await self._create(started)
            return Acquired(clean=True)
        holder = lease.spec.holder_identity
        if holder and holder != self._identity and not self._has_expired(lease):
            self._wait_for(holder)
            return None
        ours_since = holder == self._identity and lease.metadata.resource_version == self._version
        terms = self._terms(transitions=(lease.spec.lease_transitions or 0) + (not ours_since))
        left = lease.metadata.annotations
        taken_off = dict.fromkeys(left.keys() & self._leaves)
        self._accept(started, await self._write(lease.metadata.resource_version, taken_off, **terms))
        clean = not holder or ours_since
        return Acquired(clean=clean, idle=_seconds_since(lease.spec.renew_time), left=left if clean else {})

    def _wait_for(self, holder: str) -> None:
        if holder != self._waits_for:
            log.info("waiting for the lease held by %s", holder)
        self._waits_for = holder

    def _has_expired(self, lease: Lease) -> bool:
        """Whether another's lease has stood unchanged before our eyes for as long as it lasts: clocks of
        two machines are not compared.
        """
        now = self._clock()
        version, since = self._seen
        if lease.metadata.resource_version != version:
            self._seen = (lease.metadata.resource_version, now)
            return False
        return now >= since + (lease.spec.lease_duration_seconds or self._duration)

    async def _renew_in_time(self) -> None:
        if self._renewed is None or not self.held():
            raise LeaseLost(f"the lease was not renewed within {self._deadline:g} s")
        try:
            async with asyncio.timeout(self._renewed + self._deadline - self._clock()):
                await self._renew()
        except TimeoutError as error:
            raise LeaseLost(f"the lease could not be renewed within {self._deadline:g} s") from error
        except Conflict:
            await self._look_again()
        except KubeError as error:
            if not self._client.tells(error):
                self._log.met(type(error).__name__, f"the lease is not renewed: {error}")
        else:
            for cause in (Forbidden, Unauthorized, Throttled, Unavailable):
                self._log.over(cause.__name__, "the lease is renewed again")

    async def _renew(self) -> None:
        started = self._clock()
        self._accept(started, await self._write(self._version, renewTime=_micro_time()))

    async def _renew_late(self) -> bool:
        """Only our own identity in the lease proves that nobody else had it: each holder writes his."""
        started = self._clock()
        try:
            lease = await self._read()
        except NotFound as error:
            raise LeaseLost("the lease was deleted") from error
        if lease.spec.holder_identity != self._identity:
            raise LeaseLost(f"the lease went to {lease.spec.holder_identity or 'nobody'}")
        try:
            self._accept(started, await self._write(lease.metadata.resource_version, renewTime=_micro_time()))
        except Conflict:
            return False
        return True

    async def _look_again(self) -> None:
        """After a Conflict: our own renewal whose answer was lost, or another holder."""
        try:
            lease = await self._read()
        except NotFound as error:
            raise LeaseLost("the lease was deleted") from error
        except KubeError:
            return
        if lease.spec.holder_identity != self._identity:
            raise LeaseLost(f"the lease went to {lease.spec.holder_identity or 'nobody'}")
        self._version = lease.metadata.resource_version

    async def _give_back(self, leave: dict[str, str]) -> None:
        now = _micro_time()
        empty = {"holderIdentity": "", "leaseDurationSeconds": 1, "acquireTime": now, "renewTime": now}
        try:
            await self._write(self._version, leave, **empty)
        except Conflict:
            lease = await self._read()
            if lease.spec.holder_identity == self._identity:
                await self._write(lease.metadata.resource_version, leave, **empty)

    def _accept(self, started: float, lease: Lease) -> None:
        self._renewed = started
        self._version = lease.metadata.resource_version

    def _terms(self, *, transitions: int) -> dict[str, Any]:
        now = _micro_time()
        return {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": self._duration,
            "acquireTime": now,
            "renewTime": now,
            "leaseTransitions": transitions,
        }

    @property
    def _now(self) -> KubeClient:
        """While it is ours, it is to be kept: the others wait until somebody finds the server back."""
        return self._urgent if self.held() else self._client

    async def _read(self) -> Lease:
        return await self._now.get(LEASES, self._name, Lease, namespace=self._namespace)

    async def _create(self, started: float) -> None:
        body = {
            "apiVersion": LEASES.api_version,
            "kind": "Lease",
            "metadata": {"name": self._name, "namespace": self._namespace},
            "spec": self._terms(transitions=0),
        }
        self._accept(started, await self._client.create(LEASES, body, Lease, namespace=self._namespace))

    async def _write(
        self, version: str | None, annotations: Mapping[str, str | None] | None = None, **spec: Any
    ) -> Lease:
        metadata: dict[str, Any] = {"resourceVersion": version}
        if annotations:
            metadata["annotations"] = annotations
        body = {"metadata": metadata, "spec": spec}
        return await self._now.patch(LEASES, self._name, body, Lease, namespace=self._namespace)


def _seconds_since(moment: datetime | None) -> float:
    return max(0.0, (datetime.now(UTC) - moment).total_seconds()) if moment else 0.0


def _micro_time() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

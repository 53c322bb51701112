"""`/metrics`, `/healthz` and `/readyz`: how a cluster and its people see that this process works."""

import logging
import random
import time
from collections.abc import AsyncIterator, Callable, Hashable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from nodeeni import metrics
from nodeeni.controller.cluster import Cluster
from nodeeni.controller.leadership import Leadership
from nodeeni.controller.reporter import Reporter
from nodeeni.controller.troubles import PATIENCE, Troubles
from nodeeni.ec2.buckets import Buckets
from nodeeni.ec2.errors import EC2Error, ErrorClass
from nodeeni.ec2.inventory import Inventory
from nodeeni.ec2.types import Action, Unreadable
from nodeeni.kube.errors import Unauthorized, Untrusted
from nodeeni.kube.informer import Informer
from nodeeni.logs import Lasting
from nodeeni.plan.brake import HeldRemoval
from nodeeni.plan.rows import State

log = logging.getLogger(__name__)

# Name of a check → what is wrong, or None.
Checks = Callable[[], dict[str, str | None]]

SHUTDOWN = 0.5  # seconds: nobody who reads slowly, or sends half a request, holds up the end
SAID_KEPT = 1000  # lines of the log that are not said again
QUIET = 90.0  # seconds without a word from the API server; its watches end and begin anew every 60


def fault_of_watches(informers: Sequence[Informer[Any]]) -> str | None:
    """What is wrong with the way to the API server."""
    now = time.monotonic()
    heard = [informer.last_contact for informer in informers]
    silent = [now - at for at in heard if at is not None]
    failing = [now - i.failing_since for i in informers if i.failing_since is not None]
    if len(silent) < len(heard):
        return "not yet listed"
    if max(failing, default=0.0) > PATIENCE:
        return f"cannot be watched for {max(failing):.0f} s"
    return f"nothing heard for {max(silent):.0f} s" if max(silent) > QUIET else None


def deafness(informers: Sequence[Informer[Any]], patience: float) -> dict[str, str | None]:
    """By kind of object, why nothing is heard of it for `patience` seconds though the API server is there:
    what a restart may mend. That it is away is no reason.
    """
    return {informer.kind: _deaf(informer, patience) for informer in informers}


def _deaf(informer: Informer[Any], patience: float) -> str | None:
    now, since = time.monotonic(), informer.failing_since
    if since is not None:
        if now - since < patience or not isinstance(informer.failure, Untrusted | Unauthorized):
            return None
        return f"cannot be watched for {now - since:.0f} s: {informer.failure}"
    if informer.last_contact is None or now - informer.last_contact < max(patience, QUIET):
        return None
    return f"nothing heard for {now - informer.last_contact:.0f} s"


def fault_of_inventory(inventory: Inventory | None, oldest: float) -> str | None:
    """What is wrong with what we know of EC2, which is to be at most `oldest` seconds old."""
    if inventory is None or inventory.last_refresh is None:
        return "not yet read"
    age = time.monotonic() - inventory.last_refresh
    return f"last read {age:.0f} s ago" if age > oldest else None


class _Said:
    """What the log has said, so that it is said once."""

    def __init__(self) -> None:
        self._met: dict[Hashable, None] = {}

    def is_new(self, what: Hashable) -> bool:
        new = what not in self._met
        self._met.pop(what, None)
        self._met[what] = None
        if len(self._met) > SAID_KEPT:
            del self._met[next(iter(self._met))]  # the one met longest ago
        return new


_OF_ALL_CALLS = (ErrorClass.CREDENTIALS, ErrorClass.UNKNOWN_OUTCOME)
_CHANGES = frozenset(action.value for action in Action)


class _Words:
    """EC2's own words in the log, whole and once a cause: what any call can meet, and what refuses a reading.
    What a change is refused for `causes` tells, and throttles the announcer.
    """

    def __init__(self) -> None:
        self._log = Lasting(log)
        self._failing: dict[Hashable, set[str]] = {}  # cause → actions

    def heard(self, action: str, error: EC2Error | None) -> None:
        if error is None or error.error_class not in _OF_ALL_CALLS:
            self._answered(action)
        if error is None or error.error_class is ErrorClass.THROTTLED:
            return
        of_all = error.error_class in _OF_ALL_CALLS
        if not of_all and action in _CHANGES:
            return
        cause = (error.error_class, error.code) if of_all else error.cause
        self._failing.setdefault(cause, set()).add(action)
        level = logging.INFO if error.known else logging.WARNING
        about = {"request_id": error.request_id} if error.request_id else {}
        self._log.met(cause, error.told, level=level, ends=not of_all, code=error.code, **about)

    def _answered(self, action: str) -> None:
        for cause in [cause for cause, actions in self._failing.items() if action in actions]:
            self._failing[cause].discard(action)
            if not self._failing[cause]:
                del self._failing[cause]
                self._log.over(cause, f"{action} is answered again")


class Health:
    """What `/readyz` and `/metrics` say of the controller. `inventory` is None until EC2 is worked with;
    `oldest` is how old its last reading may be, in seconds; `deaf_timeout` for how long `/healthz` bears that
    the API server is not heard.
    """

    def __init__(
        self,
        *,
        cluster: Cluster,
        leadership: Leadership,
        reporter: Reporter,
        buckets: Buckets,
        troubles: Troubles,
        oldest: float,
        deaf_timeout: float,
    ) -> None:
        self._cluster = cluster
        self._leadership = leadership
        self._reporter = reporter
        self._buckets = buckets
        self._oldest = oldest
        self._patience = deaf_timeout * random.uniform(1.0, 1.5)  # replicas do not all restart at one moment
        self._troubles = troubles
        self._unreadable = _Said()
        self._words = _Words()
        for action in Action:
            for outcome in ErrorClass:
                # There before it is met first: what begins with 1 has no rate.
                metrics.EC2_CALLS.labels(action.value, outcome.value)
        self.inventory: Inventory | None = None
        self.holds: Callable[[], Iterable[HeldRemoval]] = tuple

    def checks(self) -> dict[str, str | None]:
        """For `/readyz`: what is wrong, by check."""
        kubernetes = fault_of_watches(self._cluster.informers)
        if not self._leadership.leading:
            return {"kubernetes": kubernetes, "lease": None}  # a standby is ready to take over
        ec2 = self._troubles.fault or fault_of_inventory(self.inventory, self._oldest)
        return {"kubernetes": kubernetes, "ec2": ec2, "lease": None if self._leadership.may_act() else "lost"}

    def vital_signs(self) -> dict[str, str | None]:
        """For `/healthz`: what only a restart may mend, by kind of object."""
        return deafness(self._cluster.informers, self._patience)

    def observe_call(self, action: str, seconds: float, error: EC2Error | None) -> None:
        """One EC2 call; handed to the client."""
        metrics.EC2_CALLS.labels(action, error.error_class.value if error else "ok").inc()
        if error is not None and not error.known:
            metrics.EC2_UNKNOWN_CODES.labels(action, error.code).inc()
        self._words.heard(action, error)
        metrics.EC2_SECONDS.labels(action).observe(seconds)
        self._troubles.observe_call(action, error)

    def observe_unreadable(self, item: Unreadable) -> None:
        """An item of an answer that lacks something; handed to the client. Said once of each."""
        metrics.EC2_UNREADABLE.labels(item.shape).inc()
        if self._unreadable.is_new(item.text):
            log.warning("%s; what does not need it goes on", item.text)

    def on_scrape(self) -> None:
        """Bring the gauges up to date."""
        for name, fault in self.checks().items():
            metrics.CHECKS.labels(name).set(fault is None)
        _gauge_buckets(self._buckets)
        _gauge_attachments(self._reporter)
        _gauge_holds(self.holds())
        if self.inventory is not None:
            _gauge_inventory(self.inventory)


def _gauge_buckets(buckets: Buckets) -> None:
    for action in Action:
        metrics.EC2_TOKENS.labels(action.value).set(buckets.tokens(action))
        metrics.EC2_WAITING.labels(action.value).set(buckets.waiting(action))


def _gauge_attachments(reporter: Reporter) -> None:
    metrics.ATTACHMENTS.clear()  # those of NodeENIs that are gone
    for name, states in reporter.counts().items():
        for state in State:
            metrics.ATTACHMENTS.labels(name, state.value).set(states[state])


def _gauge_holds(holds: Iterable[HeldRemoval]) -> None:
    metrics.REMOVALS_HELD.clear()
    for hold in holds:
        metrics.REMOVALS_HELD.labels(hold.nodeeni, hold.sign.value).set(len(hold.nodes))


def _gauge_inventory(inventory: Inventory) -> None:
    if inventory.last_refresh is not None:
        metrics.INVENTORY_AGE.set(time.monotonic() - inventory.last_refresh)
    metrics.INTERFACES.clear()  # nothing keeps the number of a status that no interface is in any more
    counts: dict[str, int] = dict.fromkeys(("available", "attaching", "in-use", "detaching"), 0)
    for interface in inventory.all():
        counts[interface.status] = counts.get(interface.status, 0) + 1
    for status, count in counts.items():
        metrics.INTERFACES.labels(status).set(count)


@asynccontextmanager
async def serve(
    address: tuple[str, int], *, alive: Checks, ready: Checks, on_scrape: Callable[[], None]
) -> AsyncIterator[int]:
    """Serve until the block ends; yields the port. OSError when the address cannot be had.

    `alive` are the checks behind `/healthz`, `ready` those behind `/readyz`.
    """

    async def exposition(_: web.Request) -> web.Response:
        on_scrape()
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def healthz(_: web.Request) -> web.Response:
        return _told(alive())

    async def readyz(_: web.Request) -> web.Response:
        return _told(ready())

    app = web.Application()
    app.router.add_get("/metrics", exposition)
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN)
    await runner.setup()
    try:
        host, port = address
        site = web.TCPSite(runner, host or None, port)
        await site.start()
        bound: int = runner.addresses[0][1]
        yield bound
    finally:
        await runner.cleanup()


def _told(results: dict[str, str | None]) -> web.Response:
    text = "".join(f"[{'-' if fault else '+'}]{name} {fault or 'ok'}\n" for name, fault in results.items())
    return web.Response(text=text, status=503 if any(results.values()) else 200)

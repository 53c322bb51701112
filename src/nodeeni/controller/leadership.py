"""Whether this process may change anything: one of all controllers does, by a lease, or the only one."""

import logging
import math
import secrets
import socket
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from nodeeni import metrics
from nodeeni.api import names
from nodeeni.ec2.buckets import Buckets
from nodeeni.kube.client import KubeClient
from nodeeni.kube.errors import LeaseLost
from nodeeni.kube.lease import LeaderElection
from nodeeni.settings import Settings

log = logging.getLogger(__name__)

_MOUNTED_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_RELEASE_TIMEOUT = 1.0  # seconds


class Leadership:
    """`leading` from `take` to `end`; `may_act` also asks whether the lease holds at this moment.

    From `settled_at` on (seconds, monotonic) EC2's reads show all that a predecessor may have made: what he
    made in his last second is not shown yet even where he ended in order.
    """

    def __init__(self, client: KubeClient, settings: Settings, buckets: Buckets) -> None:
        self._buckets = buckets
        self.leading = False
        self.settled_at = math.inf
        self._read_lag = settings.read_lag
        self._lease = _lease(client, settings) if settings.enable_leader_election else None

    def may_act(self) -> bool:
        return self.leading and (self._lease is None or self._lease.held())

    async def take(self) -> None:
        """Wait until we lead. EC2's buckets are then as the last leader left them."""
        if self._lease is not None:
            acquired = await self._lease.acquire()
            if not acquired.clean:
                log.warning("the last leader ended without giving the lease back")
            if math.isfinite(acquired.idle):
                self._buckets.inherit(acquired.idle, _tokens(acquired.left) if acquired.clean else None)
        self.leading = True
        self.settled_at = time.monotonic() + self._read_lag
        metrics.LEADER.set(1)

    async def keep(self) -> None:
        """Renew until cancelled. An API server that is away stops our work; it goes on where nobody else took
        over meanwhile. Raises LeaseLost where somebody did.
        """
        while self._lease is not None:
            try:
                await self._lease.run()
            except LeaseLost as lost:
                metrics.LEADER.set(0)
                log.warning("%s: nothing is changed until it is ours again", lost)
                await self._lease.regain()
                metrics.LEADER.set(1)
                log.info("leading again")

    async def end(self, *, release: bool) -> None:
        """Lead no more. With `release` the next one may begin at once, else when the lease expires."""
        if self._lease is not None and release and self.may_act():
            leave = {names.LEASE_TOKENS: msgspec.json.encode(self._buckets.left()).decode()}
            await self._lease.release(leave, timeout=_RELEASE_TIMEOUT)
        self.leading = False


def _tokens(left: Mapping[str, str]) -> dict[str, float] | None:
    """By action; None where the last leader did not tell, as those before 2.0 did not."""
    try:
        return msgspec.json.decode(left.get(names.LEASE_TOKENS, ""), type=dict[str, float])
    except msgspec.DecodeError:
        return None


def _lease(client: KubeClient, settings: Settings) -> LeaderElection:
    duration = settings.lease_duration
    return LeaderElection(
        client,
        _namespace(settings),
        names.LEASE,
        f"{socket.gethostname()}_{secrets.token_hex(4)}",
        duration=max(1, round(duration)),
        deadline=duration * 2 / 3,
        retry=duration * 2 / 15,
        leaves=frozenset({names.LEASE_TOKENS}),
    )


def _namespace(settings: Settings) -> str:
    if settings.leader_election_namespace:
        return settings.leader_election_namespace
    return _MOUNTED_NAMESPACE.read_text().strip() if _MOUNTED_NAMESPACE.exists() else names.NAMESPACE

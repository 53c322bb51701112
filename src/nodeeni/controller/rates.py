"""The buckets take the sizes that AWS grants this account: from `--ec2-rate`, else from Service Quotas.

Nothing waits for it: until Service Quotas has answered, and where it may not be asked, the documented sizes
hold, and a throttle still slows us down.
"""

import asyncio
import logging
from collections.abc import Mapping

from nodeeni.ec2.account import rate_quotas
from nodeeni.ec2.buckets import DOCUMENTED, Buckets
from nodeeni.ec2.errors import EC2Error, ErrorClass
from nodeeni.ec2.quotas import granted
from nodeeni.ec2.types import Action

log = logging.getLogger(__name__)

PERIOD = 3600.0  # seconds between two looks: a raised rate comes by a support case


class AccountRates:
    """`fixed`: capacity and refill a second by action, which Service Quotas does not change."""

    def __init__(self, buckets: Buckets, fixed: Mapping[str, tuple[float, float]]) -> None:
        self._buckets = buckets
        self._fixed = {Action(action): size for action, size in fixed.items()}
        self._told: dict[Action, tuple[float, float]] = {}
        self._said = ""
        for action, (capacity, refill) in self._fixed.items():
            buckets.configure(action, capacity, refill)

    async def run(self, region: str) -> None:
        while True:
            self._say(await self._read(region))
            await asyncio.sleep(PERIOD)

    async def _read(self, region: str) -> str:
        """Take what Service Quotas tells. Returns what there is to say about it besides."""
        try:
            told = granted(await rate_quotas(region))
        except EC2Error as error:
            hint = ": allow servicequotas:ListServiceQuotas" if error.error_class is ErrorClass.DENIED else ""
            return f"; Service Quotas did not tell ({error.code}){hint}"
        for action in told.keys() - self._fixed.keys():
            self._told[action] = told[action]
            self._buckets.configure(action, *told[action])
        return "" if told else "; Service Quotas tells of no others"

    def _say(self, besides: str) -> None:
        """All rates in effect and where they come from, when something of it changed."""
        documented = {
            action: (size.capacity, size.refill)
            for action, size in DOCUMENTED.items()
            if action not in self._fixed and action not in self._told
        }
        sources = {"--ec2-rate": self._fixed, "Service Quotas": self._told, "as documented": documented}
        listed = "; ".join(f"{source}: {_listed(sizes)}" for source, sizes in sources.items() if sizes)
        text = f"EC2's rates, as burst/calls a second, from {listed}{besides}"
        if text != self._said:
            log.info(text)
        self._said = text


def _listed(sizes: Mapping[Action, tuple[float, float]]) -> str:
    return ",".join(
        f"{action}={capacity:g}/{refill:g}" for action, (capacity, refill) in sorted(sizes.items())
    )

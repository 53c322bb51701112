"""The buckets take the sizes that AWS grants this account: from `--ec2-rate`, else from Service Quotas.

Nothing waits for it: until Service Quotas has answered, and where it may not be asked, the documented sizes
hold, and a throttle still slows us down.
"""

import asyncio
import logging
from collections.abc import Mapping

from nodeeni.ec2.buckets import Buckets
from nodeeni.ec2.client import rate_quotas
from nodeeni.ec2.errors import EC2Error, ErrorClass
from nodeeni.ec2.quotas import granted
from nodeeni.ec2.types import Action

log = logging.getLogger(__name__)

PERIOD = 3600.0  # seconds between two looks: a raised rate comes by a support case


class AccountRates:
    """`fixed`: capacity and refill a second by action, which Service Quotas does not change."""

    def __init__(self, buckets: Buckets, fixed: Mapping[str, tuple[float, float]]) -> None:
        self._buckets = buckets
        self._fixed = frozenset(Action(action) for action in fixed)
        self._said: object = None
        for action, (capacity, refill) in fixed.items():
            buckets.configure(Action(action), capacity, refill)

    async def run(self, region: str) -> None:
        while True:
            await self._read(region)
            await asyncio.sleep(PERIOD)

    async def _read(self, region: str) -> None:
        try:
            told = granted(await rate_quotas(region))
        except EC2Error as error:
            hint = ": allow servicequotas:ListServiceQuotas" if error.error_class is ErrorClass.DENIED else ""
            self._say(f"EC2's documented rates are used, as Service Quotas did not tell ({error.code}){hint}")
            return
        changed = []
        for action in sorted(told.keys() - self._fixed):
            capacity, refill = told[action]
            self._buckets.configure(action, capacity, refill)
            changed.append(f"{action}={capacity:g}/{refill:g}")
        self._say(
            f"EC2's rates are those of Service Quotas: {','.join(changed)}"
            if changed
            else "EC2's documented rates are used: Service Quotas tells of no others"
        )

    def _say(self, text: str) -> None:
        if text != self._said:
            log.info(text)
        self._said = text

"""Removing interfaces outside of a cluster: detach, wait, delete, metered as the controller meters itself."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterable

from nodeeni.api.reasons import Mender
from nodeeni.ec2.buckets import Buckets
from nodeeni.ec2.client import EC2Client
from nodeeni.ec2.errors import EC2Error, ErrorClass
from nodeeni.ec2.types import Action, Interface


class Removal:
    """`tell` hears a line for each interface that is gone. Looks every `interval` seconds: one describe for
    every 200 that are left."""

    def __init__(self, ec2: EC2Client, tell: Callable[[str], None], interval: float) -> None:
        self._ec2 = ec2
        self._tell = tell
        self._interval = interval
        self._buckets = Buckets()
        self._reasons: dict[str, str] = {}

    async def run(self, interfaces: Iterable[Interface], timeout: float) -> dict[str, str]:
        """What is left when nothing more can be done, or after `timeout` seconds: interface id → reason.

        Every round looks anew: only what EC2 then shows is acted on, and gone is what it does not show twice.
        """
        left = {interface.id: interface for interface in interfaces}
        missed: set[str] = set()
        deadline = time.monotonic() + timeout
        try:
            while left and time.monotonic() < deadline:
                seen = await self._describe(left)
                gone = [eni_id for eni_id in left if eni_id not in seen]
                for eni_id in gone:
                    if eni_id in missed:
                        del left[eni_id]
                        self._tell(f"{eni_id} is gone")
                missed = set(gone)
                left |= {eni_id: interface for eni_id, interface in seen.items() if eni_id in left}
                await asyncio.gather(*(self._act(seen[eni_id]) for eni_id in left if eni_id in seen))
                if left and all(eni_id in self._reasons for eni_id in left):
                    break
                if left:
                    await asyncio.sleep(self._interval)
        finally:
            self._buckets.close()
        return {i: self._reasons.get(i, f"still {left[i].status} after {timeout:.0f} s") for i in left}

    async def _describe(self, left: Iterable[str]) -> dict[str, Interface]:
        filters = {"network-interface-id": sorted(left)}
        return {i.id: i async for page in self._ec2.describe_interfaces(filters) for i in page}

    async def _act(self, interface: Interface) -> None:
        attachment = interface.attachment
        if interface.id in self._reasons:
            return
        if attachment is None:
            await self._call(interface, Action.DELETE, lambda: self._ec2.delete(interface.id))
        elif attachment.status == "attached":
            await self._call(interface, Action.DETACH, lambda: self._ec2.detach(attachment.id))

    async def _call(self, interface: Interface, action: Action, call: Callable[[], Awaitable[None]]) -> None:
        await self._buckets.spend(action)
        try:
            await call()
        except EC2Error as error:
            if error.error_class is ErrorClass.THROTTLED:
                self._buckets.throttled(action)
            if error.error_class is ErrorClass.GONE:
                return
            if error.error_class.mender is Mender.TIME:
                await asyncio.sleep(error.delay(0, random.random()))
            else:
                self._reasons[interface.id] = str(error)

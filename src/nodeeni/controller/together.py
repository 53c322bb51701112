"""Actions that one call does for many: those that ask for the same within a moment share it.

The executor says how the call is made; here is who waits for it together. Whoever is no longer wanted
leaves before the call, and costs the others nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Hashable
from typing import Generic, TypeVar

_W = TypeVar("_W", bound=Hashable)

GATHER = 0.1  # seconds: nodes that come together are planned together, and the bucket refills by one
MOST = 200  # in a call: EC2 takes up to 1,000, and recommends fewer


class _Group(Generic[_W]):
    def __init__(self) -> None:
        self.waiting: dict[_W, asyncio.Future[None]] = {}
        self.is_open = True


class Together(Generic[_W]):
    """`ready` waits until a call may be made, `send` makes it for those that are there then: whoever leaves
    before leaves what it is given. What `send` raises all of them hear.
    """

    def __init__(
        self, ready: Callable[[], Awaitable[None]], send: Callable[[Collection[_W]], Awaitable[None]]
    ) -> None:
        self._ready = ready
        self._send = send
        self._groups: dict[Hashable, _Group[_W]] = {}
        self._flights: set[asyncio.Task[None]] = set()

    async def join(self, key: Hashable, work: _W) -> None:
        """Be among those of `key`, until their call has been made."""
        group = self._groups.get(key)
        if group is None or not group.is_open or len(group.waiting) >= MOST:
            group = self._groups[key] = _Group()
            flight = asyncio.create_task(self._fly(key, group))
            self._flights.add(flight)
            flight.add_done_callback(self._flights.discard)
        answered = group.waiting[work] = asyncio.get_running_loop().create_future()
        try:
            await answered
        except asyncio.CancelledError:
            group.waiting.pop(work, None)
            raise

    async def _fly(self, key: Hashable, group: _Group[_W]) -> None:
        failure: Exception | None = None
        try:
            await asyncio.sleep(GATHER)
            await self._ready()
            group.is_open = False
            await self._send(group.waiting.keys())
        except Exception as error:
            failure = error
        finally:
            group.is_open = False
            if self._groups.get(key) is group:
                del self._groups[key]
            for answered in group.waiting.values():
                if answered.done():
                    continue
                if failure is None:
                    answered.set_result(None)
                else:
                    answered.set_exception(failure)

    async def close(self) -> None:
        """End what is under way; who waits is let go."""
        flights = list(self._flights)
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)
        for group in self._groups.values():  # of flights that had not begun
            for answered in group.waiting.values():
                answered.cancel()

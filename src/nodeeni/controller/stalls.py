"""How long NodeENIs have waited for a person, so that Stalled is not said of what is mended in a minute.

Helm and Flux take Stalled for the end: they give up, and may roll back. After a restart one that was said to
be stalled still is.
"""

import asyncio
import time
from collections.abc import Callable

from nodeeni.api.reasons import STALLED
from nodeeni.plan.conditions import Standing


class Stalls:
    """`after` is in seconds; `again` is called with the uid of a NodeENI that may have waited for so long."""

    def __init__(self, after: float, again: Callable[[str], None]) -> None:
        self._after = after
        self._again = again
        self._since: dict[str, tuple[int, float]] = {}  # uid → generation, time.monotonic()

    def has_waited(self, at: Standing) -> bool:
        """Whether it waits for a person and has for long, by its present spec."""
        uid, generation = at.nodeeni.metadata.uid, at.nodeeni.metadata.generation
        if not at.waits_for_a_person:
            self.forget(uid)
            return False
        of_generation, since = self._since.get(uid, (None, 0.0))
        if of_generation != generation:
            since = time.monotonic()
            if _is_stalled(at):
                since -= self._after
            else:
                asyncio.get_running_loop().call_later(self._after, self._again, uid)
            self._since[uid] = (generation, since)
        return time.monotonic() >= since + self._after

    def forget(self, uid: str) -> None:
        self._since.pop(uid, None)


def _is_stalled(at: Standing) -> bool:
    """As its status says, of the spec that it has."""
    return any(
        entry.type == STALLED and entry.observed_generation == at.nodeeni.metadata.generation
        for entry in at.nodeeni.status.conditions
    )

"""Which interfaces leave their node, and how long their CNI file is waited for before they do.

The ENI manager takes it away when the ENINode no longer asks for it, and says so. One that does not answer
keeps no ENI on its node.
"""

import time
from collections.abc import Callable
from collections.abc import Set as AbstractSet

from nodeeni.plan.observed import RESTS, Observed
from nodeeni.plan.pods import Pods

FILE_WAIT = 30.0  # seconds


class Withdrawals:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since: dict[str, dict[str, float]] = {}  # node → interfaces that leave it → when they began to
        self._had_file: set[str] = set()  # of those that leave
        self._told: dict[str, frozenset[str]] = {}  # interface that leaves → what pods lose with it, as told

    def note(self, observed: Observed, leaving: AbstractSet[str]) -> None:
        """These leave the node, and no others."""
        before = self._since.pop(observed.name, {})
        if leaving:
            self._since[observed.name] = {eni_id: before.get(eni_id, self._clock()) for eni_id in leaving}
        self._had_file |= {e for e in leaving if e in observed.pods and observed.pods[e].have_file}
        for eni_id in before.keys() - leaving:
            self._told.pop(eni_id, None)
            self._had_file.discard(eni_id)

    def is_news(self, eni_id: str, pods: Pods) -> bool:
        """Whether pods lose with it what was not told yet: of the last ones the ENI manager tells with the
        file's end.
        """
        lost, told = pods.lost, self._told.get(eni_id, frozenset())
        self._told[eni_id] = told | lost
        return not lost <= told

    def due(self, observed: Observed) -> dict[str, float]:
        """By interface that may have a CNI file, how many seconds it is waited for at the most. On an
        instance that is not at work nobody takes it away, and no pod starts."""
        state = observed.instance.state if observed.instance is not None else ""
        if observed.node is None or state in RESTS:
            return {}
        since, now = self._since.get(observed.name, {}), self._clock()
        return {
            eni_id: since.get(eni_id, now) + FILE_WAIT - now
            for eni_id, pods in observed.pods.items()
            # What was asked to go just now may have been there, though nothing was told of it.
            if pods.have_file or (eni_id in self._had_file and pods.reports and not pods.current)
        }

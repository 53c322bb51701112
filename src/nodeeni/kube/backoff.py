"""How long to wait before the next try against an API server that failed."""

import random


class Backoff:
    """Exponential, jittered over the upper half, so that the clients of one outage do not return as one.

    `first` and `most` are seconds.
    """

    def __init__(self, first: float = 0.1, most: float = 30.0) -> None:
        self._first = first
        self._most = most
        self._next = first

    def pause(self, at_least: float = 0.0) -> float:
        """Seconds to wait now, on top of the `at_least` that the server asked for; doubles each time."""
        wait = at_least + self._next * random.uniform(0.5, 1.0)
        self._next = min(self._next * 2, self._most)
        return wait

    def reset(self) -> None:
        self._next = self._first

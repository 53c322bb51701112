"""Rows that remember what they were, so that reads can lag behind writes as EC2's do."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

Row = TypeVar("Row")


class Table(Generic[Row]):
    """Rows by id. Actions work on the present (`get`); describes see the rows `lag` seconds ago (`seen`)."""

    def __init__(self, lag: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.lag = lag
        self._clock = clock
        self._rows: dict[str, Row] = {}
        self._past: dict[str, deque[tuple[float, Row | None]]] = {}  # when replaced, what was replaced

    def get(self, key: str) -> Row | None:
        return self._rows.get(key)

    def put(self, key: str, row: Row) -> None:
        self._remember(key)
        self._rows[key] = row

    def remove(self, key: str) -> None:
        self._remember(key)
        self._rows.pop(key, None)

    def __contains__(self, key: str) -> bool:
        return key in self._rows

    def __len__(self) -> int:
        return len(self._rows)

    def values(self) -> Iterator[Row]:
        return iter(list(self._rows.values()))

    def seen(self, key: str) -> Row | None:
        """The row as a describe shows it."""
        past = self._past.get(key)
        if past is None:
            return self._rows.get(key)
        horizon = self._clock() - self.lag
        while past and past[0][0] <= horizon:
            past.popleft()
        if not past:
            del self._past[key]
            return self._rows.get(key)
        return past[0][1]

    def seen_keys(self) -> list[str]:
        """Ids of all rows that a describe may show, sorted: the order in which pages go."""
        return sorted(self._rows.keys() | self._past.keys())

    def seen_values(self) -> list[Row]:
        return [row for key in self.seen_keys() if (row := self.seen(key)) is not None]

    def _remember(self, key: str) -> None:
        if self.lag > 0:
            self._past.setdefault(key, deque()).append((self._clock(), self._rows.get(key)))

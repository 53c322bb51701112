"""The calls served, for tests, benchmarks and the demo's last table."""

from collections import Counter, deque
from collections.abc import Iterator
from itertools import islice

import msgspec

OK = "ok"
THROTTLED = "RequestLimitExceeded"
DROPPED = "dropped"
ABANDONED = "abandoned"
CRASHED = "crashed"


class Call(msgspec.Struct, frozen=True):
    """`time` is the loop's at arrival, `seconds` from there to the answer.

    `code` is the error code, `ok`, `dropped` (by a fault), `abandoned` (the client went away) or `crashed`
    (a fault of the simulator itself).
    """

    action: str
    time: float
    seconds: float
    request_id: str
    code: str
    parameters: dict[str, str]


class Calls:
    """Counts of all calls, and the last `kept` of them whole."""

    def __init__(self, kept: int = 100_000) -> None:
        self._calls: deque[Call] = deque(maxlen=kept)
        self.by_action: Counter[str] = Counter()
        self.by_code: Counter[tuple[str, str]] = Counter()

    def add(self, call: Call) -> None:
        self._calls.append(call)
        self.by_action[call.action] += 1
        self.by_code[call.action, call.code] += 1

    def __iter__(self) -> Iterator[Call]:
        return iter(list(self._calls))

    def __len__(self) -> int:
        return self.by_action.total()

    def of(self, action: str, code: str | None = None) -> list[Call]:
        return [call for call in self._calls if call.action == action and code in (None, call.code)]

    def last(self, count: int) -> list[Call]:
        """The latest so many, or all that are kept, in order."""
        return list(islice(reversed(self._calls), count))[::-1]

    @property
    def throttled(self) -> int:
        return sum(count for (_, code), count in self.by_code.items() if code == THROTTLED)

    def clear(self) -> None:
        self._calls.clear()
        self.by_action.clear()
        self.by_code.clear()

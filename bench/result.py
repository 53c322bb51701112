"""What a scenario found: figures beside what was promised, and the points of its plot."""

from typing import Any

import msgspec


class Promise(msgspec.Struct, frozen=True):
    """`value` is to be at most `limit` (`at_least`: at least; `exactly`: that and nothing else)."""

    what: str
    value: float
    limit: float
    how: str = "at most"

    @property
    def kept(self) -> bool:
        match self.how:
            case "at least":
                return self.value >= self.limit
            case "exactly":
                return self.value == self.limit
            case _:
                return self.value <= self.limit


class Compared(msgspec.Struct, frozen=True):
    """One figure of the build before and of this one: the medians, and this one's share in each pair."""

    what: str
    before: float
    now: float
    ratios: list[float]

    @property
    def ratio(self) -> float:
        """The median pair's."""
        return sorted(self.ratios)[len(self.ratios) // 2]


class Curve(msgspec.Struct, frozen=True):
    """When the n-th ENI was attached, and when it could have been. Seconds from the order."""

    count: int
    measured: list[float]
    limit: list[float]


class Result(msgspec.Struct):
    """`figures` are printed in their order. `command` measures this scenario alone. `compared`: with the
    build before, where the scenario runs both. `day`: when that was; `real_time`: at real-time priority, so
    that other work of the machine does not show."""

    name: str
    title: str
    command: str
    figures: dict[str, Any]
    promises: list[Promise]
    curve: Curve | None = None
    load: float = 0.0  # of the machine, the mean of the last minute, when it began
    seconds: float = 0.0
    compared: list[Compared] = []
    day: str = ""
    real_time: bool = False

    @property
    def kept(self) -> bool:
        return all(promise.kept for promise in self.promises)

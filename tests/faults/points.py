"""The points at which a controller can be killed: each request that it sends to EC2 or writes to Kubernetes.

`Points` stands at the doors of both servers, records what comes, and at one chosen request acts in the same
moment: before the work is done, or after it, the answer lost either way.
"""

import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from nodeeni.sandbox.ec2.faults import Fault as EC2Fault
from nodeeni.sandbox.ec2.faults import Faults as EC2Faults
from nodeeni.sandbox.kube.faults import Fault as KubeFault
from nodeeni.sandbox.world import World

Phase = Literal["before", "after"]
_WRITES = ("create", "update", "patch", "delete")


class Point(NamedTuple):
    """The request `call` when it comes for the `nth` time (from 1)."""

    call: str
    nth: int

    def __str__(self) -> str:
        return f"{self.call} #{self.nth}"


class Points:
    """Records from the start; `arm` chooses where `strike` is called, once."""

    def __init__(self, world: World) -> None:
        self.seen: list[Point] = []
        self.struck = False
        self._counts: Counter[str] = Counter()
        self._chosen: tuple[Point, Phase] | None = None
        self._strike: Callable[[], None] = lambda: None
        world.ec2.faults = _AtEC2(self)
        world.kube.faults.plan(_AtKube(times=sys.maxsize, points=self))

    def restart(self) -> None:
        """Count from 1 again."""
        self.seen.clear()
        self._counts.clear()

    def arm(self, point: Point, phase: Phase, strike: Callable[[], None]) -> None:
        self._chosen, self._strike, self.struck = (point, phase), strike, False

    def meet(self, call: str) -> Phase | None:
        """A request is here: the phase in which its connection is cut, None to let it pass."""
        self._counts[call] += 1
        point = Point(call, self._counts[call])
        self.seen.append(point)
        if self._chosen is None or self._chosen[0] != point or self.struck:
            return None
        self.struck = True
        self._strike()
        return self._chosen[1]


class _AtEC2(EC2Faults):
    def __init__(self, points: Points) -> None:
        super().__init__()
        self._points = points

    def take(self, action: str, parameters: object) -> EC2Fault | None:
        phase = self._points.meet(f"EC2 {action}")
        if phase is not None:
            return EC2Fault(action=action, drop=True, phase=phase)
        return super().take(action, parameters)  # type: ignore[arg-type]


@dataclass(slots=True)
class _AtKube(KubeFault):
    points: Points | None = field(default=None, kw_only=True)

    def matches(self, verb: str, resource: str, name: str) -> bool:
        assert self.points is not None
        if verb not in _WRITES:
            return False
        phase = self.points.meet(f"Kubernetes {verb} {resource}")
        self.drop = phase
        return phase is not None

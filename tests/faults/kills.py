"""Kill -9 at every point of a journey: record a clean run, then one run for each request and phase in it."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.contract.processes import real_is_wanted
from tests.faults.journeys import Journey
from tests.faults.points import Phase, Point, Points
from tests.faults.processes import Zygote
from tests.faults.situation import Situation, lagging, situated

AT_ONCE = 1 if real_is_wanted() else 10  # runs, which wait more than they work; a real server is one world
PHASES: tuple[Phase, ...] = ("before", "after")
REACHED = 30.0  # seconds for the journey, after which a point was not met


class Outcome(NamedTuple):
    """`met`: the controller came there and was killed. `faults`: what was not right in the end."""

    journey: str
    point: Point
    phase: Phase
    met: bool
    faults: tuple[str, ...]

    @property
    def text(self) -> str:
        if self.faults:
            return "; ".join(self.faults)
        return "right" if self.met else "right; not met again"


async def record(zygote: Zygote, directory: Path, journey: Journey) -> list[Point]:
    """Every point of a run in which nothing goes wrong."""
    async with situated(zygote, directory, settings=lagging()) as at:
        points = Points(at.world)
        await journey.before(at)
        points.restart()
        async with await at.start(*journey.flags):
            if journey.then is not None:
                await journey.then(at)
            await at.until_right()
        return list(points.seen)


def first_writes(points: Sequence[Point]) -> list[Point]:
    """The short form: what changes something, when it comes for the first time."""
    return [p for p in points if p.nth == 1 and not p.call.startswith("EC2 Describe")]


async def kill_at(
    zygote: Zygote, directory: Path, journey: Journey, point: Point, phase: Phase, mutant: str = ""
) -> Outcome:
    """One run: killed there, started again, judged."""
    async with situated(zygote, directory, mutant=mutant, settings=lagging()) as at:
        points = Points(at.world)
        await journey.before(at)
        points.restart()
        victim = await at.start(*journey.flags)
        points.arm(point, phase, victim.kill)
        ended = asyncio.create_task(victim.ended(timeout=60))
        then = asyncio.create_task(_then(at, journey))
        settled = asyncio.create_task(_settled(at, then))
        await asyncio.wait({ended, settled}, return_when=asyncio.FIRST_COMPLETED)
        settled.cancel()
        victim.kill()
        await ended
        async with await at.start(*journey.flags):
            await then
            faults = await at.righted()
        return Outcome(journey.name, point, phase, points.struck, (*faults, *_doubled(at, journey)))


async def _then(at: Situation, journey: Journey) -> None:
    if journey.then is not None:
        await journey.then(at)


async def _settled(at: Situation, then: asyncio.Task[None]) -> None:
    await asyncio.wait({then})
    await at.righted(timeout=REACHED)


def _doubled(at: Situation, journey: Journey) -> list[str]:
    return [f"{at.made} interfaces were made"] if at.made > journey.most_made else []


async def kill_everywhere(
    zygote: Zygote, directory: Path, journey: Journey, points: Sequence[Point]
) -> list[Outcome]:
    """All points in both phases, several runs at once."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(number: int, point: Point, phase: Phase) -> Outcome:
        async with gate:
            return await kill_at(zygote, directory / f"{number}-{phase}", journey, point, phase)

    return await asyncio.gather(
        *(one(number, point, phase) for number, point in enumerate(points) for phase in PHASES)
    )

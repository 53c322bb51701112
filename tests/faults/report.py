"""`make chaos`: the long form of everything in this folder; it writes docs/reliability.md from what it found.

Each part leaves its outcomes in a file of its own, from which the document is put together, so that a part
can be run again alone. With `--seed` one seed of the chaos is replayed and nothing is written.
"""

import argparse
import asyncio
import datetime
import logging
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
from tests.faults import document, processes
from tests.faults.chaos import Result, chaos
from tests.faults.document import ChaosRow, Findings, KillRow, MutantRow, TroubleRow
from tests.faults.journeys import JOURNEYS
from tests.faults.kills import kill_everywhere, record
from tests.faults.processes import Zygote
from tests.faults.scenarios import SCENARIOS, judge
from tests.faults.troubles import live_through, troubles

ROOT = Path(__file__).parents[2]
_NAME = "docs/reliability.md"
DOCUMENT = ROOT / _NAME
FINDINGS = ROOT / ".chaos" / "findings.json"
SEEDS_AT_ONCE = 7


class Wish(msgspec.Struct, frozen=True):
    """What to run: for how many seconds, or how many seeds, the chaos lasts."""

    seconds: float
    seeds: int
    first: int


Part = Callable[[Zygote, Path, Findings, Wish], Awaitable[None]]


async def kills(zygote: Zygote, directory: Path, findings: Findings, wish: Wish) -> None:
    findings.kills = []
    for name, journey in JOURNEYS.items():
        points = await record(zygote, directory / name / "clean", journey)
        outcomes = await kill_everywhere(zygote, directory / name, journey, points)
        findings.kills += [KillRow(o.journey, str(o.point), o.phase, o.text, not o.faults) for o in outcomes]
        _keep(findings)
        _say(f"killed: {name}: {len(outcomes)} points", [o.text for o in outcomes if o.faults])


async def faults(zygote: Zygote, directory: Path, findings: Findings, wish: Wish) -> None:
    outcomes = await live_through(zygote, directory, [[trouble] for trouble in troubles()])
    findings.troubles = [TroubleRow(o.fault, o.where, o.text, not o.faults) for o in outcomes]
    _say(f"faults: {len(outcomes)}", [f"{o.fault} {o.where}: {o.text}" for o in outcomes if o.faults])


async def mutants(zygote: Zygote, directory: Path, findings: Findings, wish: Wish) -> None:
    findings.mutants = []
    for scenario, (_, caught) in SCENARIOS.items():
        for mutant in ("", *caught):
            found = await judge(zygote, directory / f"{scenario.__name__}-{mutant}", scenario, mutant)
            findings.mutants.append(
                MutantRow(
                    scenario.__name__, mutant, found[0] if found else "right", bool(found) == bool(mutant)
                )
            )
    _say(f"mutants: {len(findings.mutants)}", [row.mutant for row in findings.mutants if not row.ok])


async def seeds(zygote: Zygote, directory: Path, findings: Findings, wish: Wish) -> None:
    findings.chaos = []
    end = time.monotonic() + wish.seconds
    waiting = iter(range(wish.first, wish.first + wish.seeds))

    async def runner() -> None:
        for seed in waiting:
            if time.monotonic() > end:
                return
            result = await chaos(zygote, directory / str(seed), seed)
            findings.chaos.append(_row(result))
            _keep(findings)
            _say(f"chaos: seed {seed}: {result.seconds:.0f} s", list(result.faults))

    await asyncio.gather(*(runner() for _ in range(SEEDS_AT_ONCE)))


PARTS: dict[str, Part] = {"kills": kills, "faults": faults, "mutants": mutants, "chaos": seeds}


def _row(result: Result) -> ChaosRow:
    return ChaosRow(
        result.seed, sum(result.steps.values()), result.killed, result.made, "; ".join(result.faults)
    )


def _say(text: str, wrong: list[str]) -> None:
    print(text, "ok" if not wrong else f"WRONG: {wrong}", flush=True)


async def run(parts: list[str], wish: Wish) -> Findings:
    """The parts one after another; the findings of those that are not run are kept."""
    findings = Findings()
    if FINDINGS.exists():
        findings = msgspec.json.decode(FINDINGS.read_bytes(), type=Findings)
    with tempfile.TemporaryDirectory(prefix="nodeeni-chaos-") as directory:
        async with processes.zygote() as zygote:
            for name in parts:
                findings.runs[name] = _day_and_commit()
                await PARTS[name](zygote, Path(directory) / name, findings, wish)
                _keep(findings)
    return findings


def _day_and_commit() -> str:
    """`2026-11-24 on commit 205cac9`; says so where the checkout differs from that commit."""
    changes = _git("status", "--porcelain", "--untracked-files=no", "--", ".", f":!{_NAME}")
    commit = _git("rev-parse", "--short", "HEAD") or "unknown"
    return f"{datetime.date.today()} on commit {commit}{', with changes' if changes else ''}"


def _git(*arguments: str) -> str:
    """Empty where there is no repository."""
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""


def _keep(findings: Findings) -> None:
    FINDINGS.parent.mkdir(exist_ok=True)
    FINDINGS.write_bytes(msgspec.json.encode(findings))
    before = DOCUMENT.read_text() if DOCUMENT.exists() else ""
    DOCUMENT.write_text(document.with_soaks(document.written(findings), before))


async def replay(seed: int) -> int:
    directory = tempfile.mkdtemp(prefix="nodeeni-chaos-")  # stays, to be read
    async with processes.zygote() as zygote:
        result = await chaos(zygote, Path(directory), seed)
    print(*(result.faults or ("right",)), f"the controllers' log: {directory}/controllers.log", sep="\n")
    return 1 if result.faults else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--seed", type=int, help="replay this seed of the chaos")
    parser.add_argument("--minutes", type=float, default=5.0, help="how long the chaos lasts")
    parser.add_argument("--seeds", type=int, default=10_000, help="at most so many seeds")
    parser.add_argument("--first", type=int, default=1, help="the first of them")
    parser.add_argument("--parts", default=",".join(PARTS), help="of " + ", ".join(PARTS))
    given = parser.parse_args()
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)  # connections that were cut on purpose
    if given.seed is not None:
        return asyncio.run(replay(given.seed))
    findings = asyncio.run(run(given.parts.split(","), Wish(given.minutes * 60, given.seeds, given.first)))
    print(f"written: {DOCUMENT.relative_to(ROOT)}")
    return 0 if findings.ok else 1


if __name__ == "__main__":
    raise SystemExit(main())

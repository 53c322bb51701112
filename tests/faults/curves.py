"""What a soak noted each second, as curves and as a section of docs/reliability.md."""

import datetime
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from tests.faults.document import with_soak

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "reliability.md"
WIDTH, HEIGHT, LEFT, TOP, GAP = 720, 70, 120, 20, 26  # of the drawing, in its units


class Sample(msgspec.Struct, frozen=True):
    """`at` in seconds; memory (MiB) and descriptors are the largest of the controllers that run; the others
    count from the start, but for the nodes and interfaces that there are.
    """

    at: float
    memory: float
    descriptors: int
    lines: int
    calls: int
    writes: int
    nodes: int
    interfaces: int


def _a_minute(count: Callable[[Sample], float]) -> Callable[[Sequence[Sample]], list[tuple[float, float]]]:
    """What came in each minute, of something that only grows."""

    def rates(samples: Sequence[Sample]) -> list[tuple[float, float]]:
        found, before = [], samples[0]
        for sample in samples:
            if sample.at - before.at >= 60:
                found.append((sample.at, (count(sample) - count(before)) * 60 / (sample.at - before.at)))
                before = sample
        return found

    return rates


def _level(value: Callable[[Sample], float]) -> Callable[[Sequence[Sample]], list[tuple[float, float]]]:
    return lambda samples: [(sample.at, value(sample)) for sample in samples]


CURVES: dict[str, Callable[[Sequence[Sample]], list[tuple[float, float]]]] = {
    "memory, MiB": _level(lambda s: s.memory),
    "descriptors": _level(lambda s: s.descriptors),
    "ENIs": _level(lambda s: s.interfaces),
    "lines a minute": _a_minute(lambda s: s.lines),
    "EC2 calls a minute": _a_minute(lambda s: s.calls),
    "writes a minute": _a_minute(lambda s: s.writes),
}


def drawn(samples: Sequence[Sample], seed: int, minutes: float) -> str:
    """As SVG: one small chart a curve, below each other."""
    parts, y = [], TOP
    for name, curve in CURVES.items():
        parts.append(_chart(name, curve(samples), samples[-1].at, y))
        y += HEIGHT + GAP
    text, path = "text{font:12px sans-serif;fill:#57606a}", "path{fill:none;stroke:#0969da;stroke-width:1.2}"
    style = f"<style>{text}{path}</style>"
    title = f'<text x="{LEFT}" y="12">{minutes:g} minutes, seed {seed}; the axis is in minutes</text>'
    size = f'viewBox="0 0 {LEFT + WIDTH + 60} {y}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{style}{title}' + "".join(parts) + "</svg>\n"


def _chart(name: str, points: Sequence[tuple[float, float]], end: float, y: float) -> str:
    most = max((value for _, value in points), default=0) or 1
    path = " ".join(
        f"{'L' if number else 'M'}{LEFT + at / end * WIDTH:.1f} {y + HEIGHT - value / most * HEIGHT:.1f}"
        for number, (at, value) in enumerate(points)
    )
    axis = f"M{LEFT} {y}V{y + HEIGHT}H{LEFT + WIDTH}"
    return (
        f'<text x="4" y="{y + HEIGHT / 2:g}">{name}</text>'
        f'<text x="{LEFT + WIDTH + 6}" y="{y + 10}">{most:.0f}</text>'
        f'<text x="{LEFT + WIDTH + 6}" y="{y + HEIGHT}">{end / 60:.0f} min</text>'
        f'<path style="stroke:#d0d7de" d="{axis}"/><path d="{path}"/>'
    )


def said(
    samples: Sequence[Sample],
    seed: int,
    minutes: float,
    steps: Counter[str],
    killed: int,
    made: int,
    faults: Sequence[str],
) -> str:
    """What docs/reliability.md says of this run."""
    last, early = samples[-1], next((s for s in samples if s.at >= 60), samples[-1])
    outcome = "All was right." if not faults else "Not right: " + "; ".join(faults)
    return (
        f"### {minutes:g} minutes, seed {seed}\n\n"
        f"Run of {datetime.date.today()}: {sum(steps.values())} steps, {killed} controllers killed or "
        f"stopped, {made} interfaces made. {outcome} Memory of the largest controller {early.memory:.0f} MiB "
        f"after a minute, {max(s.memory for s in samples):.0f} at most, {last.memory:.0f} in the end; "
        f"{last.lines} lines of the log, {last.calls} calls of EC2, {last.writes} writes.\n\n"
        f"![Memory, descriptors, ENIs, lines, calls and writes](soak/{_drawing(seed, minutes).name})\n"
    )


def written(svg: str, text: str, seed: int, minutes: float) -> None:
    """Into docs, in place of an earlier run of that length and seed."""
    file = _drawing(seed, minutes)
    file.parent.mkdir(exist_ok=True)
    file.write_text(svg)
    DOCUMENT.write_text(with_soak(DOCUMENT.read_text(), text))


def _drawing(seed: int, minutes: float) -> Path:
    return DOCUMENT.parent / "soak" / f"{minutes:g}-minutes-seed-{seed}.svg"

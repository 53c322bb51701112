"""`make monitoringtest WRITE=1`: each panel of the dashboard, drawn from a run of the scene."""

import asyncio
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from tests.monitoring.prometheus import Series, panels
from tests.monitoring.scene import Scene, scene

PICTURE = Path(__file__).parents[2] / "docs" / "dashboard.svg"
PAUSE = 20.0  # seconds between two steps, so that each can be told from the next
WIDTH, HEIGHT = 460, 190  # of a panel, with its title and legend
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 26, 40
# To be told apart on white and on black.
COLOURS = ("#2563eb", "#ea580c", "#16a34a", "#9333ea", "#dc2626", "#0891b2", "#ca8a04", "#db2777", "#64748b")
MOST = len(COLOURS)  # lines of a panel
LEGEND = 58  # characters of a line below a panel

Line = tuple[str, Series]


async def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        async with scene(Path(directory)) as live:
            begun = time.time()
            for step in Scene.STEPS:
                await asyncio.sleep(PAUSE)
                await step(live)
            await asyncio.sleep(PAUSE)
            ended = time.time()
            drawn = [
                _panel(panel["title"], await _lines(live, panel, begun, ended), begun, ended)
                for panel in panels()
            ]
    PICTURE.write_text(_page(drawn))
    print(f"wrote {PICTURE.relative_to(Path.cwd())}")


async def _lines(live: Scene, panel: dict[str, Any], begun: float, ended: float) -> list[Line]:
    found = []
    for target in panel["targets"]:
        for series in await live.prometheus.query_range(target["expr"], begun, ended, 1):
            name = target["legendFormat"]
            for label, value in series.labels.items():
                name = name.replace("{{" + label + "}}", value)
            found.append((name, series))
    # What has something to show first: a panel of all actions has many lines at 0.
    return sorted(found, key=lambda line: -max((v for _, v in line[1].points), default=0))[:MOST]


def _panel(title: str, lines: Sequence[Line], begun: float, ended: float) -> str:
    most = max((value for _, series in lines for _, value in series.points), default=0) or 1
    floor = HEIGHT - BOTTOM

    def point(at: float, value: float) -> str:
        x = LEFT + (WIDTH - LEFT - RIGHT) * (at - begun) / (ended - begun)
        return f"{x:.1f},{floor - (floor - TOP) * value / most:.1f}"

    parts = [f'<text x="{LEFT}" y="16" font-weight="bold">{escape(title)}</text>']
    for share in (0, 0.5, 1):
        y = floor - (floor - TOP) * share
        parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#8884"/>')
        parts.append(f'<text x="{LEFT - 4}" y="{y + 4:.1f}" text-anchor="end">{most * share:.3g}</text>')
    for colour, (_, series) in zip(COLOURS, lines, strict=False):
        path = " ".join(point(at, value) for at, value in series.points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
    parts += _legend([name for name, _ in lines], floor + 16)
    return "".join(parts)


def _legend(names: Sequence[str], y: float) -> list[str]:
    """In two rows; what has no room is left out."""
    parts, used, row = [], 0, 0
    for colour, name in zip(COLOURS, names, strict=False):
        if used and used + len(name) + 3 > LEGEND:
            used, row = 0, row + 1
        if row > 1:
            break
        x = LEFT + used * 6.8
        parts.append(f'<text x="{x:.1f}" y="{y + 14 * row}" fill="{colour}">{escape(name)}</text>')
        used += len(name) + 3
    return parts


def _page(drawn: Sequence[str]) -> str:
    rows = -(-len(drawn) // 2)
    placed = "".join(
        f'<g transform="translate({(number % 2) * WIDTH} {(number // 2) * HEIGHT})">{panel}</g>\n'
        for number, panel in enumerate(drawn)
    )
    size = f'viewBox="0 0 {2 * WIDTH} {rows * HEIGHT}" width="{2 * WIDTH}"'
    font = 'font-family="sans-serif" font-size="11" fill="#777"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {font}>\n{placed}</svg>\n'


if __name__ == "__main__":
    asyncio.run(main())

"""Write docs/demo.svg, the recording on the front page: a real run of `nodeeni demo`, at its own pace.

Each line of the demo carries its own time, so that the picture is the run. It plays once and then stands
still at the end; where nothing moves (no CSS animation, `prefers-reduced-motion`) the end is all there is.
Usage: .venv/bin/python hack/record_demo.py [FILE with the output of an earlier run]
"""

import itertools
import math
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "demo.svg"

ROWS = 26  # lines that are seen at once
LINE, CHARACTER, MARGIN = 18.0, 7.8, 16.0  # pixels, for 13 px of a monospace font
SET_UP = 1.0  # seconds before the demo's own clock starts
READING = 0.2  # seconds between the lines of the tables at the end
STYLE = (
    "text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;"
    "fill:#d6dae0;white-space:pre}.d{fill:#7d8590}.b{font-weight:bold}"
    ".c{fill:#5fd3e8;font-weight:bold}.g{fill:#6bd968;font-weight:bold}"
)
_TIMED = re.compile(r"( +(\d+\.\d\d) s  )(.*)")


class Line(NamedTuple):
    """`begin`: seconds into the recording. `spans`: text and class, empty for plain."""

    begin: float
    spans: list[tuple[str, str]]


def main(arguments: Sequence[str]) -> int:
    text = Path(arguments[0]).read_text() if arguments else _run()
    lines = list(_lines(text))
    PICTURE.write_text(_picture(lines))
    print(f"wrote {PICTURE.relative_to(ROOT)}: {len(lines)} lines, {PICTURE.stat().st_size} bytes")
    return 0


def _run() -> str:
    done = subprocess.run(
        [sys.executable, "-m", "nodeeni.cli.main", "demo"], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise SystemExit(done.stdout + done.stderr)
    return done.stdout


def _lines(text: str) -> Iterator[Line]:
    yield Line(0.0, [("$ ", "d"), ("make demo", "c")])
    lines = text.rstrip().splitlines()
    begins = _begins(lines)
    for line, begin in zip(lines, begins, strict=True):
        timed = _TIMED.match(line)
        if timed:
            clock, _, rest = timed.groups()
            yield Line(begin, [(clock, "d"), (rest, "c" if rest.startswith("$ ") else "")])
        else:
            yield Line(begin, [(line.rstrip(), _class(line))])


def _begins(lines: Sequence[str]) -> list[float]:
    """A line without a time of its own comes with the next that has one; those at the end one by one."""
    begins: list[float] = []
    for line in reversed(lines):
        timed = _TIMED.match(line)
        begins.append(SET_UP + float(timed[2]) if timed else begins[-1] if begins else math.inf)
    begins.reverse()
    last = max(begin for begin in begins if math.isfinite(begin))
    after = itertools.count(1)
    return [begin if math.isfinite(begin) else last + READING * next(after) for begin in begins]


def _class(line: str) -> str:
    if line.startswith("everything came up"):
        return "g"
    return "b" if re.match(r"nodeeni demo|EC2 calls|result", line) else ""


def _picture(lines: Sequence[Line]) -> str:
    width = MARGIN * 2 + CHARACTER * max(sum(len(text) for text, _ in line.spans) for line in lines)
    size = (width, MARGIN * 2 + LINE * ROWS)
    up = -LINE * max(0, len(lines) - ROWS)
    return "\n".join(
        [
            '<svg xmlns="http://www.w3.org/2000/svg" xml:space="preserve" role="img" aria-label="a run"',
            ' viewBox="0 0 {:.0f} {:.0f}" width="{:.0f}" height="{:.0f}">'.format(*size, *size),
            f"<style>{STYLE}",
            "@media(prefers-reduced-motion:no-preference){",
            ".l{animation:appear 1ms both}@keyframes appear{from{opacity:0}}",
            *_scrolling(lines),
            "}</style>",
            '<rect width="{:.0f}" height="{:.0f}" rx="8" fill="#14181f"/>'.format(*size),
            f'<svg y="{MARGIN:.0f}" width="{width:.0f}" height="{LINE * ROWS:.0f}">',
            f'<g id="s" transform="translate(0 {up:.0f})">',
            *_texts(lines),
            "</g></svg></svg>",
            "",
        ]
    )


def _scrolling(lines: Sequence[Line]) -> list[str]:
    """One step of the whole text each time that a line comes below the last row."""
    if len(lines) <= ROWS:
        return []
    whole = lines[-1].begin
    steps = {0.0: 0}
    for number, line in enumerate(lines[ROWS:], start=1):
        steps[line.begin] = number
    frames = "".join(
        f"{100 * begin / whole:.2f}%{{transform:translateY({-LINE * up:.0f}px)}}"
        for begin, up in steps.items()
    )
    return [f"#s{{animation:scroll {whole:.2f}s step-end both}}@keyframes scroll{{{frames}}}"]


def _texts(lines: Sequence[Line]) -> Iterator[str]:
    for number, line in enumerate(lines):
        spans = "".join(
            f'<tspan class="{kind}">{escape(text, quote=False)}</tspan>'
            if kind
            else escape(text, quote=False)
            for text, kind in line.spans
        )
        if spans.strip():
            y = LINE * number + LINE - 5
            delay = f"animation-delay:{line.begin:.2f}s"
            yield f'<text class="l" style="{delay}" x="{MARGIN:.0f}" y="{y:.0f}">{spans}</text>'


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

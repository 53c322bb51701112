"""Plots as SVG, written by hand: lines over axes need no library."""

from collections.abc import Sequence
from xml.sax.saxutils import escape

from bench.result import Curve

WIDTH, HEIGHT = 640, 280
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 40, 40
# Both to be seen on white and on black; the limit is the wider, since what is measured lies upon it.
LIMIT = 'stroke="#fb923c" stroke-width="6"'
MEASURED = 'stroke="#2563eb" stroke-width="2"'
_TICKS = 5


def attached_over_time(curve: Curve, title: str) -> str:
    """ENIs attached over time, against the line that EC2 itself allows."""
    last = max(curve.measured[-1], curve.limit[-1])
    step = _round_step(last)
    across = step * -(-last // step)
    up = max(_TICKS, curve.count)

    def point(seconds: float, count: float) -> str:
        x = LEFT + (WIDTH - LEFT - RIGHT) * seconds / across
        y = HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * count / up
        return f"{x:.1f},{y:.1f}"

    def line(moments: Sequence[float], drawn: str) -> str:
        # A step at each ENI: the count stands until the next one is attached.
        points = [point(0, 0)]
        for count, moment in enumerate(moments, start=1):
            points += [point(moment, count - 1), point(moment, count)]
        points.append(point(across, len(moments)))
        path = " ".join(points)
        return f'<polyline points="{path}" fill="none" {drawn}/>'

    rows = [_text(LEFT, 24, title, 'font-weight="bold"')]
    for number in range(_TICKS + 1):
        count = up * number / _TICKS
        x1, y1 = point(0, count).split(",")
        x2, _ = point(across, count).split(",")
        rows.append(f'<path d="M{x1} {y1}H{x2}" stroke="#8886" stroke-width="1"/>')
        rows.append(_text(float(x1) - 6, float(y1) + 4, f"{count:,.6g}", 'text-anchor="end"'))
    moment = 0.0
    while moment <= across + 1e-9:
        x, y = point(moment, 0).split(",")
        rows.append(_text(float(x), float(y) + 16, f"{moment:g}", 'text-anchor="middle"'))
        moment += step
    rows.append(_text(WIDTH - RIGHT, HEIGHT - 6, "seconds from the order", 'text-anchor="end"'))
    legend = (
        (LIMIT, f"EC2's limit: all after {curve.limit[-1]:.2f} s"),
        (MEASURED, f"measured: all after {curve.measured[-1]:.2f} s"),
    )
    for number, (drawn, text) in enumerate(legend):
        height = TOP + 13 + 16 * number
        rows.append(f'<path d="M{LEFT + 12} {height}h28" fill="none" {drawn}/>')
        rows.append(_text(LEFT + 48, height + 4, text, ""))
    rows.append(line(curve.limit, LIMIT))
    rows.append(line(curve.measured, MEASURED))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
        f'height="{HEIGHT}" font-family="sans-serif" font-size="12" fill="#777">\n'
        + "\n".join(rows)
        + "\n</svg>\n"
    )


def _round_step(last: float) -> float:
    """A step of 1, 2 or 5 times a power of ten, so that there are four to ten of them."""
    for step in (0.2, 0.5, 1, 2, 5, 10, 20, 50, 100):
        if last / step <= 10:
            return step
    return 200


def _text(x: float, y: float, text: str, attributes: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {attributes}>{escape(text)}</text>'

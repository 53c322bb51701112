"""aws-multi-eni-controller v1.1.0 and v1.3.8 beside this program, by ratio: the table of the page.

Theirs was measured once, on 2026-11-24; ours is what the page's own scenarios say.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from bench.limits import attach_limit
from bench.result import Result


class Row(msgspec.Struct, frozen=True):
    """What was measured of both, shown as a multiple of `unit`, or as it is where that is 0. Ours is that
    `figure` of `scenario`, in the unit of theirs.
    """

    what: str
    older: float
    newer: float
    unit: float
    scenario: str = ""
    figure: str = ""


_CALLS = 3  # an ENI: Create, Attach, Modify

# Of 10 removed nobody knows the limit to better than 3 to 6 s, and of memory and CPU there is none: those are
# multiples of the better one of the two.
ROWS = (
    Row("last of 10 attached, × T(N)", 18.6, 23.2, attach_limit(10), "attach-10", "last attached (s)"),
    Row("last of 50 attached, × T(N)", 97.4, 105.4, attach_limit(50), "attach-50", "last attached (s)"),
    Row("last of 100 attached, × T(N)", 193.3, 215.5, attach_limit(100), "attach-100", "last attached (s)"),
    Row("mutating calls an ENI, × 3", 3, 3, _CALLS, "attach-50", "mutating calls per ENI"),
    Row("10 removed, × v1.3.8", 160.8, 19.1, 19.1),
    Row("controller's peak RSS, 50 nodes, × v1.1.0", 45, 48, 45, "attach-50", "peak RSS (MB)"),
    Row("controller's CPU, 50 attached, × v1.1.0", 0.17, 0.42, 0.17, "attach-50", "CPU (s)"),
    Row("ENI manager: a new link from DOWN to UP, s", 25.9, 30, 0),
    Row("EC2 calls a minute at rest, 50 ENIs", 0, 279, 0),
    Row("killed twice while attaching 10: ENIs left after the delete", 23, 2, 0),
    Row("killed three times", 39, 2, 0),
)
# Ours where no scenario of the page has the figure.
_ELSEWHERE = {
    "10 removed, × v1.3.8": "see `remove-10`",
    "ENI manager: a new link from DOWN to UP, s": "[milliseconds](#on-the-node)",
    "EC2 calls a minute at rest, 50 ENIs": "0.2: a page a resync",
    "killed twice while attaching 10: ENIs left after the delete": "0: [reliability](reliability.md)",
    "killed three times": "0",
}


def table(results: Sequence[Result]) -> str:
    """Ours from `results`, empty where they do not have it."""
    figures = {result.name: result.figures for result in results}
    rows = ["| | v1.1.0 | v1.3.8 | this program |", "|---|---|---|---|"]
    rows += [
        f"| {row.what} | {_shown(row.older, row)} | {_shown(row.newer, row)} | {_ours(row, figures)} |"
        for row in ROWS
    ]
    return "\n".join(rows)


def _ours(row: Row, figures: dict[str, dict[str, Any]]) -> str:
    value = figures.get(row.scenario, {}).get(row.figure)
    return _ELSEWHERE.get(row.what, "") if value is None else _shown(value, row)


def _shown(value: float, row: Row) -> str:
    return f"{value / row.unit:.3g}" if row.unit else f"{value:g}"

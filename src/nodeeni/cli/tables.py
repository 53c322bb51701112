"""What the commands that look print: coloured and fitted on a terminal, plain and stable elsewhere.

Elsewhere means a pipe or a file: every row is one line, columns stand where `kubectl get` would put them,
names are whole and nothing is wrapped, so that scripts and diffs can read it.
"""

import datetime
from collections.abc import Sequence

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

STYLES = {
    "attached": "green", "Up": "green", "yes": "green", "✓": "green",
    "failed": "bold red", "Down": "bold red", "Missing": "bold red", "no": "bold red", "✗": "bold red",
    "creating": "yellow", "attaching": "yellow", "detaching": "yellow", "deleting": "yellow", "!": "yellow",
    "attached, to be replaced": "yellow", "attached, not as asked": "bold red",
}  # fmt: skip
DATA = ("json", "yaml")  # for programs
WIDE = 10_000  # columns: no line of a pipe is wrapped


def console() -> Console:
    """Standard output."""
    found = Console(highlight=False, emoji=False)
    if found.is_terminal:
        return found
    return Console(highlight=False, emoji=False, width=WIDE, no_color=True, markup=False)


def print_table(to: Console, titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A cell in `STYLES`, or of one or two words with the first in it, has its colour. Empty cells are
    dashes."""
    shown = [[cell or "-" for cell in row] for row in rows]
    if to.is_terminal:
        _print_fitted(to, titles, shown)
    else:
        _print_plain(to, titles, shown)


def _print_fitted(to: Console, titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for title in titles:
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell, style(cell)) for cell in row))
    to.print(table)


def style(cell: str) -> str:
    if cell in STYLES or not cell:
        return STYLES.get(cell, "")
    first, *rest = cell.split()
    return STYLES.get(first, "") if len(rest) < 2 else ""


def _print_plain(to: Console, titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    lines = [[title.upper() for title in titles], *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(titles))]
    for line in lines:
        to.print("   ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def print_finding(to: Console, mark: str, subject: str, message: str) -> None:
    """One line of what is wrong or right; on a terminal, long messages are indented below their subject."""
    if not to.is_terminal:
        to.print(f"{mark} {subject}: {message}" if message else f"{mark} {subject}")
        return
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(
        Text(mark, STYLES.get(mark, "")), Text.assemble((subject, "bold"), f": {message}" if message else "")
    )
    to.print(grid)


def print_data(kind: str, value: object) -> None:
    """As one of `DATA`."""
    if kind == "yaml":
        print(msgspec.yaml.encode(value).decode(), end="")
    else:
        print(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def age(since: str, now: datetime.datetime) -> str:
    """From an RFC 3339 time: `12s`, `5m`, `3h`, `9d`; empty when there is none."""
    passed = seconds(since, now)
    if passed is None:
        return ""
    for length, unit, least in ((86400, "d", 2), (3600, "h", 2), (60, "m", 2)):
        if passed >= least * length:
            return f"{passed // length}{unit}"
    return f"{passed}s"


def seconds(since: str, now: datetime.datetime) -> int | None:
    """Since an RFC 3339 time; None when there is none."""
    try:
        return max(0, int((now - datetime.datetime.fromisoformat(since)).total_seconds()))
    except ValueError:
        return None


def common_domain(names: Sequence[str]) -> str:
    """What all these host names have in common after their first label, with its dot; empty if nothing."""
    domains = {name.partition(".")[2] for name in names}
    return f".{domains.pop()}" if len(domains) == 1 and "" not in domains else ""

"""On a terminal things fit and have colours; elsewhere every row is one whole line."""

import datetime
import io

import pytest
from rich.console import Console

from nodeeni.cli import tables

ROWS = [["ip-10-1-0-4.us-west-2.compute.internal", "attached", "x" * 90], ["n2", "failed", ""]]
NOW = datetime.datetime(2026, 1, 10, 12, 0, tzinfo=datetime.UTC)


def shown(terminal: bool) -> list[str]:
    stream = io.StringIO()
    width = 100 if terminal else 10_000
    console = Console(file=stream, width=width, force_terminal=terminal, color_system=None)
    tables.print_table(console, ("Node", "State", "Message"), ROWS)
    tables.print_finding(console, "✗", "n2", "word " * 30)
    return stream.getvalue().splitlines()


def test_on_a_terminal_nothing_is_wider_than_it() -> None:
    lines = shown(terminal=True)
    assert max(map(len, lines)) <= 100
    assert [line.rstrip() for line in lines if line.startswith("✗")] == ["✗ n2: " + "word " * 18 + "word"]


def test_elsewhere_every_row_is_one_line() -> None:
    node = ROWS[0][0]
    assert shown(terminal=False) == [
        f"NODE{' ' * (len(node) - 4)}   STATE      MESSAGE",
        f"{node}   attached   {'x' * 90}",
        f"n2{' ' * (len(node) - 2)}   failed     -",
        "✗ n2: " + "word " * 30,
    ]


@pytest.mark.parametrize(
    ("since", "age"),
    [
        ("2026-01-10T11:59:18Z", "42s"),
        ("2026-01-10T11:58:30Z", "90s"),
        ("2026-01-10T11:55:00Z", "5m"),
        ("2026-01-10T09:00:00Z", "3h"),
        ("2026-01-01T12:00:00Z", "9d"),
        ("2026-01-10T12:00:05Z", "0s"),
        ("", ""),
        ("yesterday", ""),
    ],
)
def test_ages(since: str, age: str) -> None:
    assert tables.age(since, NOW) == age


def test_the_domain_that_all_nodes_share() -> None:
    assert tables.common_domain(["a.x.internal", "b.x.internal"]) == ".x.internal"
    assert tables.common_domain(["a.x.internal", "b.y.internal"]) == ""
    assert tables.common_domain(["a", "b"]) == ""
    assert tables.common_domain([]) == ""

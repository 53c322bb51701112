"""`nodeeni status` of few and of many nodes, on a terminal of 80 columns and elsewhere."""

import datetime
import io
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from tests.cli.looking import NAME, Site
from tests.cli.reported import LONG_AGO, a_node, attached, condition

from nodeeni.cli.status.lines import Line, NodeState, natural
from nodeeni.cli.status.tree import print_trees

DOMAIN = ".us-west-2.compute.internal"
NOW = datetime.datetime.fromisoformat(LONG_AGO) + datetime.timedelta(minutes=5)


def a_line(node: str, **other: Any) -> Line:
    given: dict[str, Any] = {
        "node": node,
        "zone": "us-west-2a",
        "node_eni": NAME,
        "eni_id": "eni-0123456789abcdef0",
        "device_index": 2,
        "address": "10.100.100.100",
        "state": "attached",
        "node_state": NodeState.PRESENT,
        "link_state": "Up",
        "link_name": "ens6",
        "link_message": "",
        "link_note": "",
        "since": LONG_AGO,
        "reason": "",
        "message": "",
    }
    return Line(**(given | other))


def shown(
    lines: Sequence[Line], width: int = 80, *, terminal: bool = True, unfolded: bool = False
) -> list[str]:
    written = io.StringIO()
    to = Console(file=written, width=width, force_terminal=terminal, color_system=None, highlight=False)
    print_trees(to, lines, frozenset(), NOW, unfolded=unfolded)
    return written.getvalue().splitlines()


def test_where_a_line_is_too_narrow_the_eni_and_its_link_stand_below_the_node_whole() -> None:
    lines = [a_line("ip-10-100-100-100" + DOMAIN), a_line("ip-10-100-100-101" + DOMAIN, link_state="Down")]
    assert shown(lines) == [
        NAME,
        "└── us-west-2a",
        "    ├── ip-10-100-100-100  attached  5m",
        "    │   └── eni-0123456789abcdef0  index 2  10.100.100.100  ens6 Up",
        "    └── ip-10-100-100-101  attached  5m",
        "        └── eni-0123456789abcdef0  index 2  10.100.100.100  ens6 Down",
        "nodes are in .us-west-2.compute.internal",
    ]
    assert shown(lines, 140)[2] == (
        "    ├── ip-10-100-100-100  attached  5m  eni-0123456789abcdef0  index 2  10.100.100.100  ens6 Up"
    )


def test_nothing_is_broken_over_lines_or_cut_where_it_cannot_fit() -> None:
    (_, _, node, eni) = shown([a_line("n" * 90)], 60)
    assert node == f"    └── {'n' * 90}  attached  5m"
    assert eni.endswith("eni-0123456789abcdef0  index 2  10.100.100.100  ens6 Up")


def test_above_twenty_the_healthy_ones_are_a_number_and_of_those_alike_a_few_stand_for_all() -> None:
    well = [a_line(f"n{number}") for number in range(1, 101)]
    full = [
        a_line(f"f{number}", state="failed", reason="SubnetFull", eni_id="", address="", device_index=None)
        for number in range(1, 8)
    ]
    going = [a_line(f"g{number}", state="detaching", zone="us-west-2b") for number in range(1, 7)]
    told = shown([*full, *going, *well], 140)
    assert [line.rstrip() for line in told if "f6" in line or "more" in line or "node" in line] == [
        "│   ├── 2 more failed: SubnetFull",
        "│   └── 100 nodes as asked",
        "each node: `nodeeni status --all`, or `nodeeni status NODE`",
    ]
    assert sum("detaching" in line for line in told) == 6, "a line for `1 more` would save none"
    assert len(told) == 17
    assert len(shown([*full, *going, *well], 140, unfolded=True)) == 113 + 3


def test_twenty_are_all_shown() -> None:
    assert sum("attached" in line for line in shown([a_line(f"n{n}") for n in range(20)], 140)) == 20


def test_names_have_their_natural_order() -> None:
    names = ["n10", "n9", "ip-10-0-2-4", "ip-10-0-10-4", "n", "n9a"]
    assert sorted(names, key=natural) == ["ip-10-0-2-4", "ip-10-0-10-4", "n", "n9", "n9a", "n10"]


async def test_two_hundred_nodes_that_are_well_are_a_few_lines(site: Site) -> None:
    site.apply()
    entries = []
    for number in range(200):
        a_node(site, f"n{number}", f"us-west-2{'ab'[number % 2]}")
        entries.append(attached(f"n{number}", f"eni-{number}", f"02:{number}"))
    ready = condition("Ready", "True", "AllAttached", "attached on 200 nodes")
    site.report(observedGeneration=1, desired=200, attached=200, conditions=[ready], attachments=entries)
    lines = (await site.run("status")).lines
    assert lines[:5] == [
        NAME,
        "├── us-west-2a",
        "│   └── 100 nodes as asked",
        "└── us-west-2b",
        "    └── 100 nodes as asked",
    ]
    assert len(lines) == 9
    assert sum("── n" in line for line in (await site.run("status", "--all")).lines) == 200
    assert "n7  " in "".join((await site.run("status", "n7")).lines)

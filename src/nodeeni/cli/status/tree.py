"""NodeENI → zone → node → ENI → link: what is wrong first, and of many that are alike a few."""

import datetime
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from rich.console import Console
from rich.segment import Segment, Segments
from rich.text import Text
from rich.tree import Tree

from nodeeni.cli import tables
from nodeeni.cli.findings import counted
from nodeeni.cli.pods import in_words
from nodeeni.cli.status.lines import AS_IT_SHOULD_BE, Line, shown_state
from nodeeni.plan.rows import State

MANY = 20  # lines; above it those that are as asked are counted, and of others that are alike a few are shown
FEW = 5
_GUIDES = 8  # columns before a node, four a level
_GAP = "  "
_Key = TypeVar("_Key")


def print_trees(
    to: Console,
    lines: Sequence[Line],
    stand: frozenset[tuple[str, str]],
    now: datetime.datetime,
    *,
    unfolded: bool,
) -> None:
    """A tree for each NodeENI. `stand` is what `lines.standing` tells; `unfolded`: each node has its line."""
    rows = _Rows(lines, stand, now, to)
    fold = len(lines) > MANY and not unfolded
    for name, of_name in _parts(lines, lambda line: line.node_eni):
        root = Tree(Text(name, "bold"), guide_style="dim")
        for zone, of_zone in _parts(of_name, lambda line: line.zone):
            branch = root.add(Text(zone or "zone not known"))
            for _, alike in _parts(of_zone, rows.kind):
                _add(branch, alike, rows, fold=fold)
        # A line that is longer than the terminal is not cut: it can be copied whole.
        for laid_out in to.render_lines(root, to.options.update_width(tables.WIDE), pad=False):
            to.print(Segments([*laid_out, Segment.line()]), soft_wrap=True, end="")
    if rows.domain:
        to.print(Text(f"nodes are in {rows.domain}", "dim"))
    if fold:
        to.print(Text("each node: `nodeeni status --all`, or `nodeeni status NODE`", "dim"))


def _parts(lines: Iterable[Line], key: Callable[[Line], _Key]) -> Iterable[tuple[_Key, list[Line]]]:
    """In the order in which the first of each comes."""
    found: dict[_Key, list[Line]] = {}
    for line in lines:
        found.setdefault(key(line), []).append(line)
    return found.items()


def _add(branch: Tree, alike: Sequence[Line], rows: "_Rows", *, fold: bool) -> None:
    """Lines of one kind below their zone."""
    well = alike[0].wrongness == AS_IT_SHOULD_BE
    shown = len(alike) if not fold else 0 if well else FEW
    if len(alike) == shown + 1:
        shown += 1  # a line that says "1 more" is as long as that one
    for line in alike[:shown]:
        rows.add(branch, line)
    rest = len(alike) - shown
    if rest:
        words = counted(rest, "node") if not shown else f"{rest} more"
        state = "as asked" if well else rows.state(alike[0])
        branch.add(Text(f"{words} {state}", "green" if well else tables.style(state)))


class _Rows:
    """How a node's line is laid out: all of it in one line where the widest fits, else the ENI and its link
    below the node."""

    def __init__(
        self, lines: Sequence[Line], stand: frozenset[tuple[str, str]], now: datetime.datetime, to: Console
    ) -> None:
        self.domain = tables.common_domain([line.node for line in lines]) if to.is_terminal else ""
        self._stand = stand
        self._now = now
        cells = [[*self._node(line), *self._eni(line)] for line in lines]
        self._widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        whole = sum(self._widths) + len(_GAP) * (len(self._widths) - 1)
        self._in_one_line = _GUIDES + whole <= to.width

    def kind(self, line: Line) -> tuple[bool, str, str]:
        """What lines have in common that may be folded into one."""
        well = line.wrongness == AS_IT_SHOULD_BE
        return (True, "", "") if well else (False, self.state(line), line.link_state)

    def state(self, line: Line) -> str:
        state = shown_state(line, (line.node, line.node_eni) in self._stand)
        return f"{state}: {line.reason}" if line.state == State.FAILED and line.reason else state

    def add(self, branch: Tree, line: Line) -> None:
        node, eni = self._node(line), self._eni(line)
        if self._in_one_line:
            branch.add(self._laid_out([*node, *eni], self._widths))
            return
        leaf = branch.add(self._laid_out(node, self._widths))
        if any(eni):
            leaf.add(self._laid_out(eni, self._widths[len(node) :]))

    def _node(self, line: Line) -> list[str]:
        return [line.node.removesuffix(self.domain), self.state(line), tables.age(line.since, self._now)]

    def _eni(self, line: Line) -> list[str]:
        index = "" if line.device_index is None else f"index {line.device_index}"
        pods = in_words(line.pod_network) if line.pod_network is not None else ""
        return [line.eni_id, index, line.addresses, f"{line.link_name} {line.link_state}".strip(), pods]

    def _laid_out(self, cells: Sequence[str], widths: Sequence[int]) -> Text:
        parts = [
            Text(cell.ljust(width), tables.style(cell)) for cell, width in zip(cells, widths, strict=False)
        ]
        whole = Text(_GAP).join(parts)
        whole.rstrip()
        return whole

"""What people see of the demo: a line an event, and on a terminal a table of the nodes, kept current.

Without a terminal the lines are the same, plain.
"""

from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from nodeeni.cli.demo.observer import Milestones
from nodeeni.cli.demo.sights import NodeSight, present_state

REFRESH = 10  # times a second
WIDTH = 100  # columns, of which the lines use no more, nor less when there is no terminal
NOTE_INDENT = 12
_STATE_STYLES = {"attached": "yellow", "detaching": "yellow", "attaching": "yellow"}


def console() -> Console:
    """Standard output; not a terminal: plain, and never wrapped at somebody's idea of a width."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=WIDTH, no_color=True)


class Screen:
    """An Audience of the observer. Lines are at most as wide as the terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._subjects = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.settle()

    def settle(self) -> None:
        """The table stays as it is; what follows is written below it."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def title(self, text: str) -> None:
        self._console.print(Text(text, "bold"))

    def note(self, name: str, text: str) -> None:
        self._console.print(Text.assemble((f"  {name:<{NOTE_INDENT}}", "dim"), text))

    def scene(self, seconds: float, command: str) -> None:
        """Somebody does something: `command` is how."""
        self._console.print()
        self._print(Text(f"{seconds:7.2f} s  "), Text(f"$ {command}", "bold cyan"))

    def event(self, seconds: float, subject: str, text: str) -> None:
        name = short(subject)
        self._subjects = max(self._subjects, len(name))
        self._print(Text(f"{seconds:7.2f} s  ", "dim"), Text(f"{name:<{self._subjects}}  "), Text(text))

    def nodes(self, sights: dict[str, NodeSight], milestones: dict[str, Milestones]) -> None:
        if not sights or not self._console.is_terminal:
            return
        table = Group(Text(), _node_table(sights, milestones))
        if self._live is None:
            self._live = Live(table, console=self._console, refresh_per_second=REFRESH)
            self._live.start()
        self._live.update(table)

    def _print(self, *parts: Text) -> None:
        self._console.print(Text.assemble(*parts), no_wrap=True, overflow="ellipsis")


def short(name: str) -> str:
    """`ip-10-1-0-4` of a Node's long name."""
    return name.partition(".")[0]


def _node_table(sights: dict[str, NodeSight], milestones: dict[str, Milestones]) -> Padding:
    table = Table(box=None, padding=(0, 3, 0, 0), header_style="bold")
    table.add_column("node", no_wrap=True)
    table.add_column("address", no_wrap=True, min_width=10)
    for column in ("created", "attached", "link up"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("now", no_wrap=True, min_width=17)
    for name, sight in sights.items():
        reached = milestones[name]
        table.add_row(
            short(name),
            sight.address or "-",
            *map(_moment, (reached.created, reached.attached, reached.link_up)),
            _state(sight),
        )
    return Padding(table, (0, 0, 0, 2))


def _moment(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.2f} s"


def _state(sight: NodeSight) -> Text:
    words = present_state(sight)
    if sight.attachment == "attached" and words.endswith(("attached", "up")):
        return Text(words, "green")
    return Text(words, _STATE_STYLES.get(sight.attachment, "dim"))

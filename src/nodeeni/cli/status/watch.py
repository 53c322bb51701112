"""`nodeeni status --watch`: on a terminal a bar for each NodeENI, elsewhere a line for each change."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from nodeeni.api.reasons import PROGRESSING, READY
from nodeeni.api.v1alpha1 import NodeENI
from nodeeni.cli import tables
from nodeeni.cli.status.looking import Progress, look
from nodeeni.cli.status.picture import Picture
from nodeeni.cli.status.wrong import condition_of
from nodeeni.kube.client import KubeClient

MOST_CAUSES = 5
BAR = 24  # columns


async def watch(client: KubeClient, name: str | None, to: Console) -> None:
    """Until cancelled. What may not be read is left out; an API server that is away is told as such."""
    with _shower(to) as shower:
        await look(client, name, shower.show)


class _Screen:
    """What is wrong, then a bar for each NodeENI, kept current in place."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def show(self, picture: Picture, progress: Mapping[str, Progress], away: str) -> None:
        self._live.update(Group(*self._parts(picture, progress, away)), refresh=True)

    def _parts(
        self, picture: Picture, progress: Mapping[str, Progress], away: str
    ) -> Iterable[RenderableType]:
        if away:
            yield Text.assemble(("✗ ", tables.STYLES["✗"]), away)
        for cause in picture.causes[:MOST_CAUSES]:
            found = cause.summary
            yield Text.assemble(
                (f"{found.mark} ", tables.STYLES[found.mark]), (found.subject, "bold"), f": {found.message}"
            )
        if len(picture.causes) > MOST_CAUSES:
            yield Text(f"  and {len(picture.causes) - MOST_CAUSES} more: `nodeeni status`", "dim")
        if picture.causes or away:
            yield Text()
        if not picture.nodeenis:
            yield Text("there is no NodeENI")
            return
        room = max(1, (self._live.console.height - 4) // 2 - len(picture.causes[:MOST_CAUSES]))
        unsettled = sorted(picture.nodeenis, key=_settled)
        yield from _bars(unsettled[:room], progress)
        if len(unsettled) > room:
            yield Text(f"and {len(unsettled) - room} NodeENIs more", "dim")


def _settled(nodeeni: NodeENI) -> bool:
    ready = condition_of(nodeeni, READY)
    return ready is not None and ready.status == "True"


def _bars(nodeenis: Iterable[NodeENI], progress: Mapping[str, Progress]) -> Iterator[RenderableType]:
    """Two lines each: the bar, and below it what is said."""
    shown = [(nodeeni, progress[nodeeni.metadata.uid]) for nodeeni in nodeenis]
    names = max(len(nodeeni.metadata.name) for nodeeni, _ in shown)
    for nodeeni, at in shown:
        bar = ProgressBar(max(at.total, 1), at.done if at.total else 1, width=BAR, complete_style="cyan")
        rate = f"{at.rate:.1f} a second" if at.rate else ""
        line = Table.grid(padding=(0, 2, 0, 0))
        line.add_row(Text(nodeeni.metadata.name.ljust(names), "bold"), bar, f"{at.done} of {at.total}", rate)
        yield line
        yield Text(f"  {said_of(nodeeni)}", "dim")


def said_of(nodeeni: NodeENI) -> str:
    """What is being done while something is, else how it stands."""
    progressing, ready = condition_of(nodeeni, PROGRESSING), condition_of(nodeeni, READY)
    if nodeeni.metadata.deleting and ready is not None:
        return ready.message
    if progressing is not None and progressing.status == "True":
        return progressing.message
    return ready.message if ready is not None else "nothing is reported"


class _Lines:
    """A line for each NodeENI when what is told of it changes, and for each cause that comes or goes."""

    def __init__(self, to: Console) -> None:
        self._to = to
        self._told: dict[str, str] = {}

    def show(self, picture: Picture, progress: Mapping[str, Progress], away: str) -> None:
        now = {"API server": away} if away else {}
        for cause in picture.causes:
            found = cause.summary
            now.setdefault(f"{found.mark} {found.subject}", found.message)
        for nodeeni in picture.nodeenis:
            at = progress[nodeeni.metadata.uid]
            now[nodeeni.metadata.name] = f"{at.done} of {at.total}: {said_of(nodeeni)}"
        for subject, said in now.items():
            if self._told.get(subject) != said:
                self._print(picture, subject, said)
        for subject in self._told.keys() - now.keys():
            self._print(picture, subject, "over")
        self._told = now

    def _print(self, picture: Picture, subject: str, said: str) -> None:
        local = picture.now.astimezone()
        self._to.print(f"{local:%H:%M:%S}  {subject}: {said}")


@contextlib.contextmanager
def _shower(to: Console) -> Iterator[_Screen | _Lines]:
    if not to.is_terminal:
        yield _Lines(to)
        return
    with Live(console=to, auto_refresh=False, vertical_overflow="ellipsis") as live:
        yield _Screen(live)

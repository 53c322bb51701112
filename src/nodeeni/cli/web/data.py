"""One moment of the sandbox as the page reads it."""

from collections import Counter
from collections.abc import Mapping

import msgspec

from nodeeni.api.reasons import READY
from nodeeni.cli.status.lines import Line, standing
from nodeeni.cli.status.looking import Progress
from nodeeni.cli.status.picture import Picture
from nodeeni.cli.status.watch import said_of
from nodeeni.cli.status.wrong import condition_of
from nodeeni.cli.web.curve import Curve
from nodeeni.plan.rows import State
from nodeeni.sandbox.ec2.calls import OK, THROTTLED, Calls

MOST_PROBLEMS = 8


class Problem(msgspec.Struct, frozen=True):
    mark: str
    subject: str
    message: str


class Bar(msgspec.Struct, frozen=True):
    """A NodeENI. `ready`: `yes`, `no`, `not known`, or `deleting`."""

    name: str
    done: int
    total: int
    up: int | None
    failed: int
    ready: str
    rate: float
    said: str


class Tile(msgspec.Struct, frozen=True):
    """A NodeENI on a node. `look` is what its colour tells: `up`, `attached` (nobody reports its link),
    `moving`, `wrong`, `odd`.
    """

    node: str
    zone: str
    nodeeni: str
    eni: str
    index: int | None
    address: str
    state: str
    link: str
    why: str
    look: str


class CallCount(msgspec.Struct, frozen=True):
    action: str
    ok: int
    throttled: int
    failed: int


class Moment(msgspec.Struct, frozen=True):
    """Everything that the page shows. `more` problems are not listed."""

    title: str
    away: str
    nodes: int
    problems: list[Problem]
    more: int
    bars: list[Bar]
    tiles: list[Tile]
    calls: list[CallCount]
    curve: Curve | None


def moment(
    title: str,
    picture: Picture,
    progress: Mapping[str, Progress],
    away: str,
    nodes: int,
    calls: Calls,
    curve: Curve | None,
) -> Moment:
    causes = [cause.summary for cause in picture.causes]
    stands = standing(picture.nodeenis)
    return Moment(
        title=title,
        away=away,
        nodes=nodes,
        problems=[Problem(c.mark.value, c.subject, c.message) for c in causes[:MOST_PROBLEMS]],
        more=max(0, len(causes) - MOST_PROBLEMS),
        bars=_bars(picture, progress),
        tiles=[_tile(line, (line.node, line.node_eni) in stands) for line in picture.lines],
        calls=_counts(calls),
        curve=curve,
    )


def _bars(picture: Picture, progress: Mapping[str, Progress]) -> list[Bar]:
    found = []
    for nodeeni in picture.nodeenis:
        at, status = progress[nodeeni.metadata.uid], nodeeni.status
        ready = condition_of(nodeeni, READY)
        told = {"True": "yes", "False": "no"}.get(ready.status if ready else "", "not known")
        found.append(
            Bar(
                name=nodeeni.metadata.name,
                done=at.done,
                total=at.total,
                up=status.links_up,
                failed=status.failed or 0,
                ready="deleting" if nodeeni.metadata.deleting else told,
                rate=round(at.rate, 1),
                said=said_of(nodeeni),
            )
        )
    return found


def _tile(line: Line, stands: bool) -> Tile:
    return Tile(
        node=line.node,
        zone=line.zone,
        nodeeni=line.node_eni,
        eni=line.eni_id,
        index=line.device_index,
        address=line.addresses,
        state=line.state,
        link=" ".join(filter(None, (line.link_name, line.link_state.lower()))),
        why=": ".join(filter(None, (line.reason, line.message or line.link_message))),
        look=_look(line, stands),
    )


def _look(line: Line, stands: bool) -> str:
    if line.state == State.FAILED:
        return "odd" if stands else "wrong"
    if line.on_its_way:
        return "moving"
    if line.link_is_not_up or line.left_behind:
        return "odd"
    return "up" if line.link_state == "Up" else "attached"


def _counts(calls: Calls) -> list[CallCount]:
    """The busiest first."""
    by_action: dict[str, Counter[str]] = {}
    for (action, code), count in calls.by_code.items():
        kind = "ok" if code == OK else "throttled" if code == THROTTLED else "failed"
        by_action.setdefault(action, Counter())[kind] += count
    found = [CallCount(action, n["ok"], n["throttled"], n["failed"]) for action, n in by_action.items()]
    return sorted(found, key=lambda count: (-(count.ok + count.throttled + count.failed), count.action))

"""The end of the demo: EC2 calls by action, the time to attach against the physical limit, what is left."""

from dataclasses import dataclass

from rich.console import Console
from rich.table import Table
from rich.text import Text

from nodeeni.cli.demo.observer import Milestones, Observer
from nodeeni.cli.stage import Stage
from nodeeni.sandbox.ec2 import Calls, EC2Settings
from nodeeni.sandbox.ec2.calls import THROTTLED

ATTACH_BUCKET = (50, 5)  # calls at once, and per second after them; "Request throttling for the EC2 API"
_OWN_LINKS = frozenset({"lo", "eth0"})


@dataclass(frozen=True)
class Left:
    """What the demo leaves behind, all of which must be nothing. `links` is None without kernels."""

    enis: int
    eninodes: int
    links: int | None
    nodeeni: bool

    @property
    def nothing(self) -> bool:
        return not (self.enis or self.eninodes or self.links or self.nodeeni)


async def look_for_leftovers(stage: Stage, observer: Observer) -> Left:
    world, hosts = stage.world, stage.hosts
    links = None
    if hosts is not None:
        names = [link["ifname"] for one in hosts.instance_ids() for link in await hosts.links(one)]
        links = len([name for name in names if name not in _OWN_LINKS])
    return Left(
        enis=len(world.ec2.secondary_interfaces()),
        eninodes=len(world.kube.objects("networking.k8s.aws", "eninodes")),
        links=links,
        nodeeni=observer.nodeeni.there,
    )


def physical_limit(nodes: int, settings: EC2Settings) -> float:
    """Seconds until the last of `nodes` ENIs can be attached: one create, one attach, the attach bucket."""
    capacity, refill = ATTACH_BUCKET
    create = settings.reply_to("CreateNetworkInterface").least
    return create + settings.attaching.least + max(0, nodes - capacity) / refill


def print_summary(
    console: Console, calls: Calls, milestones: list[Milestones], left: Left, settings: EC2Settings
) -> None:
    console.print()
    console.print(_call_table(calls))
    console.print()
    console.print(_result_table(milestones, left, settings))
    console.print()


def _call_table(calls: Calls) -> Table:
    table = _table("EC2 calls")
    table.add_column("count", justify="right")
    table.add_column("throttled", justify="right")
    for action, number in sorted(calls.by_action.items(), key=_mutating_first):
        table.add_row(action, str(number), str(calls.by_code[action, THROTTLED]))
    table.add_row("all", str(len(calls)), str(calls.throttled), style="bold")
    return table


def _result_table(milestones: list[Milestones], left: Left, settings: EC2Settings) -> Table:
    table = _table("result")
    table.add_column("")
    attached = [one.attached for one in milestones if one.attached is not None]
    if attached:
        limit = physical_limit(len(milestones), settings)
        table.add_row(
            "last ENI attached after", f"{max(attached):.2f} s  (EC2 allows no less than {limit:.2f} s)"
        )
    ups = [one.link_up for one in milestones if one.link_up is not None]
    if ups:
        table.add_row("last link up after", f"{max(ups):.2f} s")
    table.add_row("ENIs left", _zero(left.enis))
    table.add_row(
        "links left", Text("not looked at: no kernels", "dim") if left.links is None else _zero(left.links)
    )
    table.add_row("ENINodes left", _zero(left.eninodes))
    table.add_row("finalizer", Text("still there", "bold red") if left.nodeeni else Text("gone", "green"))
    return table


def _table(first: str) -> Table:
    table = Table(box=None, padding=(0, 3, 0, 0), pad_edge=False, header_style="bold")
    table.add_column(first, no_wrap=True, min_width=31)
    return table


def _mutating_first(counted: tuple[str, int]) -> tuple[bool, str]:
    return counted[0].startswith("Describe"), counted[0]


def _zero(number: int) -> Text:
    return Text(str(number), "bold red" if number else "green")

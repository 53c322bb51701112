"""`nodeeni plan`: what the controller would do now, without doing it.

The decision is the controller's own (`controller/planning.py`); EC2 and the API server are only read.
"""

from argparse import Namespace
from collections.abc import Sequence

from rich.console import Console

from nodeeni.api.reasons import DEGRADED, RowReason
from nodeeni.api.v1alpha1 import NodeENI
from nodeeni.cli import reach, reach_ec2, tables
from nodeeni.cli.nodeeni_files import read_nodeenis
from nodeeni.cli.planned import Hold, NodePlan, Step, last_words, told, told_holds
from nodeeni.cli.tracking import ShortTimeout, short_timeouts, types_of
from nodeeni.controller.cluster import Cluster
from nodeeni.controller.planning import Planning, read_cluster
from nodeeni.ec2.client import EC2Client
from nodeeni.plan.brake import HeldRemoval


def main(arguments: Sequence[str]) -> int:
    """0: shown; 1: cannot be read, or there is no such node; 2: FILE cannot be used (UsageError)."""
    flags = reach.looking_flags(
        "plan", "Show what the controller would do now, without doing it.", names="nodes with something to do"
    )
    reach_ec2.add_flags(flags)
    reach_ec2.add_former_ids(flags)
    flags.add_argument("nodes", nargs="*", metavar="NODE", help="only these nodes")
    flags.add_argument(
        "-f",
        "--filename",
        metavar="FILE",
        help="plan as if the NodeENIs of this file were applied; - is standard input",
    )
    options = flags.parse_args(list(arguments))
    supposed = read_nodeenis(options.filename) if options.filename is not None else []
    return reach.run("plan", _plan(options, supposed))


async def _plan(options: Namespace, supposed: Sequence[NodeENI]) -> int:
    settings = reach_ec2.settings(options)
    async with reach.cluster_client(options) as client:
        cluster = await read_cluster(client)
        region = await reach_ec2.region(options, cluster)
        cluster_id = await reach_ec2.cluster_id(options, client)
        async with EC2Client.connect(region) as ec2:
            planning = Planning(ec2, cluster, settings, cluster_id)
            for nodeeni in supposed:
                planning.suppose(nodeeni)
            await planning.read()
            try:
                nodes = _chosen(options.nodes, planning.nodes())
                eninodes, said = cluster.eninodes.store, last_words(cluster.nodeenis.store.values())
                plans = [
                    told(node, await planning.plan(node), eninodes.get(node), said, dry_run=settings.dry_run)
                    for node in nodes
                ]
                holds = planning.holds()
                notes = await _notes(ec2, cluster, nodes)
            finally:
                await planning.close()
    busy = [plan for plan in plans if not plan.empty]
    if options.output in tables.DATA:
        tables.print_data(options.output, {"nodes": busy, "holds": told_holds(holds), "notes": notes})
    elif options.output == "name":
        for plan in busy:
            print(f"node/{plan.node}")
    else:
        _show(tables.console(), plans, holds, notes)
        _doubt(tables.console(), cluster, plans, cluster_id)
    return 0


async def _notes(ec2: EC2Client, cluster: Cluster, names: Sequence[str]) -> list[ShortTimeout]:
    """What is to be known of NodeENIs on these nodes, and changes nothing."""
    nodes = [cluster.nodes.store[name] for name in names if name in cluster.nodes.store]
    types = await ec2.describe_instance_types(sorted(types_of(nodes)), left_out=[])
    return list(short_timeouts(cluster.nodeenis.store.values(), nodes, {each.name: each for each in types}))


def _doubt(to: Console, cluster: Cluster, plans: Sequence[NodePlan], cluster_id: str) -> None:
    """A controller that takes our ENIs for another cluster's works with another id than this plan."""
    if any(step.reason == RowReason.OTHER_CLUSTER_ID for plan in plans for step in plan.refused):
        return
    for nodeeni in cluster.nodeenis.store.values():
        told = [c.reason for c in nodeeni.status.conditions if c.type == DEGRADED]
        if RowReason.OTHER_CLUSTER_ID in told:
            message = (
                f"the controller tells {RowReason.OTHER_CLUSTER_ID}, which nothing here is for cluster id "
                f"{cluster_id}: name its own by --cluster-id"
            )
            tables.print_finding(to, "!", f"NodeENI {nodeeni.metadata.name}", message)


def _chosen(wanted: Sequence[str], known: Sequence[str]) -> list[str]:
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise reach.NotThere(f"there is no node {', '.join(unknown)}")
    return [name for name in known if not wanted or name in wanted]


def _show(
    to: Console,
    plans: Sequence[NodePlan],
    holds: Sequence[HeldRemoval],
    notes: Sequence[ShortTimeout],
) -> None:
    for plan in plans:
        if plan.empty:
            continue
        print_node(to, plan)
        to.print()
    for hold in told_holds(holds):
        print_hold(to, hold)
    for note in notes:
        tables.print_finding(to, "!", note.node_eni, note.message)
    if holds or notes:
        to.print()
    to.print(_summary(plans), markup=False)


def print_node(to: Console, plan: NodePlan) -> None:
    to.print(f"{plan.node}  {plan.instance_id or 'no instance'}", style="bold", markup=False)
    for step in plan.now:
        text = "; ".join(filter(None, (step.text, step.reason)))
        tables.print_finding(to, _mark(step), step.node_eni or "?", text)
    for progress in plan.in_progress:
        tables.print_finding(to, "…", progress.node_eni or "?", f"in progress: {progress.text}")
    for step in plan.later:
        after = f" (looked at again within {step.after:.0f} s)" if step.after is not None else ""
        tables.print_finding(to, "…", step.node_eni or "?", f"not now: {step.text}; {step.reason}{after}")
    for refused in plan.refused:
        tables.print_finding(to, "✗", refused.node_eni, f"{refused.reason}: {refused.message}")


def print_hold(to: Console, hold: Hold) -> None:
    tables.print_finding(to, "!", hold.node_eni, f"{hold.reason} {hold.id}: {hold.message}")


def _mark(step: Step) -> str:
    if step.action in ("Create", "Attach"):
        return "+"
    return "-" if step.action in ("Detach", "Delete") else "~"


def _summary(plans: Sequence[NodePlan]) -> str:
    now = sum(len(plan.now) for plan in plans)
    moving = sum(len(plan.in_progress) for plan in plans)
    later = sum(len(plan.later) for plan in plans)
    refused = sum(len(plan.refused) for plan in plans)
    quiet = sum(plan.empty for plan in plans)
    return (
        f"{_count(now, 'action')} now, {later} later, {refused} refused, {moving} in progress; "
        f"{quiet} of {_count(len(plans), 'node')} {'needs' if quiet == 1 else 'need'} nothing"
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"

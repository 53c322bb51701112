"""`nodeeni cleanup`: remove every ENI of a cluster by its tag, for the day when the cluster is gone.

While the cluster is there, the controller does this better: `kubectl delete nodeeni --all` ends with a proof.
So a cluster that still has NodeENIs is refused.
"""

import os
import sys
from argparse import Namespace
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from nodeeni.api import names
from nodeeni.api.v1alpha1 import NodeENI
from nodeeni.cli import reach, reach_ec2, tables
from nodeeni.cli.removal import Removal
from nodeeni.ec2.client import EC2Client
from nodeeni.ec2.region import DEFAULT_REGION, resolve_region
from nodeeni.ec2.types import Interface
from nodeeni.flags import UsageError, parse_duration, typed
from nodeeni.kube.errors import ConfigError, KubeError, NotFound
from nodeeni.kube.resources import NODEENIS
from nodeeni.plan.brake import is_mass, of_interfaces, orphan_removals, some
from nodeeni.plan.observed import Owner
from nodeeni.plan.ownership import is_orphan


def main(arguments: Sequence[str]) -> int:
    """0: nothing is left; 1: something is, or nothing was agreed to; 2: no such cluster, or it is in use."""
    flags = reach.looking_flags(
        "cleanup", "Remove every ENI that carries a cluster's tag, after showing them."
    )
    reach_ec2.add_flags(flags)
    flags.add_argument("--yes", action="store_true", help="do not ask")
    flags.add_argument(
        "--release-hold",
        metavar="ID",
        help="remove also what is attached on many nodes: the id of exactly these ENIs, which is printed "
        "without it; of those without a NodeENI also where the cluster still has NodeENIs",
    )
    flags.add_argument(
        "--timeout",
        type=typed(parse_duration),
        default="10m",
        help="how long to wait for detaching; a detach is never forced (default 10m)",
    )
    flags.add_argument(
        "--interval", type=typed(parse_duration), default="2s", help="how often to look (default 2s)"
    )
    options = flags.parse_args(list(arguments))
    return reach.run("cleanup", _cleanup(options))


async def _cleanup(options: Namespace) -> int:
    region = await resolve_region(options.aws_region, os.environ) or DEFAULT_REGION
    cluster_id = options.cluster_id or os.environ.get("CLUSTER_ID")
    here, nodeenis = await _cluster(options)
    async with EC2Client.connect(region) as ec2:
        if not cluster_id and nodeenis and not options.release_hold:
            raise UsageError(_in_use(n.metadata.name for n in nodeenis.values()))
        cluster_id = cluster_id or here
        if not cluster_id:
            print("nodeeni cleanup: no cluster answers: name it with --cluster-id", file=sys.stderr)
            await _show_clusters(ec2)
            return 2
        tagged = await _interfaces(ec2, {f"tag:{names.TAG_CLUSTER}": [cluster_id]})
        found = _removable(options, tagged, nodeenis)
        _show(options, found)
        if not found:
            print(f"nodeeni cleanup: no ENI carries the tag of cluster {cluster_id}", file=sys.stderr)
            await _show_clusters(ec2)
            return 0
        if not _agreed(options, cluster_id, found):
            print("nodeeni cleanup: nothing was removed", file=sys.stderr)
            return 1
        tell = _told if options.output == "table" else _untold
        left = await Removal(ec2, tell, options.interval).run(found, options.timeout)
    for eni_id, reason in sorted(left.items()):
        print(f"nodeeni cleanup: {eni_id} is left: {reason}", file=sys.stderr)
    return 1 if left else 0


async def _cluster(options: Namespace) -> tuple[str | None, dict[str, NodeENI]]:
    """Id and NodeENIs, by uid, of the cluster that the kubeconfig names; None and none where none answers."""
    try:
        async with reach.cluster_client(options) as client:
            cluster_id = await reach_ec2.cluster_id(options, client)
            try:
                found, _ = await client.list(NODEENIS, NodeENI)
            except NotFound:
                found = []  # the custom resources are gone
    except (ConfigError, KubeError):
        return None, {}
    return cluster_id, {nodeeni.metadata.uid: nodeeni for nodeeni in found}


def _removable(
    options: Namespace, found: Sequence[Interface], nodeenis: Mapping[str, NodeENI]
) -> Sequence[Interface]:
    """All of them, where no NodeENI within reach owns one; else those of the held removal alone. UsageError:
    they are their controller's.
    """
    owners = {uid: Owner(nodeeni.metadata.name, False) for uid, nodeeni in nodeenis.items()}
    listed = {entry.eni_id for nodeeni in nodeenis.values() for entry in nodeeni.status.attachments}
    orphans = [i for i in found if i.id not in listed and is_orphan(i, owners)]
    owned = [i for i in found if i not in orphans]
    if not owned:
        return found
    if options.release_hold:
        holds = {hold.id: hold for hold in orphan_removals(orphans)}
        if options.release_hold not in holds:
            known = ", ".join(f"{each.id} ({each.nodeeni})" for each in holds.values()) or "none"
            raise UsageError(f"no removal {options.release_hold} is held of this cluster; these are: {known}")
        return [i for i in orphans if i.id in holds[options.release_hold].eni_ids]
    uids = [uid for i in owned if (uid := i.tags.get(names.TAG_UID, "")) in owners]
    if nodeenis and (uids or any(i.id in listed for i in owned)):
        raise UsageError(_in_use({owners[uid].name for uid in uids} or {o.name for o in owners.values()}))
    return found


def _in_use(nodeenis: Iterable[str]) -> str:
    return (
        f"the cluster is there and has the NodeENIs {', '.join(sorted(nodeenis))}: "
        "`kubectl delete nodeeni --all` removes their ENIs in order and waits for the proof"
    )


async def _show_clusters(ec2: EC2Client) -> None:
    tagged = await _interfaces(ec2, {"tag-key": [names.TAG_CLUSTER]})
    counts = Counter(interface.tags[names.TAG_CLUSTER] for interface in tagged)
    if counts:
        tables.print_table(
            tables.console(), ["Cluster id", "ENIs"], [[i, str(n)] for i, n in sorted(counts.items())]
        )


async def _interfaces(ec2: EC2Client, filters: dict[str, list[str]]) -> list[Interface]:
    return [interface async for page in ec2.describe_interfaces(filters) for interface in page]


def _show(options: Namespace, found: Sequence[Interface]) -> None:
    if options.output in tables.DATA:
        tables.print_data(options.output, {"interfaces": found})
        return
    rows = [
        [
            interface.id,
            interface.status,
            interface.tags.get(names.TAG_NODEENI, ""),
            interface.tags.get(names.TAG_NODE, ""),
            interface.attachment.instance_id if interface.attachment else "",
        ]
        for interface in sorted(found, key=lambda i: (i.tags.get(names.TAG_NODE, ""), i.id))
    ]
    if rows:
        tables.print_table(tables.console(), ["ENI", "Status", "NodeENI", "Node", "Instance"], rows)


def _agreed(options: Namespace, cluster_id: str, found: Sequence[Interface]) -> bool:
    """What is attached on many nodes may well be at work: of that the word is its own id."""
    hold, word, of = of_interfaces(found), cluster_id, "the cluster id"
    if is_mass(len(hold.nodes), hold.having):
        if options.release_hold == hold.id:
            return True
        word, of = hold.id, f"the id {hold.id} of this removal"
        print(
            f"nodeeni cleanup: {len(hold.eni_ids)} of them are attached, on {len(hold.nodes)} nodes "
            f"({some(hold.nodes)}): make sure that nobody uses them",
            file=sys.stderr,
        )
        if options.yes or not sys.stdin.isatty():
            print(f"nodeeni cleanup: add --release-hold {hold.id} to remove them", file=sys.stderr)
            return False
    elif options.yes:
        return True
    if not sys.stdin.isatty():
        print("nodeeni cleanup: add --yes to remove them", file=sys.stderr)
        return False
    these = "this ENI" if len(found) == 1 else f"these {len(found)} ENIs"
    return input(f"Type {of} to remove {these}: ").strip() == word


def _told(text: str) -> None:
    print(text)


def _untold(text: str) -> None:
    """In JSON, what was found is the whole answer."""

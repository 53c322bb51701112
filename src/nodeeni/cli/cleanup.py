"""`nodeeni cleanup`: remove every ENI of a cluster by its tag, for the day when the cluster is gone.

While the cluster is there, the controller does this better: `kubectl delete nodeeni --all` ends with a proof.
So a cluster that still has NodeENIs is refused.
"""

import os
import sys
from argparse import Namespace
from collections import Counter
from collections.abc import Iterable, Sequence

from nodeeni.api import names
from nodeeni.api.v1alpha1 import NodeENI
from nodeeni.cli import reach, reach_ec2, tables
from nodeeni.cli.removal import Removal
from nodeeni.ec2.client import EC2Client
from nodeeni.ec2.region import DEFAULT_REGION, resolve_region
from nodeeni.ec2.types import Interface
from nodeeni.flags import UsageError, parse_duration, typed
from nodeeni.kube.client import KubeClient
from nodeeni.kube.errors import ConfigError, KubeError, NotFound
from nodeeni.kube.resources import NODEENIS


def main(arguments: Sequence[str]) -> int:
    """0: nothing is left; 1: something is, or nothing was agreed to; 2: no such cluster, or it is in use."""
    flags = reach.looking_flags(
        "cleanup", "Remove every ENI that carries a cluster's tag, after showing them."
    )
    reach_ec2.add_flags(flags)
    flags.add_argument("--yes", action="store_true", help="do not ask")
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
    async with EC2Client.connect(region) as ec2:
        if not cluster_id:
            cluster_id = await _unused_cluster(options)
        if not cluster_id:
            print("nodeeni cleanup: no cluster answers: name it with --cluster-id", file=sys.stderr)
            await _show_clusters(ec2)
            return 2
        found = await _interfaces(ec2, {f"tag:{names.TAG_CLUSTER}": [cluster_id]})
        await _refuse_owned(options, found)
        _show(options, found)
        if not found:
            print(f"nodeeni cleanup: no ENI carries the tag of cluster {cluster_id}", file=sys.stderr)
            await _show_clusters(ec2)
            return 0
        if not options.yes and not _agreed(cluster_id, len(found)):
            print("nodeeni cleanup: nothing was removed", file=sys.stderr)
            return 1
        tell = _told if options.output == "table" else _untold
        left = await Removal(ec2, tell, options.interval).run(found, options.timeout)
    for eni_id, reason in sorted(left.items()):
        print(f"nodeeni cleanup: {eni_id} is left: {reason}", file=sys.stderr)
    return 1 if left else 0


async def _unused_cluster(options: Namespace) -> str | None:
    """The id of the cluster that the kubeconfig names; None when none answers. UsageError when it is used."""
    try:
        async with reach.cluster_client(options) as client:
            cluster_id = await reach_ec2.cluster_id(options, client)
            nodeenis = await _nodeenis(client)
    except (ConfigError, KubeError):
        return None
    if nodeenis:
        raise UsageError(_in_use(nodeenis.values()))
    return cluster_id


async def _refuse_owned(options: Namespace, found: Sequence[Interface]) -> None:
    """However the cluster was named: ENIs whose NodeENI still exists within reach are its controller's."""
    try:
        async with reach.cluster_client(options) as client:
            nodeenis = await _nodeenis(client)
    except (ConfigError, KubeError):
        return
    owners = {nodeenis[uid] for i in found if (uid := i.tags.get(names.TAG_UID, "")) in nodeenis}
    if owners:
        raise UsageError(_in_use(owners))


async def _nodeenis(client: KubeClient) -> dict[str, str]:
    """Uid → name."""
    try:
        found, _ = await client.list(NODEENIS, NodeENI)
    except NotFound:
        return {}  # the custom resources are gone
    return {nodeeni.metadata.uid: nodeeni.metadata.name for nodeeni in found}


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
    if options.output == "json":
        tables.print_json({"interfaces": found})
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


def _agreed(cluster_id: str, count: int) -> bool:
    if not sys.stdin.isatty():
        print("nodeeni cleanup: add --yes to remove them", file=sys.stderr)
        return False
    answer = input(f"Type the cluster id to remove {'this ENI' if count == 1 else f'these {count} ENIs'}: ")
    return answer.strip() == cluster_id


def _told(text: str) -> None:
    print(text)


def _untold(text: str) -> None:
    """In JSON, what was found is the whole answer."""

"""Flags in, everything read once and printed, or kept on the screen: `--watch`.

It reads and never writes, so view permissions are enough; what may not be read is left out.
"""

import datetime
from argparse import Namespace
from collections.abc import Sequence

from nodeeni.api.core import Node
from nodeeni.api.names import GROUP
from nodeeni.api.v1alpha1 import ENINode, NodeENI
from nodeeni.cli import reach, tables
from nodeeni.cli.leader import leader
from nodeeni.cli.status.picture import Picture, pictured
from nodeeni.cli.status.shown import as_json, show
from nodeeni.cli.status.watch import watch
from nodeeni.flags import UsageError
from nodeeni.kube.client import KubeClient
from nodeeni.kube.errors import Forbidden
from nodeeni.kube.resources import ENINODES, NODEENIS, NODES


def main(arguments: Sequence[str]) -> int:
    """0: shown, whatever it shows; 1: cannot be read, or there is nothing of that name."""
    flags = reach.looking_flags(
        "status",
        "Show what each node has and what is wrong: what is wrong first.",
        names="those of the NodeENIs",
    )
    flags.add_argument("name", nargs="?", help="a NodeENI or a node: show that alone")
    flags.add_argument("--all", action="store_true", help="a line for each node, also above 20 of them")
    flags.add_argument("-w", "--watch", action="store_true", help="keep it current until Ctrl-C")
    options = flags.parse_args(list(arguments))
    if options.watch and options.output != "table":
        raise UsageError(f"--watch is for people: without -o {options.output}")
    return reach.run("status", _watched(options) if options.watch else _once(options))


async def _once(options: Namespace) -> int:
    async with reach.cluster_client(options) as client:
        picture = await _read(client, options.name)
    if options.output in tables.DATA:
        tables.print_data(options.output, as_json(picture))
    elif options.output == "name":
        for nodeeni in picture.nodeenis:
            print(f"nodeeni.{GROUP}/{nodeeni.metadata.name}")  # as kubectl has it
    else:
        show(tables.console(), picture, unfolded=options.all)
    return 0


async def _watched(options: Namespace) -> int:
    async with reach.cluster_client(options) as client:
        await _read(client, options.name)  # what cannot be read, or is not there, ends it at once
        await watch(client, options.name, tables.console())
    return 0


async def _read(client: KubeClient, name: str | None) -> Picture:
    nodeenis, _ = await client.list(NODEENIS, NodeENI)
    eninodes, _ = await client.list(ENINODES, ENINode)
    nodes = await _nodes(client)
    now = datetime.datetime.now(datetime.UTC)
    picture = pictured(nodeenis, eninodes, nodes, await leader(client), now, name)
    if name and picture.is_empty:
        raise reach.NotThere(f"no NodeENI and no node with an ENI has the name {name}")
    return picture


async def _nodes(client: KubeClient) -> Sequence[Node] | None:
    """None without the permission to list them."""
    try:
        nodes, _ = await client.list(NODES, Node)
    except Forbidden:
        return None
    return nodes

"""Flags in, the cluster and EC2 read once, one page out. Nothing is changed."""

from argparse import Namespace
from collections.abc import Sequence

from nodeeni.cli import reach, reach_ec2, tables
from nodeeni.cli.explain.page import Explanation, Reader
from nodeeni.cli.explain.shown import show
from nodeeni.cli.explain.subject import subject
from nodeeni.controller.planning import Planning, read_cluster
from nodeeni.ec2.client import EC2Client
from nodeeni.ec2.errors import EC2Error


def main(arguments: Sequence[str]) -> int:
    """0: explained, whatever there is; 1: cannot be read, or there is nothing of that name."""
    flags = reach.looking_flags("explain", "Tell why a node, a NodeENI or an ENI is as it is.")
    reach_ec2.add_flags(flags)
    reach_ec2.add_former_ids(flags)
    flags.add_argument(
        "name", metavar="NAME", help="a node, a NodeENI or eni-…; node/NAME or nodeeni/NAME if it is both"
    )
    options = flags.parse_args(list(arguments))
    return reach.run("explain", _explain(options))


async def _explain(options: Namespace) -> int:
    page = await _page(options)
    if options.output in tables.DATA:
        tables.print_data(options.output, page)
    else:
        show(tables.console(), page)
    return 0


async def _page(options: Namespace) -> Explanation:
    """Who has no credentials for EC2 reads what the cluster tells."""
    settings = reach_ec2.settings(options)
    async with reach.cluster_client(options) as client:
        cluster = await read_cluster(client)
        about = subject(options.name, cluster)
        region = await reach_ec2.region(options, cluster)
        cluster_id = await reach_ec2.cluster_id(options, client)
        async with EC2Client.connect(region) as ec2:
            planning = Planning(ec2, cluster, settings, cluster_id)
            try:
                await planning.read()
            except EC2Error as error:
                unread = [f"EC2: {error}: what follows is what the cluster tells; `nodeeni doctor`"]
                return await Reader(client, cluster, None, unread).page(about)
            else:
                return await Reader(client, cluster, planning, []).page(about)
            finally:
                await planning.close()

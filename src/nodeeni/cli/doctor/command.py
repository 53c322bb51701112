"""Flags in, checks made in the order in which one needs the other, exit status out."""

import datetime
from argparse import Namespace
from collections.abc import AsyncIterator, Sequence

from nodeeni.cli import reach, reach_ec2, tables
from nodeeni.cli.doctor import (
    deletions,
    detours,
    ec2,
    holds,
    kubernetes,
    leftovers,
    links,
    neighbours,
    pods,
    taints,
    tracking,
)
from nodeeni.cli.findings import Finding, Mark, right, wrong
from nodeeni.cli.leader import leader
from nodeeni.controller.cluster import Cluster
from nodeeni.controller.evidence import Evidence
from nodeeni.ec2.client import EC2Client
from nodeeni.ec2.denials import Denial
from nodeeni.ec2.errors import EC2Error
from nodeeni.kube.client import KubeClient
from nodeeni.kube.errors import ConfigError, KubeError, NotFound
from nodeeni.settings import Settings


def main(arguments: Sequence[str]) -> int:
    """0: nothing is wrong; 1: something is, and the line says what to do."""
    flags = reach.looking_flags(
        "doctor",
        "Check what the controller needs, and look for what is left behind. Changes nothing. It asks as the "
        "user of this command; for the controller's own permissions run it in its pod: kubectl -n "
        "eni-controller-system exec deploy/eni-controller -- nodeeni doctor",
    )
    reach_ec2.add_flags(flags)
    reach_ec2.add_former_ids(flags)
    flags.add_argument(
        "--startup-taint",
        metavar="KEY",
        help="key of the controller's startup taint (default: as STARTUP_TAINT has it)",
    )
    flags.add_argument(
        "--denials",
        action="store_true",
        help="print EC2's encoded message of each refusal by IAM, with the command that decodes it",
    )
    return reach.run("doctor", _doctor(flags.parse_args(list(arguments))))


async def _doctor(options: Namespace) -> int:
    console = tables.console()
    found = []
    async for finding in _checks(options):
        found.append(finding)
        if options.output == "table":
            tables.print_finding(console, finding.mark, finding.subject, finding.message)
    if options.output in tables.DATA:
        tables.print_data(
            options.output,
            [{"check": f.subject, "result": f.mark.name.lower(), "message": f.message} for f in found],
        )
    return 1 if any(finding.mark is Mark.WRONG for finding in found) else 0


async def _checks(options: Namespace) -> AsyncIterator[Finding]:
    """Ends early where the rest cannot be asked."""
    try:
        client = KubeClient.connect(options.kubeconfig, context=options.context)
    except ConfigError as error:
        yield wrong("kubeconfig", str(error))
        return
    try:
        async for finding in _checks_of_cluster(options, client):
            yield finding
    except KubeError as error:
        yield wrong("API server", str(error))
    except EC2Error as error:
        yield wrong("EC2", error.explanation)
    finally:
        await client.close()


async def _checks_of_cluster(options: Namespace, client: KubeClient) -> AsyncIterator[Finding]:
    reached = await kubernetes.reached(client)
    yield reached
    if reached.mark is Mark.WRONG:
        return
    async for finding in kubernetes.definitions(client):
        yield finding
    settings = reach_ec2.settings(options)
    yield await kubernetes.permissions(client, settings)
    yield await leader(client)
    cluster = await _read(client)
    for finding in deletions.findings(cluster.nodeenis.store.values(), datetime.datetime.now(datetime.UTC)):
        yield finding
    for finding in holds.findings(cluster.nodeenis.store.values()):
        yield finding
    for finding in links.findings(cluster.eninodes.store.values()):
        yield finding
    for finding in pods.findings(cluster.eninodes.store.values()):
        yield finding
    async for finding in detours.findings(client, cluster.eninodes.store.values()):
        yield finding
    for finding in taints.findings(cluster, settings.startup_taint):
        yield finding
    async for finding in neighbours.findings(client, cluster):
        yield finding
    async for finding in _checks_of_ec2(options, settings, client, cluster):
        yield finding


async def _read(client: KubeClient) -> Cluster:
    """As far as it is there: without their definitions there are no NodeENIs, and ENIs may be left all the
    same. Raises KubeError."""
    cluster = Cluster(client)
    for informer in cluster.informers:
        try:
            await informer.read_once()
        except NotFound:
            continue
    return cluster


async def _checks_of_ec2(
    options: Namespace, settings: Settings, client: KubeClient, cluster: Cluster
) -> AsyncIterator[Finding]:
    cluster_id = await reach_ec2.cluster_id(options, client)
    yield right("cluster id", cluster_id)
    region = await reach_ec2.region(options, cluster)
    found_of_credentials, arn = await ec2.credentials(region)
    for finding in found_of_credentials:
        yield finding
    if not arn:
        return
    async with EC2Client.connect(region) as connection:
        denials: list[Denial] = []
        async for finding in ec2.reads(connection, cluster, arn, denials):
            yield finding
        if not denials:
            former_ids = settings.former_cluster_ids or ()
            found = await leftovers.find(connection, cluster, Evidence(cluster, cluster_id, former_ids))
            async for finding in ec2.writes(connection, cluster, found.ours, cluster_id, arn, denials):
                yield finding
            for finding in leftovers.findings(found, cluster, cluster_id):
                yield finding
            async for finding in tracking.findings(connection, cluster):
                yield finding
        if options.denials:
            for finding in ec2.decodings(denials):
                yield finding

"""Interfaces in EC2 that look like ours: owned, orphaned, of an older version, of another cluster.

They are only told of. What carries our cluster tag is the controller's to sweep; what carries none is for a
person to judge.
"""

from collections.abc import Iterator, Sequence

import msgspec

from nodeeni.api import names
from nodeeni.cli.findings import Finding, counted, note, right, some, wrong
from nodeeni.controller.cluster import Cluster
from nodeeni.ec2.client import EC2Client
from nodeeni.ec2.types import Interface
from nodeeni.plan.brake import held_orphans


class Found(msgspec.Struct, frozen=True):
    """By what their tags say."""

    ours: list[Interface]
    untagged: list[Interface]  # managed by us, of no cluster: made by v1.x, or the tag was taken off
    others: list[Interface]  # of other clusters


async def find(ec2: EC2Client, cluster_id: str) -> Found:
    """Raises EC2Error."""
    found = Found([], [], [])
    async for page in ec2.describe_interfaces({f"tag:{names.TAG_MANAGED_BY}": [names.CONTROLLER]}):
        for interface in page:
            owner = interface.tags.get(names.TAG_CLUSTER)
            if owner is None:
                found.untagged.append(interface)
            else:
                (found.ours if owner == cluster_id else found.others).append(interface)
    return found


def findings(found: Found, cluster: Cluster, cluster_id: str) -> Iterator[Finding]:
    owners = cluster.owners()
    orphans = [i for i in found.ours if i.tags.get(names.TAG_UID) not in owners]
    free = [i for i in found.ours if i.status == "available" and i not in orphans]
    yield right("ENIs of this cluster", f"{counted(len(found.ours), 'ENI')} by cluster tag")
    for hold in held_orphans(orphans):
        yield wrong("ENIs without a NodeENI", f"{hold.reason}: {hold.told.message}")
    held = {eni_id for hold in held_orphans(orphans) for eni_id in hold.eni_ids}
    orphans = [interface for interface in orphans if interface.id not in held]
    if orphans:
        yield wrong(
            "ENIs without a NodeENI",
            f"{_listed(orphans)}: a running controller removes them after its grace period; without one "
            f"{_way_out(orphans, found, cluster_id)}",
        )
    if free:
        yield note("ENIs not attached", f"{_listed(free)}: `nodeeni plan` tells what is going to happen")
    yield from _of_no_cluster(found.untagged, cluster)
    if found.others:
        clusters = sorted({i.tags[names.TAG_CLUSTER] for i in found.others})
        yield note(
            "ENIs of other clusters", f"{counted(len(found.others), 'ENI')} of {some(clusters)}: left alone"
        )


def _way_out(orphans: Sequence[Interface], found: Found, cluster_id: str) -> str:
    """`nodeeni cleanup` takes all of a cluster, so it refuses where a NodeENI owns any of it."""
    if all(interface.attachment is None for interface in orphans):
        return "delete them with `aws ec2 delete-network-interface`"
    if len(orphans) == len(found.ours):
        return f"`nodeeni cleanup --cluster-id {cluster_id}` detaches and deletes them"
    return (
        "`aws ec2 detach-network-interface` comes first, then `aws ec2 delete-network-interface`, for "
        "`nodeeni cleanup` refuses while NodeENIs own other ENIs"
    )


def _of_no_cluster(untagged: Sequence[Interface], cluster: Cluster) -> Iterator[Finding]:
    named = {
        entry.eni_id for nodeeni in cluster.nodeenis.store.values() for entry in nodeeni.status.attachments
    }
    bereft = [i for i in untagged if i.tags.get(names.TAG_UID) in cluster.owners()]
    adoptable = [i for i in untagged if i.id in named and i not in bereft]
    unknown = [i for i in untagged if i.id not in named and i not in bereft]
    if bereft:
        yield note(
            "ENIs without their cluster tag",
            f"{_listed(bereft)}: of this cluster by their uid; the controller tags them again where a "
            f"NodeENI's status names them, else do so by hand: {names.TAG_CLUSTER}",
        )
    if adoptable:
        yield note(
            "ENIs of v1.x", f"{_listed(adoptable)}: in a NodeENI's status, so the controller takes them over"
        )
    if unknown:
        yield note(
            "ENIs of v1.x",
            f"{_listed(unknown)}: without a cluster tag and in no NodeENI's status; another cluster may use "
            "them, so they are left alone: if none does, `nodeeni adopt ENI NODEENI` takes one over, or "
            "delete them by hand",
        )


def _listed(interfaces: Sequence[Interface]) -> str:
    told = [f"{i.id} ({i.tags.get(names.TAG_NODEENI, '?')}, {i.status})" for i in interfaces]
    return some(sorted(told))

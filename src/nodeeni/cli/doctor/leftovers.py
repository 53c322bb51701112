"""Interfaces in EC2 that look like ours: owned, orphaned, of an older version, of another cluster.

They are only told of. Whose they are is the controller's own verdict (`plan/ownership.py`); what is nobody's
by it is for a person to judge.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import msgspec

from nodeeni.api import names
from nodeeni.cli.findings import Finding, counted, note, right, some, wrong
from nodeeni.controller.cluster import Cluster
from nodeeni.controller.evidence import Evidence
from nodeeni.ec2.client import EC2Client
from nodeeni.ec2.types import Interface
from nodeeni.plan.brake import held_orphans, orphan_removals
from nodeeni.plan.other_ids import carries
from nodeeni.plan.ownership import Verdict, is_doubtful


class Found(msgspec.Struct, frozen=True):
    """By the controller's verdict."""

    ours: list[Interface] = []
    bereft: list[Interface] = []  # ours, without their cluster tag
    of_other_ids: list[Interface] = []  # of NodeENIs of ours, with another cluster's id
    untagged: list[Interface] = []  # managed by us, of no cluster: made by v1.x, as a rule
    others: list[Interface] = []  # of other clusters


async def find(ec2: EC2Client, cluster: Cluster, evidence: Evidence) -> Found:
    """What carries the tag of whoever made it, or the uid of a NodeENI. Raises EC2Error."""
    by_id: dict[str, Interface] = {}
    filters = {names.TAG_MANAGED_BY: [names.CONTROLLER], names.TAG_UID: sorted(cluster.owners())}
    for tag, values in filters.items():
        if values:
            async for page in ec2.describe_interfaces({f"tag:{tag}": values}):
                by_id.update((interface.id, interface) for interface in page)
    found = Found()
    for interface in by_id.values():
        _kept_as(found, interface, evidence.verdict(interface, known=False)).append(interface)
    return found


def _kept_as(found: Found, interface: Interface, verdict: Verdict) -> list[Interface]:
    match verdict:
        case Verdict.OURS:
            return found.ours
        case Verdict.BEREFT:
            return found.bereft
        case Verdict.OF_OTHER_ID:
            return found.of_other_ids
        case Verdict.NOT_OURS:
            return found.others if interface.tags.get(names.TAG_CLUSTER) else found.untagged


def findings(found: Found, cluster: Cluster, cluster_id: str) -> Iterator[Finding]:
    owners = cluster.owners()
    whose = {interface.id: cluster.owner_of(interface) for interface in found.ours}
    orphans = [i for i in found.ours if whose[i.id] and whose[i.id] not in owners]
    of_nobody = [i for i in found.ours if not whose[i.id]]
    odd = [i for i in found.ours if whose[i.id] in owners and _is_odd(i, cluster, cluster_id)]
    free = [i for i in found.ours if i.status == "available" and i not in orphans]
    yield right("ENIs of this cluster", f"{counted(len(found.ours), 'ENI')} by cluster tag")
    for hold in held_orphans(orphans):
        yield wrong("ENIs without a NodeENI", f"{hold.reason}: {hold.told.message}")
    held = {eni_id for hold in held_orphans(orphans) for eni_id in hold.eni_ids}
    orphans = [interface for interface in orphans if interface.id not in held]
    if orphans:
        yield wrong(
            "ENIs without a NodeENI",
            f"{_listed(orphans)}: a running controller removes them after its grace period, unless it holds "
            f"them; without one {_way_out(orphans, found, cluster_id)}",
        )
    if free:
        yield note("ENIs not attached", f"{_listed(free)}: `nodeeni plan` tells what is going to happen")
    if of_nobody:
        yield note(
            "ENIs of no known NodeENI",
            f"{_listed(of_nobody)}: of this cluster, and no tag tells whose: left alone; delete them "
            f"by hand, or set the tag {names.TAG_UID}",
        )
    if odd:
        yield note(
            "ENIs to be tagged anew",
            f"{_listed(odd)}: a former cluster's id, or tags that name another NodeENI or node than the one "
            "that has them: the controller puts them right, and `nodeeni plan` tells how",
        )
    yield from _with_other_ids(found.of_other_ids, cluster_id)
    if found.bereft:
        yield note(
            "ENIs without their cluster tag",
            f"{_listed(found.bereft)}: of this cluster by their uid; the controller tags them again, at the "
            "latest when it starts",
        )
    yield from _of_no_cluster(found.untagged, cluster)
    if found.others:
        clusters = sorted({i.tags[names.TAG_CLUSTER] for i in found.others})
        yield note(
            "ENIs of other clusters", f"{counted(len(found.others), 'ENI')} of {some(clusters)}: left alone"
        )


def _is_odd(interface: Interface, cluster: Cluster, cluster_id: str) -> bool:
    tags = interface.tags
    return (
        tags[names.TAG_CLUSTER] != cluster_id
        or is_doubtful(interface, cluster.owners())
        or tags.get(names.TAG_NODE) != cluster.node_of(interface)
    )


def _with_other_ids(found: Sequence[Interface], cluster_id: str) -> Iterator[Finding]:
    by_id = defaultdict(list)
    for interface in found:
        by_id[interface.tags[names.TAG_CLUSTER]].append(interface)
    for other, interfaces in sorted(by_id.items()):
        yield wrong(
            "ENIs with another cluster's id",
            f"{_listed(interfaces)}: of NodeENIs of this cluster; each {carries(other, cluster_id)}",
        )


def _way_out(orphans: Sequence[Interface], found: Found, cluster_id: str) -> str:
    """`nodeeni cleanup` takes all of a cluster, or what is attached of a NodeENI that is gone, by its id."""
    if all(interface.attachment is None for interface in orphans):
        return "delete them with `aws ec2 delete-network-interface`"
    if len(orphans) == len(found.ours):
        return f"`nodeeni cleanup --cluster-id {cluster_id}` detaches and deletes them"
    commands = " and ".join(f"`{removal.release}`" for removal in orphan_removals(orphans))
    return f"{commands} detaches and deletes what is attached"


def _of_no_cluster(untagged: Sequence[Interface], cluster: Cluster) -> Iterator[Finding]:
    named = {
        entry.eni_id for nodeeni in cluster.nodeenis.store.values() for entry in nodeeni.status.attachments
    }
    adoptable = [i for i in untagged if i.id in named]
    unknown = [i for i in untagged if i.id not in named]
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

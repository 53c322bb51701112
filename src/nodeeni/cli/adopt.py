"""`nodeeni adopt`: take over an ENI of v1.x that no NodeENI's status names, on a person's word.

The controller adopts by itself what a status names. Here the person says what the status does not; all
else is the controller's own decision (`controller/planning.py`), and what is done is its own tagging.
"""

import re
from argparse import ArgumentTypeError, Namespace
from collections.abc import Sequence

from nodeeni.api import names
from nodeeni.api.v1alpha1 import NodeENI
from nodeeni.cli import reach, reach_ec2, tables
from nodeeni.controller.cluster import Cluster
from nodeeni.controller.planning import Planning, read_cluster
from nodeeni.ec2.client import EC2Client
from nodeeni.ec2.types import Interface
from nodeeni.plan.actions import SetTags
from nodeeni.plan.plan import Plan


def main(arguments: Sequence[str]) -> int:
    """0: it is this cluster's now, or was already; 1: it cannot be adopted, and why; 2: a wrong flag."""
    flags = reach.looking_flags(
        "adopt", "Take over an ENI that v1.x made for a NodeENI and wrote into no status, by tagging it."
    )
    reach_ec2.add_flags(flags)
    reach_ec2.add_former_ids(flags)
    flags.add_argument("--dry-run", action="store_true", help="show which tags it would get, and set none")
    flags.add_argument("eni", metavar="ENI", type=_eni_id, help="id of the ENI, eni-...")
    flags.add_argument("nodeeni", metavar="NODEENI", help="name of the NodeENI that it was made for")
    options = flags.parse_args(list(arguments))
    return reach.run("adopt", _adopt(options))


def _eni_id(text: str) -> str:
    if not re.fullmatch(r"eni-([0-9a-f]{8}|[0-9a-f]{17})", text):
        raise ArgumentTypeError(f"{text!r} is no ENI's id: eni- and 8 or 17 hexadecimal digits")
    return text


async def _adopt(options: Namespace) -> int:
    async with reach.cluster_client(options) as client:
        cluster = await read_cluster(client)
        nodeeni = cluster.nodeenis.store.get(options.nodeeni)
        if nodeeni is None:
            raise reach.NotThere(f"there is no NodeENI {options.nodeeni}")
        cluster_id = await reach_ec2.cluster_id(options, client)
        async with EC2Client.connect(await reach_ec2.region(options, cluster)) as ec2:
            interface = await _interface(ec2, options.eni)
            if _is_ours(interface, cluster_id, nodeeni):
                _tell(options, f"{interface.id} is of NodeENI {options.nodeeni} already: nothing to do", {})
                return 0
            node = _node_of(interface, nodeeni, cluster)
            planning = Planning(ec2, cluster, reach_ec2.settings(options), cluster_id)
            planning.suppose_named(nodeeni, node, interface)
            try:
                await planning.read()
                action = _decided(await planning.plan(node), interface, nodeeni)
            finally:
                await planning.close()
            if not options.dry_run:
                await ec2.create_tags([interface.id], action.tags)
    _tell(options, _outcome(options, node), action.tags)
    return 0


async def _interface(ec2: EC2Client, eni_id: str) -> Interface:
    async for page in ec2.describe_interfaces({"network-interface-id": [eni_id]}):
        for interface in page:
            return interface
    raise reach.NotThere(f"EC2 has no {eni_id} in this account and region (--aws-region)")


def _is_ours(interface: Interface, cluster_id: str, nodeeni: NodeENI) -> bool:
    tags = interface.tags
    return tags.get(names.TAG_CLUSTER) == cluster_id and tags.get(names.TAG_UID) == nodeeni.metadata.uid


def _node_of(interface: Interface, nodeeni: NodeENI, cluster: Cluster) -> str:
    """The name of its Node. Refused, with the way out, where the ENI is not one of v1.x for `nodeeni`."""
    tags, wanted = interface.tags, nodeeni.metadata.name
    if names.TAG_CLUSTER in tags:
        raise reach.Refused(
            f"{interface.id} carries the tag {names.TAG_CLUSTER}={tags[names.TAG_CLUSTER]}, so another "
            f"cluster or NodeENI has it: where none does, take that tag off first"
        )
    if tags.get(names.TAG_MANAGED_BY) != names.CONTROLLER:
        raise reach.Refused(
            f"{interface.id} has no tag {names.TAG_MANAGED_BY}={names.CONTROLLER}: v1.x did not make it, and "
            "what somebody else made is not taken over"
        )
    if tags.get(names.TAG_NODEENI) != wanted:
        raise reach.Refused(
            f"{interface.id} was made for NodeENI {tags.get(names.TAG_NODEENI, '?')}, not for "
            f"{wanted}: name that one"
        )
    if interface.attachment is None:
        raise reach.Refused(
            f"{interface.id} is attached to nothing, and only what works is taken over: delete it, and "
            f"{wanted} gives each node a new one"
        )
    instance_id = interface.attachment.instance_id
    node = next((name for name, node in cluster.nodes.store.items() if node.instance_id == instance_id), None)
    if node is None:
        raise reach.Refused(
            f"{interface.id} is attached to {instance_id}, which is no node of this cluster: another one may "
            "use it"
        )
    if tags.get(names.TAG_NODE) != node:
        raise reach.Refused(
            f"{interface.id} is attached to node {node}, and its tag Node says {tags.get(names.TAG_NODE)}: "
            f"if {node} is right, put it there first: aws ec2 create-tags --resources {interface.id} --tags "
            f"Key=Node,Value={node}"
        )
    return node


def _decided(plan: Plan, interface: Interface, nodeeni: NodeENI) -> SetTags:
    """The tagging that takes it over. Refused where the controller would not do it, or not keep it."""
    name, node = nodeeni.metadata.name, plan.observed.name
    row = next((row for row in plan.rows if row.interface and row.interface.id == interface.id), None)
    if row is not None and not row.wanted:
        raise reach.Refused(
            f"NodeENI {name} does not want an ENI on node {node} (its selector does not match, or it is "
            f"being deleted): adopted, {interface.id} would be removed at once"
        )
    for action in plan.decision.allowed:
        if isinstance(action, SetTags) and action.eni_id == interface.id:
            return action
    uid = nodeeni.metadata.uid
    reasons = [
        refused.why.message for refused in plan.decision.refused if refused.action.target == interface.id
    ]
    reasons += [f"{r.reason}: {r.message}" for r in plan.refusals if r.uid == uid]
    reasons += [
        f"node {node} has {row.interface.id} of NodeENI {name}, and a node gets one"
        for row in plan.rows
        if row.uid == uid and row.interface is not None and row.interface.id != interface.id
    ]
    raise reach.Refused(f"{interface.id} cannot be adopted: {'; '.join(reasons) or 'the plan has no room'}")


def _outcome(options: Namespace, node: str) -> str:
    if options.dry_run:
        return f"{options.eni} would be adopted for NodeENI {options.nodeeni} on node {node}, with the tags"
    return (
        f"{options.eni} is adopted for NodeENI {options.nodeeni} on node {node}; a controller that runs sees "
        "it at its next resync (--resync-period), one that starts at once. Its new tags"
    )


def _tell(options: Namespace, text: str, tags: dict[str, str]) -> None:
    if options.output in tables.DATA:
        tables.print_data(
            options.output,
            {"eniID": options.eni, "nodeENI": options.nodeeni, "dryRun": options.dry_run, "tags": tags},
        )
        return
    print(text + (":" if tags else ""))
    for key, value in sorted(tags.items()):
        print(f"  {key}={value}")

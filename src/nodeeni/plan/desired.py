"""From NodeENI objects to the interfaces that one node is to have. Pure.

What cannot be had is a `Refusal` with a reason and the way out. A refused NodeENI is still wanted: nothing
that stands is taken down because a name does not resolve today.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from nodeeni.api.core import COMPUTE_TYPE_LABEL
from nodeeni.api.names import TAG_EXTRA, TAG_VALUE_LIMIT, interface_tags
from nodeeni.api.reasons import RowReason
from nodeeni.api.v1alpha1 import LabelRequirement, NodeENI, NodeENISpec
from nodeeni.ec2.addresses import ADDRESS_KINDS, IPV4_PREFIXES, IPV6_ADDRESSES, AddressKind, Counts
from nodeeni.ec2.attributes import (
    ATTRIBUTES,
    CONNECTION_TRACKING,
    DESCRIPTION,
    ENA_EXPRESS,
    ENA_QUEUES,
    GROUPS,
    TrackingOfType,
    Values,
)
from nodeeni.ec2.types import NO_EXPRESS, NO_TRACKING, Instance, InstanceType, Subnet
from nodeeni.plan.ena import cannot, queues
from nodeeni.plan.link import Link, link_of
from nodeeni.plan.network import Groups, Network, candidates, groups_by_vpc
from nodeeni.plan.observed import ENDS, NodeView
from nodeeni.plan.pod_networks import cannot_have_pods, first_of_each_name
from nodeeni.plan.refusal import Refusal, unresolved

DESCRIPTION_LIMIT = 255  # characters, EC2's limit
LEFT_OVER_AFTER = 300.0  # seconds: the cloud controller takes a dead instance's Node away within a minute


class DesiredInterface(msgspec.Struct, frozen=True, kw_only=True):
    """One interface that the node is to have. `subnets` are candidates, the first choice first; `values` are
    those of an interface there, `values_in` those of one in another VPC's. Of kinds
    in `at_least`, more than `counts` says may stay. `beyond_type` is why the type
    of the instance cannot do what `values` say of ENA: none is made, and of one that stands all else is put
    right.
    """

    nodeeni: str
    uid: str
    node: str
    instance_id: str
    subnets: tuple[Subnet, ...]
    values: Values  # of every attribute
    counts: Counts
    at_least: frozenset[AddressKind] = frozenset()
    device_index: int
    next_free: bool
    network_card_index: int
    tags: dict[str, str]
    link: Link
    groups: Groups = msgspec.field(default_factory=dict)  # by VPC of the candidates
    beyond_type: Refusal | None = None
    adopts_launched: bool = False  # an ENI that came with the instance's launch serves, if it fits

    def values_in(self, vpc_id: str) -> Values:
        """Of every attribute, for an interface in that VPC."""
        return {**self.values, GROUPS: self.groups.get(vpc_id, self.values[GROUPS])}


class Selected(msgspec.Struct, frozen=True):
    """A NodeENI that selects the node, as it was when the plan was made."""

    uid: str
    name: str
    generation: int


class Desired(msgspec.Struct, frozen=True, kw_only=True):
    """`selected` are all that select the node. `ending` says, for people, that the node ends: it is to have
    nothing then.

    `links`, by uid: what the refused NodeENIs ask of the link of an interface that stays all the same.

    `unread`: uids of those that are refused since EC2 could not be asked. What they are to have is not known,
    so all that stands of them stays, half made or not.
    """

    interfaces: tuple[DesiredInterface, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    links: dict[str, Link] = msgspec.field(default_factory=dict)
    unread: frozenset[str] = frozenset()
    selected: tuple[Selected, ...] = ()
    ending: str = ""


def matches(spec: NodeENISpec, labels: Mapping[str, str]) -> bool:
    """Whether a node with these labels is selected. An empty selector selects nothing: see the CRD's rule."""
    for key, value in spec.node_selector.items():  # plain loops: an edit is held against all nodes in one go
        if labels.get(key) != value:
            return False
    for requirement in spec.match_expressions:
        if not meets(requirement, labels):
            return False
    return bool(spec.node_selector or spec.match_expressions)


def selects_alike(one: NodeENISpec, other: NodeENISpec) -> bool:
    """Whether the two select the same nodes, whatever their labels are."""
    return one.node_selector == other.node_selector and one.match_expressions == other.match_expressions


def requirements(spec: NodeENISpec) -> list[LabelRequirement]:
    """All that the spec asks of a node's labels, one by one."""
    equal = [LabelRequirement(key=k, operator="In", values=[v]) for k, v in spec.node_selector.items()]
    return [*equal, *spec.match_expressions]


def meets(requirement: LabelRequirement, labels: Mapping[str, str]) -> bool:
    value = labels.get(requirement.key)
    match requirement.operator:
        case "In":
            return value in requirement.values
        case "NotIn":
            return value not in requirement.values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None


def selecting(node: NodeView, nodeenis: Iterable[NodeENI]) -> list[NodeENI]:
    """The NodeENIs that select the node, oldest first: of two that want one index, the older has it."""
    chosen = [n for n in nodeenis if not n.metadata.deleting and matches(n.spec, node.labels)]
    return sorted(chosen, key=lambda n: (n.metadata.creation_timestamp or "", n.metadata.name))


def desired_interfaces(
    node: NodeView,
    instance: Instance | None,
    nodeenis: Sequence[NodeENI],
    networks: Mapping[str, Network | Refusal],
    cluster_id: str,
    dead_for: float = 0.0,
    instance_type: InstanceType | None = None,
    holders: Mapping[str, str] | None = None,
) -> Desired:
    """The interfaces that `nodeenis`, which select the node, give it: none on a node that ends.

    `networks`, by uid: what EC2 has for each, or why it could not be asked. `dead_for`: seconds since the
    instance was first seen to end. `instance_type`: None where it is not known. `holders`: by network of
    pods, the NodeENI that has it on the node.
    """
    selected = tuple(Selected(n.metadata.uid, n.metadata.name, n.metadata.generation) for n in nodeenis)
    ending = _ending(node, instance, dead_for)
    if ending:
        return Desired(selected=selected, ending=ending)
    interfaces, refusals, links, unread = [], [], {}, set()
    networks_of = first_of_each_name(nodeenis, holders or {})
    for nodeeni in nodeenis:
        uid = nodeeni.metadata.uid
        network = networks[uid]
        link = link_of(nodeeni)
        no_pods = cannot_have_pods(nodeeni, node.name, networks_of)
        if no_pods is not None:
            link = msgspec.structs.replace(link, pod_network=None)
        if isinstance(network, Refusal):
            unread.add(uid)
            found: DesiredInterface | Refusal = msgspec.structs.replace(
                network, nodeeni=nodeeni.metadata.name, uid=uid
            )
        else:
            found = no_pods or _interface(node, instance, instance_type, nodeeni, network, cluster_id)
        if isinstance(found, Refusal):
            refusals.append(found)
            links[found.uid] = link
        else:
            interfaces.append(found)
    return Desired(
        interfaces=tuple(interfaces),
        refusals=tuple(refusals),
        links=links,
        unread=frozenset(unread),
        selected=selected,
    )


def _ending(node: NodeView, instance: Instance | None, dead_for: float) -> str:
    """That the node ends, for people; empty: it does not, or ought to have ended long ago."""
    if node.deleting:
        return "its Node is being deleted"
    if node.out_of_service:
        return "its Node is out of service"
    if instance is not None and instance.state in ENDS and dead_for < LEFT_OVER_AFTER:
        return f"its instance {instance.id} is {instance.state}"
    return ""


def _interface(
    node: NodeView,
    instance: Instance | None,
    instance_type: InstanceType | None,
    nodeeni: NodeENI,
    network: Network,
    cluster_id: str,
) -> DesiredInterface | Refusal:
    spec, name, uid = nodeeni.spec, nodeeni.metadata.name, nodeeni.metadata.uid
    if node.provider_id and not node.instance_id:
        return unresolved(
            nodeeni,
            RowReason.NOT_AN_INSTANCE,
            f"it is no EC2 instance: its spec.providerID is {node.provider_id!r} (expected "
            "aws:///ZONE/i-...); if it is one, install the AWS cloud controller (cloud-provider-aws) and "
            "delete the Node, so that it registers anew; else take its label off",
        )
    if not node.instance_id:
        return unresolved(
            nodeeni,
            RowReason.NO_INSTANCE,
            f"node {node.name} has no EC2 instance in spec.providerID yet (expected aws:///ZONE/i-...); "
            "it is set by the cloud controller when the node registers",
        )
    if node.auto_mode or (instance is not None and instance.managed_by):
        return unresolved(nodeeni, RowReason.NOT_PERMITTED, _managed(node, instance))
    if instance is None:
        message = (
            f"EC2 knows no instance {node.instance_id} of node {node.name}: delete the Node if its instance "
            "is gone, else see --aws-region and the account of the controller's credentials"
        )
        return unresolved(nodeeni, RowReason.INSTANCE_NOT_FOUND, message)
    if instance.state in ENDS:
        message = (
            f"instance {instance.id} of node {node.name} has been {instance.state} for over "
            f"{LEFT_OVER_AFTER:g} s, and the Node still stands: kubectl delete node {node.name}"
        )
        return unresolved(nodeeni, RowReason.NODE_LEFT_OVER, message)
    counts = {k: count for k in ADDRESS_KINDS if (count := getattr(spec, k.field)) is not None}
    if spec.gets_prefix_by_default:
        counts[IPV4_PREFIXES] = 1
    subnets = candidates(nodeeni, instance, network)
    if not isinstance(subnets, Refusal):
        subnets = _of_families(nodeeni, subnets, counts)
    if isinstance(subnets, Refusal):
        return subnets
    groups = groups_by_vpc(nodeeni, instance, subnets, network)
    if isinstance(groups, Refusal):
        return groups
    lacking = cannot(spec, instance, instance_type)
    own = interface_tags(
        cluster_id=cluster_id, nodeeni=name, uid=uid, node=node.name, instance_id=instance.id
    )
    return DesiredInterface(
        nodeeni=name,
        uid=uid,
        node=node.name,
        instance_id=instance.id,
        subnets=subnets,
        values={
            **{attribute: getattr(spec, attribute.fields[0]) for attribute in ATTRIBUTES},
            GROUPS: groups[subnets[0].vpc_id],
            DESCRIPTION: spec.description or default_description(name, node.name),
            CONNECTION_TRACKING: _tracking(spec, instance_type),
            ENA_EXPRESS: spec.ena_express or NO_EXPRESS,
            ENA_QUEUES: queues(spec, instance, instance_type),
        },
        counts=counts,
        at_least=frozenset({IPV4_PREFIXES} if spec.gets_prefix_by_default else ()),
        device_index=spec.device_index,
        next_free=spec.device_index_policy == "NextFree",
        network_card_index=spec.network_card_index,
        tags={**spec.tags, **_extra_keys(spec.tags), **own},
        link=link_of(nodeeni),
        groups=groups,
        adopts_launched=spec.adopts_launched,
        beyond_type=unresolved(nodeeni, RowReason.UNSUPPORTED_BY_TYPE, lacking) if lacking else None,
    )


def _managed(node: NodeView, instance: Instance | None) -> str:
    """An instance that an AWS service manages: EC2 refuses every attach and detach of others."""
    if not node.auto_mode and instance is not None:
        return (
            f"instance {instance.id} of node {node.name} is managed by {instance.managed_by}, and nobody "
            "else can attach an ENI to it: take the label off"
        )
    return (
        f"node {node.name} is one of EKS Auto Mode, and nobody can attach an ENI to its instance: exclude "
        f"such nodes by spec.matchExpressions, key {COMPUTE_TYPE_LABEL}, operator NotIn, values [auto]"
    )


def default_description(nodeeni: str, node: str) -> str:
    return f"NodeENI {nodeeni} on node {node}"[:DESCRIPTION_LIMIT]


def _tracking(spec: NodeENISpec, instance_type: InstanceType | None) -> TrackingOfType:
    return TrackingOfType(
        **msgspec.structs.asdict(spec.connection_tracking or NO_TRACKING),
        default=instance_type.tracking if instance_type is not None else NO_TRACKING,
    )


def _extra_keys(tags: dict[str, str]) -> dict[str, str]:
    return {TAG_EXTRA: ",".join(sorted(tags))[:TAG_VALUE_LIMIT]} if tags else {}


def _of_families(
    nodeeni: NodeENI, subnets: tuple[Subnet, ...], counts: Counts
) -> tuple[Subnet, ...] | Refusal:
    """Those that have addresses of the families that the spec asks for."""
    lacks = {subnet: _lacks(nodeeni.spec, subnet, counts) for subnet in subnets}
    fitting = tuple(subnet for subnet, why in lacks.items() if not why)
    if fitting:
        return fitting
    return unresolved(
        nodeeni,
        RowReason.ADDRESS_FAMILY_MISSING,
        "; ".join(f"{subnet.id} {why}" for subnet, why in lacks.items()),
    )


def _lacks(spec: NodeENISpec, subnet: Subnet, counts: Counts) -> str:
    """Why an interface of the subnet cannot be as the spec asks, with the way out; empty: it can."""
    asked = {kind.family: kind for kind, count in counts.items() if count}
    if subnet.ipv6_only and 4 in asked and spec.gets_prefix_by_default:
        return (
            "has IPv6 only: set spec.ipv6PrefixCount for the pods, or name a subnet with an IPv4 CIDR block"
        )
    if subnet.ipv6_only and 4 in asked:
        return f"has IPv6 only: leave out spec.{asked[4]}, or name a subnet with an IPv4 CIDR block"
    if subnet.ipv6_only and counts.get(IPV6_ADDRESSES) == 0:
        return "has IPv6 only, so that an ENI of it needs an address: set spec.ipv6AddressCount to 1 or more"
    if not subnet.cidr or subnet.ipv6_cidr:
        return ""
    if 6 in asked:
        return f"has no IPv6 CIDR block, which spec.{asked[6]} needs: associate one with it"
    if spec.enable_primary_ipv6:
        return "has no IPv6 CIDR block, which spec.enablePrimaryIPv6 needs: associate one with it"
    return ""

"""The NodeENI: what users write, and what is reported to them."""

from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from nodeeni.api.meta import ObjectMeta
from nodeeni.api.names import RELEASE_HOLD
from nodeeni.api.reasons import READY, ConditionReason, ConditionType
from nodeeni.api.v1alpha1.pod_network import LABEL_LIMIT, NodePodNetwork
from nodeeni.api.v1alpha1.schema import Rule, camel_case, schema
from nodeeni.api.v1alpha1.spec import NodeENISpec

*_CONDITIONS, _LAST_CONDITION = ConditionType


class Condition(msgspec.Struct, rename=camel_case, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """One aspect of the object's state, by the rules of Kubernetes conditions."""

    type: Annotated[str, schema(f"{', '.join(_CONDITIONS)} or {_LAST_CONDITION}.")]
    status: Annotated[Literal["True", "False", "Unknown"], schema("Whether the condition holds.")]
    reason: Annotated[str, schema("Why, as one CamelCase word.")]
    message: Annotated[str, schema("Why, in plain words, with the way out.")] = ""
    last_transition_time: Annotated[str, schema("When `status` last changed.", format="date-time")] = ""
    observed_generation: Annotated[int, schema("The generation that this speaks of.", format="int64")] = 0


# What the API server itself says of a NodeENI until a controller does: without it, those who look at
# conditions (Helm, Flux, Argo CD) would take an object that nobody has seen for one that is as it should be.
# Typed clients ask for a time; that of the creation is nothing that a default can know.
PENDING = {
    "type": str(READY),
    "status": "Unknown",
    "reason": str(ConditionReason.PENDING),
    "message": "no controller has looked at it yet: is it running?",
    "lastTransitionTime": "1970-01-01T00:00:00Z",
}


class AttachmentStatus(msgspec.Struct, rename=camel_case, kw_only=True, omit_defaults=True, gc=False):
    """One node's interface, as far as it has come."""

    node_id: Annotated[str, schema("Name of the Node.")]
    instance_id: Annotated[str, schema("EC2 instance of the node.")] = ""
    eni_id: Annotated[str, schema("The ENI, once it exists.")] = ""
    attachment_id: Annotated[str, schema("EC2's id of the attachment.")] = ""
    subnet_id: str = ""
    subnet_cidr: str = ""
    device_index: int | None = None
    network_card_index: int | None = None
    mac_address: str = ""
    private_ip_address: Annotated[str, schema("The primary IPv4 address.")] = ""
    secondary_private_ip_addresses: tuple[str, ...] = ()
    ipv4_prefixes: tuple[str, ...] = ()
    ipv6_addresses: Annotated[tuple[str, ...], schema("A primary one comes first.")] = ()
    ipv6_prefixes: tuple[str, ...] = ()
    mtu: int | None = None
    status: Annotated[str, schema("creating, attaching, attached, detaching, deleting or failed.")] = ""
    reason: Annotated[str, schema("Why it failed, as one CamelCase word.")] = ""
    message: Annotated[str, schema("Why it failed, in plain words, with the way out.")] = ""
    last_updated: Annotated[
        str, schema("Time of the last change, never of the last look.", format="date-time")
    ] = ""


class NodeENIStatus(msgspec.Struct, rename=camel_case, kw_only=True, omit_defaults=True):
    """A report. The record is EC2 itself: wiping this loses nothing."""

    observed_generation: Annotated[int, schema("Generation that this speaks of.", format="int64")] = 0
    desired: Annotated[int, schema("Nodes that match the selector.")] | None = None
    attached: Annotated[int, schema("Nodes whose ENI is attached.")] | None = None
    failed: Annotated[int, schema("Nodes whose ENI cannot be had; `attachments` says why.")] | None = None
    removing: Annotated[int, schema("Nodes whose ENI is being removed; absent: none.")] | None = None
    links_up: (
        Annotated[
            int,
            schema(
                "Attachments whose link is up on the node, with its MTU and name; absent where no ENI "
                "manager reports."
            ),
        ]
        | None
    ) = None
    subnets: Annotated[
        str, schema("The subnets that `spec` names, by id and name, in one line for `kubectl get -o wide`.")
    ] = ""
    conditions: Annotated[
        list[Condition],
        Meta(
            extra_json_schema={
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["type"],
                "default": [PENDING],
            },
        ),
    ] = []
    attachments: Annotated[
        list[AttachmentStatus],
        schema(
            "One entry a node, failed ones first; at most 2,000 of them, and while more nodes than that are "
            "on their way those that changed last."
        ),
    ] = []
    attachments_truncated: Annotated[
        bool, schema("True when `attachments` does not list all; the counts are exact.")
    ] = False


class NodeENIAnnotations(msgspec.Struct, frozen=True):
    """Those that are read."""

    release_hold: str = msgspec.field(name=RELEASE_HOLD, default="")


class NodeENIMeta(ObjectMeta, kw_only=True):
    annotations: NodeENIAnnotations = NodeENIAnnotations()


class NodeENI(msgspec.Struct, kw_only=True):
    """An extra network interface for each node that the selector matches."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.spec.podNetwork) || has(self.spec.podNetwork.name)"
            f" || (size(self.metadata.name) <= {LABEL_LIMIT} && !self.metadata.name.contains('.'))",
            "the NodeENI's name has a dot or over 63 characters, so that it cannot be the network's: set "
            "spec.podNetwork.name to a DNS label",
            "spec.podNetwork.name",
            lambda each: each.pod_network is None or _is_label(each.pod_network.name),
        ),
    )

    metadata: NodeENIMeta
    spec: NodeENISpec
    # Without this default that of the conditions would not reach an object that has no status at all.
    status: Annotated[NodeENIStatus, Meta(extra_json_schema={"default": {}})] = msgspec.field(
        default_factory=NodeENIStatus
    )

    @property
    def link_name(self) -> str:
        """The alternative name of its links."""
        return self.spec.interface_name or self.metadata.name[:127]

    @property
    def pod_network(self) -> NodePodNetwork | None:
        """What its nodes are told of the pods' network, but for the prefixes."""
        asked = self.spec.pod_network
        if asked is None:
            return None
        name = asked.name or self.metadata.name
        return NodePodNetwork(type=asked.type, mode=asked.mode, name=name, routes=asked.routes)


def _is_label(name: str) -> bool:
    """Of the name of a Kubernetes object, which is labels with dots in between."""
    return len(name) <= LABEL_LIMIT and "." not in name

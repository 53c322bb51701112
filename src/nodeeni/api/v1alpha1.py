"""The custom resources NodeENI and ENINode, as users write them and as this program reads them.

One declaration serves both: `crd.py` generates the manifests from these types, and the informers decode
into them. Rules stand in `extra_json_schema`, which msgspec does not enforce while decoding: the API server
refuses bad objects, and an object that was stored before a rule existed must still be readable, or nothing
could ever be cleaned up after it.
"""

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from nodeeni.api.meta import ObjectMeta
from nodeeni.api.names import OWN_TAGS, RELEASE_HOLD
from nodeeni.api.reasons import READY, ConditionReason, ConditionType

ACRONYMS = {"id": "ID", "ids": "IDs", "cidr": "CIDR", "ip": "IP", "pci": "PCI", "dpdk": "DPDK", "eni": "ENI"}
ACRONYMS |= {"ips": "IPs", "ipv4": "IPv4", "ipv6": "IPv6"}


def camel_case(field: str) -> str:
    """`private_ip_address` → `privateIPAddress`: camel case with the acronyms of Kubernetes and EC2."""
    first, *rest = field.split("_")
    return first + "".join(ACRONYMS.get(word, word.capitalize()) for word in rest)


def schema(description: str, **rules: Any) -> Meta:
    """A field's description and its rules, as they stand in the CRD."""
    return Meta(description=description, extra_json_schema=rules)


class Rule(msgspec.Struct, frozen=True):
    """A CEL rule of the object that carries it. `field` is the path that a refusal names.

    `holds` is the same rule in Python, of the decoded object: our image has no interpreter of CEL, and
    `nodeeni plan -f` refuses what the API server would. The tests hold both against the same specs.
    """

    rule: str
    message: str
    field: str
    holds: Callable[[Any], bool]


SubnetID = Annotated[str, Meta(extra_json_schema={"pattern": "^subnet-[0-9a-f]{8,17}$"})]
VpcID = Annotated[str, Meta(extra_json_schema={"pattern": "^vpc-[0-9a-f]{8,17}$"})]
GroupID = Annotated[str, Meta(extra_json_schema={"pattern": "^sg-[0-9a-f]{8,17}$"})]
TagName = Annotated[str, Meta(extra_json_schema={"minLength": 1, "maxLength": 255})]
LabelValue = Annotated[str, Meta(extra_json_schema={"maxLength": 63})]
TagValue = Annotated[str, Meta(extra_json_schema={"maxLength": 256})]

InterfaceName = Annotated[
    str,
    schema(
        "Alternative name (altname) of the link on the node, so that a Multus `master` can be the same on "
        "every instance type and image. Default: the NodeENI's name.",
        minLength=1,
        maxLength=127,
        pattern=r"^[^/\s]+$",
    ),
]


# More than any instance type has today; what a type has is looked at before any call.
_MOST_ADDRESSES = 255


def _count(of: str, more: str = "") -> Meta:
    description = (
        f"How many {of} each ENI has. What is beyond it is given back, the last ones first, also what was "
        f"assigned by hand.{more} Absent: left as they are."
    )
    return schema(description, minimum=0, maximum=_MOST_ADDRESSES)


def _at_most_one(one: str, other: str, family: str) -> Rule:
    first, second = camel_case(one), camel_case(other)
    return Rule(
        f"!has(self.{first}) || self.{first} == 0 || !has(self.{second}) || self.{second} == 0",
        f"at most one of {first} and {second} can be above 0: EC2 makes an ENI with one form of {family}",
        second,
        lambda spec: not (getattr(spec, one) and getattr(spec, other)),
    )


class LabelRequirement(msgspec.Struct, rename=camel_case, frozen=True, omit_defaults=True):
    """One requirement on a node's labels, as in a Kubernetes label selector."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.operator in ['In', 'NotIn'] ? (has(self.values) && size(self.values) > 0)"
            " : (!has(self.values) || size(self.values) == 0)",
            "In and NotIn need at least one value; Exists and DoesNotExist take none",
            "values",
            lambda each: bool(each.values) == (each.operator in ("In", "NotIn")),
        ),
    )

    key: Annotated[str, schema("Label key.", minLength=1, maxLength=317)]
    operator: Annotated[
        Literal["In", "NotIn", "Exists", "DoesNotExist"], schema("How the key relates to the values.")
    ]
    values: Annotated[list[LabelValue], schema("Label values, for In and NotIn.", maxItems=64)] = []


class ConnectionTracking(msgspec.Struct, rename=camel_case, frozen=True, omit_defaults=True):
    """Seconds after which EC2's security groups forget a connection that is idle."""

    tcp_established_timeout: (
        Annotated[
            int,
            schema(
                "Of established TCP connections, in seconds. Absent: the instance type's default, 350 on "
                "Nitro v6 and 432000 (5 days) before.",
                minimum=60,
                maximum=432000,
            ),
        ]
        | None
    ) = None
    udp_stream_timeout: (
        Annotated[
            int,
            schema(
                "Of UDP flows with more than one request and response, in seconds. Absent: the instance "
                "type's default, 180.",
                minimum=60,
                maximum=180,
            ),
        ]
        | None
    ) = None
    udp_timeout: (
        Annotated[
            int,
            schema(
                "Of other UDP flows, in seconds. Absent: the instance type's default, 30.",
                minimum=30,
                maximum=60,
            ),
        ]
        | None
    ) = None


class EnaExpress(msgspec.Struct, rename=camel_case, frozen=True, omit_defaults=True):
    """ENA Express: more bandwidth for one flow, and less delay at the tail, between nodes of one zone."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!self.udp || self.enabled",
            "UDP goes over ENA Express only where enabled is true",
            "udp",
            lambda each: each.enabled or not each.udp,
        ),
    )

    enabled: Annotated[bool, schema("Whether TCP goes over ENA Express.")] = False
    udp: Annotated[bool, schema("Whether UDP does too; only with enabled.")] = False


# EC2 takes powers of 2 alone. More than any network card has today; what a card has is looked at before any
# call.
QUEUE_COUNTS = tuple(2**n for n in range(10))

_OWN_TAG_LIST = ", ".join(f"'{tag}'" for tag in OWN_TAGS)


class NodeENISpec(msgspec.Struct, rename=camel_case, kw_only=True, omit_defaults=True):
    """Which nodes get an interface, and what it is like. Each matching node gets exactly one ENI. A selector,
    a subnet and a security group have to be named. An edit changes the ENIs in place where EC2 can; another
    subnet makes them anew and another device index moves them, one node at a time.
    """

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "size(self.nodeSelector) > 0 || (has(self.matchExpressions) && size(self.matchExpressions) > 0)",
            "an empty selector would seize every node: name at least one label here or in matchExpressions",
            "nodeSelector",
            lambda spec: bool(spec.node_selector or spec.match_expressions),
        ),
        Rule(
            "has(self.subnetID) || has(self.subnetName)"
            " || (has(self.subnetIDs) && size(self.subnetIDs) > 0)"
            " || (has(self.subnetNames) && size(self.subnetNames) > 0)",
            "at least one subnet is needed: set subnetID, subnetIDs, subnetName or subnetNames",
            "subnetID",
            lambda spec: bool(spec.all_subnet_ids or spec.all_subnet_names),
        ),
        Rule(
            "!has(self.vpcID) || has(self.subnetName)"
            " || (has(self.subnetNames) && size(self.subnetNames) > 0)"
            " || (has(self.securityGroupNames) && size(self.securityGroupNames) > 0)",
            "it says where names are looked up: set subnetName, subnetNames or securityGroupNames with it, "
            "or leave it out (a subnet by id may be of any VPC)",
            "vpcID",
            lambda spec: spec.vpc_id is None or bool(spec.all_subnet_names or spec.security_group_names),
        ),
        Rule(
            "(has(self.securityGroupIDs) && size(self.securityGroupIDs) > 0)"
            " || (has(self.securityGroupNames) && size(self.securityGroupNames) > 0)",
            "at least one security group is needed: set securityGroupIDs or securityGroupNames",
            "securityGroupIDs",
            lambda spec: bool(spec.security_group_ids or spec.security_group_names),
        ),
        Rule(
            "(has(self.securityGroupIDs) ? size(self.securityGroupIDs) : 0)"
            " + (has(self.securityGroupNames) ? size(self.securityGroupNames) : 0) <= 16",
            "at most 16 security groups in all, by id and by name together (a limit of EC2)",
            "securityGroupIDs",
            lambda spec: len(spec.security_group_ids) + len(spec.security_group_names) <= 16,
        ),
        Rule(
            f"!has(self.tags) || self.tags.all(k, !k.startsWith('aws:') && !(k in [{_OWN_TAG_LIST}]))",
            "keys that begin with aws: and the controller's own keys (Name, NodeENI, Node, "
            "kubernetes.io/cluster/managed-by, node.k8s.amazonaws.com/no_manage, "
            "nodeeni.networking.k8s.aws/*) cannot be set",
            "tags",
            lambda spec: not any(key.startswith("aws:") or key in OWN_TAGS for key in spec.tags),
        ),
        _at_most_one("secondary_private_ip_count", "ipv4_prefix_count", "IPv4"),
        _at_most_one("ipv6_address_count", "ipv6_prefix_count", "IPv6"),
        Rule(
            "!has(self.enablePrimaryIPv6) || !self.enablePrimaryIPv6 || !has(self.ipv6AddressCount)"
            " || self.ipv6AddressCount > 0",
            "a primary IPv6 address is one of the ENI's IPv6 addresses: set ipv6AddressCount to 1 or more",
            "ipv6AddressCount",
            lambda spec: not spec.enable_primary_ipv6 or spec.ipv6_address_count != 0,
        ),
        Rule(
            f"!has(self.enaQueueCount) || self.enaQueueCount in {list(QUEUE_COUNTS)}",
            "EC2 takes powers of 2 alone: 1, 2, 4, 8, 16, 32 and so on",
            "enaQueueCount",
            lambda spec: spec.ena_queue_count in (None, *QUEUE_COUNTS),
        ),
    )

    node_selector: Annotated[
        dict[str, LabelValue],
        schema(
            "Labels that a node must carry, all of them. May be {} where matchExpressions says which nodes.",
            maxProperties=64,
        ),
    ]
    match_expressions: Annotated[
        list[LabelRequirement],
        schema(
            "Further requirements on the node's labels, ANDed with nodeSelector: In, NotIn, Exists or "
            "DoesNotExist, as in a Kubernetes label selector.",
            maxItems=64,
        ),
    ] = []
    subnet_id: (
        Annotated[
            SubnetID,
            schema("Subnet, by id. An ENI can only be made in its node's zone: see subnetIDs for several."),
        ]
        | None
    ) = None
    subnet_ids: Annotated[
        list[SubnetID],
        schema(
            "Candidate subnets, by id, of any VPC of the account: of those in the node's zone, the ones of "
            "the node's own VPC come first, and among them the one with most free addresses.",
            maxItems=64,
        ),
    ] = []
    subnet_name: (
        Annotated[
            TagName,
            schema(
                "Subnet, by the value of its tag Name, within vpcID. `*` stands for any characters and `?` "
                "for one, as in EC2's filters: all that fit are candidates."
            ),
        ]
        | None
    ) = None
    subnet_names: Annotated[
        list[TagName],
        schema("Candidate subnets, by the values of their tag Name, each as subnetName.", maxItems=64),
    ] = []
    vpc_id: (
        Annotated[
            VpcID,
            schema(
                "VPC in which subnetName, subnetNames and securityGroupNames are looked up. Default: the "
                "node's for subnets, the subnet's for groups."
            ),
        ]
        | None
    ) = None
    security_group_ids: Annotated[
        list[GroupID],
        schema(
            "Security groups, by id; united with securityGroupNames. They belong to the subnet's VPC or are "
            "associated with it.",
            maxItems=16,
        ),
    ] = []
    security_group_names: Annotated[
        list[TagName],
        schema("Security groups, by group name, then by tag Name, within the subnet's VPC.", maxItems=16),
    ] = []
    device_index: Annotated[
        int,
        schema(
            "Device index of the attachment, by default 1; 0 is the node's primary interface. An edit moves "
            "the ENI, with its addresses and its MAC.",
            minimum=1,
            maximum=63,
        ),
    ] = 1
    device_index_policy: Annotated[
        Literal["Exact", "NextFree"],
        schema(
            "What to do when deviceIndex is taken. Exact, the default: report it and create nothing. "
            "NextFree: use the lowest free index at or above deviceIndex."
        ),
    ] = "Exact"
    network_card_index: Annotated[
        int,
        schema(
            "Network card of instance types that have several, by default 0. An edit moves the ENI.",
            minimum=0,
            maximum=31,
        ),
    ] = 0
    delete_on_termination: Annotated[
        bool,
        schema(
            "Whether EC2 deletes the ENI when its instance is terminated; by default true. With false it is "
            "deleted all the same, by the controller, once nothing wants it."
        ),
    ] = True
    description: (
        Annotated[
            str, schema("Description of the ENI. Default: names the NodeENI and the node.", maxLength=255)
        ]
        | None
    ) = None
    mtu: (
        Annotated[
            int,
            schema(
                "MTU in bytes, applied on the node by the ENI manager. Absent: the link keeps its own.",
                minimum=1280,
                maximum=9001,
            ),
        ]
        | None
    ) = None
    interface_name: InterfaceName | None = None
    tags: Annotated[
        dict[str, TagValue],
        schema(
            "Extra tags of the ENI; those that somebody else put there stay. Not aws:..., nor the "
            "controller's own: Name, NodeENI, Node and the like.",
            maxProperties=40,
        ),
    ] = {}
    source_dest_check: Annotated[
        bool,
        schema(
            "EC2's source/destination check of the ENI; by default true. false is for traffic that is routed "
            "on."
        ),
    ] = True
    secondary_private_ip_count: (
        Annotated[int, _count("private IPv4 addresses beside the primary one")] | None
    ) = None
    ipv4_prefix_count: Annotated[int, _count("IPv4 prefixes (/28, 16 addresses)")] | None = None
    ipv6_address_count: (
        Annotated[int, _count("IPv6 addresses", " 0 keeps a subnet from giving one by itself.")] | None
    ) = None
    ipv6_prefix_count: Annotated[int, _count("IPv6 prefixes (/80)")] | None = None
    enable_primary_ipv6: (
        Annotated[
            bool,
            schema(
                "Whether the first IPv6 address is the ENI's primary one, which it keeps. EC2 does not take "
                "it back: false makes an ENI that has one anew. Absent: left as it is."
            ),
        ]
        | None
    ) = None
    connection_tracking: (
        Annotated[
            ConnectionTracking,
            schema(
                "When the ENI's security groups forget connections that are idle. Absent: as the instance "
                "type has it."
            ),
        ]
        | None
    ) = None
    ena_express: (
        Annotated[
            EnaExpress,
            schema("ENA Express of the attachment, on instance types that have it. Absent: off."),
        ]
        | None
    ) = None
    ena_queue_count: (
        Annotated[
            int,
            schema(
                "How many ENA queues the ENI has: a power of 2, on instance types with flexible queues. EC2 "
                "changes it on a stopped instance alone. Absent: the network card's default.",
                minimum=QUEUE_COUNTS[0],
                maximum=QUEUE_COUNTS[-1],
            ),
        ]
        | None
    ) = None
    # The names of v1.3.8. Accepted so that its manifests apply unchanged; a condition says that they are
    # not yet applied.
    enable_dpdk: Annotated[
        bool, schema("Bind the device to a DPDK driver. Not yet applied: see the Degraded condition.")
    ] = False
    dpdk_driver: Annotated[str, schema("DPDK driver. Not yet applied.", maxLength=64)] | None = None
    dpdk_resource_name: (
        Annotated[str, schema("SR-IOV resource name for DPDK. Not yet applied.", maxLength=253)] | None
    ) = None
    dpdk_pci_address: (
        Annotated[
            str,
            Meta(
                description="PCI address for DPDK. Not yet applied.",
                extra_json_schema={
                    "pattern": r"^[0-9a-fA-F]{4}:[0-9a-fA-F]{2}:[0-9a-fA-F]{2}\.[0-7]$",
                },
            ),
        ]
        | None
    ) = None

    @property
    def all_subnet_ids(self) -> tuple[str, ...]:
        """Candidates by id, in the order they were written, without duplicates."""
        return tuple(dict.fromkeys([*([self.subnet_id] if self.subnet_id else []), *self.subnet_ids]))

    @property
    def all_subnet_names(self) -> tuple[str, ...]:
        """Candidates by tag Name, in the order they were written, without duplicates."""
        return tuple(dict.fromkeys([*([self.subnet_name] if self.subnet_name else []), *self.subnet_names]))


*_CONDITIONS, _LAST_CONDITION = ConditionType


class Condition(msgspec.Struct, rename=camel_case, kw_only=True, frozen=True, omit_defaults=True):
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


class AttachmentStatus(msgspec.Struct, rename=camel_case, kw_only=True, omit_defaults=True):
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
        list[AttachmentStatus], schema("One entry a node, failed ones first; at most 2,000 of them.")
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


class ENINodeInterface(msgspec.Struct, rename=camel_case, kw_only=True, omit_defaults=True, frozen=True):
    """One interface that the node has or is getting."""

    node_eni: Annotated[str, schema("Name of the NodeENI.")]
    eni_id: str
    mac_address: Annotated[str, schema("By this the ENI manager finds the link.")]
    device_index: int
    network_card_index: int
    subnet_id: str = ""
    subnet_cidr: str = ""
    private_ip_addresses: Annotated[tuple[str, ...], schema("The primary one comes first.")] = ()
    ipv4_prefixes: tuple[str, ...] = ()
    ipv6_addresses: Annotated[tuple[str, ...], schema("A primary one comes first.")] = ()
    ipv6_prefixes: tuple[str, ...] = ()
    mtu: Annotated[int, schema("MTU in bytes; absent: left as it is.")] | None = None
    interface_name: Annotated[str, schema("Alternative name of the link.")] = ""


class ENINodeSpec(msgspec.Struct, rename=camel_case, kw_only=True, frozen=True):
    """What the node is to have. The controller writes it; the ENI manager reads it."""

    instance_id: Annotated[str, schema("EC2 instance of the node.")] = ""
    enis: Annotated[int, schema("How many interfaces are listed; absent: not counted yet.")] | None = None
    interfaces: Annotated[
        tuple[ENINodeInterface, ...],
        Meta(extra_json_schema={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["eniID"]}),
    ] = ()


class LinkStatus(msgspec.Struct, rename=camel_case, kw_only=True, omit_defaults=True):
    """What the node's kernel shows of one interface."""

    mac_address: str
    link_name: Annotated[str, schema("Name that the kernel gave the link.")] = ""
    interface_name: Annotated[
        str, schema("Alternative name that the ENI manager gave the link, and may take from it.")
    ] = ""
    state: Annotated[Literal["Missing", "Down", "Up"], schema("State of the link.")]
    mtu: int | None = None
    message: Annotated[str, schema("Why the link is not as asked.")] = ""
    note: Annotated[str, schema("What is to be known of the link though it is as asked.")] = ""
    last_updated: Annotated[str, schema("Time of the last change.", format="date-time")] = ""


class PrimaryStatus(msgspec.Struct, rename=camel_case, kw_only=True, omit_defaults=True):
    """The primary interface, which the ENI manager never touches; its `--primary-interface` names another."""

    link_name: Annotated[str, schema("Name of the link.")] = ""
    mac_address: str = ""
    decided_by: Annotated[str, schema("The default route, or the flag, by which it was decided.")] = ""


class ENINodeStatus(msgspec.Struct, rename=camel_case, kw_only=True, omit_defaults=True):
    """What the node has. The ENI manager writes it; the controller reads it."""

    observed_generation: Annotated[int, schema("Generation that this speaks of.", format="int64")] = 0
    primary: PrimaryStatus | None = None
    links_up: (
        Annotated[int, schema("Interfaces whose link is up, with its MTU and name; absent: not counted yet.")]
        | None
    ) = None
    interfaces: Annotated[
        list[LinkStatus],
        Meta(
            extra_json_schema={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["macAddress"]},
        ),
    ] = []


class ENINode(msgspec.Struct, kw_only=True):
    """The meeting point of the controller and one node's ENI manager, in the manner of CSINode."""

    metadata: ObjectMeta
    spec: ENINodeSpec = msgspec.field(default_factory=ENINodeSpec)
    status: ENINodeStatus = msgspec.field(default_factory=ENINodeStatus)

"""What users write of a NodeENI, and the rules by which the API server refuses it."""

from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from nodeeni.api.names import OWN_TAGS
from nodeeni.api.v1alpha1.fields import (
    GroupID,
    InterfaceName,
    LabelValue,
    SubnetID,
    TagName,
    TagValue,
    VpcID,
    at_most_one,
    count,
)
from nodeeni.api.v1alpha1.parts import ConnectionTracking, EnaExpress, LabelRequirement
from nodeeni.api.v1alpha1.pod_network import PodNetwork
from nodeeni.api.v1alpha1.schema import Rule, camel_case, schema

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
        at_most_one("secondary_private_ip_count", "ipv4_prefix_count", "IPv4"),
        at_most_one("ipv6_address_count", "ipv6_prefix_count", "IPv6"),
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
        Rule(
            "!has(self.podNetwork) || (has(self.ipv4PrefixCount) && self.ipv4PrefixCount > 0)"
            " || (has(self.ipv6PrefixCount) && self.ipv6PrefixCount > 0)"
            " || (!has(self.ipv4PrefixCount)"
            " && (!has(self.secondaryPrivateIPCount) || self.secondaryPrivateIPCount == 0))",
            "pods get their addresses out of prefixes: set ipv4PrefixCount or ipv6PrefixCount to 1 or more, "
            "or leave out ipv4PrefixCount and secondaryPrivateIPCount for one IPv4 prefix",
            "podNetwork",
            lambda spec: spec.pod_network is None or spec.has_prefixes,
        ),
        Rule(
            "!has(self.podNetwork) || !has(self.podNetwork.routes)"
            " || (has(self.ipv6PrefixCount) && self.ipv6PrefixCount > 0)"
            " || !self.podNetwork.routes.exists(each, each.dst.contains(':'))",
            "pods have no IPv6 address: set ipv6PrefixCount to 1 or more, or leave out the routes to IPv6",
            "podNetwork",
            lambda spec: bool(spec.ipv6_prefix_count) or not spec.has_routes(ipv6=True),
        ),
        Rule(
            "!has(self.podNetwork) || !has(self.podNetwork.routes)"
            " || (has(self.ipv4PrefixCount) && self.ipv4PrefixCount > 0)"
            " || (!has(self.ipv4PrefixCount)"
            " && (!has(self.ipv6PrefixCount) || self.ipv6PrefixCount == 0)"
            " && (!has(self.secondaryPrivateIPCount) || self.secondaryPrivateIPCount == 0))"
            " || self.podNetwork.routes.all(each, each.dst.contains(':'))",
            "pods have no IPv4 address: set ipv4PrefixCount to 1 or more, or leave out the routes to IPv4",
            "podNetwork",
            lambda spec: (
                bool(spec.ipv4_prefix_count) or spec.gets_prefix_by_default or not spec.has_routes(ipv6=False)
            ),
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
        Annotated[int, count("private IPv4 addresses beside the primary one")] | None
    ) = None
    ipv4_prefix_count: Annotated[int, count("IPv4 prefixes (/28, 16 addresses)")] | None = None
    ipv6_address_count: (
        Annotated[int, count("IPv6 addresses", " 0 keeps a subnet from giving one by itself.")] | None
    ) = None
    ipv6_prefix_count: Annotated[int, count("IPv6 prefixes (/80)")] | None = None
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
    pod_network: (
        Annotated[
            PodNetwork,
            schema(
                "A network for pods on the ENI: each node's ENI manager writes the CNI file that Multus "
                "looks up. An edit, or its end, changes files alone. Absent: none."
            ),
        ]
        | None
    ) = None
    adoption: Annotated[
        Literal["Never", "LaunchTime"],
        schema(
            "Whether an ENI that came with the instance's launch, by its launch template, is taken over in "
            "place of making one: LaunchTime. It then is the controller's in every way: deleting the NodeENI "
            "deletes it. One that does not fit is left alone, and the node's row says at which point. By "
            "default Never."
        ),
    ] = "Never"
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
    def adopts_launched(self) -> bool:
        return self.adoption == "LaunchTime"

    @property
    def all_subnet_ids(self) -> tuple[str, ...]:
        """Candidates by id, in the order they were written, without duplicates."""
        return tuple(dict.fromkeys([*([self.subnet_id] if self.subnet_id else []), *self.subnet_ids]))

    @property
    def all_subnet_names(self) -> tuple[str, ...]:
        """Candidates by tag Name, in the order they were written, without duplicates."""
        return tuple(dict.fromkeys([*([self.subnet_name] if self.subnet_name else []), *self.subnet_names]))

    @property
    def gets_prefix_by_default(self) -> bool:
        """Whether pods need a prefix and none is counted: an ENI has one of IPv4 then, at the least."""
        return (
            self.pod_network is not None
            and self.ipv4_prefix_count is None
            and not self.ipv6_prefix_count
            and not self.secondary_private_ip_count
        )

    @property
    def has_prefixes(self) -> bool:
        return bool(self.ipv4_prefix_count or self.ipv6_prefix_count) or self.gets_prefix_by_default

    def has_routes(self, *, ipv6: bool) -> bool:
        """Whether pods have routes to that family."""
        routes = self.pod_network.routes if self.pod_network else ()
        return any((":" in route.dst) == ipv6 for route in routes)

"""The ENINode: where the controller and one node's ENI manager meet."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from nodeeni.api.meta import ObjectMeta
from nodeeni.api.v1alpha1.pod_network import NodePodNetwork, PodNetworkStatus
from nodeeni.api.v1alpha1.schema import camel_case, schema


class ENINodeInterface(
    msgspec.Struct, rename=camel_case, kw_only=True, omit_defaults=True, frozen=True, gc=False
):
    """One interface that the node has or is getting."""

    node_eni: Annotated[str, schema("Name of the NodeENI.")]
    eni_id: str
    mac_address: Annotated[str, schema("By this the ENI manager finds the link.")]
    device_index: int
    network_card_index: int
    subnet_id: str = ""
    subnet_cidr: str = ""
    subnet_ipv6_cidr: str = ""
    private_ip_addresses: Annotated[tuple[str, ...], schema("The primary one comes first.")] = ()
    ipv4_prefixes: tuple[str, ...] = ()
    ipv6_addresses: Annotated[tuple[str, ...], schema("A primary one comes first.")] = ()
    ipv6_prefixes: tuple[str, ...] = ()
    mtu: Annotated[int, schema("MTU in bytes; absent: left as it is.")] | None = None
    interface_name: Annotated[str, schema("Alternative name of the link.")] = ""
    pod_network: NodePodNetwork | None = None


class ENINodeSpec(msgspec.Struct, rename=camel_case, kw_only=True, frozen=True, gc=False):
    """What the node is to have. The controller writes it; the ENI manager reads it."""

    instance_id: Annotated[str, schema("EC2 instance of the node.")] = ""
    enis: Annotated[int, schema("How many interfaces are listed; absent: not counted yet.")] | None = None
    interfaces: Annotated[
        tuple[ENINodeInterface, ...],
        Meta(extra_json_schema={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["eniID"]}),
    ] = ()


class LinkStatus(msgspec.Struct, rename=camel_case, kw_only=True, omit_defaults=True, gc=False):
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
    in_pod: Annotated[bool, schema("Whether the link was moved into another network namespace.")] = False
    pod_network: PodNetworkStatus | None = None
    last_updated: Annotated[str, schema("Time of the last change.", format="date-time")] = ""


class PrimaryStatus(msgspec.Struct, rename=camel_case, kw_only=True, omit_defaults=True, gc=False):
    """The primary interface, which the ENI manager never touches; its `--primary-interface` names another."""

    link_name: Annotated[str, schema("Name of the link.")] = ""
    mac_address: str = ""
    decided_by: Annotated[str, schema("The default route, or the flag, by which it was decided.")] = ""


class ENINodeStatus(msgspec.Struct, rename=camel_case, kw_only=True, omit_defaults=True, gc=False):
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


class ENINode(msgspec.Struct, kw_only=True, gc=False):
    """The meeting point of the controller and one node's ENI manager, in the manner of CSINode."""

    metadata: ObjectMeta
    spec: ENINodeSpec = msgspec.field(default_factory=ENINodeSpec)
    status: ENINodeStatus = msgspec.field(default_factory=ENINodeStatus)

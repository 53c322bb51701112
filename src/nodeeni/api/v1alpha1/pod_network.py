"""The network of pods on an ENI: what users ask for, what a node's ENI manager is told, what it answers."""

from typing import Annotated, ClassVar, Literal

import msgspec

from nodeeni.api.v1alpha1.schema import Rule, camel_case, schema

LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
LABEL_LIMIT = 63  # characters

Mode = Literal["L2", "L3", "L3S"]


class PodRoute(msgspec.Struct, rename=camel_case, frozen=True, omit_defaults=True):
    """A route that each pod gets, as in CNI's IPAM configuration."""

    dst: Annotated[str, schema("Destination, as a CIDR block.", format="cidr", maxLength=49)]
    gw: Annotated[
        str,
        schema(
            "Address of the next hop. Absent: the subnet's router.",
            pattern=r"^[0-9a-fA-F:.]+$",
            maxLength=45,
        ),
    ] = ""


class PodNetwork(msgspec.Struct, rename=camel_case, frozen=True, omit_defaults=True):
    """A network that pods join by a NetworkAttachmentDefinition of its name with an empty spec, for Multus:
    the ENI manager writes each node's CNI file of it (`--cni-conf-dir`), with the ENI as master and addresses
    out of the ENI's prefixes, which EC2 routes there. Without a count of prefixes an ENI gets one of IPv4.
    """

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.type == 'ipvlan'",
            "ipvlan alone, not {type}: a VPC drops frames with another MAC than the ENI's, which pods of "
            "macvlan, bridge and the like send",
            "type",
            lambda each: each.type == "ipvlan",
        ),
        Rule(
            "!has(self.routes)"
            " || self.routes.all(each, !has(each.gw) || each.gw.contains(':') == each.dst.contains(':'))",
            "a gw is of the family (IPv4, IPv6) of its dst",
            "routes",
            lambda each: all(not r.gw or (":" in r.gw) == (":" in r.dst) for r in each.routes),
        ),
        Rule(
            "!has(self.routes)"
            " || self.routes.all(each, self.routes.exists_one(other, other.dst == each.dst))",
            "a dst stands once: the kernel refuses a route that is there, and so each pod would fail to "
            "start",
            "routes",
            lambda each: len({r.dst for r in each.routes}) == len(each.routes),
        ),
    )

    type: Annotated[str, schema("CNI plugin: ipvlan, by which pods share the ENI's MAC.", maxLength=63)] = (
        "ipvlan"
    )
    mode: Annotated[Mode, schema("Mode of ipvlan, by default L2.")] = "L2"
    name: (
        Annotated[
            str,
            schema(
                "Name of the network, and of the NetworkAttachmentDefinition. Default: the NodeENI's. A node "
                "has one NodeENI of a name.",
                minLength=1,
                maxLength=LABEL_LIMIT,
                pattern=LABEL,
            ),
        ]
        | None
    ) = None
    routes: Annotated[
        tuple[PodRoute, ...],
        schema("Routes of each pod beside those of its subnet.", maxItems=32),
    ] = ()


class NodePodNetwork(msgspec.Struct, rename=camel_case, kw_only=True, frozen=True, omit_defaults=True):
    """The CNI file that is to be on the node. Absent: none is to be there, and one that is there goes."""

    type: str
    mode: Mode
    name: Annotated[str, schema("Name of the network.")]
    routes: tuple[PodRoute, ...] = ()
    prefixes: Annotated[
        tuple[str, ...],
        schema("Those that pods get addresses from; one that is to be given back is none of them."),
    ] = ()


class PodNetworkStatus(msgspec.Struct, rename=camel_case, kw_only=True, omit_defaults=True):
    """What is on the node of the pods' network. Absent: no CNI file, and no address of it in use."""

    name: Annotated[str, schema("Name of the network.")] = ""
    state: Annotated[
        Literal["Ready", "Absent", "Withdrawn", "Refused"],
        schema(
            "Ready: the CNI file is there. Absent: it is to come. Withdrawn: it is gone, and pods still "
            "hold addresses, or may have taken one just now. Refused: it is not written."
        ),
    ]
    message: Annotated[
        str, schema("Why the file is not there, with the way out; or what is to be known.")
    ] = ""
    prefixes: Annotated[
        tuple[str, ...], schema("Those that the file has, or of which an address is in use.")
    ] = ()
    used: Annotated[int, schema("How many pods have an address; absent: not known.")] | None = None
    free: Annotated[int, schema("How many more find one; absent: not known.")] | None = None
    in_use: Annotated[tuple[str, ...], schema("Addresses in use; at most 64 of them.")] = ()

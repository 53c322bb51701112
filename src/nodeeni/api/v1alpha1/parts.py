"""The objects within a NodeENI's spec."""

from typing import Annotated, ClassVar, Literal

import msgspec

from nodeeni.api.v1alpha1.fields import LabelValue
from nodeeni.api.v1alpha1.schema import Rule, camel_case, schema


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


class ConnectionTracking(msgspec.Struct, rename=camel_case, frozen=True, omit_defaults=True, gc=False):
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


class EnaExpress(msgspec.Struct, rename=camel_case, frozen=True, omit_defaults=True, gc=False):
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

"""NodeENIs whose nodes forget idle TCP connections within minutes, since their instance type does and the
spec says nothing: whoever comes from an older type is told.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from nodeeni.api.core import Node
from nodeeni.api.v1alpha1 import NodeENI
from nodeeni.cli.findings import counted, some
from nodeeni.ec2.types import USUAL_TRACKING, InstanceType
from nodeeni.plan.desired import matches

TYPE_LABEL = "node.kubernetes.io/instance-type"  # the cloud controller's, on each Node


class ShortTimeout(msgspec.Struct, frozen=True):
    """What is to be known of one NodeENI."""

    node_eni: str = msgspec.field(name="nodeENI")
    message: str


def types_of(nodes: Iterable[Node]) -> set[str]:
    """The names of their instance types, as far as their labels tell."""
    return {node.metadata.labels[TYPE_LABEL] for node in nodes if TYPE_LABEL in node.metadata.labels}


def short_timeouts(
    nodeenis: Iterable[NodeENI], nodes: Iterable[Node], types: Mapping[str, InstanceType]
) -> Iterator[ShortTimeout]:
    """`types`, by name: those of the nodes' labels that EC2 knows."""
    usual = USUAL_TRACKING.tcp_established_timeout
    short = [
        (node, kind)
        for node in nodes
        if (kind := types.get(node.metadata.labels.get(TYPE_LABEL, ""))) is not None
        and (kind.tracking.tcp_established_timeout or usual) != usual
    ]
    for nodeeni in nodeenis:
        tracking = nodeeni.spec.connection_tracking
        if nodeeni.metadata.deleting or (tracking is not None and tracking.tcp_established_timeout):
            continue
        by_type: dict[str, int] = defaultdict(int)
        seconds = set()
        for node, kind in short:
            if matches(nodeeni.spec, node.metadata.labels):
                by_type[kind.name] += 1
                seconds.add(kind.tracking.tcp_established_timeout)
        if by_type:
            where = some([f"{counted(count, 'node')} of {name}" for name, count in sorted(by_type.items())])
            after = " or ".join(f"{each} s" for each in sorted(filter(None, seconds)))
            yield ShortTimeout(
                nodeeni.metadata.name,
                f"on {where} its security groups forget a TCP connection that is idle for {after}, the "
                f"type's default ({usual} s on older types): set spec.connectionTracking."
                "tcpEstablishedTimeout, to that value if it is right",
            )

"""Kubernetes' own Node, as far as this program reads it: labels, taints, providerID, deletion, readiness."""

import re
from sys import intern
from typing import Annotated

import msgspec

from nodeeni.api.meta import ObjectMeta
from nodeeni.api.names import NODE_CONDITION

OUT_OF_SERVICE_TAINT = "node.kubernetes.io/out-of-service"
COMPUTE_TYPE_LABEL = "eks.amazonaws.com/compute-type"
REGION_LABEL = "topology.kubernetes.io/region"
ZONE_LABEL = "topology.kubernetes.io/zone"
ZONE_ID_LABEL = "topology.k8s.aws/zone-id"
INSTANCE_TYPE_LABEL = "node.kubernetes.io/instance-type"

# aws:///us-west-2a/i-0123456789abcdef0; Fargate nodes carry a path of another shape, and no instance.
_PROVIDER_ID = re.compile(r"aws://.*/(i-[0-9a-f]{8,17})")


class Taint(msgspec.Struct, frozen=True, gc=False):
    key: str
    effect: str = ""


class NodeSpec(msgspec.Struct, frozen=True, gc=False):
    provider_id: Annotated[str, "EC2 instance"] = msgspec.field(default="", name="providerID")
    taints: tuple[Taint, ...] = ()


class NodeCondition(msgspec.Struct, frozen=True, gc=False):
    type: str = ""
    status: str = ""
    reason: str = ""
    message: str = ""


class NodeStatus(msgspec.Struct, frozen=True, gc=False):
    conditions: tuple[NodeCondition, ...] = ()


class Node(msgspec.Struct, kw_only=True, gc=False):
    metadata: ObjectMeta
    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()

    @property
    def ready(self) -> bool | None:
        """None where nobody has said; what the control plane does not know is not ready."""
        said = (condition.status for condition in self.status.conditions if condition.type == "Ready")
        status = next(said, None)
        return None if status is None else status == "True"

    @property
    def told(self) -> NodeCondition | None:
        """What our controller has told of it; None: nothing."""
        return next((each for each in self.status.conditions if each.type == NODE_CONDITION), None)

    @property
    def instance_id(self) -> str:
        """The EC2 instance behind the node; empty while the providerID is not set, or names none."""
        found = _PROVIDER_ID.fullmatch(self.spec.provider_id)
        return intern(found.group(1)) if found else ""

    @property
    def auto_mode(self) -> bool:
        """Whether EKS Auto Mode manages the instance."""
        return self.metadata.labels.get(COMPUTE_TYPE_LABEL) == "auto"

    @property
    def out_of_service(self) -> bool:
        return any(taint.key == OUT_OF_SERVICE_TAINT for taint in self.spec.taints)


class Namespace(msgspec.Struct, kw_only=True):
    metadata: ObjectMeta

"""The custom resources NodeENI and ENINode, as users write them and as this program reads them.

One declaration serves both: `crd.py` generates the manifests from these types, and the informers decode
into them. Rules stand in `extra_json_schema`, which msgspec does not enforce while decoding: the API server
refuses bad objects, and an object that was stored before a rule existed must still be readable, or nothing
could ever be cleaned up after it.
"""

from nodeeni.api.v1alpha1.eninode import (
    ENINode,
    ENINodeInterface,
    ENINodeSpec,
    ENINodeStatus,
    LinkStatus,
    PrimaryStatus,
)
from nodeeni.api.v1alpha1.nodeeni import (
    PENDING,
    AttachmentStatus,
    Condition,
    NodeENI,
    NodeENIAnnotations,
    NodeENIMeta,
    NodeENIStatus,
)
from nodeeni.api.v1alpha1.parts import ConnectionTracking, EnaExpress, LabelRequirement
from nodeeni.api.v1alpha1.pod_network import NodePodNetwork, PodNetwork, PodNetworkStatus, PodRoute
from nodeeni.api.v1alpha1.schema import Rule, camel_case
from nodeeni.api.v1alpha1.spec import QUEUE_COUNTS, NodeENISpec

__all__ = [
    "PENDING",
    "QUEUE_COUNTS",
    "AttachmentStatus",
    "Condition",
    "ConnectionTracking",
    "ENINode",
    "ENINodeInterface",
    "ENINodeSpec",
    "ENINodeStatus",
    "EnaExpress",
    "LabelRequirement",
    "LinkStatus",
    "NodeENI",
    "NodeENIAnnotations",
    "NodeENIMeta",
    "NodeENISpec",
    "NodeENIStatus",
    "NodePodNetwork",
    "PodNetwork",
    "PodNetworkStatus",
    "PodRoute",
    "PrimaryStatus",
    "Rule",
    "camel_case",
]

"""Names that others depend on: scripts, policies, IAM conditions and v1.1.0's users.

The source of each is the project's contract; changing one breaks somebody.
"""

import hashlib

GROUP = "networking.k8s.aws"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

CONTROLLER = "nodeeni-controller"  # event component, managed-by tag, field manager
FINALIZER = "nodeeni.networking.k8s.aws/finalizer"
LEASE = "nodeeni-controller-leader-election"
LEASE_TOKENS = "nodeeni.networking.k8s.aws/ec2-tokens"  # annotation: what EC2's buckets held at the release
NAMESPACE = "eni-controller-system"
NODE_CONDITION = "NodeENIsReady"  # of a Node
# Annotation of a NodeENI: the id of the held removal that a person lets go on.
RELEASE_HOLD = "nodeeni.networking.k8s.aws/release-hold"

TAG_NAME = "Name"
TAG_NODEENI = "NodeENI"
TAG_NODE = "Node"
TAG_MANAGED_BY = "kubernetes.io/cluster/managed-by"
TAG_NO_MANAGE = "node.k8s.amazonaws.com/no_manage"  # without it the VPC CNI adopts or deletes the interface
TAG_CLUSTER = "nodeeni.networking.k8s.aws/cluster"
TAG_UID = "nodeeni.networking.k8s.aws/uid"
TAG_INSTANCE = "nodeeni.networking.k8s.aws/instance"
# Keys of the extra tags that spec.tags gave, joined by commas: by it a key that was taken out of the spec is
# told from one that somebody else put on the interface. Present only where there are extra tags.
TAG_EXTRA = "nodeeni.networking.k8s.aws/tags"
# Generation of the client token that made the interface, where it is not the first one of its node: so that
# whoever takes it away, after however many restarts, knows which token comes next.
TAG_GENERATION = "nodeeni.networking.k8s.aws/generation"
# How an ENI that the controller did not make became ours: its description is left as it was then.
TAG_ADOPTION = "nodeeni.networking.k8s.aws/adoption"
ADOPTED_AT_LAUNCH = "LaunchTime"

OWN_TAGS = (
    TAG_NAME,
    TAG_NODEENI,
    TAG_NODE,
    TAG_MANAGED_BY,
    TAG_NO_MANAGE,
    TAG_CLUSTER,
    TAG_UID,
    TAG_INSTANCE,
    TAG_EXTRA,
    TAG_GENERATION,
    TAG_ADOPTION,
)

TAG_VALUE_LIMIT = 256  # characters, EC2's limit


def interface_name(nodeeni: str, node: str) -> str:
    """Tag Name of the interface of a NodeENI on a node."""
    return f"nodeeni-{nodeeni}-{node}"[:TAG_VALUE_LIMIT]


def interface_tags(*, cluster_id: str, nodeeni: str, uid: str, node: str, instance_id: str) -> dict[str, str]:
    """The controller's own tags of one network interface, all of them part of the create call."""
    tags = {
        TAG_NAME: interface_name(nodeeni, node),
        TAG_NODEENI: nodeeni,
        TAG_NODE: node,
        TAG_MANAGED_BY: CONTROLLER,
        TAG_NO_MANAGE: "true",
        TAG_CLUSTER: cluster_id,
        TAG_UID: uid,
        TAG_INSTANCE: instance_id,
    }
    return {key: value[:TAG_VALUE_LIMIT] for key, value in tags.items()}


def client_token(*, cluster_id: str, uid: str, instance_id: str, generation: int) -> str:
    """The idempotency token of a create call: at most 64 ASCII characters (EC2's limit).

    It is the same in every process and after every crash, so that a Create whose answer was lost is
    answered with the same interface again. `generation` moves on only when the interface that the token
    made is proved gone. A NodeENI has one interface on an instance, so there is no slot to tell apart.
    """
    text = "\x00".join((cluster_id, uid, instance_id, str(generation)))
    return "nodeeni-" + hashlib.sha256(text.encode()).hexdigest()[:48]

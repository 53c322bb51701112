"""What the controller has to be permitted, declared once: `nodeeni doctor` asks for each of these."""

import msgspec

from nodeeni.api import names
from nodeeni.kube.resources import (
    CRDS,
    DAEMONSETS,
    ENINODES,
    EVENTS,
    LEASES,
    NAMESPACES,
    NODEENIS,
    NODES,
    Resource,
)
from nodeeni.settings import Settings


class Permission(msgspec.Struct, frozen=True):
    """Verbs on one resource. `namespace` empty: in all of them; `name`: of that object alone."""

    resource: Resource
    verbs: tuple[str, ...]
    subresource: str = ""
    namespace: str = ""
    name: str = ""


VPC_CNI = Permission(DAEMONSETS, ("get",), namespace="kube-system", name="aws-node")
MULTUS = Permission(DAEMONSETS, ("get",), namespace="kube-system", name="kube-multus-ds")

_ALWAYS = (
    Permission(NODES, ("list", "watch")),
    Permission(NODEENIS, ("get", "list", "watch", "patch")),
    Permission(NODEENIS, ("patch",), "status"),
    Permission(ENINODES, ("list", "watch", "create", "patch", "delete")),
    # `nodeeni doctor` in the controller's pod compares them with those of its version.
    Permission(CRDS, ("get",), name=NODEENIS.described()),
    Permission(CRDS, ("get",), name=ENINODES.described()),
    # Likewise it tells which versions of others do harm beside ours.
    VPC_CNI,
    MULTUS,
    Permission(NAMESPACES, ("get",), name="kube-system"),  # its uid is the cluster's id
    Permission(EVENTS, ("create", "patch"), namespace="default"),  # where those of cluster-wide objects go
    Permission(LEASES, ("get", "create", "patch"), namespace=names.NAMESPACE),
)

TELLS_NODES = Permission(NODES, ("patch",), "status")  # an admission policy confines both
TAKES_TAINTS_OFF = Permission(NODES, ("patch",))


def kubernetes(settings: Settings) -> tuple[Permission, ...]:
    """What a controller with these settings needs."""
    more = (TELLS_NODES,) if settings.node_condition else ()
    return (*_ALWAYS, *more, *((TAKES_TAINTS_OFF,) if settings.startup_taint else ()))


EC2_READS = (
    "DescribeNetworkInterfaces",
    "DescribeInstances",
    "DescribeInstanceTypes",
    "DescribeSubnets",
    "DescribeSecurityGroups",
    "GetSecurityGroupsForVpc",  # only where a group is to be used in another VPC than its own
)

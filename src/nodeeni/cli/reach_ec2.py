"""How the commands that look find the EC2 that the controller works on."""

import os
from argparse import Namespace

from nodeeni.api.core import Namespace as KubeNamespace
from nodeeni.controller.cluster import Cluster, region_of
from nodeeni.ec2.region import DEFAULT_REGION
from nodeeni.flags import Flags
from nodeeni.kube.client import KubeClient
from nodeeni.kube.resources import NAMESPACES
from nodeeni.settings import Settings, controller_settings


def add_flags(flags: Flags) -> None:
    flags.add_argument("--aws-region", help="AWS region (default: as the controller finds it)")
    flags.add_argument("--cluster-id", help="value of the cluster tag (default: the uid of kube-system)")


def add_former_ids(flags: Flags) -> None:
    flags.add_argument(
        "--former-cluster-ids",
        help="ids that this cluster had before (default: as FORMER_CLUSTER_IDS has them)",
    )


def settings(options: Namespace) -> Settings:
    """As the controller's environment has them, if this command runs in it. Raises UsageError."""
    given = {
        "--former-cluster-ids": options.former_cluster_ids,
        "--startup-taint": getattr(options, "startup_taint", None),  # of those that have it
    }
    return controller_settings([f"{k}={v}" for k, v in given.items() if v is not None], os.environ)


async def cluster_id(options: Namespace, client: KubeClient) -> str:
    """As the controller has it. Raises KubeError."""
    given = options.cluster_id or os.environ.get("CLUSTER_ID")
    if given:
        return str(given)
    return (await client.get(NAMESPACES, "kube-system", KubeNamespace)).metadata.uid


async def region(options: Namespace, cluster: Cluster) -> str:
    """As the controller has it."""
    return await region_of(options.aws_region, os.environ, cluster) or DEFAULT_REGION

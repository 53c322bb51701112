"""How the commands that look find the EC2 that the controller works on."""

import os
from argparse import Namespace

from nodeeni.api.core import Namespace as KubeNamespace
from nodeeni.controller.cluster import Cluster, region_of
from nodeeni.ec2.region import DEFAULT_REGION
from nodeeni.flags import Flags
from nodeeni.kube.client import KubeClient
from nodeeni.kube.resources import NAMESPACES


def add_flags(flags: Flags) -> None:
    flags.add_argument("--aws-region", help="AWS region (default: as the controller finds it)")
    flags.add_argument("--cluster-id", help="value of the cluster tag (default: the uid of kube-system)")


async def cluster_id(options: Namespace, client: KubeClient) -> str:
    """As the controller has it. Raises KubeError."""
    given = options.cluster_id or os.environ.get("CLUSTER_ID")
    if given:
        return str(given)
    return (await client.get(NAMESPACES, "kube-system", KubeNamespace)).metadata.uid


async def region(options: Namespace, cluster: Cluster) -> str:
    """As the controller has it."""
    return await region_of(options.aws_region, os.environ, cluster) or DEFAULT_REGION

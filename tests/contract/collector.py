"""What kube-controller-manager does beside a real API server: ENINodes go after the Node that owns them.

The sandbox's API server does it itself.
"""

import asyncio
import contextlib

from nodeeni.api.names import GROUP
from nodeeni.sandbox.kube import ApiError, KubeServer

LOOK = 0.5  # seconds


async def collect(kube: KubeServer) -> None:
    """Until cancelled."""
    while True:
        eninodes = kube.objects(GROUP, "eninodes")
        present = {node["metadata"]["uid"] for node in kube.objects("", "nodes")}
        for eninode in eninodes:
            owners = {owner["uid"] for owner in eninode["metadata"].get("ownerReferences", ())}
            if owners and not owners & present:
                with contextlib.suppress(ApiError):  # it has gone meanwhile
                    kube.delete(GROUP, "eninodes", eninode["metadata"]["name"])
        await asyncio.sleep(LOOK)

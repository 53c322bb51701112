"""An API server on loopback: kubectl, client libraries and our own processes cannot tell it from a small
cluster's. `server.KubeServer` is the way in; the rest are the steps a request takes through it.
"""

from nodeeni.sandbox.kube.faults import Faults
from nodeeni.sandbox.kube.server import KubeServer
from nodeeni.sandbox.kube.status import ApiError, Cause

__all__ = ["ApiError", "Cause", "Faults", "KubeServer"]

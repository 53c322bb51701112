"""What a controller has reported, for `nodeeni status` to show: conditions, attachments, the lease."""

from typing import Any

from tests.cli.looking import LABELS, Site

LONG_AGO = "2020-01-01T00:00:00Z"


def condition(kind: str, status: str, reason: str, message: str) -> dict[str, Any]:
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": LONG_AGO,
        "observedGeneration": 1,
    }


def attached(node: str, eni: str, mac: str) -> dict[str, Any]:
    return {
        "nodeID": node,
        "instanceID": f"i-{node}",
        "eniID": eni,
        "deviceIndex": 2,
        "macAddress": mac,
        "privateIPAddress": "10.11.0.4",
        "status": "attached",
        "lastUpdated": LONG_AGO,
    }


def a_node(site: Site, name: str, zone: str = "us-west-2a", address: str = "") -> None:
    metadata = {"name": name, "labels": LABELS | {"topology.kubernetes.io/zone": zone}}
    addresses = [{"type": "InternalIP", "address": address}] if address else []
    status = {"addresses": addresses}
    site.world.kube.create({"apiVersion": "v1", "kind": "Node", "metadata": metadata, "status": status})


def a_lease(site: Site, holder: str, renewed: str) -> None:
    spec = {"holderIdentity": holder, "renewTime": renewed, "leaseDurationSeconds": 15}
    site.world.kube.create(
        {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": "nodeeni-controller-leader-election", "namespace": "eni-controller-system"},
            "spec": spec,
        }
    )

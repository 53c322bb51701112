"""DaemonSets of others as EKS' and Multus' own manifests have them, as far as `nodeeni doctor` looks."""

from typing import Any

REGISTRY = "602401143452.dkr.ecr.us-west-2.amazonaws.com"
CNI_IMAGE, MULTUS_IMAGE = f"{REGISTRY}/amazon-k8s-cni", f"{REGISTRY}/eks/multus-cni"


def daemon_set(name: str, image: str, *folders: str, **env: str) -> dict[str, Any]:
    """`folders` of the host are volumes of its pods."""
    container = {
        "name": name,
        "image": image,
        "env": [
            {"name": "MY_NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
            *({"name": key, "value": value} for key, value in env.items()),
        ],
    }
    volumes = [{"name": f"v{n}", "hostPath": {"path": path}} for n, path in enumerate(folders)]
    labels = {"k8s-app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": name, "namespace": "kube-system"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [container], "volumes": volumes},
            },
        },
    }

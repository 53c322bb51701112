"""`nodeeni nad`: what pods need to join a NodeENI's network: a definition, and two pods to try it.

Its spec is empty: Multus looks each node's CNI file up by the name, and the node's ENI manager writes that.
"""

import sys
from argparse import Namespace
from collections.abc import Sequence
from typing import Any

import yaml

from nodeeni.api.v1alpha1 import NodeENI
from nodeeni.cli import reach
from nodeeni.flags import Flags
from nodeeni.kube.resources import NODEENIS

Object = dict[str, Any]

IMAGE = "busybox:1.37"
HOSTNAME_LABEL = "kubernetes.io/hostname"
TRIED = 2  # pods, so that one has the other to ping
LONGEST = 60  # characters of the label's value, which the pods' names begin with


def main(arguments: Sequence[str]) -> int:
    """0: printed; 1: there is no such NodeENI, or it has no network for pods; 2: a wrong flag."""
    flags = Flags(
        "nad",
        "Print the NetworkAttachmentDefinition by which pods join a NodeENI's network, and two to try it.",
    )
    flags.add_argument(
        "--kubeconfig", help="kubeconfig file (default: in-cluster, else ~/.kube/config; variable KUBECONFIG)"
    )
    flags.add_argument("--context", help="context of the kubeconfig (default: its current one)")
    flags.add_argument(
        "-n", "--namespace", default="default", help="namespace of the pods (default: default)"
    )
    flags.add_argument("nodeeni", metavar="NAME", help="name of the NodeENI")
    options = flags.parse_args(list(arguments))
    return reach.run("nad", _print(options))


async def _print(options: Namespace) -> int:
    async with reach.cluster_client(options) as client:
        listed, _ = await client.list(NODEENIS, NodeENI, field_selector=f"metadata.name={options.nodeeni}")
    if not listed:
        raise reach.NotThere(f"there is no NodeENI {options.nodeeni}")
    (nodeeni,) = listed
    network = nodeeni.pod_network
    if network is None:
        raise reach.Refused(
            f"NodeENI {options.nodeeni} has no network for pods: set spec.podNetwork, as in docs/pods.md"
        )
    print(f"# nodeeni nad {options.nodeeni} -n {options.namespace} | kubectl apply -f -")
    objects = [
        definition(network.name, options.namespace),
        *(pod(network.name, options.namespace, nodeeni, number) for number in range(1, TRIED + 1)),
    ]
    sys.stdout.write(yaml.safe_dump_all(objects, sort_keys=False))
    return 0


def definition(network: str, namespace: str) -> Object:
    return {
        "apiVersion": "k8s.cni.cncf.io/v1",
        "kind": "NetworkAttachmentDefinition",
        "metadata": {"name": network, "namespace": namespace},
        "spec": {},
    }


def pod(network: str, namespace: str, nodeeni: NodeENI, number: int) -> Object:
    """One that runs where the NodeENI gives nodes an ENI, and not beside the others where it can be."""
    name = f"try-{network}"[:LONGEST].rstrip("-")
    apart = {
        "weight": 100,
        "podAffinityTerm": {"labelSelector": {"matchLabels": {"app": name}}, "topologyKey": HOSTNAME_LABEL},
    }
    affinity: Object = {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [apart]}}
    if nodeeni.spec.match_expressions:
        required = [
            {"key": each.key, "operator": each.operator, "values": list(each.values)}
            for each in nodeeni.spec.match_expressions
        ]
        terms = {"nodeSelectorTerms": [{"matchExpressions": required}]}
        affinity["nodeAffinity"] = {"requiredDuringSchedulingIgnoredDuringExecution": terms}
    spec: Object = {
        "containers": [{"name": "try", "image": IMAGE, "command": ["sleep", "86400"]}],
        "terminationGracePeriodSeconds": 0,
        "affinity": affinity,
    }
    if nodeeni.spec.node_selector:
        spec["nodeSelector"] = dict(nodeeni.spec.node_selector)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{name}-{number}",
            "namespace": namespace,
            "labels": {"app": name},
            "annotations": {"k8s.v1.cni.cncf.io/networks": network},
        },
        "spec": spec,
    }

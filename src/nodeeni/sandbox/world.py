"""A cluster in AWS on one machine: the two servers with a VPC, our CRDs, and nodes that are instances.

The demo, `nodeeni sandbox`, the tests and the benchmarks all start from here. What a cloud controller does
in a real cluster is done here too: the Node of a terminated instance is deleted.
"""

import asyncio
import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from nodeeni.api.crd import manifests
from nodeeni.api.names import API_VERSION, GROUP, NAMESPACE
from nodeeni.sandbox.ec2 import EC2Server, Instance, LaunchInterface
from nodeeni.sandbox.ec2.settings import EC2Settings
from nodeeni.sandbox.hosts import NodeHosts
from nodeeni.sandbox.kube import KubeServer

Object = dict[str, Any]

# The ids of v1.1.0's README, so that its manifests apply unchanged.
SUBNET = "subnet-0f59b4f14737be9ad"
SUBNET_NAME = "my-subnet-name"
SECURITY_GROUP = "sg-05da196f3314d4af8"
SECURITY_GROUP_NAME = "my-security-group"
NODE_LABELS = {"ng": "multi-eni"}
OTHER_SUBNETS = {"b": "subnet-0b0b0b0b0b0b0b0bb", "c": "subnet-0c0c0c0c0c0c0c0cc"}

CLOUD_CONTROLLER_LOOK = 0.2  # seconds


@dataclass(frozen=True)
class WorldNode:
    name: str
    instance_id: str


class World:
    """`hosts`: nodes get kernels of their own, in network namespaces or machines. `kube`: the API server, if
    not a new one. `prepared`: our namespace and CRDs are there.

    Ports of 0 are chosen by the system.
    """

    def __init__(
        self,
        ec2: EC2Settings | None = None,
        *,
        hosts: NodeHosts | None = None,
        kube: KubeServer | None = None,
        kube_port: int = 0,
        ec2_port: int = 0,
        prepared: bool = True,
    ) -> None:
        self.hosts = hosts
        self.kube = kube or KubeServer(port=kube_port)
        self.ec2 = EC2Server(port=ec2_port, settings=ec2, kernels=hosts)
        self.nodes: dict[str, WorldNode] = {}
        self._cloud_controller: asyncio.Task[None] | None = None
        self.vpc = self.ec2.add_vpc(id="vpc-0a1b2c3d4e5f60718", cidr="10.0.0.0/8", name="sandbox")
        # Nodes live in subnets of their own, as they do in most clusters.
        self.node_subnets = {
            zone: self.ec2.add_subnet(self.vpc, zone, f"10.{number}.0.0/16", name=f"nodes-{zone}")
            for number, zone in enumerate("abc", start=1)
        }
        self.subnets = {
            "a": self.ec2.add_subnet(self.vpc, "a", "10.11.0.0/16", id=SUBNET, name=SUBNET_NAME),
            "b": self.ec2.add_subnet(self.vpc, "b", "10.12.0.0/16", id=OTHER_SUBNETS["b"], name="multus-b"),
            "c": self.ec2.add_subnet(self.vpc, "c", "10.13.0.0/16", id=OTHER_SUBNETS["c"], name="multus-c"),
        }
        self.group = self.ec2.add_security_group(
            self.vpc, id=SECURITY_GROUP, group_name=SECURITY_GROUP_NAME, name=SECURITY_GROUP_NAME
        )
        if prepared:
            self.kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
            for manifest in manifests().values():
                self.kube.create(manifest)

    async def __aenter__(self) -> Self:
        if self.hosts is not None:
            await self.hosts.start()
        await self.kube.start()
        await self.ec2.start()
        self._cloud_controller = asyncio.create_task(self._delete_dead_nodes(), name="cloud-controller")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._cloud_controller is not None:
            self._cloud_controller.cancel()
            await asyncio.gather(self._cloud_controller, return_exceptions=True)
        await self.ec2.stop()
        await self.kube.stop()
        if self.hosts is not None:
            await self.hosts.stop()

    async def add_node(
        self,
        name: str = "",
        *,
        zone: str = "a",
        type: str = "m5.xlarge",
        labels: Mapping[str, str] | None = None,
    ) -> WorldNode:
        """An instance and its Node, Ready; with `hosts`, a kernel that agents can run in."""
        node, registration = self.launch(name, zone=zone, type=type, labels=labels)
        self.kube.create(registration)
        if self.hosts is not None:
            primary = self.ec2.interfaces_of(node.instance_id)[0]
            await self.hosts.add(node.instance_id, primary, self.node_subnets[zone].cidr)
            inside = await self.hosts.listen(node.instance_id, self.kube.host, self.kube.port)
            await self.kube.listen_on(inside)
        return node

    def launch(
        self,
        name: str = "",
        *,
        zone: str = "a",
        type: str = "m5.xlarge",
        labels: Mapping[str, str] | None = None,
        brought: Sequence[LaunchInterface] = (),
    ) -> tuple[WorldNode, Object]:
        """An instance, with what its launch template brings, and the Node that its kubelet is to register."""
        instance = self.ec2.add_instance(self.node_subnets[zone], type, brought=brought)
        return self.registration(instance, name, labels)

    def registration(
        self, instance: Instance, name: str = "", labels: Mapping[str, str] | None = None
    ) -> tuple[WorldNode, Object]:
        """The Node that the kubelet of an instance is to register."""
        address = instance.private_ip
        name = name or f"ip-{address.replace('.', '-')}.{self.ec2.account.region}.compute.internal"
        node = self.nodes[name] = WorldNode(name, instance.id)
        return node, _node(name, instance.id, instance.zone, instance.type, address, labels or {})

    def nodeeni(self, name: str) -> Object | None:
        return self.kube.get(GROUP, "nodeenis", name)

    def eninode(self, name: str) -> Object | None:
        return self.kube.get(GROUP, "eninodes", name)

    def label(self, node: str, **labels: str | None) -> None:
        """Set labels of a Node; None takes one off."""
        self.kube.patch("", "nodes", node, {"metadata": {"labels": labels}})

    def environment(self, kubeconfig: Path) -> dict[str, str]:
        """What a process needs to use the two servers; writes the kubeconfig."""
        kubeconfig.write_text(self.kube.kubeconfig())
        return {
            "KUBECONFIG": str(kubeconfig),
            "AWS_ENDPOINT_URL": self.ec2.url,
            "AWS_REGION": self.ec2.account.region,
            "AWS_DEFAULT_REGION": self.ec2.account.region,
            "AWS_ACCESS_KEY_ID": "AKIASANDBOXSANDBOX00",
            "AWS_SECRET_ACCESS_KEY": "sandbox",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    async def _delete_dead_nodes(self) -> None:
        while True:
            await asyncio.sleep(CLOUD_CONTROLLER_LOOK)
            for node in list(self.nodes.values()):
                if self._is_terminated(node.instance_id):
                    del self.nodes[node.name]
                    with contextlib.suppress(LookupError):
                        self.kube.delete("", "nodes", node.name)

    def _is_terminated(self, instance_id: str) -> bool:
        return self.ec2.instance(instance_id).state == "terminated"


def _node(
    name: str, instance_id: str, zone: str, type: str, address: str, labels: Mapping[str, str]
) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "node.kubernetes.io/instance-type": type,
                "topology.kubernetes.io/region": zone[:-1],
                "topology.kubernetes.io/zone": zone,
                **labels,
            },
        },
        "spec": {"providerID": f"aws:///{zone}/{instance_id}"},
        "status": {
            "addresses": [
                {"type": "InternalIP", "address": address},
                {"type": "Hostname", "address": name},
            ],
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
            "nodeInfo": {"kubeletVersion": "v1.34.0-sandbox", "operatingSystem": "linux"},
        },
    }


def readme_nodeeni(name: str, **spec: Any) -> Object:
    """A NodeENI as v1.1.0's README has it, with changes. A field set to None is left out."""
    whole = {
        "nodeSelector": NODE_LABELS,
        "subnetID": SUBNET,
        "securityGroupIDs": [SECURITY_GROUP],
        "deviceIndex": 2,
        "deleteOnTermination": True,
        "description": "Multus ENI for secondary network interfaces",
    } | spec
    return {
        "apiVersion": API_VERSION,
        "kind": "NodeENI",
        "metadata": {"name": name},
        "spec": {key: value for key, value in whole.items() if value is not None},
    }


def process_environment(world: World, kubeconfig: Path) -> dict[str, str]:
    """The whole environment of a child process: ours, with the world's on top and no real AWS in it."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    return {**inherited, **world.environment(kubeconfig)}

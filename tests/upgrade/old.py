"""NodeENIs, statuses, tags and ENIs as aws-multi-eni-controller v1.1.0 and v1.3.8 write them.

The shapes are those of recorded runs of the two programs (`tests/api/data/`).
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from tests.controller.conftest import LABELS, NAME, Stage

from nodeeni.sandbox.ec2 import Interface
from nodeeni.sandbox.world import WorldNode

Object = dict[str, Any]

_WRITTEN_AT = "2026-11-24T02:23:14Z"


class OldVersion(msgspec.Struct, frozen=True):
    """What differs between the two: the tags of an interface, and the fields of an entry in the status."""

    name: str
    tags: Callable[[WorldNode, str], Mapping[str, str]]
    entry: Callable[[Interface, str], Object]


def _tags(node: WorldNode) -> dict[str, str]:
    return {
        "NodeENI": NAME,
        "Node": node.name,
        "kubernetes.io/cluster/managed-by": "nodeeni-controller",
        "node.k8s.amazonaws.com/no_manage": "true",
    }


V1_1_0 = OldVersion(
    "v1.1.0",
    lambda node, _subnet: {**_tags(node), "Name": f"nodeeni-{NAME}-{node.name}"},
    lambda _interface, _cidr: {},
)
V1_3_8 = OldVersion(
    "v1.3.8",
    lambda node, subnet: {
        **_tags(node),
        "Name": f"nodeeni-{NAME}-{node.name}-{subnet[-8:]}",
        "SubnetID": subnet,
    },
    lambda interface, cidr: {
        "subnetID": interface.subnet_id,
        "subnetCIDR": cidr,
        "deviceIndex": interface.attachment.device_index if interface.attachment else 0,
    },
)


class OldInstallation:
    """What an old version left behind: nodes, an applied NodeENI with its status, and its interfaces."""

    def __init__(self, stage: Stage, version: OldVersion) -> None:
        self._stage = stage
        self._version = version
        self.nodes: list[WorldNode] = []
        self.interfaces: dict[str, str] = {}  # id → node

    async def build(self, nodes: int, *, index: int = 2, **spec: Any) -> None:
        """`index`: where the interfaces stand, whatever the spec says. `spec`: changes of the NodeENI."""
        self._stage.apply(**spec)
        self._stage.kube.patch(
            "networking.k8s.aws",
            "nodeenis",
            NAME,
            {"metadata": {"finalizers": ["nodeeni.networking.k8s.aws/finalizer"]}},
        )
        for _ in range(nodes):
            self.nodes.append(await self._stage.world.add_node(labels=LABELS))
        self.write_status([self.attach(node, index=index) for node in self.nodes])

    def write_status(self, entries: list[Object]) -> None:
        self._stage.kube.patch(
            "networking.k8s.aws", "nodeenis", NAME, {"status": {"attachments": entries}}, subresource="status"
        )

    def attach(self, node: WorldNode, *, index: int) -> Object:
        """An interface, and the entry in the status that goes with it."""
        world = self._stage.world
        subnet = world.subnets["a"]
        interface = world.ec2.plant_interface(
            subnet,
            description=self._description(node),
            group_ids=[world.group.id],
            tags=self._version.tags(node, subnet.id),
            instance=world.ec2.instance(node.instance_id),
            device_index=index,
        )
        assert interface.attachment is not None
        self.interfaces[interface.id] = node.name
        return {
            "nodeID": node.name,
            "instanceID": node.instance_id,
            "eniID": interface.id,
            "attachmentID": interface.attachment.id,
            "status": "attached",
            "lastUpdated": _WRITTEN_AT,
            **self._version.entry(interface, subnet.cidr),
        }

    def _description(self, node: WorldNode) -> str:
        spec = (self._stage.world.nodeeni(NAME) or {})["spec"]
        return spec.get("description") or f"ENI created by nodeeni-controller for node {node.name}"

    def is_adopted(self) -> bool:
        tag = "nodeeni.networking.k8s.aws/cluster"
        return all(tag in self._stage.ec2.interface(eni_id).tags for eni_id in self.interfaces)

"""ENIs that aws-multi-eni-controller v1.x made: found through status, taken over by tagging.

They carry no cluster tag, and another cluster's could look the same. So only one that a NodeENI's status
names, whose tags say the same NodeENI and node, and that hangs on that very instance, is offered to the
planner; all others are left alone.
"""

import logging
import time

from nodeeni.api import names
from nodeeni.controller.cluster import Cluster
from nodeeni.ec2.client import EC2Client
from nodeeni.ec2.inventory import Inventory
from nodeeni.ec2.types import Interface

log = logging.getLogger(__name__)


class Adoption:
    def __init__(self, ec2: EC2Client, cluster: Cluster, inventory: Inventory) -> None:
        self._ec2 = ec2
        self._cluster = cluster
        self._inventory = inventory
        self._found: dict[str, Interface] = {}
        self._of_node: dict[str, list[Interface]] = {}

    async def look(self) -> None:
        """Read the interfaces that statuses name and the inventory does not know. Raises EC2Error."""
        named = self._named()
        found: dict[str, Interface] = {}
        began = time.monotonic()
        async for page in self._ec2.describe_interfaces({"network-interface-id": sorted(named)}, []):
            # One with another cluster's id may be ours for all that; it shows nothing of those that it lacks.
            self._inventory.observe(page, began, asked_ids=())
            for interface in page:
                if not interface.tags.get(names.TAG_CLUSTER) and _is_of(interface, named[interface.id]):
                    found[interface.id] = interface
        for eni_id in sorted(found.keys() - self._found.keys()):
            log.info("%s stands in a NodeENI's status and has no cluster tag: to be adopted", eni_id)
        self._found, self._of_node = found, {}
        for interface in found.values():
            self._of_node.setdefault(interface.tags[names.TAG_NODE], []).append(interface)

    def _named(self) -> dict[str, tuple[str, str]]:
        """Interface id → (NodeENI, node), as statuses have it."""
        return {
            entry.eni_id: (name, entry.node_id)
            for name, nodeeni in self._cluster.nodeenis.store.items()
            for entry in nodeeni.status.attachments
            if entry.eni_id and self._inventory.get(entry.eni_id) is None
        }

    def of(self, node: str, instance_id: str) -> tuple[Interface, ...]:
        """What can be adopted for a node: attached to its instance, and not yet ours."""
        return tuple(
            interface
            for interface in self._of_node.get(node, ())
            if interface.id in self._found
            and interface.attachment is not None
            and interface.attachment.instance_id == instance_id
            and self._inventory.get(interface.id) is None
        )

    def get(self, eni_id: str) -> Interface | None:
        return self._found.get(eni_id)

    def done(self, eni_id: str) -> None:
        """It is ours now, and what becomes of it is the inventory's to know."""
        self._found.pop(eni_id, None)

    def waits_for(self, nodeeni: str) -> bool:
        """Whether an interface of this NodeENI is still to be adopted, on a node that is there to do it."""
        return any(
            interface.tags[names.TAG_NODEENI] == nodeeni and self._can_be_adopted(interface)
            for interface in self._found.values()
        )

    def _can_be_adopted(self, interface: Interface) -> bool:
        node = self._cluster.node(interface.tags[names.TAG_NODE])
        if node is None or node.deleting or node.out_of_service or not node.instance_id:
            return False
        return interface in self.of(node.name, node.instance_id)


def _is_of(interface: Interface, owner: tuple[str, str]) -> bool:
    nodeeni, node = owner
    tags = interface.tags
    return (
        tags.get(names.TAG_MANAGED_BY) == names.CONTROLLER
        and tags.get(names.TAG_NODEENI) == nodeeni
        and tags.get(names.TAG_NODE) == node
    )

"""Looking without doing: everything that the reconciler decides on, read once, and its decision.

`nodeeni plan` stands on this. The planner is the controller's own; nothing that acts or reports is built.
"""

import asyncio

import msgspec

from nodeeni.api import names
from nodeeni.api.v1alpha1 import AttachmentStatus, NodeENI
from nodeeni.controller.adoption import Adoption
from nodeeni.controller.brake import Brake
from nodeeni.controller.cluster import Cluster
from nodeeni.controller.evidence import Evidence
from nodeeni.controller.memory import Memory
from nodeeni.controller.planner import Planner
from nodeeni.controller.questions import Questions
from nodeeni.controller.turns import Turns, TurnTaker
from nodeeni.controller.withdrawals import Withdrawals
from nodeeni.ec2.client import EC2Client
from nodeeni.ec2.inventory import Inventory
from nodeeni.ec2.lookups import Lookups
from nodeeni.ec2.types import Interface
from nodeeni.kube.client import KubeClient
from nodeeni.plan.brake import HeldRemoval, held_orphans
from nodeeni.plan.desired import matches, selects_alike
from nodeeni.plan.ownership import is_orphan
from nodeeni.plan.plan import Plan
from nodeeni.plan.rows import State
from nodeeni.settings import Settings


async def read_cluster(client: KubeClient) -> Cluster:
    """The Nodes, NodeENIs and ENINodes as they are now. Raises KubeError."""
    cluster = Cluster(client)
    for informer in cluster.informers:
        await informer.read_once()
    return cluster


class Planning:
    """`read` comes first; then every node can be planned, as often as is wanted."""

    def __init__(self, ec2: EC2Client, cluster: Cluster, settings: Settings, cluster_id: str) -> None:
        memory = Memory(settings.read_lag)
        former_ids = settings.former_cluster_ids or ()
        self.evidence = Evidence(cluster, cluster_id, former_ids)
        self._ec2 = ec2
        self._cluster = cluster
        self._lookups = Lookups(ec2)
        self._inventory = Inventory(ec2, cluster_id, former_ids, self.evidence.concerns)
        self._adoption = Adoption(ec2, cluster, self._inventory)
        self._turns = Turns(again=lambda _: None)
        self._brake = Brake(settings, cluster, self._inventory)
        self._taker = TurnTaker(self._turns, cluster, memory)
        self._planner = Planner(
            settings=settings,
            cluster_id=cluster_id,
            cluster=cluster,
            inventory=self._inventory,
            lookups=self._lookups,
            adoption=self._adoption,
            evidence=self.evidence,
            memory=memory,
            turns=self._turns,
            brake=self._brake,
            questions=Questions(),
            withdrawals=Withdrawals(),
        )

    async def read(self) -> None:
        """EC2's interfaces and instances, once, and how each node stands. Raises EC2Error."""
        await self._inventory.refresh_and_look_for(self._cluster.owners())
        await self._adoption.look()
        # Asked for together they share describes; node by node each would cost one.
        instances = await self._cluster.instances()
        await asyncio.gather(*(self._lookups.instance(instance_id) for instance_id in instances))
        for nodeeni in self._cluster.nodeenis.store.values():
            # The controller puts it on before anything else, and the plan is about what follows.
            if not nodeeni.metadata.deleting and names.FINALIZER not in nodeeni.metadata.finalizers:
                nodeeni.metadata.finalizers = (*nodeeni.metadata.finalizers, names.FINALIZER)
        for node in self.nodes():
            await self.plan(node)
        self._turns.begin()
        for nodeeni in self._cluster.nodeenis.store.values():
            self._brake.believe(nodeeni)

    def suppose(self, nodeeni: NodeENI) -> None:
        """Plan as if this NodeENI were applied; one of its name that exists keeps its identity."""
        known = self._cluster.nodeenis.store.get(nodeeni.metadata.name)
        if known is not None:
            nodeeni.metadata = known.metadata
            if not selects_alike(known.spec, nodeeni.spec):
                labels = {name: node.metadata.labels for name, node in self._cluster.nodes.store.items()}
                before = {name for name, given in labels.items() if matches(known.spec, given)}
                left_out = {name for name in before if not matches(nodeeni.spec, labels[name])}
                self._brake.edited(known.metadata.uid, left_out)
        self._cluster.nodeenis.store[nodeeni.metadata.name] = nodeeni

    def suppose_named(self, nodeeni: NodeENI, node: str, interface: Interface) -> None:
        """Plan as if this NodeENI's status named the interface: of v1.x, it can then be adopted."""
        entry = AttachmentStatus(
            node_id=node,
            instance_id=interface.attachment.instance_id if interface.attachment else "",
            eni_id=interface.id,
            status=State.ATTACHED,
        )
        nodeeni.status.attachments = [entry, *nodeeni.status.attachments]

    def nodes(self) -> list[str]:
        """Every node that exists, or whose name is on an interface of ours."""
        named = {self._cluster.node_of(interface) for interface in self._inventory.all()}
        return sorted({*self._cluster.nodes.store, *named} - {""})

    async def interface(self, eni_id: str) -> Interface | None:
        """Ours or not; None where EC2 shows none of that id. Raises EC2Error."""
        known = self._inventory.get(eni_id)
        if known is not None:
            return known
        async for page in self._ec2.describe_interfaces({"network-interface-id": [eni_id]}):
            return next(iter(page), None)
        return None

    async def plan(self, node: str) -> Plan:
        """Nodes planned one after another take turns at replacements as they would when it is done."""
        plan = await self._planner.plan(node)
        self._taker.take(plan)
        return plan

    def holds(self) -> list[HeldRemoval]:
        """The removals that the brake holds, without their ends: those stand on when the signs were seen."""
        holds = [msgspec.structs.replace(hold, until="") for hold in self._brake.all_holds()]
        owners = self._cluster.owners()
        orphans = (i for i in self._inventory.all() if is_orphan(i, owners, self._cluster.told(i.id)))
        return [*holds, *held_orphans(orphans)]

    async def close(self) -> None:
        await self._lookups.close()

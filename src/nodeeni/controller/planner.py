"""Looking and deciding, for one node: what is there, what is desired, what is to be done. It changes nothing.

What acts (`reconciler.py`, `executor.py`) and what only shows (`nodeeni plan`) stand on this page alike.
"""

import time
from collections.abc import Callable

from nodeeni.api import names
from nodeeni.api.reasons import RowReason
from nodeeni.api.v1alpha1 import NodeENI
from nodeeni.controller.adoption import Adoption
from nodeeni.controller.cluster import Cluster
from nodeeni.controller.memory import Memory
from nodeeni.controller.turns import Turns
from nodeeni.ec2.inventory import Inventory
from nodeeni.ec2.lookups import Lookups
from nodeeni.ec2.types import Instance, Interface
from nodeeni.plan import report
from nodeeni.plan.actions import Action
from nodeeni.plan.desired import Desired, Network, desired_interfaces, selecting
from nodeeni.plan.diff import diff
from nodeeni.plan.observed import NodeView, Observed
from nodeeni.plan.plan import Plan
from nodeeni.plan.policy import Circumstances, decide
from nodeeni.settings import Settings


class Planner:
    """`under_way` tells the actions of a node whose calls have begun; `confirmed_orphans` the ids of
    interfaces that are proved to have no owner. Where nothing acts, there are none of either.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        cluster_id: str,
        cluster: Cluster,
        inventory: Inventory,
        lookups: Lookups,
        adoption: Adoption,
        memory: Memory,
        turns: Turns,
        under_way: Callable[[str], tuple[Action, ...]] = lambda _: (),
        confirmed_orphans: Callable[[], frozenset[str]] = frozenset,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._cluster_id = cluster_id
        self._cluster = cluster
        self._inventory = inventory
        self._lookups = lookups
        self._adoption = adoption
        self._memory = memory
        self._turns = turns
        self._under_way = under_way
        self._confirmed_orphans = confirmed_orphans
        self._clock = clock
        self._absent_since: dict[str, float] = {}

    async def plan(self, name: str) -> Plan:
        """What is to be done for one node now. Raises EC2Error where EC2 cannot be asked."""
        node = self._cluster.node(name)
        desired, observed = await self._observe(name, node, await self._instances(name, node))
        return self._decide(desired, observed)

    async def plan_anew(self, plan: Plan) -> Plan:
        """The same node once more, with a look at what stands on its instance now. Raises EC2Error."""
        if plan.observed.node is not None:
            self._lookups.invalidate_instance(plan.observed.node.instance_id)
        return await self.plan(plan.observed.name)

    def expect_to_run(self, plan: Plan) -> None:
        """Have an instance that does not run yet looked at anew with the next plan: no event tells."""
        instance = plan.observed.instance
        if instance and any(r.reason is RowReason.INSTANCE_NOT_RUNNING for r in plan.refusals):
            self._lookups.invalidate_instance(instance.id)

    # -- observe -------------------------------------------------------------------------------------

    def _interfaces(self, name: str, node: NodeView | None) -> tuple[Interface, ...]:
        """Ours of this node: by its name, and by its instance where the name's tag was taken off."""
        found = {interface.id: interface for interface in self._inventory.of_node(name)}
        if node is not None and node.instance_id:
            for interface in self._inventory.of_instance(node.instance_id):
                if interface.tags.get(names.TAG_NODE, name) == name:
                    found[interface.id] = interface
        elif not name:
            found = {interface.id: interface for interface in self._nameless()}
        return tuple(found[eni_id] for eni_id in sorted(found))

    def _nameless(self) -> list[Interface]:
        """Those whose Node tag was taken off by hand, and whose instance is no node's: nobody else's work."""
        known = {node.instance_id for node in self._cluster.nodes.store.values()}
        return [
            interface
            for interface in self._inventory.all()
            if names.TAG_NODE not in interface.tags
            and interface.tags.get(names.TAG_INSTANCE) not in known
            and (interface.attachment is None or interface.attachment.instance_id not in known)
        ]

    async def _instances(self, name: str, node: NodeView | None) -> dict[str, Instance]:
        """The node's instance, and those that its interfaces hang on."""
        wanted = {i.attachment.instance_id for i in self._interfaces(name, node) if i.attachment}
        if node is None:
            for instance_id in wanted:
                self._lookups.invalidate_instance(instance_id)  # it may well have been terminated
        elif node.instance_id:
            wanted.add(node.instance_id)
        found = {}
        for instance_id in sorted(wanted):
            instance = await self._lookups.instance(instance_id)
            if instance is not None:
                found[instance_id] = instance
        return found

    async def _observe(
        self, name: str, node: NodeView | None, instances: dict[str, Instance]
    ) -> tuple[Desired, Observed]:
        instance = instances.get(node.instance_id) if node else None
        selected = selecting(node, self._cluster.nodeenis.store.values()) if node else []
        network = await self._network(selected)
        # Asked for every node, so that it is known when a NodeENI comes.
        instance_type = await self._lookups.instance_type(instance.type) if instance else None
        # From here on nothing is awaited: what is decided is decided on one moment's view.
        interfaces = self._interfaces(name, node)
        observed = Observed(
            name=name,
            node=node,
            instance=instance,
            instance_type=instance_type,
            instance_states={key: value.state for key, value in instances.items()},
            interfaces=interfaces,
            cluster_id=self._cluster_id,
            adoptable=self._adoption.of(name, instance.id) if instance else (),
            owners=self._cluster.owners(),
            in_flight=self._under_way(name),
            generations=self._memory.generations(instance.id) if instance else {},
            avoided_subnets=self._memory.avoided_subnets,
            taken_indexes=self._memory.taken_indexes(instance.id) if instance else frozenset(),
            full=bool(instance and self._memory.is_full(instance.id)),
            gone=self._gone(instance),
            ages={i.id: self._memory.age(i.id) for i in interfaces},
            force_detach_after=self._settings.force_detach_after,
            undo_attach_after=self._settings.undo_attach_after,
            undone=self._memory.undone,
        )
        desired = (
            desired_interfaces(node, instance, selected, network, self._cluster_id) if node else Desired()
        )
        return desired, observed

    async def _network(self, nodeenis: list[NodeENI]) -> Network:
        """What EC2 has of the subnets and groups that these NodeENIs name."""
        subnets = {
            subnet.id: subnet
            for n in nodeenis
            for subnet in await self._lookups.subnets(n.spec.all_subnet_ids, n.spec.all_subnet_names)
        }
        groups = {
            group.id: group
            for n in nodeenis
            for group in await self._lookups.groups(n.spec.security_group_ids, n.spec.security_group_names)
        }
        return Network(tuple(subnets.values()), tuple(groups.values()))

    def _gone(self, instance: Instance | None) -> frozenset[str]:
        if instance is None:
            return frozenset()
        return frozenset(slot.eni_id for slot in instance.slots if self._inventory.removed(slot.eni_id))

    # -- decide --------------------------------------------------------------------------------------

    def _decide(self, desired: Desired, observed: Observed) -> Plan:
        found = diff(desired, observed)
        decision = decide(found.actions, self._circumstances(observed))
        return Plan(
            observed=observed,
            decision=decision,
            rows=tuple(report.with_waiting(found.rows, decision.refused)),
            refusals=found.refusals,
            vanishing=found.vanishing,
        )

    def _circumstances(self, observed: Observed) -> Circumstances:
        now = self._clock()
        node = observed.node
        absent_since = now
        if _stranded(observed):
            absent_since = self._absent_since.setdefault(observed.name, now)
        else:
            self._absent_since.pop(observed.name, None)
        return Circumstances(
            now=now,
            holds=self._memory.holds(observed.name),
            creates_paused_until=self._memory.creates_paused_until,
            before=self._turns.before(observed.name),
            surveyed=self._turns.begun,
            finalized=frozenset(
                n.metadata.uid
                for n in self._cluster.nodeenis.store.values()
                if names.FINALIZER in n.metadata.finalizers or self._settings.dry_run
            ),
            node_ends=node is not None and (node.deleting or node.out_of_service),
            node_absent_for=now - absent_since,
            node_grace=self._settings.node_grace_period,
            confirmed_orphans=self._confirmed_orphans(),
        )


def _stranded(observed: Observed) -> bool:
    """Whether interfaces hang on an instance that no Node of that name names."""
    home = observed.node.instance_id if observed.node else ""
    return any(i.attachment and i.attachment.instance_id != home for i in observed.interfaces)

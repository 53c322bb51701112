"""One node at a time: observe, decide, act, report. Everything else in this folder serves this page.

A reconcile never waits for a change in EC2. It hands its actions to the executor and ends; what they bring
about, like everything else that happens, has the node reconciled again.
"""

import logging
import math
import time
from collections.abc import Callable

import msgspec

from nodeeni import metrics
from nodeeni.api import names
from nodeeni.api.reasons import RowReason
from nodeeni.api.v1alpha1 import NodeENI
from nodeeni.controller.adoption import Adoption
from nodeeni.controller.announcer import Announcer
from nodeeni.controller.cluster import Cluster
from nodeeni.controller.eninodes import ENINodeWriter
from nodeeni.controller.executor import Executor
from nodeeni.controller.memory import Memory
from nodeeni.controller.reporter import Reporter
from nodeeni.controller.sweeper import Sweeper
from nodeeni.controller.turns import Turns
from nodeeni.controller.workqueue import WorkQueue
from nodeeni.ec2.inventory import Inventory
from nodeeni.ec2.lookups import Lookups
from nodeeni.ec2.types import Instance, Interface
from nodeeni.plan import report
from nodeeni.plan.actions import Action, Cause, Detach
from nodeeni.plan.desired import Desired, Network, desired_interfaces, selecting
from nodeeni.plan.diff import Diff, diff
from nodeeni.plan.observed import NodeView, Observed
from nodeeni.plan.policy import Circumstances, Decision, decide
from nodeeni.plan.rows import Row, State
from nodeeni.settings import Settings

log = logging.getLogger(__name__)

LINK_WAIT = 30.0  # seconds for the link of a replaced interface, before the next node has its turn


class Plan(msgspec.Struct, frozen=True):
    """One decision about one node, printable as it is. `rows` are those of `diff`, with what has to wait."""

    observed: Observed
    desired: Desired
    diff: Diff
    decision: Decision
    rows: list[Row]


class Reconciler:
    def __init__(
        self,
        *,
        settings: Settings,
        cluster_id: str,
        cluster: Cluster,
        inventory: Inventory,
        lookups: Lookups,
        memory: Memory,
        executor: Executor,
        adoption: Adoption,
        sweeper: Sweeper,
        reporter: Reporter,
        eninodes: ENINodeWriter,
        announcer: Announcer,
        queue: WorkQueue,
        turns: Turns,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._cluster_id = cluster_id
        self._cluster = cluster
        self._inventory = inventory
        self._lookups = lookups
        self._memory = memory
        self._executor = executor
        self._adoption = adoption
        self._sweeper = sweeper
        self._reporter = reporter
        self._eninodes = eninodes
        self._announcer = announcer
        self._queue = queue
        self._turns = turns
        self._clock = clock
        self._absent_since: dict[str, float] = {}
        self._first_needed: dict[str, dict[str, float]] = {}  # node → NodeENI uid → since

    async def reconcile(self, name: str) -> None:
        """Bring one node nearer to what is desired. Raises EC2Error where EC2 cannot be asked."""
        node = self._cluster.node(name)
        instances = await self._instances(name, node)
        desired, observed = await self._observe(name, node, instances)
        plan = self._decide(desired, observed)
        if any(_replaces(action) and action not in observed.in_flight for action in plan.decision.allowed):
            plan = await self._decide_again(name, node)
        if log.isEnabledFor(logging.DEBUG):
            log.debug("planned", extra={"node": name, **_shape(plan)})
        self._act(plan)
        self._report(plan)
        self._come_back(plan)

    async def plan(self, name: str) -> Plan:
        """What would be decided now, without doing it: for people. Nodes planned one after another take
        turns at replacements as they would when it is done.
        """
        node = self._cluster.node(name)
        desired, observed = await self._observe(name, node, await self._instances(name, node))
        plan = self._decide(desired, observed)
        self._take_turns(plan)
        return plan

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
            in_flight=self._executor.under_way(name),
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
        plan = diff(desired, observed)
        decision = decide(plan.actions, self._circumstances(observed))
        return Plan(observed, desired, plan, decision, report.with_waiting(plan.rows, decision.refused))

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
            confirmed_orphans=self._sweeper.confirmed,
        )

    async def _decide_again(self, name: str, node: NodeView | None) -> Plan:
        """Before something that works is taken away, look anew at what stands on the instance."""
        if node is not None:
            self._lookups.invalidate_instance(node.instance_id)
        desired, observed = await self._observe(name, node, await self._instances(name, node))
        return self._decide(desired, observed)

    # -- act -----------------------------------------------------------------------------------------

    def _act(self, plan: Plan) -> None:
        name = plan.observed.name
        self._memory.keep_holds(name, plan.diff.actions)
        self._take_turns(plan)
        self._sweeper.expect_gone(plan.diff.vanishing)
        if self._settings.dry_run:
            self._announcer.would_do(name, plan.decision)
            return
        for action in plan.decision.allowed:
            if isinstance(action, Detach) and action.force:
                self._announce_force(plan.observed, action)
        self._executor.sync(name, plan.decision.allowed)

    def _announce_force(self, observed: Observed, action: Detach) -> None:
        interface = next(i for i in observed.interfaces if i.id == action.eni_id)
        if interface.attachment is not None and interface.attachment.status == "attaching":
            self._announcer.undoing(action, self._settings.undo_attach_after)
        else:
            self._announcer.forcing(action, self._settings.force_detach_after)

    def _take_turns(self, plan: Plan) -> None:
        """Whoever lost what it should have comes first; whoever is to be replaced waits for those."""
        taken = {action.uid for action in plan.decision.allowed if _replaces(action)}
        put_off = {refused.action.uid for refused in plan.decision.refused if _replaces(refused.action)}
        unsettled = {
            row.uid
            for row in plan.rows
            if row.wanted and (row.uid in taken or self._lacks(row) or self._link_lags(row))
        }
        self._turns.note(plan.observed.name, unsettled, put_off)

    def _lacks(self, row: Row) -> bool:
        """Whether the others have to wait for what is under way here. A new node keeps nobody waiting, or a
        cluster that always grows would never be through; one that EC2 refuses does.
        """
        if row.state is State.FAILED:  # the plan has no place for it any more
            taken_off = row.interface is None or row.interface.attachment is None
            return taken_off and self._turns.is_unsettled(row.node, row.uid)
        if row.state is State.ATTACHED:
            return False
        refused = (
            hold.reported and hold.action.uid == row.uid for hold in self._memory.holds(row.node).values()
        )
        return not self._turns.begun or self._turns.is_unsettled(row.node, row.uid) or any(refused)

    def _link_lags(self, row: Row) -> bool:
        """Whether an interface that was missing is back and its link is not, where an ENI manager tells."""
        if row.state is not State.ATTACHED or row.interface is None:
            return False
        if not self._turns.is_unsettled(row.node, row.uid):
            return False
        return self._cluster.link_up(row.node, row.interface.mac) is False and self._link_due_in(row) > 0

    def _link_due_in(self, row: Row) -> float:
        return LINK_WAIT - self._memory.age(row.interface.id) if row.interface else 0.0

    # -- report --------------------------------------------------------------------------------------

    def _report(self, plan: Plan) -> None:
        if self._settings.dry_run:
            return
        observed = plan.observed
        rows = report.with_failures(plan.rows, self._memory.holds(observed.name).values())
        self._reporter.report(observed.name, rows)
        self._announcer.refusals(observed.name, plan.diff.refusals)
        self._time_attachments(observed.name, rows)
        instance_id = observed.node.instance_id if observed.node else ""
        self._eninodes.want(observed.name, observed.node, report.eninode_spec(instance_id, rows))

    def _time_attachments(self, name: str, rows: list[Row]) -> None:
        now, before, moving = self._clock(), self._first_needed.pop(name, {}), {}
        for row in rows:
            since = before.get(row.uid, now)
            if row.state in (State.CREATING, State.ATTACHING):
                moving[row.uid] = since
            elif row.state is State.ATTACHED and row.uid in before:
                metrics.ATTACH_SECONDS.observe(now - since)
        if moving:
            self._first_needed[name] = moving

    # -- come back -----------------------------------------------------------------------------------

    def _come_back(self, plan: Plan) -> None:
        """When to look at the node again if nothing happens before."""
        delays = [refused.why.retry_after for refused in plan.decision.refused]
        delays += [refusal.retry_after for refusal in plan.diff.refusals]
        delays += [_hangs_in(plan.observed, i) for i in plan.observed.interfaces]
        delays += [self._link_due_in(row) for row in plan.diff.rows if self._link_lags(row)]
        instance = plan.observed.instance
        if instance and any(r.reason is RowReason.INSTANCE_NOT_RUNNING for r in plan.diff.refusals):
            self._lookups.invalidate_instance(instance.id)
        soonest = min(delays, default=math.inf)
        if math.isfinite(soonest):
            self._queue.add_after(plan.observed.name, max(soonest, 0.05))


def _hangs_in(observed: Observed, interface: Interface) -> float:
    """Seconds until its transition counts as hanging; infinite where there is none, or it does already."""
    status = interface.attachment.status if interface.attachment else ""
    limits = {"detaching": observed.force_detach_after, "attaching": observed.undo_attach_after}
    left = limits.get(status, math.inf) - observed.ages.get(interface.id, 0.0)
    return left + 0.05 if left >= 0 else math.inf


def _replaces(action: Action) -> bool:
    return isinstance(action, Detach) and action.cause is Cause.REPLACED


def _stranded(observed: Observed) -> bool:
    """Whether interfaces hang on an instance that no Node of that name names."""
    home = observed.node.instance_id if observed.node else ""
    return any(i.attachment and i.attachment.instance_id != home for i in observed.interfaces)


def _shape(plan: Plan) -> dict[str, list[str]]:
    """A plan as `--v=5` shows it: what is done now, what waits, and what cannot be had."""
    return {
        "now": [action.text for action in plan.decision.allowed],
        "later": [f"{refused.action.text} ({refused.why.message})" for refused in plan.decision.refused],
        "refused": [f"{refusal.nodeeni}: {refusal.reason}" for refusal in plan.diff.refusals],
        "states": [f"{row.nodeeni}: {row.state.value}" for row in plan.diff.rows],
    }

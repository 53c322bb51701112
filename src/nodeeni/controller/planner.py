"""Looking and deciding, for one node: what is there, what is desired, what is to be done. It changes nothing.

What acts (`reconciler.py`, `executor.py`) and what only shows (`nodeeni plan`) stand on this page alike.
"""

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from functools import partial

from nodeeni.api import names
from nodeeni.api.reasons import RowReason
from nodeeni.api.v1alpha1 import NodeENI
from nodeeni.controller.adoption import Adoption
from nodeeni.controller.asked import Asked, known_network
from nodeeni.controller.brake import Brake
from nodeeni.controller.cluster import Cluster
from nodeeni.controller.evidence import Evidence
from nodeeni.controller.first_sight import FirstSight
from nodeeni.controller.memory import Memory
from nodeeni.controller.questions import Questions
from nodeeni.controller.turns import Turns
from nodeeni.controller.withdrawals import Withdrawals
from nodeeni.ec2.inventory import Inventory
from nodeeni.ec2.lookups import Lookups
from nodeeni.ec2.types import Instance, Interface
from nodeeni.plan import report
from nodeeni.plan.actions import Action, Create
from nodeeni.plan.brake import losses
from nodeeni.plan.desired import LEFT_OVER_AFTER, Desired, desired_interfaces, selecting
from nodeeni.plan.diff import Diff, diff
from nodeeni.plan.first_sight import as_labelled, asks_more
from nodeeni.plan.launch_time import places
from nodeeni.plan.network import Network
from nodeeni.plan.observed import ENDS, RESTS, UNREAD, NodeView, Observed
from nodeeni.plan.ownership import Verdict, is_doubtful
from nodeeni.plan.plan import Plan
from nodeeni.plan.pod_networks import holders_of
from nodeeni.plan.pods import pods_of
from nodeeni.plan.policy import Circumstances, decide
from nodeeni.plan.refusal import Refusal
from nodeeni.settings import Settings

UNREAD_RETRY = 60.0  # seconds: a look at what EC2's inventory has then


class Planner:
    """`under_way` tells the actions of a node whose calls have begun; `confirmed_orphans` the ids of
    interfaces that are proved to have no owner. Where nothing acts, there are none of either. What cannot be
    asked of EC2 is a refusal of the NodeENIs that ask it: everything else of the node goes on.
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
        evidence: Evidence,
        memory: Memory,
        turns: Turns,
        brake: Brake,
        questions: Questions,
        withdrawals: Withdrawals,
        first_sight: FirstSight | None = None,
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
        self._evidence = evidence
        self._memory = memory
        self._turns = turns
        self._brake = brake
        self._questions = questions
        self._withdrawals = withdrawals
        self._first_sight = first_sight or FirstSight()
        self._under_way = under_way
        self._confirmed_orphans = confirmed_orphans
        self._clock = clock
        # Nodes that wait for one answer are planned one by one: the first calls are on their way, and
        # answered, while the last ones are still being planned.
        self._deciding = asyncio.Lock()
        self._absent_since: dict[str, float] = {}
        self._dead_since: dict[str, float] = {}  # nodes whose instance has ended

    async def plan(self, name: str) -> Plan:
        """What is to be done for one node now."""
        node = self._cluster.node(name)
        if node is not None and (plan := self._plan_at_first_sight(node)):
            return plan
        desired, observed = await self._observe(name, node)
        plan = self._decide(desired, observed)
        self._first_sight.seen(desired, plan)
        return plan

    async def plan_anew(self, plan: Plan) -> Plan:
        """The same node once more, with a look at what stands on its instance now."""
        if plan.observed.node is not None:
            self._lookups.invalidate_instance(plan.observed.node.instance_id)
        return await self.plan(plan.observed.name)

    def expect_to_run(self, plan: Plan) -> None:
        """Have an instance that is to run, or to stop, looked at anew with the next plan: no event tells."""
        instance, awaited = plan.observed.instance, (RowReason.INSTANCE_NOT_RUNNING, RowReason.INSTANCE_RUNS)
        if instance and any(refusal.reason in awaited for refusal in plan.refusals):
            self._lookups.invalidate_instance(instance.id)

    def left_over_in(self, plan: Plan) -> float:
        """Seconds until the Node of an instance that has ended counts as left over; infinite for others."""
        since = self._dead_since.get(plan.observed.name)
        left = LEFT_OVER_AFTER - (self._clock() - since) if since is not None else math.inf
        return left if left > 0 else math.inf

    # -- at first sight ------------------------------------------------------------------------------

    def _plan_at_first_sight(self, node: NodeView) -> Plan | None:
        """For a Node that has just come: what can be made for it while its instance is looked at. None where
        the look is there, or has to be waited for.
        """
        if not self._first_sight.is_open(node.name, node.instance_id) or not self._is_unknown(node):
            return None
        selected = selecting(node, self._cluster.nodeenis.store.values())
        networks = self._known_networks(selected)
        instance = as_labelled(node, networks) if networks else None
        if instance is None or asks_more(selected, instance, networks):
            return None
        observed = self._as_labelled(node, instance)
        desired = desired_interfaces(
            node, instance, selected, networks, self._cluster_id, 0.0, observed.instance_type
        )
        found = diff(desired, observed)
        chosen = self._first_sight.choose(found.actions)
        if chosen is None or found.refusals:
            return None
        plan = self._decided(found, observed, chosen)
        if not plan.decision.allowed or not self._begin_to_look(node, instance):
            return None
        self._first_sight.made(chosen)
        return plan

    def _is_unknown(self, node: NodeView) -> bool:
        """Whether its instance is nowhere but in its Node."""
        return not (
            node.ends
            or node.auto_mode
            or self._lookups.known_instance(node.instance_id)
            or self._interfaces(node.name, node)
            or self._inventory.unread(node.name, node.instance_id)
            or self._adoption.of(node.name, node.instance_id)
            or self._twins(node)
        )

    def _as_labelled(self, node: NodeView, instance: Instance) -> Observed:
        return Observed(
            name=node.name,
            node=node,
            cluster_id=self._cluster_id,
            instance=instance,
            instance_type=self._lookups.known_type(instance.type),
            instance_states={instance.id: instance.state},
            owners=self._cluster.owners(),
            in_flight=self._under_way(node.name),
            generations=self._memory.generations(instance.id),
            avoided_subnets=self._memory.avoided_subnets,
            fragmented_subnets=self._memory.fragmented_subnets,
        )

    def _begin_to_look(self, node: NodeView, instance: Instance) -> bool:
        """At what was known by labels, and at what is known from long ago; False where that is over."""
        self._lookups.expect_type(instance.type)
        look = partial(self._lookups.instance, instance.id)
        return self._questions.begin(node.name, ("instance", instance.id), look)

    def _known_networks(self, nodeenis: Sequence[NodeENI]) -> dict[str, Network]:
        """By uid, by the last answers: empty where one is not known. They are asked anew."""
        found: dict[str, Network] = {}
        for nodeeni in nodeenis:
            spec = nodeeni.spec
            network = known_network(self._lookups, spec, fresh=False)
            if network is None:
                return {}
            self._lookups.expect_subnets(spec.all_subnet_ids, spec.all_subnet_names)
            self._lookups.expect_groups(spec.security_group_ids, spec.security_group_names)
            found[nodeeni.metadata.uid] = network
        return found

    # -- observe -------------------------------------------------------------------------------------

    def _interfaces(self, name: str, node: NodeView | None) -> tuple[Interface, ...]:
        """Ours of this node. Those of which nobody knows the node are the work of the one without a name."""
        found = {interface.id: interface for interface in self._inventory.of_node(name)}
        if node is not None and node.instance_id:
            found.update((i.id, i) for i in self._inventory.of_instance(node.instance_id))
        return tuple(
            found[eni_id] for eni_id in sorted(found) if self._cluster.node_of(found[eni_id]) == name
        )

    def _twins(self, node: NodeView) -> dict[str, str]:
        names_of_it = self._cluster.nodes_of(node.instance_id)
        if len(names_of_it) < 2:
            return {}
        return {name: self._cluster.readiness(name) for name in sorted(names_of_it)}

    async def _observe(self, name: str, node: NodeView | None) -> tuple[Desired, Observed]:
        asked = Asked(self._questions, self._lookups, name)
        hosts = await asked.instances(self._hosts(name, node))
        home = hosts.get(node.instance_id) if node else None
        instance = home if isinstance(home, Instance) else None
        selected = selecting(node, self._cluster.nodeenis.store.values()) if node else []
        may_be_adopted = self._may_be_adopted(selected, instance)
        if may_be_adopted:
            networks, launched = await asyncio.gather(
                asked.networks(selected, instance), asked.launched(may_be_adopted)
            )
        else:
            networks, launched = await asked.networks(selected, instance), []
        # Asked for every node, so that it is known when a NodeENI comes.
        instance_type = await asked.instance_type(instance.type) if instance else None
        self._questions.keep(name, asked.keys)
        if asked.waited:
            async with self._deciding:
                await asyncio.sleep(0)
        # From here on nothing is awaited: what is decided is decided on one moment's view.
        interfaces, owners = self._interfaces(name, node), self._cluster.owners()
        unread_here = self._inventory.unread(name, node.instance_id) if node else []
        eninode = self._cluster.eninodes.store.get(name)
        observed = Observed(
            name=name,
            node=node,
            instance=instance,
            instance_type=None if isinstance(instance_type, Refusal) else instance_type,
            type_unread=instance_type if isinstance(instance_type, Refusal) else None,
            instance_states={
                key: host.state if isinstance(host, Instance) else UNREAD for key, host in hosts.items()
            },
            interfaces=interfaces,
            cluster_id=self._cluster_id,
            of_other_ids=frozenset(
                i.id for i in interfaces if self._evidence.verdict(i) is Verdict.OF_OTHER_ID
            ),
            adoptable=self._adoption.of(name, node.instance_id) if node and home else (),
            launched={} if isinstance(launched, Refusal) else self._not_ours(launched),
            owners=owners,
            told={i.id: self._cluster.told(i.id).uid for i in interfaces if is_doubtful(i, owners)},
            twins=self._twins(node) if node else {},
            in_flight=self._under_way(name),
            generations=self._memory.generations(instance.id) if instance else {},
            avoided_subnets=self._memory.avoided_subnets,
            fragmented_subnets=self._memory.fragmented_subnets,
            taken_indexes=self._memory.taken_indexes(instance.id) if instance else frozenset(),
            full=bool(instance and self._memory.is_full(instance)),
            gone=self._gone(instance),
            ages={i.id: self._memory.age(i.id) for i in interfaces},
            force_detach_after=self._settings.force_detach_after,
            undo_attach_after=self._settings.undo_attach_after,
            undone=self._memory.undone,
            pods=pods_of(eninode),
            unread=frozenset(each.id for each in unread_here),
        )
        if node is None:
            self._dead_since.pop(name, None)
            return Desired(), observed
        sought = dict.fromkeys(networks, home) if isinstance(home, Refusal) else dict(networks)
        if isinstance(launched, Refusal):
            sought.update((n.metadata.uid, launched) for n in selected if n.spec.adopts_launched)
        # Beside one of theirs that stands there and cannot be read, they get no second one.
        for unread in unread_here:
            for uid in sought:
                if unread.uid in ("", uid):
                    sought[uid] = Refusal(
                        reason=RowReason.EC2_ERROR, message=unread.text, retry_after=UNREAD_RETRY
                    )
        dead_for = self._dead_for(name, instance)
        desired = desired_interfaces(
            node,
            instance,
            selected,
            sought,
            self._cluster_id,
            dead_for,
            observed.instance_type,
            holders_of(eninode),
        )
        return desired, observed

    def _may_be_adopted(self, selected: Sequence[NodeENI], instance: Instance | None) -> list[str]:
        """What stands where NodeENIs that adopt what came with the launch, and have none yet, want theirs."""
        if instance is None:
            return []
        served = {i.tags.get(names.TAG_UID) for i in self._inventory.of_instance(instance.id)}
        seeking = [n.spec for n in selected if n.spec.adopts_launched and n.metadata.uid not in served]
        found = {
            slot.eni_id
            for spec in seeking
            for slot in places(
                instance,
                spec.network_card_index,
                spec.device_index,
                next_free=spec.device_index_policy == "NextFree",
            )
        }
        return sorted(eni_id for eni_id in found if self._inventory.get(eni_id) is None)

    def _not_ours(self, launched: Sequence[Interface]) -> dict[str, Interface]:
        """Those that have not become ours since they were asked for, nor were before."""
        return {
            i.id: i
            for i in launched
            if self._inventory.get(i.id) is None and not self._inventory.removed(i.id)
        }

    def _dead_for(self, name: str, instance: Instance | None) -> float:
        """Seconds since the node's instance was first seen to end; 0 where it does not."""
        if instance is None or instance.state not in ENDS:
            self._dead_since.pop(name, None)
            return 0.0
        return self._clock() - self._dead_since.setdefault(name, self._clock())

    def _hosts(self, name: str, node: NodeView | None) -> list[str]:
        """The node's instance, and those that its interfaces hang on."""
        wanted = {i.attachment.instance_id for i in self._interfaces(name, node) if i.attachment}
        if node is None:
            for instance_id in wanted:
                self._lookups.invalidate_instance(instance_id)  # it may well have been terminated
        elif node.instance_id:
            wanted.add(node.instance_id)
        return sorted(wanted)

    def _gone(self, instance: Instance | None) -> frozenset[str]:
        if instance is None:
            return frozenset()
        return frozenset(slot.eni_id for slot in instance.slots if self._inventory.removed(slot.eni_id))

    # -- decide --------------------------------------------------------------------------------------

    def _decide(self, desired: Desired, observed: Observed) -> Plan:
        return self._decided(diff(desired, observed), observed)

    def _decided(self, found: Diff, observed: Observed, at_first_sight: Create | None = None) -> Plan:
        self._brake.note(observed.name, losses(found.actions, observed))
        circumstances = self._circumstances(observed, at_first_sight)
        decision = decide(found.actions, circumstances, observed.in_flight)
        return Plan(
            observed=observed,
            decision=decision,
            rows=tuple(
                report.without_files(report.with_waiting(found.rows, decision.refused), decision.leaving)
            ),
            refusals=found.refusals,
            vanishing=found.vanishing,
        )

    def _circumstances(self, observed: Observed, at_first_sight: Create | None) -> Circumstances:
        now = self._clock()
        node = observed.node
        absent_since = now
        if _stranded(observed):
            absent_since = self._absent_since.setdefault(observed.name, now)
        else:
            self._absent_since.pop(observed.name, None)
        return Circumstances(
            now=now,
            at_first_sight=at_first_sight,
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
            unlabelled_for=self._brake.unlabelled_for(observed.name),
            label_grace=self._settings.label_grace,
            braked=self._brake.held(observed.name),
            confirmed_orphans=self._confirmed_orphans(),
            files_due=self._withdrawals.due(observed),
        )


def _stranded(observed: Observed) -> bool:
    """Whether interfaces hang on an instance that no Node of that name names, and that is at work: one of a
    warm pool is stopped, and registers again when it is called for.
    """
    home = observed.node.instance_id if observed.node else ""
    places = {i.attachment.instance_id for i in observed.interfaces if i.attachment} - {home}
    return any(observed.instance_states.get(place) not in RESTS for place in places)

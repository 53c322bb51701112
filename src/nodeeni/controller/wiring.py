"""Every object of the controller, built here alone; who is told of which change, and in which order.

`Parts` are there from the start. `Works` need EC2, and are built once the lease is ours.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from nodeeni.api.v1alpha1 import NodeENI
from nodeeni.controller.adoption import Adoption
from nodeeni.controller.announcer import Announcer
from nodeeni.controller.brake import Brake
from nodeeni.controller.cluster import Cluster, but_for_status
from nodeeni.controller.departures import Departures
from nodeeni.controller.eninodes import ENINodeWriter
from nodeeni.controller.evidence import Evidence
from nodeeni.controller.executor import Executor
from nodeeni.controller.finalizers import Finalizers
from nodeeni.controller.first_sight import FirstSight
from nodeeni.controller.health import Health
from nodeeni.controller.leadership import Leadership
from nodeeni.controller.memory import Memory
from nodeeni.controller.planner import Planner
from nodeeni.controller.questions import PATIENCE_AT_START, Questions
from nodeeni.controller.rates import AccountRates
from nodeeni.controller.readiness import Readiness
from nodeeni.controller.reconciler import Reconciler
from nodeeni.controller.releases import Releases
from nodeeni.controller.reporter import Reporter
from nodeeni.controller.sweeper import Sweeper
from nodeeni.controller.triggers import Triggers
from nodeeni.controller.troubles import Troubles
from nodeeni.controller.turns import Turns, TurnTaker
from nodeeni.controller.waits import Waits
from nodeeni.controller.withdrawals import Withdrawals
from nodeeni.controller.workqueue import WorkQueue
from nodeeni.ec2.buckets import Buckets
from nodeeni.ec2.client import EC2Client
from nodeeni.ec2.inventory import Inventory
from nodeeni.ec2.lookups import Lookups
from nodeeni.ec2.waiter import Waiter
from nodeeni.kube.client import KubeClient
from nodeeni.kube.events import EventRecorder
from nodeeni.kube.informer import Informer
from nodeeni.plan.refusal import Refusal
from nodeeni.settings import Settings
from nodeeni.slices import in_slices

INVENTORY_GAP = 2.0  # seconds between two reads that both count; less where reads lag less than that


class Parts:
    """What is there before anything is known of EC2. Writes go through `writer`, which asks for the lease."""

    def __init__(self, settings: Settings, client: KubeClient) -> None:
        self.settings = settings
        self.client = client
        self.buckets = Buckets()
        self.leadership = Leadership(client, settings, self.buckets)
        self.writer = client.fenced(self.leadership.may_act)
        self.cluster = Cluster(client)
        self.queue = WorkQueue()
        self.memory = Memory(settings.read_lag)
        self.turns = Turns(self.queue.add)
        self.recorder = EventRecorder(self.writer)
        self.announcer = Announcer(self.recorder, self.cluster)
        self.troubles = Troubles(oldest=3 * settings.resync_period)
        self.reporter = Reporter(self.writer, self.cluster, self.troubles, settings.stalled_after)
        self.reporter.on_put_right = self.announcer.status_put_right
        self.reporter.notes = self.memory.troubles
        self.reporter.pace = self.buckets.pace
        self.memory.quota_changed = self.reporter.look_at_all
        self.memory.again = self.queue.add
        self.memory.causes.lasting_trouble = lambda: self.troubles.of_all_calls
        self.eninodes = ENINodeWriter(self.writer, self.cluster)
        self.eninodes.on_put_right = self.announcer.eninode_put_right
        self.waits = Waits(self.cluster)
        self.readiness = None
        if settings.node_condition or settings.startup_taint:
            self.readiness = Readiness(self.writer, self.cluster, settings, self.reporter.rows.on)
            self.readiness.on_taint_gone = self.announcer.startup_taint_gone
        self.rates = AccountRates(self.buckets, settings.ec2_rate or {})
        self.health = Health(
            cluster=self.cluster,
            leadership=self.leadership,
            reporter=self.reporter,
            buckets=self.buckets,
            troubles=self.troubles,
            oldest=3 * settings.resync_period,
            deaf_timeout=settings.deaf_timeout,
        )


@dataclass(frozen=True)
class Works:
    """What works on nodes while we lead, around one inventory of EC2."""

    inventory: Inventory
    lookups: Lookups
    questions: Questions
    waiter: Waiter
    executor: Executor
    sweeper: Sweeper
    reconciler: Reconciler
    finalizers: Finalizers
    brake: Brake
    releases: Releases
    departures: Departures
    triggers: Triggers
    first_sight: FirstSight


def works(parts: Parts, ec2: EC2Client, cluster_id: str) -> Works:
    settings, cluster, memory, leadership = parts.settings, parts.cluster, parts.memory, parts.leadership
    former_ids = settings.former_cluster_ids or ()
    evidence = Evidence(cluster, cluster_id, former_ids)
    inventory = Inventory(
        ec2,
        cluster_id,
        former_ids,
        evidence.concerns,
        lag=settings.read_lag,
        gap=min(INVENTORY_GAP, settings.read_lag),
    )
    lookups = Lookups(ec2)
    lookups.seen = partial(inventory.observe, asked_ids=())  # it shows nothing of those that it lacks
    waiter = Waiter(inventory)
    waiter.shown = memory.shown
    adoption = Adoption(ec2, cluster, inventory)
    executor = Executor(
        ec2=ec2,
        buckets=parts.buckets,
        inventory=inventory,
        lookups=lookups,
        memory=memory,
        adoption=adoption,
        fence=leadership.may_act,
        again=parts.queue.add,
        on_failure=parts.announcer.call_failed,
        on_adopted=parts.announcer.adopted,
        expect_shown=waiter.expect,
        read_lag=settings.read_lag,
        concurrency=settings.max_concurrent_nodes,
    )
    sweeper = Sweeper(
        client=parts.client,
        cluster=cluster,
        inventory=inventory,
        adoption=adoption,
        announcer=parts.announcer,
        again=parts.queue.add,
        on_reading=parts.troubles.observe_reading,
        resync_period=settings.resync_period,
        grace=settings.orphan_grace_period,
        dry_run=settings.dry_run,
    )
    questions = Questions(again=parts.queue.add, patience=PATIENCE_AT_START)
    lookups.answered = questions.ask_again
    selection = parts.reporter.rows.selection
    brake = Brake(settings, cluster, inventory, parts.queue.add, selection.left_out)
    releases = Releases(parts.writer, cluster, brake, parts.announcer)
    withdrawals = Withdrawals()
    first_sight = FirstSight(parts.announcer.made_in_vain)
    planner = Planner(
        settings=settings,
        cluster_id=cluster_id,
        cluster=cluster,
        inventory=inventory,
        lookups=lookups,
        adoption=adoption,
        evidence=evidence,
        memory=memory,
        turns=parts.turns,
        brake=brake,
        questions=questions,
        withdrawals=withdrawals,
        first_sight=first_sight,
        under_way=executor.under_way,
        confirmed_orphans=lambda: sweeper.confirmed,
    )
    reconciler = Reconciler(
        settings=settings,
        planner=planner,
        turns=TurnTaker(parts.turns, cluster, memory),
        memory=memory,
        executor=executor,
        sweeper=sweeper,
        reporter=parts.reporter,
        eninodes=parts.eninodes,
        announcer=parts.announcer,
        waits=parts.waits,
        withdrawals=withdrawals,
        queue=parts.queue,
        doubt=waiter.doubt,
        reported=parts.readiness.look_at if parts.readiness else lambda node: None,
    )
    departures = Departures(
        announcer=parts.announcer,
        executor=executor,
        memory=memory,
        inventory=inventory,
        lookups=lookups,
        node_of=cluster.node_of,
        # Beside a controller that works, all that goes is its doing.
        settled_at=math.inf if settings.dry_run else leadership.settled_at,
        grace=settings.node_grace_period,
    )
    finalizers = Finalizers(
        parts.writer, cluster, inventory, executor, adoption, evidence, leadership.settled_at
    )
    triggers = Triggers(parts.queue, cluster, selection, inventory, waiter, lookups)
    parts.health.inventory = inventory
    parts.health.holds = lambda: [*brake.all_holds(), *sweeper.holds]
    parts.reporter.held = brake.told
    return Works(
        inventory=inventory,
        lookups=lookups,
        questions=questions,
        waiter=waiter,
        executor=executor,
        sweeper=sweeper,
        reconciler=reconciler,
        finalizers=finalizers,
        brake=brake,
        releases=releases,
        departures=departures,
        triggers=triggers,
        first_sight=first_sight,
    )


async def listen_for_trouble(parts: Parts, works: Works) -> None:
    """From here on NodeENIs are told when EC2 cannot be read, even before it was read once."""
    cluster, troubles, reporter = parts.cluster, parts.troubles, parts.reporter

    def changed(now: Refusal | None, before: Refusal | None) -> None:
        if before is None:
            works.sweeper.doubt()
        if now is None:
            parts.memory.causes.ec2_is_back()
            works.questions.ask_again()
        reporter.look_at_all()
        if now not in (None, before) and not parts.settings.dry_run:
            parts.announcer.all_wait(now)

    def nodeeni_changed(old: NodeENI | None, new: NodeENI | None) -> None:
        if old is None and new is not None and troubles.current is not None and not parts.settings.dry_run:
            parts.announcer.waits(new, troubles.current)

    troubles.changed, troubles.doubt = changed, works.sweeper.doubt
    for on_node in (reporter.rows.selection.node_changed, reporter.rows.node_changed):
        await cluster.nodes.follow(on_node)
    for listener in (reporter.rows.selection.nodeeni_changed, reporter.nodeeni_changed, nodeeni_changed):
        await cluster.nodeenis.follow(listener)


async def listen(parts: Parts, works: Works) -> None:
    """From here on every change in Kubernetes and in the inventory is followed. Listeners run in this order.

    What is there already is told as new, which has every node reconciled once.
    """
    cluster, memory, triggers, departures = parts.cluster, parts.memory, works.triggers, works.departures

    def holds_changed(uid: str) -> None:
        parts.reporter.mark(uid)
        works.releases.holds_changed(uid)

    works.brake.changed = holds_changed
    await cluster.nodeenis.follow(works.releases.nodeeni_changed)
    of_nodeenis = [works.brake.nodeeni_changed, memory.nodeeni_changed, triggers.nodeeni_changed]
    if not parts.settings.dry_run:
        of_nodeenis.insert(0, works.finalizers.nodeeni_changed)
    of_interfaces = [
        works.waiter.interface_changed,
        parts.announcer.interface_changed,
        departures.interface_changed,
        memory.interface_changed,
        triggers.interface_changed,
    ]
    if not parts.settings.dry_run:
        of_interfaces.append(works.finalizers.interface_changed)
    for interface_changed in of_interfaces:
        works.inventory.add_listener(interface_changed)
    told: list[tuple[Informer[Any], list[Callable[[Any, Any], None]]]] = [
        (
            cluster.nodes,
            [departures.node_changed, works.first_sight.node_changed, triggers.node_changed],
        ),
        (cluster.nodeenis, [*map(but_for_status, of_nodeenis)]),
        (
            cluster.eninodes,
            [
                parts.reporter.rows.eninode_changed,
                parts.eninodes.changed,
                triggers.eninode_changed,
                parts.waits.eninode_changed,
            ],
        ),
    ]
    if parts.readiness is not None:
        told += [
            (cluster.nodes, [parts.readiness.node_changed]),
            (cluster.eninodes, [parts.readiness.eninode_changed]),
        ]
    for source, listeners in told:
        for listener in listeners:
            await source.follow(listener)
    async for interface in in_slices(works.inventory.all()):
        works.waiter.interface_changed(None, interface)
        memory.interface_changed(None, interface)  # what hangs already hangs from now on
        parts.queue.add(cluster.node_of(interface))

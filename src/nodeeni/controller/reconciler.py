"""One node at a time: plan, act, report, come back. Everything else in this folder serves this page.

A reconcile never waits for a change in EC2. It hands its actions to the executor and ends; what they bring
about, like everything else that happens, has the node reconciled again.
"""

import logging
import math
from collections.abc import Callable

from nodeeni.controller.announcer import Announcer
from nodeeni.controller.eninodes import ENINodeWriter
from nodeeni.controller.executor import Executor
from nodeeni.controller.memory import Memory
from nodeeni.controller.planner import Planner
from nodeeni.controller.reporter import Reporter
from nodeeni.controller.sweeper import Sweeper
from nodeeni.controller.turns import TurnTaker, replaces
from nodeeni.controller.waits import Waits
from nodeeni.controller.withdrawals import Withdrawals
from nodeeni.controller.workqueue import WorkQueue
from nodeeni.plan import report
from nodeeni.plan.actions import Detach
from nodeeni.plan.observed import Observed
from nodeeni.plan.plan import Plan
from nodeeni.plan.pods import NO_PODS
from nodeeni.settings import Settings

log = logging.getLogger(__name__)

SOONEST = 0.05  # seconds before a node is looked at again for a time that has come


class Reconciler:
    def __init__(
        self,
        *,
        settings: Settings,
        planner: Planner,
        turns: TurnTaker,
        memory: Memory,
        executor: Executor,
        sweeper: Sweeper,
        reporter: Reporter,
        eninodes: ENINodeWriter,
        announcer: Announcer,
        waits: Waits,
        withdrawals: Withdrawals,
        queue: WorkQueue,
        doubt: Callable[[str], None],
        reported: Callable[[str], None],
    ) -> None:
        """`doubt` has EC2 asked for an interface again; `reported` is told of a node whose rows were."""
        self._settings = settings
        self._planner = planner
        self._turns = turns
        self._memory = memory
        self._executor = executor
        self._sweeper = sweeper
        self._reporter = reporter
        self._eninodes = eninodes
        self._announcer = announcer
        self._queue = queue
        self._doubt = doubt
        self._waits = waits
        self._withdrawals = withdrawals
        self._reported = reported

    async def reconcile(self, name: str) -> None:
        """Bring one node nearer to what is desired."""
        plan = await self._planner.plan(name)
        if any(
            replaces(action) and action not in plan.observed.in_flight for action in plan.decision.allowed
        ):
            plan = await self._planner.plan_anew(plan)  # before something that works is taken away
        if log.isEnabledFor(logging.DEBUG):
            log.debug("planned", extra={"node": name, **plan.outline})
        self._act(plan)
        self._report(plan)
        self._come_back(plan)

    def _act(self, plan: Plan) -> None:
        name = plan.observed.name
        self._memory.keep_holds(name, plan.actions)
        self._turns.take(plan)
        self._sweeper.expect_gone(plan.vanishing)
        if self._settings.dry_run:
            self._announcer.would_do(name, plan.decision)
            return
        self._withdrawals.note(plan.observed, plan.decision.leaving)
        for action in plan.actions:
            if isinstance(action, Detach) and action.eni_id in plan.decision.leaving:
                pods = plan.observed.pods.get(action.eni_id, NO_PODS)
                if self._withdrawals.is_news(action.eni_id, pods):
                    self._announcer.leaving(action, pods)
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

    def _report(self, plan: Plan) -> None:
        if self._settings.dry_run:
            return
        name, node = plan.observed.name, plan.observed.node
        rows = report.with_failures(plan.rows, self._memory.holds(name).values())
        self._reporter.rows.report(name, rows)
        self._reported(name)
        self._announcer.refusals(name, plan.refusals)
        self._waits.observe(name, rows)
        spec = report.eninode_spec(node.instance_id if node else "", rows)
        self._eninodes.want(name, node, spec, plan.observed.unread)

    def _come_back(self, plan: Plan) -> None:
        """When to look at the node again if nothing happens before."""
        self._planner.expect_to_run(plan)
        delays = [refused.why.retry_after for refused in plan.decision.refused]
        delays += [refusal.retry_after for refusal in plan.refusals]
        delays += [plan.observed.hangs_in(interface) for interface in plan.observed.interfaces]
        delays += self._turns.links_due(plan)
        delays.append(self._planner.left_over_in(plan))
        for eni_id in plan.observed.unread:
            self._doubt(eni_id)
        soonest = min(delays, default=math.inf)
        if math.isfinite(soonest):
            self._queue.add_after(plan.observed.name, max(soonest, SOONEST))

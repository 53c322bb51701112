"""The main thread: from a kernel event or a new spec to links that are as wanted, within milliseconds.

It never waits for the API server: what is wanted comes in through the mailbox, what was found goes out by
`report`, and the other ends of both belong to other threads.
"""

import logging
import select
import time
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from nodeeni.agent.act import act, look_again, tell
from nodeeni.agent.attempts import Attempts
from nodeeni.agent.counters import Counters
from nodeeni.agent.link_plan import Plan, Policy, Report, Surroundings, plan_links
from nodeeni.agent.links import Links
from nodeeni.agent.mailbox import Mailbox
from nodeeni.agent.netlink import EventSocket, Overrun, RequestSocket
from nodeeni.agent.primary import Primary
from nodeeni.agent.spec import NOTHING_WANTED

log = logging.getLogger(__name__)

# A change can change what the plan sees (an altname taken meanwhile). Two rounds settle it; a third would
# be the beginning of a loop, and the next event comes anyway.
_ROUNDS = 2


class Rules(NamedTuple):
    """The settings that this loop needs. `check_interval` in seconds."""

    policy: Policy
    check_interval: float


class LinkLoop:
    def __init__(
        self,
        rules: Rules,
        links: Links,
        primary: Primary,
        mailbox: Mailbox,
        counters: Counters,
        report: Callable[[int, tuple[Report, ...]], None],
    ) -> None:
        """`report` is called with the spec's generation and the reports whenever the links have settled."""
        self._rules = rules
        self._links = links
        self._primary = primary
        self._mailbox = mailbox
        self._counters = counters
        self._report = report
        self._attempts = Attempts()
        self._spec = NOTHING_WANTED
        self._next_check = 0.0

    def run(self) -> None:
        """Until `mailbox.stop()`. OSError if the kernel refuses netlink."""
        events, requests = EventSocket(), RequestSocket()
        with select.epoll() as poll:
            poll.register(events.fileno(), select.EPOLLIN)
            poll.register(self._mailbox.fd, select.EPOLLIN)
            self._look_anew(requests, by_command=True)
            settled = False
            while True:
                ready = poll.poll(self._patience() if settled else 0)
                spec, stop = self._mailbox.take()
                if stop:
                    break
                if spec is not None:
                    self._spec = spec
                    settled = False
                if any(fd == events.fileno() for fd, _ in ready):
                    settled = not self._hear(events, requests) and settled
                else:
                    self._settle(requests)
                    settled = True
        events.close()
        requests.close()

    def _patience(self) -> float:
        """Seconds until something is due by the clock."""
        now = time.monotonic()
        release = self._attempts.next_release(now)
        return max(0.0, min(self._next_check, release or self._next_check) - now)

    def _hear(self, events: EventSocket, requests: RequestSocket) -> bool:
        """Take in what the kernel says, and act at once on the links that it concerns. Whether any did."""
        try:
            messages = list(events.drain())
        except Overrun:
            self._counters.add("overruns")
            log.warning("the kernel dropped link events, looking at all links anew")
            events.discard()
            self._look_anew(requests)
            return True
        self._counters.add("events", len(messages))
        changed = self._links.apply(messages)
        self._forget_gone(changed)
        concerned = self._primary.concerned(messages, changed, self._links)
        if concerned:
            self._primary.look(requests, self._links)
        links = map(self._links.by_index.get, changed)
        macs = {link.identity for link in links if link is not None}
        if macs:
            self._act(self._fresh_plan(requests, macs), requests)
        return concerned or bool(changed)

    def _settle(self, requests: RequestSocket) -> None:
        """No event is waiting: look at everything, finish what is left to do, and report."""
        if time.monotonic() >= self._next_check:
            self._look_anew(requests, by_command=True)
        plan = self._fresh_plan(requests)
        for _ in range(_ROUNDS):
            if not plan.changes:
                break
            self._act(plan, requests)
            plan = self._plan()
        self._report(self._spec.generation, plan.reports)
        self._counters.beat()

    def _look_anew(self, requests: RequestSocket, by_command: bool = False) -> None:
        self._forget_gone(self._links.load(requests))
        self._primary.look(requests, self._links, by_command)
        self._next_check = time.monotonic() + self._rules.check_interval

    def _forget_gone(self, changed: set[int]) -> None:
        for ifindex in changed - self._links.by_index.keys():
            self._attempts.forget(ifindex)
            self._primary.forget(ifindex)

    def _plan(self, only: AbstractSet[str] | None = None) -> Plan:
        holds = self._attempts.holds(time.monotonic())
        around = Surroundings(self._links, self._primary.ifindices, self._links.departed, holds)
        return plan_links(self._spec, around, self._rules.policy, only)

    def _fresh_plan(self, requests: RequestSocket, only: AbstractSet[str] | None = None) -> Plan:
        """A plan that would do a thing twice may be looking at a link between two of its events."""
        plan = self._plan(only)
        repeats = [change for change in plan.changes if self._attempts.repeats(change)]
        for change in repeats:
            look_again(change, requests, self._links)
        return self._plan(only) if repeats else plan

    def _act(self, plan: Plan, requests: RequestSocket) -> None:
        """All changes first, words later: each log line costs as much as a link."""
        outcomes = [(change, act(change, requests, self._links)) for change in plan.changes]
        for change, outcome in outcomes:
            if outcome is None:
                self._forget_gone({change.ifindex})
                continue
            corrections = self._attempts.record(change, outcome.replies, time.monotonic())
            self._counters.add("corrections", corrections)
            for (aspect, _value), reply in zip(change.aspects(), outcome.replies, strict=True):
                self._counters.add("failures" if reply.error else f"changes_{aspect.value}")
            tell(outcome, corrections)

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

from nodeeni.agent.act import Outcome, act, look_again, tell
from nodeeni.agent.attempts import Attempts
from nodeeni.agent.counters import Counters
from nodeeni.agent.given import GivenNames
from nodeeni.agent.link_plan import Plan, Policy, Report, Surroundings, plan_links
from nodeeni.agent.links import Links
from nodeeni.agent.mailbox import Mailbox
from nodeeni.agent.netlink import EventSocket, Overrun, RequestSocket
from nodeeni.agent.primary import Primary
from nodeeni.agent.spec import NOTHING_WANTED

log = logging.getLogger(__name__)

# A change can change what the plan sees: a new name is on, the former goes, another link takes it, and so on.
# So many rounds for each link settle that; more would be a loop, and the next event comes anyway.
_ROUNDS = 2

# Seconds. What is not urgent (words, a report, links that no event named) waits until the kernel has said
# nothing for so long, since in the meantime the next link of a burst may come; but not for ever.
_QUIET = 0.002
_LONGEST_STORM = 0.05


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
        self._given = GivenNames()
        self._spec = NOTHING_WANTED
        self._untold: list[tuple[Outcome, int]] = []
        self._next_check = 0.0
        # By a monotonic clock: when to look at everything, and when to do so even amid events.
        self._settle_at = 0.0
        self._settle_by = 0.0

    def run(self) -> None:
        """Until `mailbox.stop()`. OSError if the kernel refuses netlink."""
        events, requests = EventSocket(), RequestSocket()
        with select.epoll() as poll:
            poll.register(events.fileno(), select.EPOLLIN)
            poll.register(self._mailbox.fd, select.EPOLLIN)
            self._look_anew(requests, by_command=True)
            while True:
                ready = {fd for fd, _ in poll.poll(max(0.0, self._settle_at - time.monotonic()))}
                if self._mailbox.fd in ready:
                    spec, stop = self._mailbox.take()
                    if stop:
                        break
                    if spec is not None:
                        self._spec = spec
                        self._given.learn(spec.given)
                        self._settle_at = 0.0
                now = time.monotonic()
                if events.fileno() in ready and now < self._settle_by:
                    self._hear(events, requests)
                elif now >= self._settle_at:
                    self._settle(requests)
        events.close()
        requests.close()

    def _hear(self, events: EventSocket, requests: RequestSocket) -> None:
        """Take in what the kernel says, and act at once on the links that it concerns."""
        try:
            messages = list(events.drain())
        except Overrun:
            self._counters.add("overruns")
            log.warning("the kernel dropped link events, looking at all links anew")
            events.discard()
            self._look_anew(requests)
            self._settle_at = 0.0
            return
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
        if concerned or changed:
            now = time.monotonic()
            self._settle_by = min(self._settle_by, now + _LONGEST_STORM)
            self._settle_at = min(now + _QUIET, self._settle_by)

    def _settle(self, requests: RequestSocket) -> None:
        """The kernel is quiet: look at everything, finish what is left to do, and tell."""
        if time.monotonic() >= self._next_check:
            self._look_anew(requests, by_command=True)
        self._links.departures.look()
        plan = self._fresh_plan(requests)
        for _ in range(_ROUNDS * (1 + len(self._spec.interfaces))):
            if not plan.changes:
                break
            self._act(plan, requests)
            plan = self._plan()
        self._report(self._spec.generation, plan.reports)
        for outcome, corrections in self._untold:
            tell(outcome, corrections)
        self._untold.clear()
        self._counters.beat()
        release = self._attempts.next_release(time.monotonic())
        self._settle_at = min(self._next_check, release or self._next_check)
        self._settle_by = self._settle_at + _LONGEST_STORM

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
        around = Surroundings(
            self._links, self._primary.ifindices, self._links.departures.reasons, holds, self._given.by_mac
        )
        return plan_links(self._spec, around, self._rules.policy, only)

    def _fresh_plan(self, requests: RequestSocket, only: AbstractSet[str] | None = None) -> Plan:
        """A plan that would do a thing twice may be looking at a link between two of its events."""
        plan = self._plan(only)
        repeats = [change for change in plan.changes if self._attempts.repeats(change)]
        if not repeats:
            return plan
        look_again(repeats, requests, self._links)
        return self._plan(only)

    def _act(self, plan: Plan, requests: RequestSocket) -> None:
        for outcome in act(plan.changes, requests, self._links):
            change, replies = outcome
            if replies is None:
                self._forget_gone({change.ifindex})
                continue
            corrections = self._attempts.record(change, replies, time.monotonic())
            self._counters.add("corrections", corrections)
            for (aspect, _value), reply in zip(change.aspects(), replies, strict=True):
                self._counters.add("failures" if reply.error else f"changes_{aspect.name.lower()}")
            link = self._links.by_index.get(change.ifindex)
            if link is not None and change.listed:
                self._given.record(link.identity, change, replies)
            self._untold.append((outcome, corrections))

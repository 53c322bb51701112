"""The main thread: from a kernel event or a new spec to links that are as wanted, within milliseconds.

It never waits for the API server: what is wanted comes in through the mailbox, what was found goes out by
`report`, and the other ends of both belong to other threads.
"""

import functools
import logging
import select
import time
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from nodeeni.agent.act import act, look_again, tell, tell_passage
from nodeeni.agent.attempts import Attempts
from nodeeni.agent.counters import Counters
from nodeeni.agent.given import GivenNames
from nodeeni.agent.hands_off import HandsOff
from nodeeni.agent.link_plan import Aspect, Plan, Policy, Report, Surroundings, plan_links
from nodeeni.agent.links import Link, Links
from nodeeni.agent.mailbox import Mailbox
from nodeeni.agent.netlink import EventSocket, Overrun, RequestSocket
from nodeeni.agent.primary import Primary
from nodeeni.agent.spec import NOTHING_KNOWN, NodeSpec
from nodeeni.agent.status import Found
from nodeeni.agent.udev import UdevSocket, Word
from nodeeni.logs import Lasting

log = logging.getLogger(__name__)

# A change can change what the plan sees: a new name is on, the former goes, another link takes it, and so on.
# So many rounds for each link settle that; more would be a loop, and the next event comes anyway.
_ROUNDS = 2

# Seconds. What is not urgent (words, a report, links that no event named) waits until the kernel has said
# nothing for so long, since in the meantime the next link of a burst may come; but not for ever.
_QUIET = 0.002
_LONGEST_STORM = 0.05
# Where all that is heard is of links that wait for udev there is nothing to do until its word, which comes
# milliseconds after the link has its new name: it must not find us at work.
_UDEV_SPEAKS = 0.25


class Rules(NamedTuple):
    """The settings that this loop needs. Times in seconds."""

    policy: Policy
    check_interval: float
    udev_timeout: float
    sysfs: str


class _Sockets(NamedTuple):
    """What the loop hears, and what it asks by."""

    events: EventSocket
    udev: UdevSocket
    requests: RequestSocket


class LinkLoop:
    def __init__(
        self,
        rules: Rules,
        primary: Primary,
        mailbox: Mailbox,
        counters: Counters,
        report: Callable[[Found], None],
    ) -> None:
        """`report` is called with what was found whenever the links have settled."""
        self._rules = rules
        self._links = Links(rules.sysfs)
        self._hands_off = HandsOff(rules.udev_timeout, rules.sysfs)
        self._primary = primary
        self._mailbox = mailbox
        self._counters = counters
        self._report = report
        self._attempts = Attempts()
        self._refusals = Lasting(log)
        self._refused: set[tuple[Aspect, str]] = set()
        self._given = GivenNames()
        self._spec = NOTHING_KNOWN
        self._untold: list[Callable[[], None]] = []  # words that wait until the kernel is quiet
        self._reported: dict[str, Report] = {}
        self._noted: AbstractSet[int] = frozenset()  # links of whose names was told
        self._next_check = 0.0
        # By a monotonic clock: when to look at everything, and when to do so even amid events.
        self._settle_at = 0.0
        self._settle_by = 0.0

    def run(self) -> None:
        """Until `mailbox.stop()`. OSError if the kernel refuses netlink."""
        sockets = _Sockets(EventSocket(), UdevSocket(), RequestSocket())
        heard = (sockets.events.fileno(), sockets.udev.fileno())
        with select.epoll() as poll:
            for fd in (*heard, self._mailbox.fd):
                poll.register(fd, select.EPOLLIN)
            self._begin(sockets.requests)
            while True:
                ready = {fd for fd, _ in poll.poll(max(0.0, self._settle_at - time.monotonic()))}
                if self._mailbox.fd in ready:
                    spec, stop = self._mailbox.take()
                    if stop:
                        break
                    if spec is not None:
                        self._want(spec, sockets.requests)
                if not ready.isdisjoint(heard):
                    self._hear(sockets)
                if time.monotonic() >= self._settle_at:
                    self._settle(sockets.requests)
        for each in sockets:
            each.close()

    def _begin(self, requests: RequestSocket) -> None:
        """The links that are here already: udev may have spoken of them before we listened."""
        self._links.load(requests)
        now = time.monotonic()
        for link in self._links.by_index.values():
            self._hands_off.naming.found(link, now)
        self._primary.look(requests, self._links, by_command=True)
        self._next_check = now + self._rules.check_interval

    def _want(self, spec: NodeSpec, requests: RequestSocket) -> None:
        self._spec = spec
        self._given.learn(spec.given)
        self._primary.list({wanted.mac for wanted in spec.interfaces})
        self._primary.look(requests, self._links, by_command=True)
        self._settle_at = 0.0

    def _hear(self, sockets: _Sockets) -> None:
        """Take in what the kernel and udev say, and act at once on the links that it concerns."""
        words, lost = sockets.udev.drain()
        if lost:
            self._counters.add("udev_overruns")
            log.warning("words of udev were lost: links of which it spoke wait for --udev-timeout")
        try:
            messages = list(sockets.events.drain())
        except Overrun:
            self._counters.add("overruns")
            log.warning("the kernel dropped link events, looking at all links anew")
            sockets.events.discard()
            self._look_anew(sockets.requests)
            self._listen(words, sockets.requests)
            self._settle_at = 0.0
            return
        self._counters.add("events", len(messages))
        changed = self._links.apply(messages)
        self._take(changed)
        concerned = self._primary.concerned(messages, changed, self._links)
        if concerned:
            self._primary.look(sockets.requests, self._links)
        seen = changed.keys() | self._listen(words, sockets.requests)
        due = {ifindex for ifindex in seen if not self._hands_off.waits_for_udev(ifindex)}
        links = map(self._links.by_index.get, due)
        macs = {link.identity for link in links if link is not None}
        if macs:
            self._act(self._fresh_plan(sockets.requests, macs), sockets.requests)
        now = time.monotonic()
        if concerned or due:
            self._settle_by = min(self._settle_by, now + _LONGEST_STORM)
            self._settle_at = min(now + _QUIET, self._settle_by)
        elif seen:
            self._settle_at = min(self._settle_at, now + _UDEV_SPEAKS)

    def _listen(self, words: Sequence[Word], requests: RequestSocket) -> set[int]:
        """Take in udev's words; returns the links that waited for them. What udev did to such a link (the
        alternative names of one that is down) the kernel told nobody, so it is read anew."""
        naming = self._hands_off.naming
        here = self._links.by_index
        waiting = {word.ifindex for word in words if word.ifindex in naming.since or word.ifindex not in here}
        if waiting:
            self._take(look_again(waiting, requests, self._links))
        naming.hear((word for word in words if word.ifindex in here), time.monotonic())
        return waiting & here.keys()

    def _take(self, changed: Mapping[int, Link | None]) -> None:
        """Of links that changed, came or went: what has to be remembered, or forgotten."""
        now = time.monotonic()
        for ifindex, before in changed.items():
            link = self._links.by_index.get(ifindex)
            if link is None:
                self._forget(ifindex)
            else:
                self._hands_off.changed(before, link, now)
        self._take_passages(now)

    def _take_passages(self, now: float) -> None:
        listed = {wanted.mac for wanted in self._spec.interfaces}
        for passage in self._links.departures.passages():
            self._hands_off.passed(passage, now)
            if passage.pci or passage.mac in listed:
                self._untold.append(functools.partial(tell_passage, passage))

    def _forget(self, ifindex: int) -> None:
        self._attempts.forget(ifindex)
        self._hands_off.forget(ifindex)

    def _settle(self, requests: RequestSocket) -> None:
        """The kernel is quiet: look at everything, finish what is left to do, and tell."""
        now = time.monotonic()
        if now >= self._next_check:
            self._look_anew(requests, by_command=True)
        self._links.departures.look()
        self._take_passages(now)
        self._attempts.look(self._links.by_index, now)
        self._given.keep(self._known())
        overdue = self._hands_off.naming.overdue(now)
        plan = self._fresh_plan(requests)
        self._tell_overdue(overdue, plan)
        for _ in range(_ROUNDS * (1 + len(self._spec.interfaces))):
            if not plan.changes:
                break
            self._act(plan, requests)
            plan = self._plan()
        self._offer(plan)
        for each in self._untold:
            each()
        self._untold.clear()
        self._tell_of_ends()
        self._counters.beat()
        now = time.monotonic()
        moments = (
            self._next_check,
            self._attempts.next_release(now),
            self._hands_off.next_look(plan.left, now),
        )
        self._settle_at = min(moment for moment in moments if moment is not None)
        self._settle_by = self._settle_at + _LONGEST_STORM

    def _offer(self, plan: Plan) -> None:
        """Report; of what lasts a moment only, what was reported before."""
        fresh = self._hands_off.fresh(plan.left, time.monotonic())
        macs = {self._links.by_index[ifindex].identity for ifindex in fresh}
        reports = tuple(self._reported.get(r.mac, r) if r.mac in macs else r for r in plan.reports)
        self._reported = {report.mac: report for report in reports}
        wanted = self._spec.interfaces if self._spec.known else None
        self._report(Found(self._spec.generation, reports, self._primary.found(self._links), wanted))

    def _known(self) -> set[str]:
        """MAC addresses of links that are here, may come back, or are to come."""
        listed = (wanted.mac for wanted in self._spec.interfaces)
        return {*self._links.by_mac, *self._links.departures.reasons, *listed}

    def _look_anew(self, requests: RequestSocket, by_command: bool = False) -> None:
        self._take(self._links.load(requests))
        self._primary.look(requests, self._links, by_command)
        self._next_check = time.monotonic() + self._rules.check_interval

    def _plan(self, only: AbstractSet[str] | None = None) -> Plan:
        plan = self._plan_once(only)
        if self._hands_off.look(plan, self._links.by_index):
            plan = self._plan_once(only)
        return plan

    def _plan_once(self, only: AbstractSet[str] | None) -> Plan:
        now = time.monotonic()
        around = Surroundings(
            self._links,
            self._primary.ifindices,
            self._links.departures.reasons,
            self._attempts.holds(now),
            self._given.by_mac,
            self._hands_off.reasons(now),
            self._notes() if only is None else {},
            self._primary.waiting_for,
        )
        return plan_links(self._spec, around, self._rules.policy, only)

    def _notes(self) -> dict[int, str]:
        table = self._links
        primaries = [table.by_index[i] for i in self._primary.ifindices or () if i in table.by_index]
        listed = [link for wanted in self._spec.interfaces for link in table.by_mac.get(wanted.mac, ())]
        notes = {link.ifindex: self._hands_off.naming.note(link, primaries) for link in listed}
        found = {ifindex: note for ifindex, note in notes.items() if note}
        for ifindex in found.keys() - self._noted:
            log.warning("the link has another name than udev has for it", extra={"note": found[ifindex]})
        self._noted = found.keys()
        return found

    def _fresh_plan(self, requests: RequestSocket, only: AbstractSet[str] | None = None) -> Plan:
        """A plan that would do a thing twice may be looking at a link between two of its events."""
        plan = self._plan(only)
        repeats = [change.ifindex for change in plan.changes if self._attempts.repeats(change)]
        if not repeats:
            return plan
        self._take(look_again(repeats, requests, self._links))
        return self._plan(only)

    def _act(self, plan: Plan, requests: RequestSocket) -> None:
        for outcome in act(plan.changes, requests, self._links):
            change, replies = outcome
            if replies is None:
                self._forget(change.ifindex)
                continue
            corrections = self._attempts.record(change, replies, time.monotonic())
            self._counters.add("corrections", corrections)
            for (aspect, _value), reply in zip(change.aspects(), replies, strict=True):
                self._counters.add("failures" if reply.error else f"changes_{aspect.name.lower()}")
            link = self._links.by_index.get(change.ifindex)
            if link is not None and change.listed:
                self._given.record(link.identity, change, replies)
            self._untold.append(functools.partial(tell, outcome, corrections, self._refusals))

    def _tell_of_ends(self) -> None:
        refused = self._attempts.refused()
        for cause in self._refused - refused:
            self._refusals.over(cause, "the kernel refuses this change no more", aspect=cause[0].value)
        self._refused = refused

    def _tell_overdue(self, overdue: AbstractSet[int], plan: Plan) -> None:
        for change in plan.changes:
            if change.ifindex in overdue:
                self._counters.add("udev_timeouts")
                log.warning(
                    "udev has said nothing of this link for --udev-timeout, going on without",
                    extra={"link": change.name, "timeout": self._rules.udev_timeout},
                )

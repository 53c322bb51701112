"""The main thread: from a kernel event or a new spec to links that are as wanted, within milliseconds.

It never waits for the API server: what it wants comes in through a mailbox, what it found goes out by
`report`, and both ends belong to other threads.
"""

import errno
import logging
import os
import select
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from nodeeni.agent import routes
from nodeeni.agent.attempts import Attempts
from nodeeni.agent.counters import Counters
from nodeeni.agent.link_plan import Aspect, Change, Policy, Report, Surroundings, plan_links
from nodeeni.agent.links import Links, add_altname, look, set_mtu, set_up
from nodeeni.agent.netlink import EventSocket, Overrun, Request, RequestSocket
from nodeeni.agent.spec import NOTHING_WANTED, NodeSpec

log = logging.getLogger(__name__)

# A change can change what the plan sees (an altname taken meanwhile). Two rounds settle it; a third would
# be the beginning of a loop, and the next event comes anyway.
_ROUNDS = 2


class Mailbox:
    """The newest spec, from the watch's thread to the main thread; waking it through an eventfd."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spec: NodeSpec | None = None
        self._stop = False
        self.fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def put(self, spec: NodeSpec) -> None:
        with self._lock:
            self._spec = spec
        os.eventfd_write(self.fd, 1)

    def stop(self) -> None:
        """Ends the loop. Safe in a signal handler: takes no lock."""
        self._stop = True
        os.eventfd_write(self.fd, 1)

    def take(self) -> tuple[NodeSpec | None, bool]:
        """(a new spec or None, whether to stop)."""
        try:
            os.eventfd_read(self.fd)
        except BlockingIOError:
            pass
        with self._lock:
            spec, self._spec = self._spec, None
        return spec, self._stop


class Rules(NamedTuple):
    """The settings that this loop needs. `check_interval` in seconds."""

    policy: Policy
    check_interval: float
    primary: str | None  # a name given by --primary-interface; None: found from the default route


class LinkLoop:
    def __init__(
        self,
        rules: Rules,
        links: Links,
        mailbox: Mailbox,
        counters: Counters,
        report: Callable[[int, tuple[Report, ...]], None],
    ) -> None:
        """`report` is called with the spec's generation and the reports after every look at the links."""
        self._rules = rules
        self._links = links
        self._mailbox = mailbox
        self._counters = counters
        self._report = report
        self._attempts = Attempts()
        self._spec = NOTHING_WANTED
        self._default: set[int] = set()
        # Once primary, always primary while the link lives: its default route goes when someone restarts
        # the network, and that is no time to lay hands on it.
        self._ever_primary: set[int] = set()
        self._told_waiting = False

    def run(self) -> None:
        """Until `mailbox.stop()`. OSError if the kernel refuses netlink."""
        events, requests = EventSocket(), RequestSocket()
        with select.epoll() as poll:
            poll.register(events.fileno(), select.EPOLLIN)
            poll.register(self._mailbox.fd, select.EPOLLIN)
            self._look_anew(requests, by_command=True)
            next_check = time.monotonic() + self._rules.check_interval
            while True:
                self._converge(requests)
                poll.poll(self._patience(next_check))
                spec, stop = self._mailbox.take()
                if stop:
                    break
                if spec is not None:
                    self._spec = spec
                self._hear(events, requests)
                self._counters.beat()
                if time.monotonic() >= next_check:
                    self._look_anew(requests, by_command=True)
                    next_check = time.monotonic() + self._rules.check_interval
        events.close()
        requests.close()

    def _patience(self, next_check: float) -> float:
        now = time.monotonic()
        release = self._attempts.next_release(now)
        return max(0.0, min(next_check, release if release is not None else next_check) - now)

    def _hear(self, events: EventSocket, requests: RequestSocket) -> None:
        try:
            messages = list(events.drain())
        except Overrun:
            self._counters.add("overruns")
            log.warning("the kernel dropped link events, looking at all links anew")
            self._look_anew(requests)
            return
        self._counters.add("events", len(messages))
        changed = self._links.apply(messages)
        self._forget_gone(changed)
        # The kernel says nothing of the IPv4 routes that fall with a link that is set down.
        if routes.mentions_default(messages) or changed & self._default:
            self._find_primary(requests)

    def _look_anew(self, requests: RequestSocket, by_command: bool = False) -> None:
        self._forget_gone(self._links.load(requests))
        self._find_primary(requests, by_command)

    def _forget_gone(self, changed: set[int]) -> None:
        for index in changed - self._links.by_index.keys():
            self._attempts.forget(index)
            self._ever_primary.discard(index)

    def _find_primary(self, requests: RequestSocket, by_command: bool = False) -> None:
        """A process is started at start and at the safety check only, never in the way of an event."""
        links = self._links.by_index
        if self._rules.primary is not None:
            found = {link.ifindex for link in links.values() if self._rules.primary in link.names}
        else:
            found = routes.default_links(requests)
            if not found and not self._ever_primary and by_command:
                names = routes.default_link_names_by_command()
                found = {link.ifindex for link in links.values() if not names.isdisjoint(link.names)}
        self._default = found
        new = routes.with_layers(found, links) - self._ever_primary
        if new:
            self._ever_primary |= new
            touched = sorted(links[index].name for index in new if index in links)
            log.info("primary interface found, never touched", extra={"links": touched})
        self._tell_if_waiting()

    def _tell_if_waiting(self) -> None:
        waiting = not self._ever_primary
        if waiting and not self._told_waiting:
            what = f"link {self._rules.primary}" if self._rules.primary else "a default route"
            log.warning("waiting for the primary interface, nothing is touched before", extra={"for": what})
        self._told_waiting = waiting

    def _converge(self, requests: RequestSocket) -> None:
        """Plan and act until nothing is left to do, then report what is there now."""
        for _ in range(_ROUNDS):
            now = time.monotonic()
            primary = routes.with_layers(self._ever_primary, self._links.by_index) or None
            around = Surroundings(
                self._links.by_index, primary, self._links.departed, self._attempts.holds(now)
            )
            plan = plan_links(self._spec, around, self._rules.policy)
            if not plan.changes:
                break
            for change in plan.changes:
                self._act(change, requests, now)
        else:
            plan = plan_links(
                self._spec, around._replace(holds=self._attempts.holds(now)), self._rules.policy
            )
        self._report(self._spec.generation, plan.reports)

    def _act(self, change: Change, requests: RequestSocket, now: float) -> None:
        """One batch for one link: its changes, then a look at the result."""
        aspects = change.aspects()
        batch = [_REQUEST[aspect](change.ifindex, value) for aspect, value in aspects]
        *replies, seen = requests.batch([*batch, look(change.ifindex)])
        if seen.error == errno.ENODEV:
            self._links.forget(change.ifindex)
            self._forget_gone({change.ifindex})
            return
        self._links.apply(seen.messages)
        corrections = self._attempts.record(change, replies, now)
        self._counters.add("corrections", corrections)
        for (aspect, value), reply in zip(aspects, replies, strict=True):
            if reply.error:
                self._counters.add("failures")
                log.warning(
                    "the kernel refused a change",
                    extra={
                        "link": change.name,
                        "aspect": aspect.value,
                        "value": value,
                        "reason": reply.reason,
                    },
                )
            else:
                self._counters.add(f"changes_{aspect.value}")
        log.info(
            "link put right" if corrections else "link configured",
            extra={"link": change.name, "change": str(change), "listed": change.listed},
        )


def _mtu(index: int, value: str) -> Request:
    return set_mtu(index, int(value))


def _up(index: int, _value: str) -> Request:
    return set_up(index)


_REQUEST: dict[Aspect, Callable[[int, str], Request]] = {
    Aspect.MTU: _mtu,
    Aspect.ALTNAME: add_altname,
    Aspect.UP: _up,
}

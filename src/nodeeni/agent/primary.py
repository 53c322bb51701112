"""The primary interface: what the instance was born with, and what this agent never touches.

Decided once, from the first moment at which it can be, and kept by MAC address: ENIs get default routes too
(DHCP, router advertisements), the primary loses its own when somebody restarts the network, and a driver that
is loaded anew gives it another index. What the spec lists is an ENI, and never the primary.
"""

import logging
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from nodeeni.agent import routes
from nodeeni.agent.links import Link, LinkTable
from nodeeni.agent.netlink import Message, RequestSocket
from nodeeni.agent.routes import DefaultRoute

log = logging.getLogger(__name__)


class Decision(NamedTuple):
    """What is primary. `macs` are those of the links that `by` names; others lie below them."""

    macs: frozenset[str]
    by: str  # for people: the route or the flag that decided

    def names(self, links: LinkTable) -> list[str]:
        """Of the links that are there."""
        return sorted(link.name for mac in self.macs for link in links.by_mac.get(mac, ()))


class PrimaryFound(NamedTuple):
    """A decision as it is reported; more than one link or address with commas between."""

    link_name: str
    mac: str
    by: str


class Primary:
    def __init__(self, name: str | None) -> None:
        """`name`: given by --primary-interface, which wins; None: the default route decides."""
        self._name = name
        self._listed: AbstractSet[str] = frozenset()
        self.decision: Decision | None = None
        self._ifindices: frozenset[int] = frozenset()
        # Real devices below the primary, such as a bond's ports: primary also while they are out of it.
        self._below: set[str] = set()
        self._passed_over = False  # there is a default route, and it is that of a listed link
        self._told_waiting = ""

    @property
    def ifindices(self) -> frozenset[int] | None:
        """None: not known yet."""
        return self._ifindices if self.decision is not None else None

    @property
    def waiting_for(self) -> str:
        """For people, while it is not known."""
        if self._name is not None:
            return f"no link {self._name} yet, which --primary-interface names"
        if self._passed_over:
            return (
                "only listed ENIs have a default route, so the primary is not known: use --primary-interface"
            )
        return "no default route yet, so the primary is not known"

    def list(self, macs: AbstractSet[str]) -> None:
        """The spec lists these MAC addresses. `look` is to follow: it may have overthrown the decision."""
        self._listed = macs
        if self.decision is None or self._name is not None or not self.decision.macs & macs:
            return
        rest = self.decision.macs - macs
        if rest:
            self.decision = self.decision._replace(macs=rest)
            return
        log.warning(
            "what was held to be the primary interface is a listed ENI, deciding anew",
            extra={"macs": sorted(self.decision.macs), "by": self.decision.by},
        )
        self.decision = None
        self._below.clear()

    def found(self, links: LinkTable) -> PrimaryFound | None:
        """None: not known yet."""
        if self.decision is None:
            return None
        names, macs = self.decision.names(links), sorted(self.decision.macs)
        return PrimaryFound(",".join(names), ",".join(macs), self.decision.by)

    def concerned(
        self, messages: Iterable[Message], changed: Mapping[int, Link | None], links: LinkTable
    ) -> bool:
        """Whether these events can have changed what is primary, so that it is to be looked for again."""
        if changed and (self._name is not None or not changed.keys().isdisjoint(self._ifindices)):
            return True
        if self.decision is None and routes.mentions_default(messages):
            return True
        known = self._known()
        return any(
            link.master or routes.is_layered(link) or link.identity in known
            for link in map(links.by_index.get, changed)
            if link is not None
        )

    def look(self, requests: RequestSocket, links: LinkTable, by_command: bool = False) -> None:
        """`by_command`: the `ip` command may be asked too: a process, and nothing for the way of an event."""
        if self.decision is None:
            self.decision = self._decide(requests, links, by_command)
            if self.decision is not None:
                self._tell(links)
        self._find(links)
        self._tell_if_waiting()

    def _known(self) -> AbstractSet[str]:
        return self._below | (self.decision.macs if self.decision is not None else frozenset())

    def _decide(self, requests: RequestSocket, links: LinkTable, by_command: bool) -> Decision | None:
        if self._name is not None:
            link = links.by_name.get(self._name)
            found = [] if link is None else [DefaultRoute(frozenset((link.ifindex,)), "--primary-interface")]
            return self._of(found, links, frozenset())
        found = routes.default_routes(requests, links.by_index)
        if (decision := self._of(found, links, self._listed)) is not None:
            return decision
        self._passed_over = bool(found)
        if not by_command:
            return None
        return self._of(routes.default_routes_by_command(links.by_name), links, self._listed)

    @staticmethod
    def _of(found: Iterable[DefaultRoute], links: LinkTable, listed: AbstractSet[str]) -> Decision | None:
        """By the first that is a link's which is not listed."""
        for route in found:
            known = [links.by_index[ifindex] for ifindex in route.ifindices if ifindex in links.by_index]
            macs = frozenset(link.identity for link in known) - listed
            if macs:
                return Decision(macs, route.text)
        return None

    def _find(self, links: LinkTable) -> None:
        known = self._known()
        tops = {link.ifindex for mac in known for link in links.by_mac.get(mac, ())}
        if self._name is not None and (link := links.by_name.get(self._name)):
            tops.add(link.ifindex)
        found = routes.with_layers(tops, links.by_index)
        if self._name is None:
            found = frozenset(i for i in found if links.by_index[i].identity not in self._listed)
        self._below |= {
            links.by_index[ifindex].identity
            for ifindex in found
            if ifindex in links.by_index and links.by_index[ifindex].permanent_address
        }
        self._ifindices = found

    def _tell(self, links: LinkTable) -> None:
        assert self.decision is not None
        log.info(
            "primary interface decided, it is never touched; --primary-interface would name another",
            extra={"links": self.decision.names(links), "by": self.decision.by},
        )

    def _tell_if_waiting(self) -> None:
        what = f"link {self._name}"
        if self._name is None:
            what = "a default route of a link that is not listed" if self._passed_over else "a default route"
        waiting = what if self.decision is None else ""
        if waiting and waiting != self._told_waiting:
            log.warning("waiting for the primary interface, nothing is touched before", extra={"for": what})
        self._told_waiting = waiting

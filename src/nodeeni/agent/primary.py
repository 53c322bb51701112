"""The primary interface: what this agent never touches, kept current."""

import logging
from collections.abc import Iterable

from nodeeni.agent import routes
from nodeeni.agent.links import LinkTable
from nodeeni.agent.netlink import Message, RequestSocket

log = logging.getLogger(__name__)


class Primary:
    def __init__(self, name: str | None) -> None:
        """`name`: given by --primary-interface; None: found from the default route."""
        self._name = name
        self._default: set[int] = set()
        # Once primary, always primary while the link lives: its default route goes when someone restarts
        # the network, and that is no time to lay hands on it.
        self._ever: set[int] = set()
        self._told_waiting = False

    @property
    def ifindices(self) -> frozenset[int] | None:
        """None: not known yet."""
        return frozenset(self._ever) or None

    def forget(self, ifindex: int) -> None:
        self._ever.discard(ifindex)

    def concerned(self, messages: Iterable[Message], changed: set[int], links: LinkTable) -> bool:
        """Whether these events can have made another link primary, so that it must be looked for again."""
        if changed and (self._name is not None or changed & self._default):
            return True  # the kernel says nothing of the IPv4 routes that fall with a link set down
        return routes.mentions_default(messages) or any(
            link.master or routes.is_layered(link)
            for link in map(links.by_index.get, changed)
            if link is not None
        )

    def look(self, requests: RequestSocket, links: LinkTable, by_command: bool = False) -> None:
        """`by_command`: the `ip` command may be asked too: a process, and nothing for the way of an event."""
        self._default = self._find(requests, links, by_command)
        new = routes.with_layers(self._default, links.by_index) - self._ever
        if new:
            self._ever |= new
            names = sorted(links.by_index[index].name for index in new if index in links.by_index)
            log.info("primary interface found, never touched", extra={"links": names})
        self._tell_if_waiting()

    def _find(self, requests: RequestSocket, links: LinkTable, by_command: bool) -> set[int]:
        if self._name is not None:
            names = {self._name}
        elif (found := routes.default_links(requests)) or self._ever or not by_command:
            return found
        else:
            names = routes.default_link_names_by_command()
        return {links.by_name[name].ifindex for name in names if name in links.by_name}

    def _tell_if_waiting(self) -> None:
        waiting = not self._ever
        if waiting and not self._told_waiting:
            what = "a default route" if self._name is None else f"link {self._name}"
            log.warning("waiting for the primary interface, nothing is touched before", extra={"for": what})
        self._told_waiting = waiting

"""Which alternative names this agent gave to links: those alone may it take away again.

udev and people give names too, and the kernel does not tell who gave one. So it is remembered here, told in
the status, and learnt from there after a restart; a name of which nothing is known stays.
"""

from collections.abc import Set as AbstractSet

from nodeeni.agent.link_plan import Aspect, Change
from nodeeni.agent.netlink import Reply


class GivenNames:
    def __init__(self) -> None:
        self.by_mac: dict[str, set[str]] = {}
        self._learnt = False

    def learn(self, reported: tuple[tuple[str, str], ...] | None) -> None:
        """(MAC, name) as an earlier run reported them; None: not known yet. What comes after the first is an
        echo of our own words, and may be older than what was done since."""
        if reported is None or self._learnt:
            return
        self._learnt = True
        for mac, name in reported:
            self.by_mac.setdefault(mac.lower(), set()).add(name)

    def record(self, mac: str, change: Change, replies: list[Reply]) -> None:
        names = self.by_mac.setdefault(mac, set())
        for (aspect, value), reply in zip(change.aspects(), replies, strict=True):
            if aspect is Aspect.ALTNAME and not reply.error:
                names.add(value)
            elif aspect is Aspect.FORMER and not reply.error:
                names.discard(value)

    def keep(self, macs: AbstractSet[str]) -> None:
        """Forget all links but these: a name goes with its link."""
        for mac in self.by_mac.keys() - macs:
            del self.by_mac[mac]

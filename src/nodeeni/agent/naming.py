"""Which links udev is not done with yet, and whose name came out wrong.

On kernels before 6.2 a link that is up cannot be renamed. So a link that is set up before udev has renamed it
keeps the kernel's name until the next reboot, and all that waits for the right name waits for ever. The other
way round nothing is lost: a link that is touched late is late.
"""

from collections.abc import Iterable

from nodeeni.agent.links import ENI_KINDS, Link
from nodeeni.agent.udev import Word

# What the kernel says of a name's origin (linux/netdevice.h, NET_NAME_…).
_BY_KERNEL, _RENAMED = "1", "4"


class Naming:
    def __init__(self, timeout: float, sysfs: str) -> None:
        """`timeout`: seconds after which a link for which udev has no word is touched nevertheless."""
        self.timeout = timeout
        self._sysfs = sysfs
        self.since: dict[int, float] = {}  # the links that wait, and since when
        self._meant: dict[int, str] = {}  # names that udev was about to give
        self._origins: dict[int, tuple[str, str]] = {}  # of which name, and what sysfs says of it

    def arrived(self, link: Link, now: float) -> None:
        """A link that was not here before: udev is to speak of it."""
        if link.kind in ENI_KINDS and not link.loopback:
            self.since[link.ifindex] = now

    def found(self, link: Link, now: float) -> None:
        """A link that was here when we came: udev may have spoken of it long ago. What is up or has been
        renamed it need not rename."""
        if not link.up and self._origin(link) != _RENAMED:
            self.arrived(link, now)

    def forget(self, ifindex: int) -> None:
        for memory in (self.since, self._meant, self._origins):
            memory.pop(ifindex, None)

    def hear(self, words: Iterable[Word], now: float) -> None:
        """Take in words on links that are here."""
        for word in words:
            if word.action == "remove":  # of a former life: it left and came back, to be spoken of anew
                self.since[word.ifindex] = now
                continue
            if word.renaming:
                self._meant[word.ifindex] = word.name
            else:
                self._meant.pop(word.ifindex, None)
                self.since.pop(word.ifindex, None)

    def overdue(self, now: float) -> set[int]:
        """Links of which udev has said nothing for so long that they wait no longer."""
        found = {ifindex for ifindex, since in self.since.items() if now >= since + self.timeout}
        self.end(found)
        return found

    def end(self, ifindices: Iterable[int]) -> None:
        for ifindex in ifindices:
            self.since.pop(ifindex, None)

    def note(self, link: Link, primaries: Iterable[Link]) -> str:
        """For people: that the link's name is not the one that udev has for it; empty: nothing to tell.

        What udev did before we came it does not tell. But where it renames the primary interface, a PCI
        device with the kernel's name is one that it could not rename: it was up too early.
        """
        if not link.pci or not link.up or link.ifindex in self.since:
            return ""
        meant = self._meant.get(link.ifindex, link.name)
        if meant != link.name:
            return _BROKEN.format(name=link.name, way=f"{meant}, udev's name for it,")
        renames = any(self._origin(primary) == _RENAMED for primary in primaries)
        if renames and self._origin(link) == _BY_KERNEL:
            return _BROKEN.format(name=link.name, way="udev's name for it")
        return ""

    def _origin(self, link: Link) -> str:
        """Where the link's name comes from; empty: the kernel does not say."""
        known, origin = self._origins.get(link.ifindex, ("", ""))
        if known != link.name:
            try:
                with open(f"{self._sysfs}/class/net/{link.name}/name_assign_type", encoding="ascii") as file:
                    origin = file.read().strip()
            except OSError:  # also EINVAL: the kernel does not know
                origin = ""
            self._origins[link.ifindex] = (link.name, origin)
        return origin


_BROKEN = (
    "{name} is the kernel's name: the link was up before udev could rename it; {way} comes with the next "
    "reboot of the node, or when the ENI is attached anew"
)

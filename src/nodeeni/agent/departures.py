"""How links that were here went away, and for those of PCI devices who has the device now.

A driver for user space (vfio-pci, as DPDK needs it) takes the device from its network driver, so that the
link goes though the interface is still attached. The kernel says only that the link went; sysfs tells the
rest, some time later, since a device is without a driver in between. What happens to a link in another
network namespace is not told here at all; that its device was unplugged there, sysfs shows.
"""

import os
from typing import NamedTuple

_KEPT = 256  # pods' links come and go by the thousand
GONE = "the link is gone"
MOVED = "the link was moved into another network namespace"


class Device(NamedTuple):
    address: str  # on the PCI bus, as 0000:00:06.0
    driver: str  # of the link; empty: not known


class Passage(NamedTuple):
    """A link that left for another namespace or driver (`reason` says which), or came back from there."""

    mac: str
    name: str
    ifindex: int
    pci: bool
    reason: str
    back: bool


class _Absent(NamedTuple):
    ifindex: int
    name: str
    reason: str  # as the kernel told it
    device: Device | None


class Departures:
    def __init__(self, sysfs: str) -> None:
        self.reasons: dict[str, str] = {}  # of MAC addresses
        self._devices = f"{sysfs}/bus/pci/devices"
        self._here: dict[int, Device] = {}
        self._absent: dict[str, _Absent] = {}
        self._left: dict[str, str] = {}  # for where, as it was told; by MAC address
        self._passages: list[Passage] = []

    def arrived(self, ifindex: int, name: str, mac: str, address: str) -> None:
        """`address` of the PCI device, empty if there is none."""
        self.reasons.pop(mac, None)
        self._absent.pop(mac, None)
        left = self._left.pop(mac, "")
        if address and ifindex not in self._here:
            self._here[ifindex] = Device(address, self._driver(address))
        if left:
            self._passages.append(Passage(mac, name, ifindex, bool(address), left, True))

    def departed(self, ifindex: int, name: str, mac: str, reason: str) -> None:
        device = self._here.pop(ifindex, None)
        before = self._absent.get(mac)
        if before is not None and device is None:
            # Told twice: a look met its absence before the kernel's word came.
            if before.ifindex == ifindex and before.reason == GONE and reason != GONE:
                self._absent[mac] = before._replace(reason=reason)
                self._now(mac, reason)
            return
        self._absent[mac] = _Absent(ifindex, name, reason, device)
        self._now(mac, reason)
        while len(self.reasons) > _KEPT:
            oldest = next(iter(self.reasons))
            del self.reasons[oldest]
            self._absent.pop(oldest, None)
            self._left.pop(oldest, None)

    def look(self) -> None:
        """Ask again who has the devices of links that went."""
        for mac, absent in self._absent.items():
            if absent.device is None:
                continue
            if self._is_unplugged(absent.device):
                self._left.pop(mac, None)
                self._now(mac, GONE)
            else:
                self._now(mac, self._reason(absent.reason, absent.device))

    def passages(self) -> list[Passage]:
        """What left or came back since this was asked last."""
        found, self._passages = self._passages, []
        return found

    def _now(self, mac: str, reason: str) -> None:
        if elsewhere(reason) and self.reasons.get(mac) != reason:
            absent = self._absent[mac]
            pci = absent.device is not None
            self._passages.append(Passage(mac, absent.name, absent.ifindex, pci, reason, False))
            self._left[mac] = reason  # until its link is back: its own driver has the device before that
        self.reasons[mac] = reason

    def _reason(self, told: str, device: Device) -> str:
        driver = self._driver(device.address)
        if not driver:
            return f"{GONE}: no driver has its device {device.address}"
        return told if driver == device.driver else f"driver {driver} has taken its device {device.address}"

    def _is_unplugged(self, device: Device) -> bool:
        return not os.path.isdir(f"{self._devices}/{device.address}") or self._is_anothers(device)

    def _is_anothers(self, device: Device) -> bool:
        """Whether another link's device is there now, plugged in where the former was."""
        return any(here.address == device.address for here in self._here.values())

    def _driver(self, address: str) -> str:
        try:
            return os.path.basename(os.readlink(f"{self._devices}/{address}/driver"))
        except OSError:
            return ""


def moved(reason: str) -> bool:
    """Whether a link that went for this reason is in another network namespace, as a pod's is."""
    return reason == MOVED


def elsewhere(reason: str) -> bool:
    """Whether a link that went for this reason is still the node's: a pod or another driver has it."""
    return bool(reason) and not reason.startswith(GONE)

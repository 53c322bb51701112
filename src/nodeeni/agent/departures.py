"""How links that were here went away, and for those of PCI devices who has the device now.

A driver for user space (vfio-pci, as DPDK needs it) takes the device from its network driver, so that the
link goes though the interface is still attached. The kernel says only that the link went; sysfs tells the
rest, some time later, since a device is without a driver in between.
"""

import os
from typing import NamedTuple

_KEPT = 256  # pods' links come and go by the thousand
GONE = "the link is gone"


class Device(NamedTuple):
    address: str  # on the PCI bus, as 0000:00:06.0
    driver: str  # of the link; empty: not known


class Departures:
    def __init__(self, sysfs: str) -> None:
        self.reasons: dict[str, str] = {}  # of MAC addresses
        self._devices = f"{sysfs}/bus/pci/devices"
        self._here: dict[int, Device] = {}
        self._gone: dict[str, Device] = {}

    def arrived(self, ifindex: int, mac: str, address: str) -> None:
        """`address` of the PCI device, empty if there is none."""
        self.reasons.pop(mac, None)
        self._gone.pop(mac, None)
        if address and ifindex not in self._here:
            self._here[ifindex] = Device(address, self._driver(address))

    def departed(self, ifindex: int, mac: str, reason: str) -> None:
        device = self._here.pop(ifindex, None)
        self.reasons[mac] = reason
        if device is not None and reason == GONE:
            self._gone[mac] = device
        while len(self.reasons) > _KEPT:
            oldest = next(iter(self.reasons))
            del self.reasons[oldest]
            self._gone.pop(oldest, None)

    def look(self) -> None:
        """Ask again who has the devices of links that are gone."""
        for mac, device in self._gone.items():
            self.reasons[mac] = self._reason(device)

    def _reason(self, device: Device) -> str:
        if not os.path.isdir(f"{self._devices}/{device.address}"):
            return GONE
        driver = self._driver(device.address)
        if not driver:
            return f"{GONE}: no driver has its device {device.address}"
        return GONE if driver == device.driver else f"driver {driver} has taken its device {device.address}"

    def _driver(self, address: str) -> str:
        try:
            return os.path.basename(os.readlink(f"{self._devices}/{address}/driver"))
        except OSError:
            return ""

"""The nodes that are tried: a release of Debian, and who looks after the network on it."""

import os
from dataclasses import dataclass

from nodeeni.sandbox.machines.images import RELEASES, Image

IN_EVERY_RUN = "debian-12"
NETWORKS = ("none", "networkd", "ifupdown", "NetworkManager", "ec2-net-utils", "cloud-init")


@dataclass(frozen=True)
class Cell:
    """`plugs`: how many ENIs are attached to it, with and without the ENI manager."""

    image: Image
    plugs: int = 10


def _all() -> dict[str, Cell]:
    cells = {
        f"debian-{release}" + ("" if network == "none" else f"-{network}"): Cell(Image(release, network))
        for release in RELEASES
        for network in NETWORKS
    }
    for release in RELEASES:
        cells[f"debian-{release}-networkd"] = Cell(Image(release, "networkd"), plugs=100)
    cells["debian-12-q35"] = Cell(Image("12", board="q35"))
    cells["debian-12-networkd-eth"] = Cell(Image("12", "networkd", arguments="net.ifnames=0"))
    return cells


CELLS = _all()


def asked_for() -> list[str]:
    """CELLS in the environment: names with commas between, or `all`. ValueError names one that is unknown."""
    asked = os.environ.get("CELLS") or IN_EVERY_RUN
    names = list(CELLS) if asked == "all" else asked.split(",")
    for name in names:
        if name not in CELLS:
            raise ValueError(f"CELLS: there is no cell {name!r}; there are {', '.join(CELLS)}")
    return names


def release() -> str:
    """RELEASE in the environment: the Debian of what is tried on one node. ValueError: there is none."""
    asked = os.environ.get("RELEASE") or "12"
    if asked not in RELEASES:
        raise ValueError(f"RELEASE: there is no Debian {asked!r} here; there are {', '.join(RELEASES)}")
    return asked


def plugs(cell: Cell) -> int:
    """PLUGS in the environment overrules the cell's number."""
    return int(os.environ.get("PLUGS") or cell.plugs)

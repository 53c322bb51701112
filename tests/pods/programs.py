"""Multus and the CNI plugins that give pods their addresses, in the versions of outside/go.mod, as a disk for
machines."""

import subprocess
from pathlib import Path

from tests.nodes.programs import program

_MODULE = Path(__file__).with_name("outside")
_PACKAGES = (
    "gopkg.in/k8snetworkplumbingwg/multus-cni.v4/cmd/multus",
    "github.com/containernetworking/plugins/plugins/main/ipvlan",
    "github.com/containernetworking/plugins/plugins/ipam/host-local",
)
_SIZE = "160M"


def disk() -> Path:
    """An ext4 file system that has them. The first time takes minutes, which Go needs for Multus. Skips the
    test where there is no Go."""
    built = [program(package, _MODULE) for package in _PACKAGES]
    place = built[0].parent
    image = place.with_suffix(".ext4")
    if not image.exists():
        new = image.with_suffix(".new")
        new.unlink(missing_ok=True)
        subprocess.run(["truncate", "-s", _SIZE, new], check=True)
        subprocess.run(["mkfs.ext4", "-q", "-F", "-d", place, new], check=True)
        new.rename(image)
    return image

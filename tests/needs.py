"""What tests need of the machine beside Python. `make test` brings it; where it is lacking they skip."""

import shutil
from pathlib import Path

import pytest

from nodeeni.sandbox.hosts import probe

LEFT_OUT = "left out here: "
"""How the reason of each test begins that this machine's kernel does not permit; `make test` counts them."""

NO_KERNELS = f"{LEFT_OUT}nodes have no kernels, "
"""So does the reason where no network namespaces can be made."""


def program(name: str) -> str:
    """Where an outside program is."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed: make tools")
    return found


def kernels() -> None:
    """For tests that make and enter network namespaces themselves."""
    if why := why_no_kernels():
        pytest.skip(NO_KERNELS + why)


def another_user() -> None:
    """For tests that speak as another user than root. A user's own namespace has no other one."""
    if why := why_no_other_user():
        pytest.skip(LEFT_OUT + why)


def why_no_other_user() -> str:
    users = sum(int(line.split()[2]) for line in Path("/proc/self/uid_map").read_text().splitlines())
    return "no other user in this user namespace; as root they run" if users == 1 else ""


def why_no_kernels() -> str:
    """Empty where namespaces can be made at once."""
    capability = probe()
    if capability.needs_wrap:
        return "network namespaces need root: hack/as-root.sh .venv/bin/pytest ..."
    return capability.reason

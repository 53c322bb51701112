"""What tests need of the machine beside Python. `make test` brings it; where it is lacking they skip."""

import shutil

import pytest

from nodeeni.sandbox.hosts import probe

NO_KERNELS = "nodes have no kernels here: "
"""How the reason of each test begins that is left out where the kernel permits no network namespaces."""


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


def why_no_kernels() -> str:
    """Empty where namespaces can be made at once."""
    capability = probe()
    if capability.needs_wrap:
        return "network namespaces need root: hack/as-root.sh .venv/bin/pytest ..."
    return capability.reason

"""Whether nodes can have kernels of their own on this machine, if need be by starting over as the root of a
user namespace."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from nodeeni.sandbox.hosts import probe, wrap

STARTED_OVER = "--in-user-namespace"


@dataclass(frozen=True)
class Kernels:
    """`reason` says why they are not usable."""

    usable: bool
    reason: str = ""


def find_kernels(command: str, arguments: Sequence[str], *, wanted: bool) -> Kernels:
    """When the command has to start over this does not return; the next start has `--in-user-namespace`."""
    if not wanted:
        return Kernels(False, "as asked")
    capability = probe()
    if not capability.possible:
        return Kernels(False, capability.reason)
    if capability.needs_wrap and STARTED_OVER in arguments:
        return Kernels(False, "no network namespaces in a user namespace of this machine")
    if capability.needs_wrap:
        _start_over([command, *arguments, STARTED_OVER])
    return Kernels(True)


def _start_over(arguments: Sequence[str]) -> NoReturn:
    argv = wrap([sys.executable, "-m", "nodeeni.cli.main", *arguments])
    os.execvp(argv[0], argv)

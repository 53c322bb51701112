"""For all tests: the programs beside our Python come first, and what they start is told to end by SIGINT
as if at a terminal."""

import os
import signal
import sys
from pathlib import Path

from hypothesis import HealthCheck, settings
from tests.discipline import _nothing_blocks_a_loop, _nothing_is_left_pending
from tests.faults.looks import pytest_sessionfinish, pytest_terminal_summary, pytest_testnodedown
from tests.skips import pytest_addoption, pytest_configure

__all__ = [
    "_nothing_blocks_a_loop",
    "_nothing_is_left_pending",
    "pytest_addoption",
    "pytest_configure",
    "pytest_sessionfinish",
    "pytest_terminal_summary",
    "pytest_testnodedown",
]

# kubectl, helm and aws, which `make tools` puts there.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.prefix, "bin")), os.environ["PATH"]])

# Properties are looked for within seconds here; HYPOTHESIS_PROFILE=long looks for minutes.
settings.register_profile("short", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("long", settings.get_profile("short"), max_examples=3000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "short"))

# A shell without job control starts what is in the background with SIGINT ignored, and the children of the
# tests would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

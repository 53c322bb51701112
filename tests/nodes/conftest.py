"""Only with `make nodetest`: each of these starts guests under QEMU, whose images are made once a machine."""

import os

import pytest

from nodeeni.sandbox.machines.hosts import why_impossible

WANTED = os.environ.get("NODEENI_NODES") == "1"
collect_ignore_glob = [] if WANTED else ["test_*.py"]


@pytest.fixture(autouse=True)
def possible() -> None:
    if reason := why_impossible():
        pytest.skip(reason)

"""Only with `make podstest`: guests under QEMU, and programs that Go builds, both made once a machine."""

import os

import pytest

from nodeeni.sandbox.machines.hosts import why_impossible

WANTED = os.environ.get("NODEENI_PODS") == "1"
collect_ignore_glob = [] if WANTED else ["test_*.py"]


@pytest.fixture(autouse=True)
def possible() -> None:
    if reason := why_impossible():
        pytest.skip(reason)

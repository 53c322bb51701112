"""What kstatus, Helm 4, Argo CD and kubectl make of each state of a NodeENI: as docs/gitops.md tells."""

import os

import pytest

from . import waiting

pytestmark = pytest.mark.skipif(
    not (os.environ.get(waiting.JUDGES) and os.environ.get(waiting.HELM)),
    reason="the tools that wait are to be built, with Go: make waits",
)


@pytest.fixture(scope="module")
def lines() -> list[str]:
    return waiting.table()


def test_the_page_says_what_they_do(lines: list[str]) -> None:
    assert waiting.shown() == lines, "write it: make waits WRITE=1"


def test_nothing_ends_well_where_no_controller_runs(lines: list[str]) -> None:
    (of_nobody,) = [line for line in lines if "no controller has looked at it" in line.split("|")[1]]
    assert [cell.strip() for cell in of_nobody.split("|")[2:-1]] == [
        "InProgress",
        "waits",
        "Progressing",
        "waits",
    ]


def test_one_full_instance_rolls_nothing_back(lines: list[str]) -> None:
    (full,) = [line for line in lines if "one instance is full" in line]
    assert "Failed" not in full
    assert "fails" not in full

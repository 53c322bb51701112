"""Killed at each kind of change that a journey makes, and started again, the controller comes to one end.

Every single request of it, reads included, is the long form (`make chaos`). On a real API server, which has
room for one run at a time: each kind of write to it.
"""

from pathlib import Path

import pytest
from tests.contract.processes import real_is_wanted
from tests.faults.journeys import JOURNEYS
from tests.faults.kills import first_writes, kill_everywhere, record
from tests.faults.points import Point
from tests.faults.processes import Zygote

ON_A_REAL_SERVER = {
    "a NodeENI is applied, by a leader": (
        *("create leases", "patch leases", "patch nodeenis", "patch nodeenis/status"),
        *("create eninodes", "create events"),
    ),
    "the NodeENI is deleted": ("patch nodeenis", "delete eninodes"),
}


def chosen(name: str, points: list[Point]) -> list[Point]:
    if not real_is_wanted():
        return first_writes(points)
    found = [Point(f"Kubernetes {write}", 1) for write in ON_A_REAL_SERVER[name]]
    assert set(found) <= set(points)
    return found


@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", ON_A_REAL_SERVER if real_is_wanted() else JOURNEYS)
async def test_killed_at_every_kind_of_change(zygote: Zygote, tmp_path: Path, name: str) -> None:
    journey = JOURNEYS[name]
    points = await record(zygote, tmp_path / "clean", journey)
    outcomes = await kill_everywhere(zygote, tmp_path, journey, chosen(name, points))
    assert [outcome for outcome in outcomes if outcome.faults] == []
    assert [outcome for outcome in outcomes if not outcome.met] == []

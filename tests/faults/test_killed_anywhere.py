"""Killed at each kind of change that a journey makes, and started again, the controller comes to one end.

Every single request of it, reads included, is the long form (`make chaos`).
"""

from pathlib import Path

import pytest
from tests.faults.journeys import JOURNEYS
from tests.faults.kills import first_writes, kill_everywhere, record
from tests.faults.processes import Zygote


@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", JOURNEYS)
async def test_killed_at_every_kind_of_change(zygote: Zygote, tmp_path: Path, name: str) -> None:
    journey = JOURNEYS[name]
    points = await record(zygote, tmp_path / "clean", journey)
    outcomes = await kill_everywhere(zygote, tmp_path, journey, first_writes(points))
    assert [outcome for outcome in outcomes if outcome.faults] == []
    assert [outcome for outcome in outcomes if not outcome.met] == []

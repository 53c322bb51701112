"""The controller is killed at every request of a journey and started again: the end is always the same."""

from pathlib import Path

import pytest
from tests.faults.journeys import JOURNEYS
from tests.faults.kills import kill_everywhere, record
from tests.faults.processes import Zygote


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", JOURNEYS)
async def test_killed_at_every_call_and_write(zygote: Zygote, tmp_path: Path, name: str) -> None:
    journey = JOURNEYS[name]
    points = await record(zygote, tmp_path / "clean", journey)
    outcomes = await kill_everywhere(zygote, tmp_path, journey, points)
    assert [outcome for outcome in outcomes if outcome.faults] == []
    missed = [o for o in outcomes if not o.met and not o.point.call.startswith("EC2 Describe")]
    assert missed == []

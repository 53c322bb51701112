"""The test of the tests: a controller that lacks one guard is caught, and the one that has it is not."""

from pathlib import Path

import pytest
from tests.faults.mutants import LIARS
from tests.faults.processes import Zygote
from tests.faults.scenarios import SCENARIOS, Scenario, judge

CAUGHT = [(scenario, mutant) for scenario, (_, mutants) in SCENARIOS.items() for mutant in mutants]


@pytest.mark.timeout(240)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
async def test_the_controller_passes(zygote: Zygote, tmp_path: Path, scenario: Scenario) -> None:
    assert await judge(zygote, tmp_path, scenario) == []


@pytest.mark.timeout(240)
@pytest.mark.parametrize(("scenario", "mutant"), CAUGHT, ids=[mutant for _, mutant in CAUGHT])
async def test_a_mutant_is_caught(zygote: Zygote, tmp_path: Path, scenario: Scenario, mutant: str) -> None:
    found = await judge(zygote, tmp_path, scenario, mutant)
    assert found != []
    if mutant in LIARS:
        assert any(text.startswith("a lie: ") for text in found)

"""A few seeds of the chaos; `make chaos` has as many as there is time for."""

from pathlib import Path

import pytest
from tests.faults.chaos import chaos
from tests.faults.processes import Zygote


@pytest.mark.timeout(150)
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_after_the_turmoil_all_is_right(zygote: Zygote, tmp_path: Path, seed: int) -> None:
    result = await chaos(zygote, tmp_path, seed)
    assert result.faults == (), f"replay with: make chaos SEED={seed}"

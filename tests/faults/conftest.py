"""One zygote of controllers for each worker of the test run."""

from collections.abc import AsyncIterator

import pytest
from tests.faults import processes
from tests.faults.processes import Zygote


@pytest.fixture
async def zygote() -> AsyncIterator[Zygote]:
    async with processes.zygote() as made:
        yield made

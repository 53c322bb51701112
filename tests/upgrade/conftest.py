"""The stage of the upgrades: the controller's own, with an old version's objects and ENIs on it."""

import pytest
from tests.controller.conftest import metered_stage, open_stage, reads, stage
from tests.upgrade.old import V1_1_0, V1_3_8, OldVersion

__all__ = ["metered_stage", "open_stage", "reads", "stage", "version"]


@pytest.fixture(params=[V1_1_0, V1_3_8], ids=lambda version: str(version.name))
def version(request: pytest.FixtureRequest) -> OldVersion:
    made: OldVersion = request.param
    return made

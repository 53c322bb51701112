"""What the tests of rights stand on: a real API server with the shipped accounts, and a controller that has
one of them.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import pytest
from hack.apiserver import accounts
from hack.apiserver.accounts import CONTROLLER
from hack.render import STARTUP_TAINT
from tests.contract.real import RealKube
from tests.controller.conftest import Stage

from nodeeni.sandbox.ec2 import quick_settings
from nodeeni.sandbox.kube import KubeServer
from nodeeni.sandbox.world import World


@pytest.fixture
def kube() -> RealKube:
    kube = RealKube()
    accounts.install(kube)
    return kube


@pytest.fixture
async def stage(kube: RealKube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    """The controller's environment with the token of its service account in place of an administrator's."""
    async with World(quick_settings(), kube=cast("KubeServer", kube)) as world:
        environment = world.environment(tmp_path / "kubeconfig")
        environment |= {"NODE_CONDITION": "true", "STARTUP_TAINT": STARTUP_TAINT}  # as the chart can have it
        (tmp_path / "kubeconfig").write_text(kube.kubeconfig(accounts.token(kube, CONTROLLER)))
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        yield Stage(world, environment)

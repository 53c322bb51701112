"""A world without a controller, and the environment in which people look at it."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.cli.looking import Site
from tests.contract import by_the_model

from nodeeni.sandbox.ec2 import quick_settings
from nodeeni.sandbox.world import World


@pytest.fixture
async def site(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> AsyncIterator[Site]:
    async with World(quick_settings()) as world:
        for name in os.environ:
            if name.startswith("AWS_") or name in ("CLUSTER_ID", "POD_NAMESPACE"):
                monkeypatch.delenv(name)
        for name, value in world.environment(tmp_path / "kubeconfig").items():
            monkeypatch.setenv(name, value)
        yield Site(world, capsys)
        assert by_the_model.unknown(world.ec2.calls) == []

"""An account whose rates AWS has raised, or of which only a share is to be used."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from nodeeni.sandbox.ec2 import quick_settings

from .conftest import Stage, staged

BUCKETS = {
    "AttachNetworkInterface": (200.0, 100.0),
    "CreateNetworkInterface": (200.0, 100.0),
    "ModifyNetworkInterfaceAttribute": (200.0, 100.0),
}


@pytest.fixture
async def generous_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    async with staged(tmp_path, monkeypatch, quick_settings(buckets=BUCKETS)) as made:
        yield made


@pytest.fixture
async def telling_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    async with staged(tmp_path, monkeypatch, quick_settings(buckets=BUCKETS, rates_told=True)) as made:
        yield made


async def _attach_ninety(stage: Stage, *flags: str) -> list[float]:
    """The moments at which EC2 was asked to attach."""
    nodes = [await stage.node() for _ in range(90)]
    async with stage.controller(*flags):
        stage.apply()
        await stage.until_attached(*nodes)
    assert stage.ec2.calls.throttled == 0
    moments = sorted(call.time for call in stage.ec2.calls.of("AttachNetworkInterface"))
    assert len(moments) == 90
    return moments


def _is_faster_than_documented(moments: list[float]) -> bool:
    """The documented bucket lets 50 go, and would let the last 40 go in no less than 8 seconds."""
    return moments[-1] - moments[49] < 7.5


async def test_a_raised_rate_is_used(generous_stage: Stage) -> None:
    moments = await _attach_ninety(generous_stage, "--ec2-rate=AttachNetworkInterface=200/100")
    assert _is_faster_than_documented(moments)


async def test_a_raised_rate_is_read_from_service_quotas(telling_stage: Stage) -> None:
    assert _is_faster_than_documented(await _attach_ninety(telling_stage))


async def test_service_quotas_that_may_not_be_read_leave_the_documented_rates(generous_stage: Stage) -> None:
    moments = await _attach_ninety(generous_stage)
    assert moments[-1] - moments[0] >= 40 / 5 - 0.1


async def test_a_rate_that_is_set_is_not_replaced_by_service_quotas(telling_stage: Stage) -> None:
    moments = await _attach_ninety(telling_stage, "--ec2-rate=AttachNetworkInterface=50/6")
    assert moments[-1] - moments[0] >= 40 / 6 - 0.1


async def test_a_share_of_the_rate_leaves_the_rest_to_others(generous_stage: Stage) -> None:
    stage = generous_stage
    nodes = [await stage.node() for _ in range(8)]
    async with stage.controller("--ec2-rate=AttachNetworkInterface=2/4"):
        stage.apply()
        await stage.until_attached(*nodes)
    moments = sorted(call.time for call in stage.ec2.calls.of("AttachNetworkInterface"))
    assert len(moments) == 8
    assert moments[-1] - moments[1] >= 6 / 4 - 0.05

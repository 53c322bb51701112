"""An account whose rates AWS has raised, or of which only a share is to be used."""

import json
from collections.abc import AsyncIterator

import pytest

from nodeeni.api.names import LEASE_TOKENS
from nodeeni.ec2.types import Action

from .conftest import OpenStage, Stage

BUCKETS = {
    "AttachNetworkInterface": (200.0, 100.0),
    "CreateNetworkInterface": (200.0, 100.0),
    "ModifyNetworkInterfaceAttribute": (200.0, 100.0),
}


@pytest.fixture
async def generous_stage(open_stage: OpenStage) -> AsyncIterator[Stage]:
    async with open_stage(buckets=BUCKETS) as made:
        yield made


@pytest.fixture
async def telling_stage(open_stage: OpenStage) -> AsyncIterator[Stage]:
    async with open_stage(buckets=BUCKETS, rates_told=True) as made:
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


def _is_faster_than(moments: list[float], seconds: float) -> bool:
    """A second is for calls that were on their way for longer than others."""
    return moments[-1] - moments[0] < seconds - 1.0


async def test_a_raised_rate_is_used(generous_stage: Stage) -> None:
    moments = await _attach_ninety(generous_stage, "--ec2-rate=AttachNetworkInterface=200/100")
    assert _is_faster_than_documented(moments)


async def test_a_raised_rate_is_read_from_service_quotas(telling_stage: Stage) -> None:
    assert _is_faster_than_documented(await _attach_ninety(telling_stage))


async def test_service_quotas_that_may_not_be_read_leave_the_documented_rates(generous_stage: Stage) -> None:
    moments = await _attach_ninety(generous_stage)
    assert not _is_faster_than(moments, 40 / 5)


async def test_a_rate_that_is_set_is_not_replaced_by_service_quotas(telling_stage: Stage) -> None:
    moments = await _attach_ninety(telling_stage, "--ec2-rate=AttachNetworkInterface=50/6")
    assert not _is_faster_than(moments, 40 / 6)


async def test_a_share_of_the_rate_leaves_the_rest_to_others(generous_stage: Stage) -> None:
    stage = generous_stage
    nodes = [await stage.node() for _ in range(8)]
    async with stage.controller("--ec2-rate=AttachNetworkInterface=2/4"):
        stage.apply()
        await stage.until_attached(*nodes)
    moments = sorted(call.time for call in stage.ec2.calls.of("AttachNetworkInterface"))
    assert len(moments) == 8
    assert moments[-1] - moments[1] >= 6 / 4 - 0.05


REST = (
    "as documented: AssignIpv6Addresses=100/5,AssignPrivateIpAddresses=100/5,CreateTags=100/10,"
    "DeleteNetworkInterface=100/5,DeleteTags=100/10,DetachNetworkInterface=50/5,UnassignIpv6Addresses=100/5,"
    "UnassignPrivateIpAddresses=100/5"
)


async def _said_of_rates(stage: Stage, caplog: pytest.LogCaptureFixture, *flags: str) -> list[str]:
    def said() -> list[str]:
        lines = [record.getMessage() for record in caplog.records]
        return [line for line in lines if line.startswith("EC2's rates")]

    caplog.set_level("INFO", logger="nodeeni")
    async with stage.controller(*flags):
        await stage.until(said)
    return said()


async def test_the_log_lists_all_rates_in_effect_and_where_they_come_from(
    telling_stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    (said,) = await _said_of_rates(telling_stage, caplog, "--ec2-rate=AttachNetworkInterface=50/6")
    assert said == (
        "EC2's rates, as burst/calls a second, from --ec2-rate: AttachNetworkInterface=50/6; Service Quotas: "
        f"CreateNetworkInterface=200/100,ModifyNetworkInterfaceAttribute=200/100; {REST}"
    )


async def test_the_log_says_why_service_quotas_did_not_tell(
    generous_stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    (said,) = await _said_of_rates(generous_stage, caplog)
    assert all(action in said for action in Action)
    assert ",AttachNetworkInterface=50/5," in said.partition("from as documented: ")[2]
    assert said.endswith("not tell (AccessDeniedException): allow servicequotas:ListServiceQuotas")


async def test_throttles_of_one_action_are_one_line_with_what_to_look_at(
    metered_stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="nodeeni")
    stage = metered_stage
    nodes = [await stage.node() for _ in range(12)]
    stage.apply()
    async with stage.controller():
        await stage.until_attached(*nodes)
    lines = [record.getMessage() for record in caplog.records if "throttled" in record.getMessage()]
    assert 0 < len(lines) < stage.ec2.calls.throttled
    assert len(lines) == len({line.split()[2] for line in lines})  # one for each action
    assert all("--ec2-rate is set too high" in line for line in lines)


@pytest.fixture
async def narrow_stage(open_stage: OpenStage) -> AsyncIterator[Stage]:
    buckets = dict.fromkeys(("CreateNetworkInterface", "AttachNetworkInterface"), (10.0, 1.0))
    async with open_stage(buckets=buckets) as made:
        yield made


async def test_a_new_leader_spends_only_what_the_old_one_left(narrow_stage: Stage) -> None:
    rates = ",".join(f"{action}NetworkInterface=10/1" for action in ("Create", "Attach"))
    flags = ("--enable-leader-election", f"--ec2-rate={rates}")
    narrow_stage.apply()
    nodes = [await narrow_stage.node() for _ in range(12)]
    async with narrow_stage.controller(*flags):
        await narrow_stage.until_attached(*nodes)
    (lease,) = narrow_stage.kube.objects("coordination.k8s.io", "leases")
    left = json.loads(lease["metadata"]["annotations"][LEASE_TOKENS])
    assert left["AttachNetworkInterface"] < 10
    more = [await narrow_stage.node() for _ in range(12)]
    async with narrow_stage.controller(*flags):
        await narrow_stage.until_attached(*more)
    assert narrow_stage.ec2.calls.throttled == 0

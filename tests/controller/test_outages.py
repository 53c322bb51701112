"""EC2 away, the API server away, both, expired credentials, a clock that is set: waited out, and said."""

import time

import pytest
from prometheus_client import REGISTRY

from nodeeni.controller import health, sweeper, troubles
from nodeeni.ec2.errors import ErrorClass, RetryRule

from .conftest import Stage
from .probe import Probe

LEASED = ("--enable-leader-election", "--lease-duration=2s")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is waited for in minutes is waited for in tenths of a second."""
    for room in (health, troubles):
        monkeypatch.setattr(room, "PATIENCE", 0.3)
    monkeypatch.setattr(troubles, "PROBE", 0.1)
    monkeypatch.setattr(sweeper, "READ_AGAIN", RetryRule(first=0.1, factor=1, most=0.1))
    monkeypatch.setattr(ErrorClass.CREDENTIALS, "retry", RetryRule(first=0.3, factor=1, most=0.3))
    monkeypatch.setattr(ErrorClass.UNKNOWN_OUTCOME, "retry", RetryRule(first=0.1, factor=2, most=0.5))


@pytest.mark.parametrize("code", ["Unavailable", "RequestExpired"], ids=["away", "credentials expired"])
async def test_ec2_is_out_of_reach_and_comes_back(stage: Stage, code: str) -> None:
    node, late, probe = await stage.node(), await stage.node(matching=False), Probe()
    stage.apply()
    async with stage.controller(probe.flag, "--resync-period=300ms") as controller:
        await stage.until_attached(node)
        await probe.until(200)
        stage.ec2.faults.error("*", code, times=None)
        stage.world.label(late.name, ng="multi-eni")
        assert code in await probe.until(503, "[-]ec2")
        assert 'nodeeni_check_ok{check="ec2"} 0.0' in (await probe.get("/metrics"))[1]
        assert not controller.done()
        stage.ec2.faults.clear()
        await stage.until_attached(node, late)
        await probe.until(200)
    assert len(stage.ours()) == 2
    assert stage.calls()["DetachNetworkInterface"] == 0


async def test_a_start_while_ec2_is_away(stage: Stage) -> None:
    node, probe = await stage.node(), Probe()
    stage.apply()
    stage.ec2.faults.drop("*", "before", times=None)
    async with stage.controller(probe.flag):
        await probe.until(503, "[-]ec2")
        stage.ec2.faults.clear()
        await stage.until_attached(node)
        await probe.until(200)


async def test_a_proxy_answers_reads_with_a_page_of_its_own_and_nothing_is_taken_for_gone(
    stage: Stage,
) -> None:
    node, probe = await stage.node(), Probe()
    stage.apply()
    async with stage.controller(probe.flag, "--resync-period=200ms"):
        await stage.until_attached(node)
        (kept,) = stage.ours()
        page = "<html xmlns='http://www.w3.org/1999/xhtml'><body>Sign in</body></html>"
        stage.ec2.faults.answer("DescribeNetworkInterfaces", 200, page, times=10)
        assert "MalformedAnswer" in await probe.until(503, "[-]ec2")
        assert stage.row(node)["eniID"] == kept.id
        await probe.until(200)  # after ten readings
        await stage.stays(lambda: stage.row(node)["eniID"] == kept.id)
    assert [interface.id for interface in stage.ours()] == [kept.id]
    assert stage.calls()["CreateNetworkInterface"] == 1
    assert stage.calls()["DetachNetworkInterface"] == 0


async def test_the_api_server_is_away_and_readyz_says_so(stage: Stage) -> None:
    node, late, probe = await stage.node(), await stage.node(matching=False), Probe()
    stage.apply()
    async with stage.controller(probe.flag):
        await stage.until_attached(node)
        stage.kube.refuse_connections()
        await probe.until(503, "[-]kubernetes")
        stage.world.label(late.name, ng="multi-eni")
        await stage.kube.listen()
        await stage.until_attached(node, late)
        await probe.until(200)


async def test_the_leader_outlives_an_api_server_that_is_away_for_longer_than_the_lease(stage: Stage) -> None:
    node, late, probe = await stage.node(), await stage.node(matching=False), Probe()
    stage.apply()
    async with stage.controller(probe.flag, *LEASED) as controller:
        await stage.until_attached(node)
        stage.kube.refuse_connections()
        await probe.until(503, "[-]lease lost")
        calls = stage.calls()
        stage.ec2.account.release(stage.ours()[0])  # there is work, and no right to do it
        await stage.stays(lambda: stage.calls() == calls)
        stage.world.label(late.name, ng="multi-eni")
        await stage.kube.listen()
        await stage.until_attached(late)
        await probe.until(200)
        assert not controller.done()


async def test_both_are_away_and_come_back(stage: Stage) -> None:
    node, late, probe = await stage.node(), await stage.node(matching=False), Probe()
    stage.apply()
    async with stage.controller(probe.flag, "--resync-period=300ms", *LEASED) as controller:
        await stage.until_attached(node)
        stage.kube.refuse_connections()
        stage.ec2.faults.drop("*", "before", times=None)
        await probe.until(503, "[-]lease lost")
        assert "[-]ec2" in await probe.until(503, "[-]ec2")
        await stage.kube.listen()
        stage.world.label(late.name, ng="multi-eni")
        await stage.stays(lambda: not controller.done(), seconds=0.5)
        stage.ec2.faults.clear()
        await stage.until_attached(node, late)
        await probe.until(200)
    assert len(stage.ours()) == 2


@pytest.mark.parametrize("jump", [-86400.0, 86400.0], ids=["a day back", "a day on"])
async def test_the_clock_is_set(stage: Stage, monkeypatch: pytest.MonkeyPatch, jump: float) -> None:
    node, late = await stage.node(), await stage.node(matching=False)
    stage.apply()
    async with stage.controller(*LEASED) as controller:
        await stage.until_attached(node)
        wall = time.time
        monkeypatch.setattr(time, "time", lambda: wall() + jump)
        await stage.stays(lambda: not controller.done(), seconds=2.5)  # longer than the lease
        stage.world.label(late.name, ng="multi-eni")
        await stage.until_attached(node, late)
        stage.delete()
        await stage.until_deleted()
    assert stage.ec2.secondary_interfaces() == []


async def test_ec2_answers_after_sixteen_seconds(stage: Stage) -> None:
    """In trouble it does: who gives up earlier asks again and again, and hears nothing."""
    node = await stage.node()
    stage.ec2.faults.delay("CreateNetworkInterface", 16.0, times=None)
    stage.apply()
    async with stage.controller():
        await stage.until(lambda: stage.row(node).get("status") == "attached", timeout=30)
    assert stage.calls()["CreateNetworkInterface"] == 1


async def test_an_unknown_code_that_refuses_is_counted_shown_and_left_for_minutes(stage: Stage) -> None:
    """The call is not made again and again: EC2 answered, and did nothing."""
    node, probe = await stage.node(), Probe()
    code = {"action": "AttachNetworkInterface", "code": "NeverHeardOf"}
    counted = REGISTRY.get_sample_value("nodeeni_ec2_unknown_codes_total", code)  # of this process, so far
    stage.ec2.faults.error("AttachNetworkInterface", "NeverHeardOf", message="Not on Sundays.", times=None)
    stage.apply()
    async with stage.controller(probe.flag):
        await stage.until(lambda: "ENIAttachmentFailed" in stage.reasons())
        await stage.until(lambda: stage.row(node).get("reason") == "RejectedByEC2")
        await stage.stays(lambda: stage.calls()["AttachNetworkInterface"] == 1, seconds=3)
        metric = 'nodeeni_ec2_unknown_codes_total{action="AttachNetworkInterface",code="NeverHeardOf"}'
        assert f"{metric} {(counted or 0.0) + 1}" in (await probe.get("/metrics"))[1]
        assert "failed with NeverHeardOf: Not on Sundays; nothing was done" in stage.row(node)["message"]
    assert any("NeverHeardOf" in message for _, message in stage.events())
    assert len(stage.ours()) == 1

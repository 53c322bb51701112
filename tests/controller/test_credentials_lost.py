"""EC2 takes the calls of a running controller no more: nothing is called healthy, and all goes on after."""

import pytest

from nodeeni.controller import sweeper, troubles
from nodeeni.ec2.errors import ErrorClass, RetryRule

from .conftest import Stage
from .probe import Probe


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is waited for in seconds is waited for in tenths of a second."""
    monkeypatch.setattr(troubles, "PATIENCE", 0.3)
    monkeypatch.setattr(sweeper, "READ_AGAIN", RetryRule(first=0.1, factor=2, most=0.3))
    # Whoever waits by itself waits too long: the first call that is taken has to end every wait.
    monkeypatch.setattr(ErrorClass.CREDENTIALS, "retry", RetryRule(first=600, factor=1, most=600))


@pytest.mark.parametrize(
    ("code", "ahead", "reason", "words"),
    [
        ("ExpiredTokenException", 0, "CredentialsRefused", "check the controller's AWS credentials"),
        ("", 600, "ClockWrong", "this machine's clock is 10 min behind EC2's"),
        ("", -600, "ClockWrong", "this machine's clock is 10 min ahead of EC2's"),
    ],
    ids=["expired", "clock behind", "clock ahead"],
)
async def test_every_nodeeni_says_what_it_waits_for(
    stage: Stage,
    code: str,
    ahead: float,
    reason: str,
    words: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "nodeeni")
    node, late, probe = await stage.node(), await stage.node(matching=False), Probe()
    stage.apply()
    async with stage.controller(probe.flag, "--resync-period=500ms"):
        await stage.until(lambda: stage.condition("Ready").get("status") == "True")
        stage.ec2.clock.ahead = ahead
        if code:
            stage.ec2.faults.error("*", code, times=None)
        await stage.until(lambda: stage.condition("Degraded")["reason"] == reason)
        said = stage.condition("Degraded")["message"]
        assert words in said
        assert ("Warning", f"{reason}: {said}") in stage.told("WaitingForEC2")
        assert f"[-]ec2 {reason}: {said}" in await probe.until(503, "[-]ec2")
        stage.world.label(late.name, ng="multi-eni")
        await stage.until(lambda: stage.row(late).get("reason") == reason)
        assert words in stage.row(late)["message"]
        assert stage.row(node)["status"] != "creating"
        stage.ec2.clock.ahead = 0
        stage.ec2.faults.clear()
        await stage.until_attached(node, late)
        await stage.until(lambda: stage.condition("Degraded")["reason"] == "AsDesired")
        await probe.until(200)
    told = [record.getMessage() for record in caplog.records]
    assert told.count(f"every NodeENI waits for EC2: {reason}: {said}") == 1
    assert sum("EC2 is read again" in line for line in told) == 1
    assert len(stage.ours()) == 2


async def test_a_status_that_stands_on_an_old_reading_is_not_known(stage: Stage) -> None:
    node = await stage.node()
    stage.apply()
    async with stage.controller("--resync-period=500ms"):
        await stage.until(lambda: stage.condition("Ready").get("status") == "True")
        stage.ec2.faults.error("*", "ExpiredTokenException", times=None)
        await stage.until(lambda: stage.condition("Ready")["status"] == "Unknown")
        assert stage.condition("Ready")["reason"] == "EC2NotRead"
        assert stage.row(node)["eniID"]
        stage.ec2.faults.clear()
        await stage.until(lambda: stage.condition("Ready")["status"] == "True")


async def test_a_read_that_fails_once_is_no_trouble(
    stage: Stage, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(troubles, "PATIENCE", 3.0)  # longer than the next read takes, on a busy machine too
    node = await stage.node()
    stage.apply()
    async with stage.controller("--resync-period=500ms"):
        await stage.until_attached(node)
        stage.ec2.faults.error("DescribeNetworkInterfaces", "UnauthorizedOperation")
        await stage.until(lambda: stage.ec2.faults.pending() == [])
        await stage.stays(lambda: stage.condition("Degraded")["status"] == "False", seconds=4)
    assert not [record for record in caplog.records if "waits for EC2" in record.getMessage()]

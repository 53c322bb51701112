"""EC2 cannot be read when the process starts: every NodeENI says so, and why, and is well again after."""

from collections.abc import Callable

import pytest

from nodeeni.controller import sweeper, troubles
from nodeeni.ec2.errors import RetryRule

from .conftest import Object, Stage
from .probe import Probe

Break = Callable[[Stage], None]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is waited for in seconds is waited for in tenths of a second."""
    monkeypatch.setattr(troubles, "PATIENCE", 0.3)
    monkeypatch.setattr(troubles, "UNREAD", 2.0)
    monkeypatch.setattr(sweeper, "READ_AGAIN", RetryRule(first=0.1, factor=2, most=0.3))


def bad_credentials(stage: Stage) -> None:
    stage.ec2.faults.error("*", "AuthFailure", times=None)


def unavailable(stage: Stage) -> None:
    stage.ec2.faults.error("Describe*", "Unavailable", times=None)


def missing_right(stage: Stage) -> None:
    stage.ec2.faults.error("DescribeNetworkInterfaces", "UnauthorizedOperation", times=None)


def clock_off(stage: Stage) -> None:
    stage.ec2.clock.ahead = 600


def silent(stage: Stage) -> None:
    stage.ec2.faults.hang("DescribeNetworkInterfaces", times=None)


def heal(stage: Stage) -> None:
    stage.ec2.faults.clear()
    stage.ec2.clock.ahead = 0


BROKEN = pytest.mark.parametrize(
    ("broken", "reason", "words"),
    [
        (bad_credentials, "CredentialsRefused", "check the controller's AWS credentials"),
        (unavailable, "EC2Unreachable", "Unavailable"),
        (missing_right, "NotAuthorized", "grant ec2:DescribeNetworkInterfaces"),
        (clock_off, "ClockWrong", "this machine's clock is 10 min behind EC2's"),
    ],
)


@BROKEN
async def test_a_new_nodeeni_is_told_within_seconds(
    stage: Stage, broken: Break, reason: str, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "nodeeni")
    node, probe = await stage.node(), Probe()
    broken(stage)
    stage.apply("before")
    async with stage.controller(probe.flag):
        await stage.until(lambda: stage.condition("Degraded", "before").get("reason") == reason)
        stage.apply("after", deviceIndex=3)
        await stage.until(lambda: stage.condition("Degraded", "after").get("reason") == reason)
        for name in ("before", "after"):
            said = stage.condition("Degraded", name)["message"]
            assert words in said
            ready = stage.condition("Ready", name)
            assert (ready["status"], ready["reason"]) == ("Unknown", "EC2NotRead")
            assert ready["lastTransitionTime"] > "2026"  # that of the CRD's default is no time
            assert stage.status(name)["desired"] == 1
            row = stage.row(node, name)
            assert (row["status"], row["reason"], row["message"]) == ("failed", reason, said)
            assert ("Warning", f"{reason}: {said}") in stage.told("WaitingForEC2")
        assert f"[-]ec2 {reason}: {said}" in await probe.until(503, "[-]ec2")
        told = [record.getMessage() for record in caplog.records]
        assert [line for line in told if reason in line] == [f"every NodeENI waits for EC2: {reason}: {said}"]
        heal(stage)
        await stage.until_attached(node, name="before")
        await stage.until_attached(node, name="after")
        await stage.until(lambda: stage.condition("Ready", "after")["status"] == "True")
        assert stage.condition("Degraded", "after")["reason"] == "AsDesired"
    assert any("EC2 is read again, after" in record.getMessage() for record in caplog.records)
    assert len(stage.ours("before")) == len(stage.ours("after")) == 1


@BROKEN
async def test_an_old_nodeeni_is_not_known_any_more_after_a_while(
    stage: Stage, broken: Break, reason: str, words: str
) -> None:
    node = await stage.node()
    stage.apply()
    async with stage.controller():
        await stage.until(lambda: stage.condition("Ready").get("status") == "True")
    before = stage.status()
    broken(stage)
    late = await stage.node()
    async with stage.controller():
        await stage.stays(lambda: stage.status() == before, seconds=1.0)
        await stage.until(lambda: stage.condition("Ready")["status"] == "Unknown")
        assert stage.condition("Ready")["reason"] == "EC2NotRead"
        assert stage.condition("Degraded")["reason"] == reason
        assert words in stage.condition("Degraded")["message"]
        assert stage.row(node) == next(r for r in before["attachments"] if r["nodeID"] == node.name)
        assert (stage.row(late)["status"], stage.row(late)["reason"]) == ("failed", reason)
        status = stage.status()
        assert (status["desired"], status["attached"], status["failed"]) == (2, 1, 1)
        assert stage.world.eninode(node.name) is not None
        heal(stage)
        await stage.until_attached(node, late)
        await stage.until(lambda: stage.condition("Ready")["status"] == "True")
    assert stage.row(node)["eniID"] == before["attachments"][0]["eniID"]
    assert len(stage.ours()) == 2


async def test_an_answer_that_never_comes_is_said_too(stage: Stage) -> None:
    node = await stage.node()
    silent(stage)
    stage.apply()
    async with stage.controller():
        await stage.until(lambda: stage.condition("Degraded").get("reason") == "EC2Unreachable")
        assert "has not answered" in stage.condition("Degraded")["message"]
        assert stage.row(node)["reason"] == "EC2Unreachable"
        assert stage.condition("Ready")["status"] == "Unknown"


async def test_an_edit_meanwhile_is_not_said_to_be_seen(stage: Stage) -> None:
    await stage.node()
    stage.apply()
    async with stage.controller():
        await stage.until(lambda: stage.condition("Ready").get("status") == "True")
    bad_credentials(stage)
    stage.apply(description="edited")
    async with stage.controller():
        await stage.until(lambda: stage.condition("Ready")["status"] == "Unknown")
        assert stage.status()["observedGeneration"] == 1
        heal(stage)
        await stage.until(lambda: stage.status()["observedGeneration"] == 2)
        await stage.until(lambda: stage.condition("Ready")["status"] == "True")
    assert [interface.description for interface in stage.ours()] == ["edited"]


async def test_a_healthy_restart_writes_nothing(stage: Stage) -> None:
    nodes = [await stage.node() for _ in range(3)]
    stage.apply()
    async with stage.controller():
        await stage.until_attached(*nodes)
        await stage.until(lambda: stage.condition("Ready")["status"] == "True")
    before: Object = stage.status()
    writes = stage.kube.requests["patch", "nodeenis/status"]
    async with stage.controller():
        await stage.stays(lambda: stage.kube.requests["patch", "nodeenis/status"] == writes, seconds=3)
    assert stage.status() == before

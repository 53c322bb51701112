"""One action that EC2 does not answer, or answers late: the trouble of those who ask it, of nobody else."""

import pytest

from nodeeni.controller import questions, troubles
from nodeeni.sandbox.world import OTHER_SUBNETS

from .conftest import NAME, Stage


async def test_an_action_that_fails_alone_is_not_told_to_those_who_do_not_ask_it(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(troubles, "PATIENCE", 0.5)
    node, group = await stage.node(), stage.ec2.add_security_group(stage.world.vpc)
    for name, index in ((NAME, 2), ("healthy", 3)):
        stage.apply(name, deviceIndex=index)
    async with stage.controller():
        for name in (NAME, "healthy"):
            await stage.until_attached(node, name=name)
        await stage.until(lambda: stage.condition("Ready", "healthy").get("status") == "True")
        stage.ec2.faults.error("DescribeSecurityGroups", "InternalError", times=None)
        reads = stage.ec2.calls.by_action["DescribeNetworkInterfaces"]
        stage.apply(securityGroupIDs=[group.id])
        await stage.until(lambda: stage.row(node).get("status") == "failed")
        await stage.stays(lambda: stage.condition("Degraded", "healthy")["status"] == "False", 4.0)
        assert stage.condition("Degraded")["status"] == "True"
        assert stage.ec2.calls.by_action["DescribeNetworkInterfaces"] <= reads + 4
    assert stage.told("WaitingForEC2") == []
    assert not [r for r in caplog.records if "every NodeENI waits" in r.getMessage()]


async def test_one_that_never_answers_is_told_with_its_name_and_the_way_out(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(questions, "LATE", 1.0)
    node = await stage.node()
    async with stage.controller():
        stage.apply("first", nodeSelector={"is": "there"}, subnetID=OTHER_SUBNETS["b"])
        await stage.until(lambda: stage.condition("Ready", "first").get("status") == "True")
        stage.ec2.faults.hang("DescribeSubnets", times=None)
        stage.apply()
        await stage.until(lambda: stage.told("ENICreationFailed"))
    ((kind, message),) = stage.told("ENICreationFailed")
    assert kind == "Warning"
    assert message.startswith(f"{node.name}: EC2Error: EC2 has not answered for over 1 s what it has of ")
    assert "(DescribeSubnets, DescribeSecurityGroups)" in message
    assert message.endswith("see to the way to EC2's endpoint")
    assert len([r for r in caplog.records if "has not answered" in r.getMessage()]) == 1


async def test_a_late_answer_at_a_restart_leaves_ready_as_it_was(stage: Stage) -> None:
    nodes = [await stage.node() for _ in range(2)]
    stage.apply()
    async with stage.controller():
        await stage.until_attached(*nodes)
        await stage.until(lambda: stage.condition("Ready").get("status") == "True")
        await stage.until(lambda: stage.calls()["ModifyNetworkInterfaceAttribute"] == 2)
    before, reads = stage.world.nodeeni(NAME), stage.ec2.calls.by_action["DescribeSubnets"]
    stage.ec2.faults.delay("DescribeSubnets", 5.0)
    async with stage.controller():
        await stage.until(lambda: stage.ec2.calls.by_action["DescribeSubnets"] > reads)
        await stage.stays(lambda: stage.world.nodeeni(NAME) == before, 3.0)

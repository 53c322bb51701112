"""The device index is taken, or the instance is full."""

import pytest

from nodeeni.sandbox.ec2 import Delay, Interface

from .conftest import OpenStage, Stage


def _index(interface: Interface) -> int:
    assert interface.attachment is not None
    return interface.attachment.device_index


async def test_exact_reports_a_taken_index_and_makes_nothing(stage: Stage) -> None:
    node = await stage.node()
    cni = stage.ec2.vpc_cni_interface(stage.ec2.instance(node.instance_id), 2)
    stage.apply()
    async with stage.controller():
        await stage.until(lambda: stage.row(node).get("reason") == "DeviceIndexTaken")
        message = stage.row(node)["message"]
    assert f"taken by {cni.id} (not ours)" in message
    assert "the next is 1" in message or "the next is 3" in message
    assert "spec.deviceIndexPolicy to NextFree" in message
    assert stage.calls() == {}


async def test_next_free_takes_the_next_index(stage: Stage) -> None:
    node = await stage.node()
    stage.ec2.vpc_cni_interface(stage.ec2.instance(node.instance_id), 2)
    stage.apply(deviceIndexPolicy="NextFree")
    async with stage.controller():
        await stage.until_attached(node)
    (interface,) = stage.ours()
    assert _index(interface) == 3
    assert stage.row(node)["deviceIndex"] == 3


@pytest.mark.parametrize("policy", ["Exact", "NextFree"])
async def test_an_index_taken_between_looking_and_attaching(stage: Stage, policy: str) -> None:
    node = await stage.node()
    stage.ec2.faults.delay("CreateNetworkInterface", 0.3)
    stage.apply(deviceIndexPolicy=policy)
    async with stage.controller():
        await stage.until(lambda: stage.ec2.calls.by_action["DescribeInstances"] > 0)
        stage.ec2.vpc_cni_interface(stage.ec2.instance(node.instance_id), 2)
        if policy == "NextFree":
            await stage.until_attached(node)
            (interface,) = stage.ours()
            assert _index(interface) == 3
            assert stage.calls()["CreateNetworkInterface"] == 1
        else:
            await stage.until(lambda: stage.row(node).get("reason") == "DeviceIndexTaken")
            await stage.until(lambda: stage.ours() == [])


async def test_an_index_that_becomes_free_is_used(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nodeeni.plan.places.INDEX_RETRY", 0.5)
    monkeypatch.setattr("nodeeni.ec2.lookups.Ages.instances", 0.1, raising=False)
    node = await stage.node()
    cni = stage.ec2.vpc_cni_interface(stage.ec2.instance(node.instance_id), 2)
    stage.apply()
    async with stage.controller():
        await stage.until(lambda: stage.row(node).get("reason") == "DeviceIndexTaken")
        stage.ec2.remove_interface(cni.id)
        await stage.until_attached(node)


async def test_a_full_instance_is_reported_and_gets_nothing(stage: Stage) -> None:
    node = await stage.node(type="t3.small")  # three interfaces, the primary included
    for index in (1, 2):
        stage.ec2.vpc_cni_interface(stage.ec2.instance(node.instance_id), index)
    stage.apply(deviceIndex=3)
    async with stage.controller():
        await stage.until(lambda: stage.row(node).get("reason") == "InstanceFull")
        await stage.until(lambda: "ENICreationFailed" in stage.reasons())
    assert "use a larger instance type" in stage.row(node)["message"]
    assert stage.calls() == {}


async def test_an_instance_that_ec2_says_is_full_gets_nothing_and_keeps_nothing(stage: Stage) -> None:
    node = await stage.node()
    stage.ec2.faults.error("AttachNetworkInterface", "AttachmentLimitExceeded", times=None)
    stage.apply()
    async with stage.controller():
        await stage.until(lambda: stage.row(node).get("reason") == "InstanceFull")
        await stage.until(lambda: stage.ours() == [])
        await stage.stays(lambda: stage.calls()["CreateNetworkInterface"] == 1)


async def test_what_fills_an_instance_is_told_and_nothing_is_made_until_it_goes(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EC2 called it full. An ENI is made again once one of the VPC CNI's has left."""
    monkeypatch.setattr("nodeeni.plan.places.FULL_RETRY", 0.2)
    monkeypatch.setattr("nodeeni.ec2.lookups.Ages.instances", 0.1, raising=False)
    node = await stage.node()
    cni = [stage.ec2.vpc_cni_interface(stage.ec2.instance(node.instance_id), index) for index in (1, 3)]
    stage.ec2.faults.error("AttachNetworkInterface", "AttachmentLimitExceeded", times=1)
    stage.apply()
    async with stage.controller():
        await stage.until(lambda: stage.row(node).get("reason") == "InstanceFull" and not stage.ours())
        asked = stage.ec2.calls.by_action["DescribeInstances"]
        await stage.until(lambda: stage.ec2.calls.by_action["DescribeInstances"] >= asked + 3)
        assert stage.calls()["CreateNetworkInterface"] == 1
        stage.ec2.remove_interface(cni[1].id)
        await stage.until_attached(node)
    assert stage.calls()["CreateNetworkInterface"] == 2


async def test_of_one_that_stays_full_ever_fewer_interfaces_are_made(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nodeeni.controller.memory.INSTANCE_FULL", 1.0)
    monkeypatch.setattr("nodeeni.plan.places.FULL_RETRY", 0.1)
    await stage.node()
    stage.ec2.faults.error("AttachNetworkInterface", "AttachmentLimitExceeded", times=None)
    stage.apply()
    async with stage.controller():
        await stage.until(lambda: stage.calls()["CreateNetworkInterface"] == 4)
    made = [call.time for call in stage.ec2.calls.of("CreateNetworkInterface")]
    assert made[2] - made[1] >= 2.0
    assert made[3] - made[2] >= 4.0


@pytest.mark.parametrize(("kind", "has_room"), [("m5.4xlarge", False), ("m7i.xlarge", True)])
async def test_volumes_count_where_the_type_shares_its_attachments(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, kind: str, has_room: bool
) -> None:
    monkeypatch.setattr("nodeeni.plan.places.FULL_RETRY", 0.2)
    monkeypatch.setattr("nodeeni.ec2.lookups.Ages.instances", 0.1, raising=False)
    node = await stage.node(type=kind)
    stage.ec2.set_volumes(node.instance_id, 28)
    stage.apply()
    async with stage.controller():
        if not has_room:
            await stage.until(lambda: stage.row(node).get("reason") == "InstanceFull")
            assert "beside its 28 EBS volumes" in stage.row(node)["message"]
            assert stage.calls() == {}
            stage.ec2.set_volumes(node.instance_id, 27)
        await stage.until_attached(node)
    assert stage.calls()["CreateNetworkInterface"] == 1


async def test_of_two_that_want_one_index_the_older_has_it(stage: Stage) -> None:
    node = await stage.node()
    stage.apply("a-first")
    stage.apply("b-second")
    async with stage.controller():
        await stage.until_attached(node, name="a-first")
        await stage.until(lambda: stage.row(node, "b-second").get("reason") == "DeviceIndexTaken")
        (first,) = stage.ours("a-first")
        await stage.until(
            lambda: f"taken by {first.id} of NodeENI a-first" in stage.row(node, "b-second")["message"]
        )
    assert stage.ours("b-second") == []


async def test_an_index_that_was_taken_unnoticed_costs_no_interface(stage: Stage) -> None:
    """The VPC CNI attached one since the instance was looked at; an edit moves ours to the same index."""
    node = await stage.node()
    stage.apply()
    async with stage.controller():
        await stage.until_attached(node)
        (before,) = stage.ours()
        stage.ec2.vpc_cni_interface(stage.ec2.instance(node.instance_id), 3)
        stage.apply(deviceIndex=3)
        await stage.until(lambda: stage.row(node).get("reason") == "DeviceIndexTaken")
        await stage.stays(lambda: stage.ours() == [before])
    assert stage.calls()["DetachNetworkInterface"] == 0


async def test_one_whose_new_place_is_lost_while_it_moves_keeps_the_others_waiting(
    open_stage: OpenStage,
) -> None:
    async with open_stage(detaching=Delay(1.0)) as stage:
        nodes = [await stage.node() for _ in range(3)]
        stage.apply()
        async with stage.controller():
            await stage.until_attached(*nodes)
            stage.apply(deviceIndex=3)
            first, others = await stage.until_one_detaches(nodes)
            stage.ec2.vpc_cni_interface(stage.ec2.instance(first.instance_id), 3)
            await stage.until(lambda: stage.row(first).get("reason") == "DeviceIndexTaken", timeout=30)
            await stage.stays(lambda: stage.calls()["DetachNetworkInterface"] == 1, 3)
            assert [stage.row(node)["reason"] for node in others] == ["ToBeReplaced", "ToBeReplaced"]
            stage.apply()  # as it was
            await stage.until_attached(*nodes)
    assert {_index(interface) for interface in stage.ours()} == {2}

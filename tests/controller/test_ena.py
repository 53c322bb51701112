"""ENA Express and the number of ENA queues: what the instance type cannot is told before any call."""

import pytest
from msgspec.structs import replace

from nodeeni.api.names import GROUP
from nodeeni.plan import corrections
from nodeeni.sandbox.world import WorldNode

from .conftest import NAME, Object, Stage


async def refused(stage: Stage, node: WorldNode, *, reason: str) -> Object:
    """The row of a NodeENI that cannot be had; nothing was tried."""
    async with stage.controller():
        await stage.until(lambda: stage.row(node).get("reason") == reason)
        row = stage.row(node)
        await stage.stays(lambda: not stage.calls())
    assert stage.ours() == []
    return row


async def test_a_type_without_ena_express(stage: Stage) -> None:
    node = await stage.node()
    stage.apply(enaExpress={"enabled": True})
    row = await refused(stage, node, reason="UnsupportedByType")
    way_out = "leave out spec.enaExpress, or use a type that has it"
    assert row["message"] == f"{node.instance_id} (m5.xlarge) has no ENA Express: {way_out}"


async def test_a_type_with_a_fixed_number_of_queues(stage: Stage) -> None:
    node = await stage.node()
    stage.apply(enaQueueCount=4)
    row = await refused(stage, node, reason="UnsupportedByType")
    assert row["message"] == (
        f"{node.instance_id} (m5.xlarge) has a fixed number of ENA queues: leave out spec.enaQueueCount, or "
        "use a type with flexible queues"
    )


async def test_more_queues_than_an_interface_can_have(stage: Stage) -> None:
    node = await stage.node(type="m8i.xlarge")
    stage.apply(enaQueueCount=8)
    row = await refused(stage, node, reason="UnsupportedByType")
    told = "has 4 ENA queues at most: lower spec.enaQueueCount to 4"
    assert row["message"] == f"an ENI of {node.instance_id} (m8i.xlarge) {told}"


async def test_more_queues_than_the_card_has_left(stage: Stage) -> None:
    node = await stage.node(type="c6in.16xlarge")
    for index in range(3, 10):  # 7 with 16 queues, beside the primary one's: 112 of 240 are left
        stage.ec2.vpc_cni_interface(stage.ec2.instance(node.instance_id), index)
    for number in range(3):
        stage.apply(f"wide-{number}", enaQueueCount=32, deviceIndex=20 + number)
    async with stage.controller():
        await stage.until_attached(node, name="wide-0")
        await stage.until_attached(node, name="wide-1")
        await stage.until_attached(node, name="wide-2")
        calls = stage.calls()
        stage.apply("more", enaQueueCount=32, deviceIndex=30)
        await stage.until(lambda: stage.row(node, "more").get("reason") == "InstanceFull")
        assert "has 16 ENA queues left, and 32 are needed: lower" in stage.row(node, "more")["message"]
        await stage.stays(lambda: stage.calls() == calls)
        stage.apply("more", enaQueueCount=16)
        await stage.until_attached(node, name="more")
    assert {i.attachment.ena_queue_count for i in stage.ours("more") if i.attachment} == {16}


async def test_an_edit_that_the_type_cannot_leaves_what_works(stage: Stage) -> None:
    node = await stage.node()
    stage.apply()
    async with stage.controller():
        await stage.until_attached(node)
        (before,), calls = stage.ours(), stage.calls()
        stage.apply(enaExpress={"enabled": True})
        await stage.until(lambda: stage.row(node).get("reason") == "UnsupportedByType")
        await stage.stays(lambda: stage.calls() == calls)
        assert stage.row(node)["message"].endswith(f"; {before.id} stays attached as it was")
    assert stage.ours() == [before]


async def test_what_the_type_cannot_holds_up_no_other_edit(stage: Stage) -> None:
    node = await stage.node()
    stage.apply()
    async with stage.controller():
        await stage.until_attached(node)
        stage.apply(enaExpress={"enabled": True}, description="of ours", tags={"team": "packets"})
        await stage.until(lambda: stage.row(node).get("reason") == "UnsupportedByType")
        await stage.until(lambda: stage.ours()[0].description == "of ours")
        await stage.until(lambda: stage.ours()[0].tags.get("team") == "packets")
        await stage.stays(lambda: stage.row(node)["reason"] == "UnsupportedByType")
    assert not [
        call
        for call in stage.ec2.calls.of("ModifyNetworkInterfaceAttribute")
        if any(key.startswith("EnaSrd") for key in call.parameters)
    ]


async def test_the_number_of_queues_is_changed_once_the_instance_is_stopped(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corrections, "STOP_RETRY", 0.2)
    node = await stage.node(type="c6in.16xlarge")
    stage.apply(enaQueueCount=8)
    async with stage.controller():
        await stage.until_attached(node)
        calls = stage.calls()
        stage.apply(enaQueueCount=32)
        await stage.until(lambda: stage.row(node).get("reason") == "InstanceRuns")
        (eni,) = stage.ours()
        told = f"{eni.id} has 8 ENA queues, and EC2 changes their number on a stopped instance alone: stop"
        assert stage.row(node)["message"].startswith(f"{told} {node.instance_id}")
        await stage.stays(lambda: stage.calls() == calls)
        stage.ec2.stop_instance(node.instance_id)
        await stage.until(lambda: _queues(stage) == [32])
        stage.ec2.start_instance(node.instance_id)
        await stage.until_attached(node)
        await stage.until(lambda: stage.condition("Ready")["status"] == "True")
        assert stage.calls() - calls == {"ModifyNetworkInterfaceAttribute": 1}
    assert [each.id for each in stage.ours()] == [eni.id]


async def test_the_default_comes_back_with_a_stop_and_nothing_is_told_before(stage: Stage) -> None:
    node = await stage.node(type="c6in.16xlarge")
    stage.apply(enaQueueCount=8)
    async with stage.controller():
        await stage.until_attached(node)
        calls = stage.calls()
        stage.kube.patch(GROUP, "nodeenis", NAME, {"spec": {"enaQueueCount": None}})
        await stage.until(lambda: stage.status().get("observedGeneration") == 2)
        assert stage.condition("Ready")["status"] == "True"
        await stage.stays(lambda: stage.calls() == calls and _queues(stage) == [8])
    stage.ec2.stop_instance(node.instance_id)
    await stage.until(lambda: stage.ec2.instance(node.instance_id).state == "stopped")
    async with stage.controller():
        await stage.until(lambda: _queues(stage) == [16])
    sent = [c for c in stage.ec2.calls if c.action == "ModifyNetworkInterfaceAttribute"][-1]
    assert sent.parameters["Attachment.DefaultEnaQueueCount"] == "true"


async def test_ena_express_that_somebody_turned_on_is_put_back(stage: Stage) -> None:
    node = await stage.node(type="c6in.16xlarge")
    stage.apply()
    async with stage.controller("--resync-period=300ms"):
        await stage.until_attached(node)
        await stage.until(lambda: stage.calls()["ModifyNetworkInterfaceAttribute"] == 1)
        (eni,) = stage.ours()
        assert eni.attachment is not None
        changed = replace(eni.attachment, ena_srd_enabled=True)
        stage.ec2.account.put(replace(eni, attachment=changed))
        await stage.until(lambda: stage.calls()["ModifyNetworkInterfaceAttribute"] == 2)
    assert [each.attachment and each.attachment.ena_srd_enabled for each in stage.ours()] == [False]


async def test_an_index_of_a_secondary_interface_is_taken(stage: Stage) -> None:
    node = await stage.node()
    secondary = stage.ec2.add_secondary_interface(node.instance_id, 2)
    stage.apply()
    row = await refused(stage, node, reason="DeviceIndexTaken")
    assert f"is taken by the secondary interface {secondary}: set spec.deviceIndex" in row["message"]
    stage.apply(deviceIndexPolicy="NextFree")
    async with stage.controller():
        await stage.until_attached(node)
        assert stage.row(node)["deviceIndex"] == 3


def _queues(stage: Stage) -> list[int | None]:
    return [i.attachment.ena_queue_count for i in stage.ours() if i.attachment]

"""Somebody changes by hand what is ours: seen at the next resync, put right, and told."""

from collections.abc import AsyncIterator

import msgspec
import pytest

from nodeeni.sandbox.ec2 import Delay, Interface

from .conftest import OpenStage, Stage

FLAGS = ("--resync-period=300ms", "--orphan-grace-period=100ms")
CLUSTER = "nodeeni.networking.k8s.aws/cluster"
CONTROLLER = "than this controller: CloudTrail tells who"


def _warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


def _changed(stage: Stage, interface: Interface, **changes: object) -> None:
    stage.ec2.account.put(msgspec.structs.replace(stage.ec2.interface(interface.id), **changes))


async def test_detached_by_hand_is_attached_again(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    node = await stage.node()
    stage.apply()
    async with stage.controller(*FLAGS):
        await stage.until_attached(node)
        (before,) = stage.ours()
        await stage.stays(lambda: True, seconds=0.3)  # beyond the lag: what EC2 shows now is believed
        stage.ec2.account.release(before)
        await stage.until(lambda: stage.calls()["AttachNetworkInterface"] == 2)
        await stage.until_attached(node)
        await stage.until(lambda: stage.told("ENIDetached"))
    told = f"{before.id} is detached from node {node.name}, by somebody else {CONTROLLER}"
    assert stage.told("ENIDetached") == [("Warning", told)]
    assert _warnings(caplog) == [told]
    (after,) = stage.ours()
    assert after.id == before.id
    assert stage.calls()["CreateNetworkInterface"] == 1


async def test_groups_description_and_termination_changed_by_hand_are_put_back(stage: Stage) -> None:
    node = await stage.node()
    group = stage.ec2.add_security_group(stage.world.vpc)
    stage.apply()
    async with stage.controller(*FLAGS):
        await stage.until_attached(node)
        await stage.until(lambda: stage.calls()["ModifyNetworkInterfaceAttribute"] == 1)
        (before,) = stage.ours()
        assert before.attachment is not None
        await stage.stays(lambda: True, seconds=0.3)
        _changed(
            stage,
            before,
            group_ids=(group.id,),
            description="by hand",
            source_dest_check=False,
            attachment=msgspec.structs.replace(before.attachment, delete_on_termination=False),
        )
        await stage.until(lambda: stage.ours() == [msgspec.structs.replace(before, attachment=_kept(before))])


def _kept(interface: Interface) -> object:
    assert interface.attachment is not None
    return msgspec.structs.replace(interface.attachment, delete_on_termination=True)


async def test_the_cluster_tag_taken_off_by_hand_is_put_back(stage: Stage) -> None:
    node = await stage.node()
    stage.apply()
    async with stage.controller(*FLAGS):
        await stage.until_attached(node)
        (before,) = stage.ours()
        await stage.stays(lambda: True, seconds=0.3)
        _changed(stage, before, tags={k: v for k, v in before.tags.items() if k != CLUSTER})
        await stage.until(lambda: CLUSTER in stage.ours()[0].tags)
        await stage.stays(lambda: len(stage.ec2.secondary_interfaces()) == 1, seconds=0.7)
    assert stage.calls()["CreateNetworkInterface"] == 1


async def test_without_the_cluster_tag_it_is_claimed_before_it_is_removed(stage: Stage) -> None:
    node = await stage.node()
    stage.apply()
    async with stage.controller("--resync-period=3s"):
        await stage.until_attached(node)
        (before,) = stage.ours()
        await stage.stays(lambda: True, seconds=0.3)
        _changed(stage, before, tags={k: v for k, v in before.tags.items() if k != CLUSTER})
        stage.world.label(node.name, ng=None)
        await stage.until(lambda: stage.ec2.secondary_interfaces() == [])
    assert stage.calls()["CreateTags"] == 1


async def test_one_that_was_given_to_another_cluster_by_hand_is_left_alone(stage: Stage) -> None:
    node = await stage.node()
    stage.apply()
    async with stage.controller(*FLAGS):
        await stage.until_attached(node)
        (before,) = stage.ours()
        await stage.stays(lambda: True, seconds=0.3)
        _changed(stage, before, tags={**before.tags, CLUSTER: "another"})
        await stage.until(lambda: stage.row(node).get("reason") == "OtherClusterID")
        await stage.until(lambda: [i.id for i in stage.ours()] == [before.id])
    assert "DetachNetworkInterface" not in stage.calls()


@pytest.fixture
async def slow_stage(open_stage: OpenStage) -> AsyncIterator[Stage]:
    """EC2 that takes two seconds for a detach."""
    async with open_stage(detaching=Delay(2.0)) as made:
        yield made


async def test_deleted_by_hand_is_told_as_somebody_elses_deed(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    node = await stage.node()
    stage.apply()
    async with stage.controller(*FLAGS):
        await stage.until_attached(node)
        (before,) = stage.ours()
        await stage.stays(lambda: True, seconds=0.3)
        stage.ec2.remove_interface(before.id)
        await stage.until(lambda: [i.id for i in stage.ours()] not in ([], [before.id]), timeout=30)
        await stage.until_attached(node)
        await stage.until(lambda: stage.told("ENIDeleted"))
    deleted = f"{before.id} of node {node.name} is deleted, or lost the tag of this cluster, by somebody else"
    assert stage.told("ENIDeleted") == [("Warning", f"{deleted} {CONTROLLER}")]
    assert f"{deleted} {CONTROLLER}" in _warnings(caplog)


async def test_a_detach_that_somebody_else_began_is_told_when_it_is_done(slow_stage: Stage) -> None:
    stage = slow_stage
    node = await stage.node()
    stage.apply()
    async with stage.controller(*FLAGS):
        await stage.until_attached(node)
        (before,) = stage.ours()
        await stage.stays(lambda: True, seconds=0.3)
        assert before.attachment is not None
        stage.ec2.lifecycle.detach(before, before.attachment, force=False, stuck=False)
        await stage.until(lambda: stage.told("ENIDetached"))
        await stage.until_attached(node)
    told = f"{before.id} is detached from node {node.name}, by somebody else {CONTROLLER}"
    assert stage.told("ENIDetached") == [("Warning", told)]


async def test_our_own_detach_is_no_warning_also_after_a_restart_in_its_midst(
    slow_stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    stage = slow_stage
    node = await stage.node()
    stage.apply()
    async with stage.controller(*FLAGS):
        await stage.until_attached(node)
        (before,) = stage.ours()
        stage.world.label(node.name, ng=None)
        await stage.until(lambda: stage.calls()["DetachNetworkInterface"] == 1)
    async with stage.controller(*FLAGS):
        await stage.until(lambda: stage.told("ENIDeleted"))
    assert stage.told("ENIDetached") == [("Normal", f"{before.id} is detached from node {node.name}")]
    assert stage.told("ENIDeleted") == [("Normal", f"{before.id} of node {node.name} is deleted")]
    assert _warnings(caplog) == []


async def test_what_goes_with_its_instance_is_nobodys_deed(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="nodeeni")
    node = await stage.node()
    stage.apply()
    async with stage.controller(*FLAGS):
        await stage.until_attached(node)
        (before,) = stage.ours()
        await stage.stays(lambda: True, seconds=0.3)
        stage.ec2.terminate(node.instance_id)
        await stage.until(lambda: stage.told("ENIDeleted"))
    told = f"{before.id} of node {node.name} is deleted: its instance has ended"
    assert stage.told("ENIDeleted") == [("Normal", told)]
    assert _warnings(caplog) == []
    assert told in [record.getMessage() for record in caplog.records]

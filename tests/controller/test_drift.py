"""Somebody changes by hand what is ours: seen at the next resync, and put right."""

import msgspec

from nodeeni.sandbox.ec2 import Interface

from .conftest import Stage

FLAGS = ("--resync-period=300ms", "--orphan-grace-period=100ms")
CLUSTER = "nodeeni.networking.k8s.aws/cluster"


def _changed(stage: Stage, interface: Interface, **changes: object) -> None:
    stage.ec2.account.put(msgspec.structs.replace(stage.ec2.interface(interface.id), **changes))


async def test_detached_by_hand_is_attached_again(stage: Stage) -> None:
    node = await stage.node()
    stage.apply()
    async with stage.controller(*FLAGS):
        await stage.until_attached(node)
        (before,) = stage.ours()
        await stage.stays(lambda: True, seconds=0.3)  # beyond the lag: what EC2 shows now is believed
        stage.ec2.account.release(before)
        await stage.until(lambda: stage.calls()["AttachNetworkInterface"] == 2)
        await stage.until_attached(node)
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


async def test_one_that_was_given_to_another_cluster_by_hand_is_let_go(stage: Stage) -> None:
    node = await stage.node()
    stage.apply()
    async with stage.controller(*FLAGS):
        await stage.until_attached(node)
        (before,) = stage.ours()
        await stage.stays(lambda: True, seconds=0.3)
        _changed(stage, before, tags={**before.tags, CLUSTER: "another"})
        await stage.until(lambda: stage.row(node).get("reason") == "DeviceIndexTaken")
        await stage.until(lambda: [i.id for i in stage.ours()] == [before.id])
    assert "DetachNetworkInterface" not in stage.calls()

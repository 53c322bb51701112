"""Our tags changed, emptied or taken off by somebody: put right in place, and nothing is detached for it."""

import itertools
from collections.abc import Mapping

import msgspec
import pytest

from nodeeni.api.names import TAG_INSTANCE, TAG_NAME, TAG_NODE, TAG_NODEENI, TAG_UID

from .conftest import NAME, Stage

FLAGS = ("--resync-period=300ms", "--orphan-grace-period=100ms")
OWNING = (TAG_UID, TAG_NODEENI, TAG_NAME, TAG_NODE, TAG_INSTANCE)
# To a value of nobody, to none, and off.
CHANGES: Mapping[str, str | None] = {"changed": "of-nobody", "emptied": "", "taken off": None}
ALONE = [((tag,), how) for tag in OWNING for how in CHANGES]
IN_PAIRS = [(pair, "changed") for pair in itertools.combinations(OWNING, 2)]


def _change(stage: Stage, eni_id: str, **tags: str | None) -> None:
    interface = stage.ec2.interface(eni_id)
    merged = {**interface.tags, **tags}
    kept = {key: value for key, value in merged.items() if value is not None}
    stage.ec2.account.put(msgspec.structs.replace(interface, tags=kept))


@pytest.mark.parametrize(
    ("tags", "how", "policy"),
    [(*each, policy) for each in ALONE for policy in ("Exact", "NextFree")]
    + [(*each, "NextFree") for each in IN_PAIRS],
)
async def test_they_are_put_right_and_the_eni_stays(
    stage: Stage, tags: tuple[str, ...], how: str, policy: str
) -> None:
    node = await stage.node()
    stage.apply(deviceIndexPolicy=policy)
    async with stage.controller(*FLAGS):
        await stage.until_attached(node)
        (before,) = stage.ours()
        await stage.stays(lambda: True, seconds=0.3)  # beyond the lag: what EC2 shows now is believed
        _change(stage, before.id, **dict.fromkeys(tags, CHANGES[how]))
        await stage.until(lambda: stage.ec2.interface(before.id) == before)
        await stage.stays(lambda: stage.ec2.secondary_interfaces() == [before], seconds=0.7)  # two resyncs
        assert stage.row(node)["status"] == "attached"
        stage.delete()
        await stage.until_deleted()
    assert stage.calls()["CreateNetworkInterface"] == stage.calls()["DetachNetworkInterface"] == 1
    assert stage.ec2.secondary_interfaces() == []


@pytest.mark.parametrize(("tags", "how"), [*ALONE, *IN_PAIRS])
async def test_before_a_deletion_they_keep_nothing_from_being_removed(
    stage: Stage, tags: tuple[str, ...], how: str
) -> None:
    """The NodeENI is deleted before the controller has seen what was changed: it is not running meanwhile."""
    node = await stage.node()
    stage.apply()
    async with stage.controller(*FLAGS):
        await stage.until_attached(node)
        (before,) = stage.ours()
    _change(stage, before.id, **dict.fromkeys(tags, CHANGES[how]))
    stage.delete()
    async with stage.controller(*FLAGS):
        await stage.until_deleted()
    assert stage.ec2.secondary_interfaces() == []
    assert stage.calls()["DetachNetworkInterface"] == 1


async def test_the_uid_of_another_nodeeni_does_not_make_it_that_ones(stage: Stage) -> None:
    node = await stage.node()
    stage.apply()
    stage.apply("other", nodeSelector={"other": "yes"})
    other = stage.world.nodeeni("other")
    assert other is not None
    async with stage.controller(*FLAGS):
        await stage.until_attached(node)
        (before,) = stage.ours()
        await stage.stays(lambda: True, seconds=0.3)
        _change(stage, before.id, **{TAG_UID: other["metadata"]["uid"], TAG_NODEENI: "other"})
        await stage.until(lambda: stage.ec2.interface(before.id) == before)
        assert stage.row(node)["status"] == "attached"
    assert "DetachNetworkInterface" not in stage.calls()


async def test_where_tagging_is_forbidden_it_stays_attached_and_the_action_is_told(stage: Stage) -> None:
    node = await stage.node()
    stage.apply()
    async with stage.controller(*FLAGS):
        await stage.until_attached(node)
        (before,) = stage.ours()
        await stage.stays(lambda: True, seconds=0.3)
        stage.ec2.faults.error("CreateTags", "UnauthorizedOperation", times=None)
        _change(stage, before.id, **{TAG_NODE: "", TAG_UID: ""})
        await stage.until(lambda: stage.row(node).get("reason") == "NotAuthorized")
        assert "ec2:CreateTags" in stage.row(node)["message"]
        await stage.stays(lambda: stage.ec2.interface(before.id).attachment == before.attachment, seconds=0.7)
        stage.ec2.faults.clear()
        await stage.until(lambda: stage.ec2.interface(before.id) == before)
    assert stage.row(node, NAME)["eniID"] == before.id
    assert "DetachNetworkInterface" not in stage.calls()


async def test_what_is_told_of_its_removal_names_its_own_node_and_no_stranger(stage: Stage) -> None:
    node = await stage.node()
    stage.apply()
    async with stage.controller("--label-grace=100ms", *FLAGS):
        await stage.until_attached(node)
        (before,) = stage.ours()
        await stage.stays(lambda: True, seconds=0.3)
        stage.ec2.faults.error("CreateTags", "UnauthorizedOperation", times=None)
        _change(stage, before.id, **{TAG_NODE: "of-nobody", TAG_UID: ""})
        await stage.until(lambda: stage.row(node).get("reason") == "NotAuthorized")
        stage.world.label(node.name, ng=None)
        await stage.until(lambda: stage.told("ENIDeleted"))
    assert stage.told("ENIDetached") == [("Normal", f"{before.id} is detached from node {node.name}")]
    assert stage.told("ENIDeleted") == [("Normal", f"{before.id} of node {node.name} is deleted")]

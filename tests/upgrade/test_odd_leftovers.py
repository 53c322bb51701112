"""What an old version left that is not simply to be kept: lost statuses, other places, half-done removals."""

from tests.controller.conftest import LABELS, Stage
from tests.upgrade.old import V1_3_8, OldInstallation, OldVersion

RESYNC = "--resync-period=300ms"


async def test_an_eni_that_no_status_names_is_left_alone_and_no_second_one_is_made(
    stage: Stage, version: OldVersion
) -> None:
    old = OldInstallation(stage, version)
    await old.build(2)
    old.write_status([])
    async with stage.controller(RESYNC):
        node = old.nodes[0]
        await stage.until(lambda: stage.row(node).get("status") == "failed")
        await stage.stays(lambda: not stage.calls(), seconds=0.7)
    assert stage.row(node)["reason"] == "DeviceIndexTaken"
    assert {i.id for i in stage.ec2.secondary_interfaces()} == old.interfaces.keys()


async def test_a_node_that_died_with_the_old_version_needs_nothing(stage: Stage, version: OldVersion) -> None:
    old = OldInstallation(stage, version)
    await old.build(2)
    stage.ec2.terminate(old.nodes[0].instance_id)
    await stage.until(lambda: len(stage.ec2.secondary_interfaces()) == 1)
    async with stage.controller(RESYNC):
        await stage.until(lambda: stage.status().get("attached") == 1)
        await stage.until(lambda: stage.calls() == {"CreateTags": 1})
        living = [old.nodes[1].name]
        await stage.until(lambda: [row["nodeID"] for row in stage.status()["attachments"]] == living)


async def test_a_nodeeni_deleted_before_the_new_controller_came_leaves_nothing(
    stage: Stage, version: OldVersion
) -> None:
    old = OldInstallation(stage, version)
    await old.build(3)
    stage.delete()
    async with stage.controller():
        await stage.until_deleted()
    assert stage.ec2.secondary_interfaces() == []


async def test_a_label_removed_before_the_new_controller_came_takes_that_eni_away(
    stage: Stage, version: OldVersion
) -> None:
    old = OldInstallation(stage, version)
    await old.build(2)
    unlabelled, kept = old.nodes
    stage.world.label(unlabelled.name, **dict.fromkeys(LABELS))
    async with stage.controller(RESYNC):
        await stage.until_attached(kept)
        await stage.until(lambda: len(stage.ec2.secondary_interfaces()) == 1)
        await stage.until(lambda: len(stage.status()["attachments"]) == 1)
    assert [old.interfaces[i.id] for i in stage.ec2.secondary_interfaces()] == [kept.name]


async def test_the_description_that_the_old_version_gave_by_default_stays(
    stage: Stage, version: OldVersion
) -> None:
    old = OldInstallation(stage, version)
    await old.build(2, description=None)
    async with stage.controller(RESYNC):
        await stage.until(lambda: stage.calls() == {"CreateTags": 2})
        await stage.stays(lambda: stage.calls() == {"CreateTags": 2}, seconds=0.7)
    assert old.is_adopted()


async def test_an_eni_at_another_index_is_left_alone_until_the_spec_says_so(
    stage: Stage, version: OldVersion
) -> None:
    old = OldInstallation(stage, version)
    await old.build(1, index=3)
    (node,) = old.nodes
    async with stage.controller(RESYNC):
        await stage.until(lambda: stage.row(node).get("reason") == "NotAdopted")
        await stage.stays(lambda: not stage.calls(), seconds=0.5)
        assert stage.row(node)["eniID"] in old.interfaces
        stage.apply(deviceIndex=3)
        await stage.until(old.is_adopted)
        await stage.until_attached(node)
    assert stage.calls() == {"CreateTags": 1}


async def test_of_several_in_several_subnets_the_one_in_our_place_is_adopted(stage: Stage) -> None:
    old = OldInstallation(stage, V1_3_8)
    await old.build(1)
    (ours,) = old.interfaces
    (node,) = old.nodes
    second = old.attach(node, index=3)
    old.write_status([second, *stage.status()["attachments"]])
    async with stage.controller(RESYNC):
        await stage.until(lambda: stage.calls() == {"CreateTags": 1})
        await stage.stays(lambda: stage.calls() == {"CreateTags": 1}, seconds=0.7)
        await stage.until(lambda: "ENINotAdopted" in stage.reasons())
    assert [second["eniID"] in message for _, message in stage.events()] == [True]
    tags = {i.id: i.tags for i in stage.ec2.secondary_interfaces()}
    assert "nodeeni.networking.k8s.aws/cluster" in tags[ours]
    assert "nodeeni.networking.k8s.aws/cluster" not in tags[second["eniID"]]

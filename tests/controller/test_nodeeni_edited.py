"""A live NodeENI is edited: in place where EC2 can, by replacing one node at a time where it cannot."""

import msgspec

from nodeeni.sandbox.ec2 import Delay
from nodeeni.sandbox.world import SECURITY_GROUP

from .conftest import NAME, OpenStage, Stage


async def test_what_ec2_can_change_is_changed_in_place(stage: Stage) -> None:
    group = stage.ec2.add_security_group(stage.world.vpc)
    node = await stage.node()
    stage.apply(tags={"team": "radio", "cost": "1"})
    async with stage.controller():
        await stage.until_attached(node)
        (before,) = stage.ours()
        stage.apply(
            securityGroupIDs=[SECURITY_GROUP, group.id],
            description="edited",
            deleteOnTermination=False,
            sourceDestCheck=False,
            tags={"team": "core", "cost": None},
        )

        def settled() -> bool:
            (now,) = stage.ours()
            return (
                set(now.group_ids) == {SECURITY_GROUP, group.id}
                and now.description == "edited"
                and now.attachment is not None
                and not now.attachment.delete_on_termination
                and not now.source_dest_check
                and now.tags.get("team") == "core"
                and "cost" not in now.tags
            )

        await stage.until(settled)
        await stage.until(lambda: stage.status().get("observedGeneration") == 2)
    (after,) = stage.ours()
    assert (after.id, after.attachment and after.attachment.id) == (
        before.id,
        before.attachment and before.attachment.id,
    )


async def test_a_tag_that_somebody_else_put_on_the_interface_stays(stage: Stage) -> None:
    node = await stage.node()
    stage.apply(tags={"team": "radio"})
    async with stage.controller("--resync-period=500ms"):
        await stage.until_attached(node)
        (interface,) = stage.ours()
        tagged = msgspec.structs.replace(interface, tags={**interface.tags, "finance": "42"})
        stage.ec2.account.put(tagged)
        stage.apply(tags={"team": None})
        await stage.until(lambda: "team" not in stage.ours()[0].tags)
        await stage.stays(lambda: stage.ours()[0].tags.get("finance") == "42")


async def test_another_subnet_replaces_the_interfaces_one_node_at_a_time(stage: Stage) -> None:
    other = stage.ec2.add_subnet(stage.world.vpc, "a", "10.20.0.0/16")
    nodes = [await stage.node() for _ in range(3)]
    stage.apply()
    async with stage.controller():
        await stage.until_attached(*nodes)
        before = {i.id for i in stage.ours()}
        stage.apply(subnetID=other.id)
        fewest = 3

        def replaced() -> bool:
            nonlocal fewest
            attached = [i for i in stage.ours() if i.attachment and i.attachment.status == "attached"]
            fewest = min(fewest, len(attached))
            return {i.subnet_id for i in attached} == {other.id} and len(attached) == 3

        await stage.until(replaced, timeout=30)
        await stage.until_attached(*nodes)
    assert not before & {i.id for i in stage.ours()}
    assert len(stage.ours()) == 3
    assert fewest == 2


async def test_nodes_that_wait_for_their_turn_are_attached_and_say_so(open_stage: OpenStage) -> None:
    async with open_stage(detaching=Delay(1.0)) as stage:
        nodes = [await stage.node() for _ in range(3)]
        stage.apply()
        async with stage.controller():
            await stage.until_attached(*nodes)
            stage.apply(deviceIndex=3)
            await stage.until(lambda: stage.condition("Ready")["reason"] == "Replacing")
            rows = sorted((stage.row(n)["status"], stage.row(n).get("reason", "")) for n in nodes)
            assert rows == [("attached", "ToBeReplaced")] * 2 + [("detaching", "")]
            assert stage.status()["attached"] == 2
            assert stage.condition("Progressing")["message"] == "1 node in progress, 2 to follow, 0 of 3 done"
            await stage.until(lambda: stage.condition("Ready")["reason"] == "AllAttached", timeout=30)
    assert {i.attachment.device_index for i in stage.ours() if i.attachment} == {3}


async def test_another_device_index_moves_the_same_interface(stage: Stage) -> None:
    node = await stage.node()
    stage.apply()
    async with stage.controller():
        await stage.until_attached(node)
        (before,) = stage.ours()
        stage.apply(deviceIndex=3)
        await stage.until(lambda: stage.row(node).get("deviceIndex") == 3)
        await stage.until_attached(node)
    (after,) = stage.ours()
    assert after.id == before.id
    assert after.attachment is not None
    assert after.attachment.device_index == 3
    assert after.tags["NodeENI"] == NAME


async def test_an_edit_that_ec2_refuses_stops_at_the_first_node_whoever_leads(stage: Stage) -> None:
    other = stage.ec2.add_subnet(stage.world.vpc, "a", "10.20.0.0/16")
    nodes = sorted([await stage.node() for _ in range(3)], key=lambda node: node.name)
    stage.apply()
    async with stage.controller():
        await stage.until_attached(*nodes)
        stage.ec2.faults.error("CreateNetworkInterface", "UnauthorizedOperation", times=None)
        stage.apply(subnetID=other.id)
        await stage.until(lambda: stage.condition("Degraded")["reason"] == "NotAuthorized")
        await stage.stays(lambda: len(stage.ours()) == 2)
        (without,) = [node for node in nodes if not stage.ours(node=node)]
        waiting = f"2 nodes to follow, once {without.name} has what the spec asks for"
        assert stage.condition("Progressing")["message"] == waiting
    async with stage.controller():  # which knows of no turn
        await stage.stays(lambda: len(stage.ours()) == 2, seconds=3)
        kept = {i.id for i in stage.ours()}
        stage.ec2.faults.clear()
        stage.apply()  # as it was
        await stage.until_attached(*nodes)
    assert kept < {i.id for i in stage.ours()}


async def test_the_next_node_waits_for_the_link_of_the_one_before(open_stage: OpenStage) -> None:
    async with open_stage(detaching=Delay(1.0)) as stage:
        nodes = [await stage.node() for _ in range(3)]
        stage.apply()
        async with stage.controller():
            await stage.until_attached(*nodes)
            for node in nodes:
                stage.report_link(node, "Up")
            await stage.until(lambda: stage.status().get("linksUp") == 3)
            stage.apply(deviceIndex=3)
            first, others = await stage.until_one_detaches(nodes)
            stage.report_link(first, "Missing")
            await stage.until(lambda: stage.row(first).get("deviceIndex") == 3)
            await stage.until(lambda: stage.row(first)["status"] == "attached")
            await stage.stays(lambda: [stage.row(n)["reason"] for n in others] == ["ToBeReplaced"] * 2, 2)
            stage.report_link(first, "Up")
            await stage.until(lambda: {stage.row(node)["deviceIndex"] for node in nodes} == {3})
            await stage.until_attached(*nodes)


async def test_a_cluster_that_grows_all_the_time_is_replaced_nevertheless(open_stage: OpenStage) -> None:
    async with open_stage() as stage:
        nodes = [await stage.node() for _ in range(3)]
        stage.apply()
        async with stage.controller():
            await stage.until_attached(*nodes)
            stage.ec2.faults.delay("AttachNetworkInterface", 3600, times=1)
            new = await stage.node()
            await stage.until(lambda: stage.row(new).get("status") == "attaching")
            stage.apply(deviceIndex=3)
            await stage.until(lambda: {stage.row(node).get("deviceIndex") for node in nodes} == {3})
            await stage.until_attached(*nodes)
            assert stage.row(new)["status"] == "attaching"

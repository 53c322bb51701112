"""ENIs that came with their instances' launch, and a NodeENI with `adoption: LaunchTime`."""

import asyncio
from typing import Any

import pytest

from nodeeni.sandbox.ec2 import Interface, LaunchInterface
from nodeeni.sandbox.world import SECURITY_GROUP, WorldNode

from .conftest import LABELS, NAME, OpenStage, Stage

NO_MANAGE = {"node.k8s.amazonaws.com/no_manage": "true"}
ADOPTION = "nodeeni.networking.k8s.aws/adoption"
INSTANCE = "nodeeni.networking.k8s.aws/instance"


def brought(stage: Stage, **changes: Any) -> LaunchInterface:
    """As a launch template brings it for the NodeENI of these tests."""
    given = {
        "subnet": stage.world.subnets["a"],
        "device_index": 2,
        "group_ids": (SECURITY_GROUP,),
        "description": "by the launch template",
        "tags": NO_MANAGE,
        **changes,
    }
    return LaunchInterface(**given)


async def launched(stage: Stage, **changes: Any) -> tuple[WorldNode, Interface]:
    """A node whose launch template brought one, and that one."""
    node, registration = stage.world.launch(labels=LABELS, brought=[brought(stage, **changes)])
    stage.kube.create(registration)
    return node, came(stage, node)


def came(stage: Stage, node: WorldNode) -> Interface:
    return next(
        i for i in stage.ec2.interfaces_of(node.instance_id) if i.attachment and i.attachment.device_index
    )


def is_tagged(stage: Stage, node: WorldNode) -> bool:
    tags = came(stage, node).tags
    return (tags.get("Name"), tags.get("Node"), tags.get(INSTANCE)) == (
        f"nodeeni-{NAME}-{node.name}",
        node.name,
        node.instance_id,
    )


def listed(stage: Stage, node: WorldNode) -> list[str]:
    """What its ENINode lists."""
    eninode = stage.world.eninode(node.name) or {"spec": {"interfaces": []}}
    return [entry["eniID"] for entry in eninode["spec"]["interfaces"]]


def made(stage: Stage) -> set[str]:
    """What was called beside the tags."""
    return stage.calls().keys() - {"CreateTags"}


async def test_it_is_taken_over_by_tags_alone_and_goes_with_its_nodeeni(stage: Stage) -> None:
    node, interface = await launched(stage)
    async with stage.controller():
        stage.apply(adoption="LaunchTime", description=None)
        await stage.until_attached(node)
        assert stage.row(node)["eniID"] == interface.id
        await stage.until(lambda: is_tagged(stage, node))
        assert stage.calls() == {"CreateTags": 2}
        assert stage.condition("Ready")["status"] == "True"
        assert came(stage, node).description == "by the launch template"
        told = f"{interface.id}, which came with the launch of {node.instance_id}, is taken over"
        assert stage.told("ENIAdopted") == [("Normal", f"{told} (node {node.name})")]
        await stage.until(lambda: listed(stage, node) == [interface.id])
        stage.delete()
        await stage.until_deleted()
    assert interface.id not in {each.id for each in stage.ec2.interfaces()}
    assert made(stage) == {"DetachNetworkInterface", "DeleteNetworkInterface"}


async def test_those_that_come_together_share_a_call(stage: Stage) -> None:
    stage.apply(adoption="LaunchTime", description=None)
    async with stage.controller():
        await stage.until(stage.has_finalizer)
        nodes = [(await launched(stage))[0] for _ in range(12)]
        await stage.until_attached(*nodes)
        calls = stage.ec2.calls.of("CreateTags")
        shared = [call for call in calls if f"{ADOPTION}" in call.parameters.values()]
        assert sum(len(resources(call.parameters)) for call in shared) == 12
        assert len(shared) < 12
        await stage.until(lambda: all(is_tagged(stage, node) for node in nodes))
    assert made(stage) == set()


def resources(parameters: dict[str, str]) -> list[str]:
    return [value for key, value in parameters.items() if key.startswith("ResourceId.")]


async def test_what_the_spec_asks_for_otherwise_is_put_right_in_place(stage: Stage) -> None:
    node, _ = await launched(stage)
    async with stage.controller():
        stage.apply(adoption="LaunchTime", description="of the spec", sourceDestCheck=False)
        await stage.until(lambda: came(stage, node).description == "of the spec")
        await stage.until(lambda: not came(stage, node).source_dest_check)
        await stage.until_attached(node)
    assert made(stage) == {"ModifyNetworkInterfaceAttribute"}


async def test_one_that_does_not_fit_says_at_which_point_and_is_taken_once_it_does(stage: Stage) -> None:
    node, interface = await launched(stage)
    async with stage.controller():
        stage.apply(adoption="LaunchTime", secondaryPrivateIPCount=1, description=None)
        await stage.until(lambda: stage.row(node).get("reason") == "NotAdopted")
        assert stage.row(node)["message"] == (
            f"{interface.id} is left alone: it has 0 secondary IPv4 addresses, and "
            "spec.secondaryPrivateIPCount is 1; nothing is made beside it: mend the NodeENI or the launch "
            "template, or set spec.adoption to Never"
        )
        assert stage.told("ENINotAdopted") != []
        assert stage.calls() == {}
        stage.apply(adoption="LaunchTime", secondaryPrivateIPCount=0, description=None)
        await stage.until_attached(node)
    assert made(stage) == set()


async def test_a_node_of_an_older_launch_template_gets_one_made(stage: Stage) -> None:
    older = await stage.node()
    newer, _ = await launched(stage)
    async with stage.controller():
        stage.apply(adoption="LaunchTime")
        await stage.until_attached(older, newer)
    assert stage.calls()["CreateNetworkInterface"] == stage.calls()["AttachNetworkInterface"] == 1


async def test_never_becomes_launch_time_and_never_again(stage: Stage) -> None:
    node, interface = await launched(stage)
    async with stage.controller():
        stage.apply(description=None)
        await stage.until(lambda: stage.row(node).get("reason") == "DeviceIndexTaken")
        stage.apply(adoption="LaunchTime", description=None)
        await stage.until_attached(node)
        await stage.until(lambda: is_tagged(stage, node))
        stage.apply(adoption="Never", description=None)
        generation = stage.kube.get("networking.k8s.aws", "nodeenis", NAME)
        assert generation is not None
        await stage.until(
            lambda: stage.status().get("observedGeneration") == generation["metadata"]["generation"]
        )
        await stage.stays(lambda: stage.row(node)["eniID"] == interface.id, 0.5)
    assert made(stage) == set()


async def test_the_vpc_cnis_are_none_of_ours(stage: Stage) -> None:
    node = await stage.node()
    stage.ec2.vpc_cni_interface(stage.ec2.instance(node.instance_id), 2)
    async with stage.controller():
        stage.apply(adoption="LaunchTime")
        await stage.until(lambda: stage.row(node).get("reason") == "NotAdopted")
        assert "lacks the tag node.k8s.amazonaws.com/no_manage=true" in stage.row(node)["message"]
        stage.apply(adoption="LaunchTime", deviceIndexPolicy="NextFree")
        await stage.until_attached(node)
    (ours,) = stage.ours()
    assert ours.attachment is not None
    assert ours.attachment.device_index == 3


async def test_one_among_many_that_ec2_refuses_costs_the_others_nothing(stage: Stage) -> None:
    """Its tags are at EC2's limit: nobody can read that off the answer for all of them."""
    full = {**NO_MANAGE, **{f"t{n}": "" for n in range(47)}}
    nodes = [(await launched(stage))[0] for _ in range(3)]
    spoilt, _ = await launched(stage, tags=full)
    stage.apply(adoption="LaunchTime", description=None)
    async with stage.controller():
        await stage.until_attached(*nodes)
        await stage.until(lambda: stage.row(spoilt).get("status") == "failed")
        assert "TagLimitExceeded" in stage.row(spoilt)["message"]
        assert came(stage, spoilt).tags == full


@pytest.mark.parametrize("when", ["before", "after"])
async def test_an_answer_that_is_lost_is_no_harm(stage: Stage, when: str) -> None:
    nodes = [(await launched(stage))[0] for _ in range(4)]
    stage.ec2.faults.drop("CreateTags", when)  # type: ignore[arg-type]
    stage.apply(adoption="LaunchTime", description=None)
    async with stage.controller():
        await stage.until_attached(*nodes)
        await stage.until(lambda: all(is_tagged(stage, node) for node in nodes))
        stage.delete()
        await stage.until_deleted()
    assert [i for i in stage.ec2.secondary_interfaces() if i.tags.get("NodeENI")] == []


async def test_throttled_it_waits_and_nobody_is_told(stage: Stage) -> None:
    nodes = [(await launched(stage))[0] for _ in range(4)]
    stage.ec2.faults.error("CreateTags", "RequestLimitExceeded", times=2)
    stage.apply(adoption="LaunchTime", description=None)
    async with stage.controller():
        await stage.until_attached(*nodes)
        await stage.until(lambda: all(is_tagged(stage, node) for node in nodes))
    assert "ENINotAdopted" not in stage.reasons()


async def test_a_controller_that_ends_after_the_shared_tags_leaves_the_rest_to_the_next(
    open_stage: OpenStage,
) -> None:
    async with open_stage() as stage:
        node, interface = await launched(stage)
        stage.apply(adoption="LaunchTime", description=None)
        async with stage.controller("--read-lag=1s") as running:
            await stage.until(lambda: ADOPTION in came(stage, node).tags)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        async with stage.controller():
            await stage.until_attached(node)
            await stage.until(lambda: is_tagged(stage, node))
        assert stage.row(node)["eniID"] == interface.id
        assert made(stage) == set()


async def test_without_the_statement_of_its_own_the_row_says_what_to_grant(stage: Stage) -> None:
    node, _ = await launched(stage)
    stage.policy.statement = [s for s in stage.policy.statement if s.sid != "AdoptWhatCameWithTheLaunch"]
    stage.apply(adoption="LaunchTime", description=None)
    async with stage.controller():
        await stage.until(lambda: stage.row(node).get("reason") == "NotAuthorized")
        assert "ec2:CreateTags" in stage.row(node)["message"]
    stage.policy.asked.clear()


async def test_two_controllers_at_once_take_over_the_same_and_make_nothing(stage: Stage) -> None:
    nodes = [(await launched(stage))[0] for _ in range(4)]
    stage.apply(adoption="LaunchTime", description=None)
    async with stage.controller(), stage.controller():
        await stage.until_attached(*nodes)
        await stage.until(lambda: all(is_tagged(stage, node) for node in nodes))
    assert made(stage) == set()
    assert len({each.id for each in stage.ours()}) == len(nodes)

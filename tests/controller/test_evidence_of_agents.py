"""What a node's ENI manager reports ends the wait for an attach, and tells of what was done by hand."""

from collections.abc import AsyncIterator

import pytest

from nodeeni.sandbox.ec2 import Delay

from .conftest import OpenStage, Stage


@pytest.fixture
async def slow_stage(open_stage: OpenStage) -> AsyncIterator[Stage]:
    """EC2 says `attached` long after the kernel shows the link."""
    async with open_stage(attaching=Delay(30.0)) as made:
        yield made


def looks(stage: Stage) -> int:
    """Describes of certain interfaces: the waiter's."""
    filters = [
        call.parameters.get("Filter.1.Name") for call in stage.ec2.calls.of("DescribeNetworkInterfaces")
    ]
    return filters.count("network-interface-id")


async def test_a_link_that_is_up_is_attached(slow_stage: Stage) -> None:
    stage = slow_stage
    nodes = [await stage.node() for _ in range(3)]
    async with stage.controller():
        stage.apply()
        await stage.until(lambda: all(stage.world.eninode(node.name) for node in nodes))
        await stage.until(lambda: stage.calls()["AttachNetworkInterface"] == 3)
        for node in nodes:
            stage.report_link(node, "Up")
        await stage.until_attached(*nodes)
        spent = looks(stage)
        await stage.until(lambda: stage.status().get("linksUp") == 3)
        await stage.until(lambda: stage.calls()["ModifyNetworkInterfaceAttribute"] == 3)
        await stage.stays(lambda: looks(stage) == spent, 1.5)
        assert [i.attachment.status for i in stage.ours() if i.attachment] == ["attaching"] * 3
        assert stage.calls() == {
            "CreateNetworkInterface": 3,
            "AttachNetworkInterface": 3,
            "ModifyNetworkInterfaceAttribute": 3,
        }


async def test_a_link_that_is_missing_is_no_evidence(slow_stage: Stage) -> None:
    stage = slow_stage
    node = await stage.node()
    async with stage.controller():
        stage.apply()
        await stage.until(lambda: stage.world.eninode(node.name))
        await stage.until(lambda: stage.row(node).get("status") == "attaching")
        stage.report_link(node, "Missing")
        await stage.stays(lambda: stage.row(node).get("status") == "attaching", 1.5)
        assert looks(stage) > 0


async def test_detached_by_hand_is_noticed_by_the_link_that_went(stage: Stage) -> None:
    """Long before the resync, which is five minutes away."""
    node = await stage.node()
    async with stage.controller():
        stage.apply()
        await stage.until_attached(node)
        stage.report_link(node, "Up")
        await stage.until(lambda: stage.status().get("linksUp") == 1)
        (before,) = stage.ours()
        await stage.stays(lambda: True, seconds=0.3)  # beyond the lag: what EC2 shows now is believed
        stage.ec2.account.release(before)
        stage.report_link(node, "Missing")
        await stage.until(lambda: stage.calls()["AttachNetworkInterface"] == 2)
        await stage.until_attached(node)
    assert [interface.id for interface in stage.ours()] == [before.id]


async def test_deleted_by_hand_is_told_in_seconds_by_the_link_that_went(stage: Stage) -> None:
    node = await stage.node()
    async with stage.controller():
        stage.apply()
        await stage.until_attached(node)
        stage.report_link(node, "Up")
        await stage.until(lambda: stage.status().get("linksUp") == 1)
        (before,) = stage.ours()
        await stage.stays(lambda: True, seconds=0.3)  # beyond the lag: what EC2 shows now is believed
        stage.ec2.faults.error("CreateNetworkInterface", "UnauthorizedOperation", times=None)
        stage.ec2.remove_interface(before.id)
        stage.report_link(node, "Missing")
        await stage.until(lambda: stage.condition("Ready")["status"] == "False")
        await stage.until(lambda: stage.row(node).get("reason") == "NotAuthorized")
        assert before.id not in str(stage.status())
        assert len(stage.told("ENIDeleted")) == 1


async def test_a_link_that_went_into_a_pod_costs_one_look_at_once(stage: Stage) -> None:
    node = await stage.node()
    async with stage.controller():
        stage.apply()
        await stage.until_attached(node)
        stage.report_link(node, "Up")
        await stage.until(lambda: stage.status().get("linksUp") == 1)
        spent = looks(stage)
        stage.report_link(node, "Missing")
        await stage.until(lambda: looks(stage) == spent + 1)
        stage.report_link(node, "Missing")
        await stage.stays(lambda: looks(stage) == spent + 1, 1.5)
        assert stage.row(node)["status"] == "attached"


async def test_a_link_that_is_not_as_asked_is_told_of_until_it_is(stage: Stage) -> None:
    """One that is up without its name is not, one that is down needs a person; one in a pod is."""
    nodes = [await stage.node() for _ in range(4)]
    _first, second, third, fourth = nodes
    refused = "interfaceName eth0 is a name of link eth0: choose another"
    async with stage.controller():
        stage.apply()
        await stage.until_attached(*nodes)
        for node in nodes:
            stage.report_link(node, "Up")
        await stage.until(lambda: stage.status().get("linksUp") == 4)
        assert told(stage) == ("False", "AsDesired", "nothing is wrong")
        stage.report_link(fourth, "Missing", message="the link was moved into another network namespace")
        await stage.until(lambda: stage.status().get("linksUp") == 3)
        assert told(stage) == ("False", "AsDesired", "nothing is wrong")
        stage.report_link(third, "Down", message="setting it up failed: EBUSY")
        stage.report_link(second, "Up", message=refused)
        await stage.until(lambda: stage.status().get("linksUp") == 1)
        name, message = min((second.name, refused), (third.name, "setting it up failed: EBUSY"))
        assert told(stage) == ("True", "LinkNotAsAsked", f"{name}: {message} (and 1 node more)")
        ready = stage.condition("Ready")
        assert (ready["status"], ready["message"]) == ("True", "attached on 4 nodes, links up on 1 of them")
        for node in (second, third):
            stage.report_link(node, "Up")
        await stage.until(lambda: stage.status().get("linksUp") == 3)
        assert told(stage) == ("False", "AsDesired", "nothing is wrong")


async def test_links_that_fail_on_all_nodes_at_once_are_few_patches(stage: Stage) -> None:
    nodes = [await stage.node() for _ in range(12)]
    async with stage.controller():
        stage.apply()
        await stage.until_attached(*nodes)
        for node in nodes:
            stage.report_link(node, "Up")
        await stage.until(lambda: stage.status().get("linksUp") == 12)
        before = stage.kube.requests["patch", "nodeenis/status"]
        for node in nodes:
            stage.report_link(node, "Up", message="mtu 9001 is above what eth1 allows, 1500")
        await stage.until(lambda: stage.status().get("linksUp") == 0)
        assert told(stage)[2].endswith("(and 11 nodes more)")
        for node in nodes:
            stage.report_link(node, "Up", message="mtu 9001 is above what eth1 allows, 1500", mtu=1500)
        await stage.stays(lambda: stage.kube.requests["patch", "nodeenis/status"] <= before + 2, 1.5)


def told(stage: Stage) -> tuple[str, str, str]:
    degraded = stage.condition("Degraded")
    return degraded["status"], degraded["reason"], degraded["message"]

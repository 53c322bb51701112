"""What a NodeENI names does not exist, or not there: nothing is made, and people are told what to change."""

from typing import Any

import pytest

from nodeeni.sandbox.world import OTHER_SUBNETS, SUBNET, WorldNode

from .conftest import NAME, Stage

SPECS = {
    "a subnet that does not exist": (
        {"subnetID": "subnet-0123456789abcdef0"},
        "SubnetNotFound",
        "subnet-0123456789abcdef0 does not exist",
    ),
    "a subnet name that does not exist": (
        {"subnetID": None, "subnetName": "nowhere"},
        "SubnetNotFound",
        "'nowhere' does not exist",
    ),
    "a subnet in another zone": (
        {"subnetID": OTHER_SUBNETS["b"]},
        "NoSubnetInZone",
        "add a subnet of us-west-2a to spec.subnetIDs",
    ),
    "a group that does not exist": (
        {"securityGroupIDs": ["sg-0123456789abcdef0"]},
        "SecurityGroupNotFound",
        "correct spec.securityGroupIDs",
    ),
    "a group name that does not exist": (
        {"securityGroupIDs": None, "securityGroupNames": ["nobody"]},
        "SecurityGroupNotFound",
        "correct spec.securityGroupNames",
    ),
    "a network card that the instance has not": (
        {"networkCardIndex": 1},
        "NoSuchNetworkCard",
        "lower spec.networkCardIndex",
    ),
}


@pytest.mark.parametrize(("spec", "reason", "way_out"), SPECS.values(), ids=SPECS.keys())
async def test_nothing_is_made_and_condition_and_event_say_what_to_change(
    stage: Stage, spec: dict[str, Any], reason: str, way_out: str
) -> None:
    node = await stage.node()
    stage.apply(**spec)
    async with stage.controller():
        await stage.until(lambda: stage.row(node).get("status") == "failed")
        await stage.until(lambda: "ENICreationFailed" in stage.reasons())
        degraded = stage.condition("Degraded")
    assert (degraded["status"], degraded["reason"]) == ("True", reason)
    assert way_out in degraded["message"]
    assert way_out in stage.row(node)["message"]
    assert any(way_out in message for _, message in stage.events())
    assert stage.condition("Ready")["status"] == "False"
    assert stage.calls() == {}


async def test_a_corrected_reference_is_tried_at_once(stage: Stage) -> None:
    node = await stage.node()
    stage.apply(subnetID="subnet-0123456789abcdef0")
    async with stage.controller():
        await stage.until(lambda: stage.row(node).get("status") == "failed")
        stage.apply(subnetID=SUBNET)
        await stage.until_attached(node)
        await stage.until(lambda: stage.condition("Degraded")["status"] == "False")


async def test_a_reference_that_breaks_later_takes_nothing_down(stage: Stage) -> None:
    node = await stage.node()
    stage.apply()
    async with stage.controller():
        await stage.until_attached(node)
        (interface,) = stage.ours()
        stage.apply(securityGroupIDs=["sg-0123456789abcdef0"])
        await stage.until(lambda: stage.row(node).get("status") == "failed")
        row = stage.row(node)
        assert (row["eniID"], row["deviceIndex"]) == (interface.id, 2)
        # It works as before, and an outage that is not there must not wake anybody.
        await stage.until(lambda: stage.status()["attached"] == 1)
        assert stage.condition("Ready")["status"] == "False"
        assert "attached on 1 of 1 node; not as spec asks on 1 node" in stage.condition("Ready")["message"]
    assert stage.ours() == [interface] or stage.ours()[0].attachment is not None
    assert "DetachNetworkInterface" not in stage.calls()


async def test_candidates_in_several_zones_serve_each_node_in_its_own(stage: Stage) -> None:
    nodes = {zone: await stage.node(zone) for zone in "ab"}
    stage.apply(subnetIDs=[OTHER_SUBNETS["b"]])
    async with stage.controller():
        await stage.until_attached(*nodes.values())
    assert {i.tags["Node"]: i.subnet_id for i in stage.ours()} == {
        nodes["a"].name: SUBNET,
        nodes["b"].name: OTHER_SUBNETS["b"],
    }


async def test_a_refusal_is_in_the_log_once_for_all_nodes(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    node, *others = [await stage.node() for _ in range(5)]
    stage.apply(subnetID="subnet-0123456789abcdef0")
    async with stage.controller("--resync-period=300ms"):
        await stage.until(lambda: all(stage.row(n).get("status") == "failed" for n in (node, *others)))
        stage.world.label(node.name, looked="again")
        await stage.stays(lambda: True, seconds=0.7)
    warned = [r for r in caplog.records if r.levelname == "WARNING" and "SubnetNotFound" in r.getMessage()]
    assert len(warned) == 1


async def test_a_status_that_would_be_too_large_for_the_api_server_is_cut(stage: Stage) -> None:
    """1.5 MiB is the most that etcd takes, and each of these messages names all 64 subnets."""
    elsewhere = [
        stage.ec2.add_subnet(stage.world.vpc, "b", f"10.200.{number}.0/24").id for number in range(64)
    ]
    for _ in range(500):
        await stage.node()
    stage.apply(subnetID=None, subnetIDs=elsewhere)
    async with stage.controller():
        await stage.until(lambda: stage.status().get("failed") == 500)
        status = stage.status()
    assert (status["desired"], status["attached"], status["attachmentsTruncated"]) == (500, 0, True)
    assert 200 < len(status["attachments"]) < 500
    assert stage.condition("Degraded")["reason"] == "NoSubnetInZone"


@pytest.mark.parametrize("spec", [spec for spec, _, _ in SPECS.values()], ids=list(SPECS))
async def test_an_edit_that_cannot_be_had_leaves_the_link_as_it_is(
    stage: Stage, spec: dict[str, Any]
) -> None:
    node = await stage.node()
    stage.apply(mtu=9001)
    async with stage.controller():
        await stage.until_attached(node)
        before = _of_the_link(stage, node)
        assert before["mtu"] == 9001
        assert before["interfaceName"]
        stage.kube.patch("networking.k8s.aws", "nodeenis", NAME, {"spec": spec})
        await stage.until(lambda: stage.row(node)["status"] == "failed")
        await stage.stays(lambda: _of_the_link(stage, node) == before)


def _of_the_link(stage: Stage, node: WorldNode) -> dict[str, Any]:
    """What the ENI manager is told of it."""
    eninode = stage.world.eninode(node.name)
    assert eninode is not None
    (entry,) = eninode["spec"]["interfaces"]
    return {key: entry.get(key) for key in ("eniID", "macAddress", "mtu", "interfaceName")}

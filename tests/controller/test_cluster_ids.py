"""The cluster's id on an ENI: put right where it is absent; another's is left alone until it is named."""

import msgspec
import pytest

from nodeeni.api.names import TAG_CLUSTER, TAG_INSTANCE, TAG_NAME, TAG_NODE, TAG_NODEENI, TAG_UID
from nodeeni.sandbox.ec2 import Interface

from .conftest import NAME, Stage

FLAGS = ("--resync-period=300ms", "--orphan-grace-period=100ms")
OTHERS = (TAG_UID, TAG_NODEENI, TAG_NAME, TAG_NODE, TAG_INSTANCE)


def change(stage: Stage, eni_id: str, **tags: str | None) -> Interface:
    interface = stage.ec2.interface(eni_id)
    merged = {**interface.tags, **tags}
    changed = msgspec.structs.replace(interface, tags={k: v for k, v in merged.items() if v is not None})
    stage.ec2.account.put(changed)
    return changed


WITHOUT = [
    *(((TAG_CLUSTER,), value) for value in ("", None)),
    *(((TAG_CLUSTER, other), value) for other in OTHERS for value in ("", None)),
]


@pytest.mark.parametrize("policy", ["Exact", "NextFree"])
@pytest.mark.parametrize(("tags", "value"), WITHOUT)
async def test_without_its_id_an_eni_stays_and_is_put_right(
    stage: Stage, tags: tuple[str, ...], value: str | None, policy: str
) -> None:
    node = await stage.node()
    stage.apply(deviceIndexPolicy=policy)
    async with stage.controller(*FLAGS):
        await stage.until_attached(node)
        (before,) = stage.ours()
        await stage.stays(lambda: True, seconds=0.3)  # beyond the lag: what EC2 shows now is believed
        change(stage, before.id, **dict.fromkeys(tags, value))
        await stage.until(lambda: stage.ec2.interface(before.id) == before)
        stage.delete()
        await stage.until_deleted()
    assert stage.calls()["CreateNetworkInterface"] == stage.calls()["DetachNetworkInterface"] == 1
    assert stage.ec2.secondary_interfaces() == []


@pytest.mark.parametrize("deleted", [False, True], ids=["alive", "before a deletion"])
@pytest.mark.parametrize(("tags", "value"), WITHOUT)
async def test_it_lost_its_id_while_no_controller_ran(
    stage: Stage, tags: tuple[str, ...], value: str | None, deleted: bool
) -> None:
    node = await stage.node()
    stage.apply(deviceIndexPolicy="NextFree")
    async with stage.controller(*FLAGS):
        await stage.until_attached(node)
        (before,) = stage.ours()
    change(stage, before.id, **dict.fromkeys(tags, value))
    if deleted:
        stage.delete()
    async with stage.controller(*FLAGS):
        if not deleted:
            await stage.until(lambda: stage.ec2.interface(before.id) == before)
            await stage.stays(lambda: stage.ec2.secondary_interfaces() == [before], seconds=0.7)
            stage.delete()
        await stage.until_deleted()
    assert stage.ec2.secondary_interfaces() == []
    assert stage.calls()["CreateNetworkInterface"] == stage.calls()["DetachNetworkInterface"] == 1


@pytest.mark.parametrize("policy", ["Exact", "NextFree"])
async def test_started_with_another_id_it_touches_nothing_until_the_old_one_is_named(
    stage: Stage, policy: str
) -> None:
    nodes = [await stage.node() for _ in range(2)]
    stage.apply(deviceIndexPolicy=policy)
    async with stage.controller("--cluster-id=old", *FLAGS):
        await stage.until_attached(*nodes)
    before = {i.id: i for i in stage.ours()}
    calls = stage.calls()
    async with stage.controller("--cluster-id=new", *FLAGS):
        await stage.until(lambda: {stage.row(n).get("reason") for n in nodes} == {"OtherClusterID"})
        rows = [stage.row(node) for node in nodes]
        assert {row["eniID"] for row in rows} == before.keys()
        assert all("carries cluster id old" in row["message"] for row in rows)
        assert all("--former-cluster-ids=old" in row["message"] for row in rows)
        stage.delete()
        await stage.until(lambda: (stage.condition("Ready")).get("reason") == "Deleting")
        await stage.stays(lambda: {i.id: i for i in stage.ours()} == before, seconds=0.7)  # two resyncs
        assert stage.has_finalizer()
        assert stage.condition("Degraded")["reason"] == "OtherClusterID"
    assert stage.calls() == calls
    async with stage.controller("--cluster-id=new", "--former-cluster-ids=older,old", *FLAGS):
        await stage.until_deleted()
    assert stage.ec2.secondary_interfaces() == []


async def test_a_former_id_is_replaced_by_tagging_alone(stage: Stage) -> None:
    nodes = [await stage.node() for _ in range(2)]
    stage.apply()
    async with stage.controller("--cluster-id=old", *FLAGS):
        await stage.until_attached(*nodes)
        await stage.until(lambda: stage.calls()["ModifyNetworkInterfaceAttribute"] == 2)
    before = {i.id: i for i in stage.ours()}
    calls = stage.calls()
    async with stage.controller("--cluster-id=new", "--former-cluster-ids=old", *FLAGS):
        await stage.until(lambda: {i.tags[TAG_CLUSTER] for i in stage.ours()} == {"new"})
        await stage.until_attached(*nodes)
        await stage.stays(lambda: len(stage.ours()) == 2, seconds=0.7)
    for interface in stage.ours():
        was = before[interface.id]
        assert interface == msgspec.structs.replace(was, tags={**was.tags, TAG_CLUSTER: "new"})
    assert stage.calls() - calls == {"CreateTags": 2}
    async with stage.controller("--cluster-id=new", *FLAGS):  # the old one need not be named any more
        await stage.until_attached(*nodes)
        stage.delete()
        await stage.until_deleted()
    assert stage.ec2.secondary_interfaces() == []


@pytest.mark.parametrize("restarted", [False, True], ids=["seen at once", "seen at the start"])
@pytest.mark.parametrize("also", [None, *OTHERS])
async def test_another_id_by_hand_with_one_more_tag_is_left_alone(
    stage: Stage, also: str | None, restarted: bool
) -> None:
    """The status tells whose it is where its uid is changed too."""
    node = await stage.node()
    stage.apply(deviceIndexPolicy="NextFree")
    async with stage.controller(*FLAGS):
        await stage.until_attached(node)
        await stage.until(lambda: stage.calls()["ModifyNetworkInterfaceAttribute"] == 1)
        (before,) = stage.ours()
        calls = stage.calls()
        await stage.stays(lambda: True, seconds=0.3)
        changes = {TAG_CLUSTER: "another"} | ({also: "of-nobody"} if also else {})
        if not restarted:
            changed = change(stage, before.id, **changes)
            await stage.until(lambda: stage.row(node).get("reason") == "OtherClusterID")
    if restarted:
        changed = change(stage, before.id, **changes)
    async with stage.controller(*FLAGS):
        await stage.until(lambda: stage.row(node).get("reason") == "OtherClusterID")
        assert stage.row(node)["eniID"] == before.id
        await stage.stays(lambda: stage.ec2.secondary_interfaces() == [changed], seconds=0.7)
        assert stage.calls() == calls
        change(stage, before.id, **before.tags)
        await stage.until_attached(node)
        await stage.until(lambda: stage.row(node).get("status") == "attached")
    assert stage.calls() == calls


async def test_two_clusters_in_one_vpc_with_a_nodeeni_of_one_name(stage: Stage) -> None:
    """Names alone make nothing ours, and keep no NodeENI from going."""
    node = await stage.node()
    tags = {
        TAG_NODEENI: NAME,
        TAG_NODE: node.name,
        TAG_NAME: f"nodeeni-{NAME}-{node.name}",
        "kubernetes.io/cluster/managed-by": "nodeeni-controller",
        TAG_CLUSTER: "another",
        TAG_UID: "uid-in-the-other",
        TAG_INSTANCE: "i-0fedcba9876543210",
    }
    theirs = stage.ec2.plant_interface(stage.world.subnets["a"], tags=tags)
    stage.apply()
    async with stage.controller(*FLAGS):
        await stage.until_attached(node)
        await stage.stays(lambda: stage.row(node)["status"] == "attached", seconds=0.7)
        stage.delete()
        await stage.until_deleted()
    assert stage.ec2.secondary_interfaces() == [theirs]


async def test_where_tagging_is_forbidden_the_old_id_stays_and_so_does_the_eni(stage: Stage) -> None:
    node = await stage.node()
    stage.apply()
    async with stage.controller("--cluster-id=old", *FLAGS):
        await stage.until_attached(node)
        await stage.until(lambda: stage.calls()["ModifyNetworkInterfaceAttribute"] == 1)
    (before,) = stage.ours()
    stage.ec2.faults.error("CreateTags", "UnauthorizedOperation", times=None)
    async with stage.controller("--cluster-id=new", "--former-cluster-ids=old", *FLAGS):
        await stage.until(lambda: stage.row(node).get("reason") == "NotAuthorized")
        assert "ec2:CreateTags" in stage.row(node)["message"]
        stage.delete()
        await stage.stays(lambda: stage.ours() == [before], seconds=0.7)
        assert stage.has_finalizer()
        stage.ec2.faults.clear()
        await stage.until_deleted()
    assert stage.ec2.secondary_interfaces() == []


async def test_a_copy_with_an_id_of_its_own_touches_nothing_though_its_nodes_are_deleted(
    stage: Stage,
) -> None:
    """As a restore into a second cluster has it: the same NodeENI and uid, the same Nodes, another id."""
    nodes = [await stage.node() for _ in range(2)]
    stage.apply(deviceIndexPolicy="NextFree")
    async with stage.controller(*FLAGS):
        await stage.until_attached(*nodes)
        await stage.until(lambda: stage.calls()["ModifyNetworkInterfaceAttribute"] == 2)
    before, calls = stage.ours(), stage.calls()
    async with stage.controller(*FLAGS, "--cluster-id=copy", "--node-grace-period=100ms"):
        await stage.until(lambda: [stage.row(n).get("reason") for n in nodes] == ["OtherClusterID"] * 2)
        for node in nodes:  # as restore guides say
            stage.kube.delete("", "nodes", node.name)
        await stage.stays(lambda: (stage.ours(), stage.calls()) == (before, calls), seconds=1.5)
        assert stage.has_finalizer()


async def test_what_lost_its_id_is_looked_for_until_ec2_answers(stage: Stage) -> None:
    """The first reading by uid is refused, after that by cluster tag was answered."""
    node = await stage.node()
    stage.apply()
    async with stage.controller(*FLAGS):
        await stage.until_attached(node)
    (before,) = stage.ours()
    change(stage, before.id, **{TAG_CLUSTER: None})
    stage.ec2.faults.error("DescribeNetworkInterfaces", "InternalError", times=3)
    async with stage.controller(*FLAGS):
        await stage.until(lambda: stage.ec2.interface(before.id) == before)
    assert stage.calls()["CreateNetworkInterface"] == 1

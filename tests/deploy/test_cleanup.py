"""`nodeeni cleanup`: the cluster is gone, or unused, and its ENIs are not."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from nodeeni.api.names import TAG_UID, interface_tags
from nodeeni.cli import cleanup
from nodeeni.flags import UsageError
from nodeeni.plan.brake import hold_id
from nodeeni.sandbox.ec2 import Interface, quick_settings
from nodeeni.sandbox.world import SECURITY_GROUP, SUBNET, World

GONE = "5f1c6f0e-0000-4000-8000-000000000000"  # the uid of a cluster that is no more

NODEENI = {
    "apiVersion": "networking.k8s.aws/v1alpha1",
    "kind": "NodeENI",
    "metadata": {"name": "multus"},
    "spec": {"nodeSelector": {"ng": "x"}, "subnetID": SUBNET, "securityGroupIDs": [SECURITY_GROUP]},
}


class Seen(NamedTuple):
    status: int
    out: str
    err: str


class Ruin:
    """An account with the ENIs of a cluster that is gone, of another one, and of others."""

    def __init__(self, world: World, capsys: pytest.CaptureFixture[str]) -> None:
        self.world = world
        self._capsys = capsys

    async def run(self, *arguments: str) -> Seen:
        status = await asyncio.to_thread(cleanup.main, ("--interval=50ms", *arguments))
        captured = self._capsys.readouterr()
        return Seen(status, captured.out, captured.err)

    async def plant(self, cluster_id: str, *, attached: bool) -> Interface:
        node = await self.world.add_node()
        tags = interface_tags(
            cluster_id=cluster_id, nodeeni="multus", uid="u", node=node.name, instance_id=node.instance_id
        )
        instance = self.world.ec2.instance(node.instance_id) if attached else None
        return self.world.ec2.plant_interface(
            self.world.subnets["a"], tags=tags, instance=instance, device_index=2
        )

    def left(self) -> set[str]:
        return {interface.id for interface in self.world.ec2.secondary_interfaces()}


@pytest.fixture
async def ruin(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> AsyncIterator[Ruin]:
    async with World(quick_settings()) as world:
        for name, value in world.environment(tmp_path / "kubeconfig").items():
            monkeypatch.setenv(name, value)
        yield Ruin(world, capsys)


async def test_all_of_that_cluster_goes_and_nothing_of_others(ruin: Ruin) -> None:
    ours = [await ruin.plant(GONE, attached=attached) for attached in (True, True, False)]
    other = await ruin.plant("another", attached=True)
    stranger = ruin.world.ec2.plant_interface(ruin.world.subnets["a"], tags={"NodeENI": "multus"})
    hold = hold_id(interface.id for interface in ours[:2])
    seen = await ruin.run("--cluster-id", GONE, "--yes", "--release-hold", hold)
    assert (seen.status, seen.err) == (0, "")
    assert all(f"{interface.id} is gone" in seen.out for interface in ours)
    assert ruin.left() == {other.id, stranger.id}


@pytest.mark.parametrize("arguments", [(), ("--yes",), ("--yes", "--release-hold", "0123456789ab")])
async def test_what_is_attached_on_many_nodes_goes_by_its_own_id_alone(
    ruin: Ruin, arguments: tuple[str, ...]
) -> None:
    ours = [await ruin.plant(GONE, attached=True) for _ in range(3)]
    seen = await ruin.run("--cluster-id", GONE, *arguments)
    assert seen.status == 1
    assert "3 of them are attached, on 3 nodes (" in seen.err
    assert f"add --release-hold {hold_id(i.id for i in ours)} to remove them" in seen.err
    assert ruin.left() == {i.id for i in ours}
    assert ruin.world.ec2.calls.by_action["DetachNetworkInterface"] == 0


async def test_those_without_a_nodeeni_go_by_their_id_while_nodeenis_own_others(ruin: Ruin) -> None:
    here = ruin.world.kube.get("", "namespaces", "kube-system")
    assert here is not None
    cluster_id = here["metadata"]["uid"]
    made = ruin.world.kube.apply({**NODEENI, "metadata": {"name": "another"}})
    forgotten = [await ruin.plant(cluster_id, attached=True) for _ in range(2)]
    owned = await ruin.plant(cluster_id, attached=True)
    tags = {**owned.tags, TAG_UID: made["metadata"]["uid"]}
    ruin.world.ec2.account.put(msgspec.structs.replace(owned, tags=tags))
    with pytest.raises(UsageError, match="these are: "):
        await ruin.run("--yes", "--release-hold", "0123456789ab")
    seen = await ruin.run("--release-hold", hold_id(i.id for i in forgotten))
    assert (seen.status, seen.err) == (0, "")
    assert ruin.left() == {owned.id}


async def test_without_yes_and_without_a_terminal_they_are_only_shown(ruin: Ruin) -> None:
    ours = await ruin.plant(GONE, attached=True)
    seen = await ruin.run("--cluster-id", GONE)
    assert seen.status == 1
    assert ours.id in seen.out
    assert "--yes" in seen.err
    assert ruin.left() == {ours.id}


async def test_a_cluster_that_has_nodeenis_is_refused(ruin: Ruin) -> None:
    ruin.world.kube.apply(NODEENI)
    with pytest.raises(UsageError, match="kubectl delete nodeeni --all"):
        await ruin.run("--yes")


async def test_it_is_refused_however_the_cluster_is_named(ruin: Ruin) -> None:
    made = ruin.world.kube.apply(NODEENI)
    planted = await ruin.plant("prod", attached=True)
    owned = {**planted.tags, TAG_UID: made["metadata"]["uid"]}
    ruin.world.ec2.account.put(msgspec.structs.replace(planted, tags=owned))
    with pytest.raises(UsageError, match="has the NodeENIs multus"):
        await ruin.run("--cluster-id", "prod", "--yes")
    assert ruin.left() == {planted.id}


async def test_an_id_that_nothing_carries_is_said_with_those_that_are(ruin: Ruin) -> None:
    await ruin.plant(GONE, attached=False)
    seen = await ruin.run("--cluster-id", "typo", "--yes")
    assert seen.status == 0
    assert "no ENI carries the tag of cluster typo" in seen.err
    assert GONE in seen.out


async def test_a_cluster_without_nodeenis_names_itself(ruin: Ruin) -> None:
    here = ruin.world.kube.get("", "namespaces", "kube-system")
    assert here is not None
    await ruin.plant(here["metadata"]["uid"], attached=True)
    seen = await ruin.run("--yes")
    assert seen.status == 0
    assert ruin.left() == set()


async def test_when_no_cluster_answers_those_that_left_enis_are_listed(
    ruin: Ruin, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    await ruin.plant(GONE, attached=False)
    nowhere = tmp_path / "nowhere"
    nowhere.write_text(ruin.world.kube.kubeconfig().replace(str(ruin.world.kube.port), "1"))
    monkeypatch.setenv("KUBECONFIG", str(nowhere))
    seen = await ruin.run("--yes")
    assert seen.status == 2
    assert [line.split() for line in seen.out.splitlines()] == [["CLUSTER", "ID", "ENIS"], [GONE, "1"]]
    assert len(ruin.left()) == 1


async def test_what_cannot_be_removed_is_named_with_the_reason(ruin: Ruin) -> None:
    ours = await ruin.plant(GONE, attached=True)
    ruin.world.ec2.faults.error("DetachNetworkInterface", "UnauthorizedOperation", times=5)
    seen = await ruin.run("--cluster-id", GONE, "--yes")
    assert seen.status == 1
    assert f"{ours.id} is left" in seen.err
    assert "UnauthorizedOperation" in seen.err


async def test_a_throttle_and_a_lost_answer_are_waited_out(ruin: Ruin) -> None:
    await ruin.plant(GONE, attached=True)
    ruin.world.ec2.faults.error("DetachNetworkInterface", "RequestLimitExceeded", times=1)
    ruin.world.ec2.faults.error("DeleteNetworkInterface", "InternalError", times=1)
    seen = await ruin.run("--cluster-id", GONE, "--yes")
    assert seen.status == 0
    assert ruin.left() == set()


async def test_a_detach_that_hangs_ends_with_the_timeout(ruin: Ruin) -> None:
    ours = await ruin.plant(GONE, attached=True)
    ruin.world.ec2.faults.stick("DetachNetworkInterface", times=None)
    seen = await ruin.run("--cluster-id", GONE, "--yes", "--timeout=1s")
    assert seen.status == 1
    assert f"{ours.id} is left: still" in seen.err

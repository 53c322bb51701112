"""What somebody else changes in an ENINode that is ours to write is put right; a fight is slow and named."""

import asyncio
import copy

from tests.contract.servers import session
from tests.needs import program

from nodeeni.api.crd import eninode_crd
from nodeeni.api.names import GROUP
from nodeeni.sandbox.world import WorldNode

from .conftest import NAME, Object, Stage


def changed(stage: Stage, node: WorldNode, patch: Object) -> None:
    stage.kube.patch(GROUP, "eninodes", node.name, patch)


def ours(stage: Stage, node: WorldNode) -> Object | None:
    """What is ours of the node's ENINode."""
    eninode = stage.world.eninode(node.name)
    if eninode is None:
        return None
    return {"owners": eninode["metadata"].get("ownerReferences"), "spec": eninode["spec"]}


def writes(stage: Stage) -> int:
    return stage.kube.requests["patch", "eninodes"] + stage.kube.requests["create", "eninodes"]


async def test_spec_and_owner_are_put_right_and_other_owners_stay(stage: Stage) -> None:
    node = await stage.node()
    stage.apply()
    async with stage.controller():
        await stage.until_attached(node)
        right = ours(stage, node)
        assert right is not None
        assert [owner["kind"] for owner in right["owners"]] == ["Node"]
        interface = right["spec"]["interfaces"][0]
        wrongs: list[Object] = [
            {"metadata": {"ownerReferences": None}},
            {"spec": {"interfaces": []}},
            {"spec": {"interfaces": [{**interface, "mtu": 1300}], "enis": 7}},
        ]
        for wrong in wrongs:
            changed(stage, node, wrong)
            assert ours(stage, node) != right
            await stage.until(lambda: ours(stage, node) == right, timeout=5)
        nodeeni = stage.world.nodeeni(NAME)
        assert nodeeni is not None
        other = {"apiVersion": nodeeni["apiVersion"], "kind": "NodeENI", "name": NAME}
        other |= {"uid": nodeeni["metadata"]["uid"]}
        changed(stage, node, {"metadata": {"ownerReferences": [other]}})
        await stage.until(lambda: (ours(stage, node) or {})["owners"] == [*right["owners"], other])
        before = writes(stage)
        await stage.stays(lambda: writes(stage) == before, seconds=2.0)


async def test_a_fight_for_an_eninode_is_slow_and_the_other_is_named(stage: Stage) -> None:
    node = await stage.node()
    stage.apply()
    url = f"/apis/{GROUP}/v1alpha1/eninodes/{node.name}"
    headers = {"User-Agent": "other-tool/1.0", "Content-Type": "application/merge-patch+json"}
    async with stage.controller(), session(stage.kube) as http:
        await stage.until_attached(node)
        right, before = ours(stage, node), writes(stage)

        async def fight() -> None:
            while True:
                if ours(stage, node) == right:
                    async with http.patch(url, json={"spec": {"enis": 7}}, headers=headers):
                        pass
                await asyncio.sleep(0.01)

        fighting = asyncio.create_task(fight())
        await stage.until(lambda: stage.told("SpecOverwritten"), timeout=30)
        so_far = writes(stage) - before
        assert so_far <= 2 * 7, "theirs and ours"
        await asyncio.sleep(6)
        fighting.cancel()
        assert writes(stage) - before <= so_far + 2, "the pauses double"
        assert "'other-tool'" in stage.told("SpecOverwritten")[0][1]
        await stage.until(lambda: ours(stage, node) == right, timeout=40)


async def test_what_an_older_crd_of_eninodes_does_not_know_is_told_once(stage: Stage) -> None:
    older = copy.deepcopy(eninode_crd())
    fields = older["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    del fields["enis"]
    del fields["interfaces"]["items"]["properties"]["subnetCIDR"]
    stage.kube.apply(older)
    node = await stage.node()
    stage.apply()
    async with stage.controller():
        await stage.until_attached(node)
        right = ours(stage, node)
        assert right is not None
        assert "enis" not in right["spec"]
        before = writes(stage)
        await stage.stays(lambda: writes(stage) == before, seconds=3.0)
        changed(stage, node, {"spec": {"interfaces": []}})
        await stage.until(lambda: ours(stage, node) == right)
        await stage.stays(lambda: writes(stage) == before + 1, seconds=1.0)
    async with stage.controller():
        await stage.stays(lambda: ours(stage, node) == right, seconds=2.0)
        assert writes(stage) <= before + 2, "one that tries, after a restart"


async def test_kubectl_counts_what_an_eninode_lists(stage: Stage) -> None:
    program("kubectl")
    node = await stage.node()
    stage.apply()
    stage.apply("second", deviceIndex=3, subnetID=stage.world.subnets["a"].id)
    async with stage.controller():
        await stage.until_attached(node)
        await stage.until_attached(node, name="second")
    asked = ("kubectl", "--kubeconfig", stage.environment["KUBECONFIG"], "get", "eninodes")
    shown = await asyncio.create_subprocess_exec(*asked, stdout=asyncio.subprocess.PIPE)
    output, _ = await shown.communicate()
    heading, row = output.decode().splitlines()
    assert heading.split() == ["NAME", "INSTANCE", "ENIS", "UP", "AGE"]
    assert row.split()[:3] == [node.name, node.instance_id, "2"]

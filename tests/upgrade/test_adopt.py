"""`nodeeni adopt`: an ENI of v1.x that no status names, while a new controller runs or before one does."""

import asyncio
import json
import os
import sys
from typing import Any, NamedTuple

import pytest
from tests.controller.conftest import LABELS, NAME, Stage
from tests.upgrade.old import V1_3_8, OldInstallation, OldVersion

from nodeeni.api.names import TAG_CLUSTER, TAG_INSTANCE, TAG_UID

RESYNC = "--resync-period=300ms"


class Seen(NamedTuple):
    status: int
    out: str
    err: str


async def adopt(stage: Stage, *arguments: str) -> Seen:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "nodeeni.cli.main", "adopt", *arguments),
        env={**os.environ, **stage.environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return Seen(process.returncode, out.decode(), err.decode())


async def forgotten(stage: Stage, version: OldVersion, **build: Any) -> tuple[OldInstallation, str]:
    """One node, one ENI of v1.x, and a status that lists nothing."""
    old = OldInstallation(stage, version)
    await old.build(1, **build)
    stage.kube.patch("networking.k8s.aws", "nodeenis", NAME, {"status": None}, subresource="status")
    (eni_id,) = old.interfaces
    return old, eni_id


async def test_the_same_eni_serves_the_node_once_it_is_adopted(stage: Stage, version: OldVersion) -> None:
    old, eni_id = await forgotten(stage, version)
    before = stage.ec2.interface(eni_id)
    async with stage.controller(RESYNC):
        await stage.until(lambda: stage.row(old.nodes[0]).get("reason") == "DeviceIndexTaken")
        seen = await adopt(stage, eni_id, NAME)
        assert (seen.status, seen.err) == (0, "")
        assert f"{eni_id} is adopted for NodeENI {NAME} on node {old.nodes[0].name}" in seen.out
        await stage.until_attached(old.nodes[0])
    assert stage.row(old.nodes[0])["eniID"] == eni_id
    assert stage.calls() == {"CreateTags": 1}
    after = stage.ec2.interface(eni_id)
    assert after.attachment == before.attachment
    assert after.tags.items() >= {key: v for key, v in before.tags.items() if key != "Name"}.items()
    nodeeni = stage.world.nodeeni(NAME)
    assert nodeeni is not None
    assert (after.tags[TAG_UID], after.tags[TAG_INSTANCE]) == (
        nodeeni["metadata"]["uid"],
        old.nodes[0].instance_id,
    )
    assert TAG_CLUSTER in after.tags


async def test_a_dry_run_shows_the_tags_and_sets_none(stage: Stage, version: OldVersion) -> None:
    old, eni_id = await forgotten(stage, version)
    seen = await adopt(stage, eni_id, NAME, "--dry-run")
    assert seen.status == 0
    assert f"{eni_id} would be adopted for NodeENI {NAME} on node {old.nodes[0].name}" in seen.out
    assert f"  {TAG_INSTANCE}={old.nodes[0].instance_id}\n" in seen.out
    told = json.loads((await adopt(stage, eni_id, NAME, "--dry-run", "-o", "json")).out)
    assert (told["eniID"], told["nodeENI"], told["dryRun"]) == (eni_id, NAME, True)
    assert not stage.calls()
    assert not old.is_adopted()
    done = json.loads((await adopt(stage, eni_id, NAME, "-o", "json")).out)
    assert done["tags"] == told["tags"]
    assert stage.ec2.interface(eni_id).tags.items() >= told["tags"].items()


async def test_what_is_adopted_already_needs_nothing(stage: Stage, version: OldVersion) -> None:
    _, eni_id = await forgotten(stage, version)
    assert (await adopt(stage, eni_id, NAME)).status == 0
    seen = await adopt(stage, eni_id, NAME)
    assert (seen.status, seen.out) == (0, f"{eni_id} is of NodeENI {NAME} already: nothing to do\n")
    assert stage.calls() == {"CreateTags": 1}


async def test_what_is_not_there_is_named(stage: Stage) -> None:
    _, eni_id = await forgotten(stage, V1_3_8)
    assert await adopt(stage, eni_id, "nobody") == Seen(1, "", "nodeeni adopt: there is no NodeENI nobody\n")
    seen = await adopt(stage, "eni-00000000", NAME)
    assert seen.err == "nodeeni adopt: EC2 has no eni-00000000 in this account and region (--aws-region)\n"
    seen = await adopt(stage, NAME, eni_id)
    assert seen.status == 2
    assert seen.err.startswith(f"nodeeni adopt: argument ENI: '{NAME}' is no ENI's id: eni- and 8 or 17 hex")


@pytest.mark.parametrize(
    ("tags", "why"),
    [
        ({TAG_CLUSTER: "another"}, f"carries the tag {TAG_CLUSTER}=another, so another cluster"),
        ({"kubernetes.io/cluster/managed-by": "terraform"}, "v1.x did not make it"),
        ({"NodeENI": "other"}, f"was made for NodeENI other, not for {NAME}: name that one"),
        ({"Node": "n0"}, "its tag Node says n0"),
    ],
)
async def test_tags_that_say_otherwise_are_believed(stage: Stage, tags: dict[str, str], why: str) -> None:
    _, eni_id = await forgotten(stage, V1_3_8)
    stage.ec2.interface(eni_id).tags.update(tags)
    seen = await adopt(stage, eni_id, NAME)
    assert (seen.status, seen.out) == (1, "")
    assert why in seen.err
    assert seen.err.count("\n") == 1
    assert not stage.calls()


async def test_one_that_is_attached_to_nothing_is_not_adopted(stage: Stage) -> None:
    old, _ = await forgotten(stage, V1_3_8)
    tags = V1_3_8.tags(old.nodes[0], stage.world.subnets["a"].id)
    free = stage.ec2.plant_interface(stage.world.subnets["a"], tags=tags)
    seen = await adopt(stage, free.id, NAME)
    assert seen.status == 1
    assert f"{free.id} is attached to nothing" in seen.err


async def test_an_instance_that_is_no_node_here_may_be_another_clusters(stage: Stage) -> None:
    old, eni_id = await forgotten(stage, V1_3_8)
    stage.kube.delete("", "nodes", old.nodes[0].name)
    seen = await adopt(stage, eni_id, NAME)
    assert seen.status == 1
    assert f"is attached to {old.nodes[0].instance_id}, which is no node of this cluster" in seen.err


async def test_what_the_controller_would_remove_at_once_is_not_adopted(stage: Stage) -> None:
    old, eni_id = await forgotten(stage, V1_3_8)
    stage.world.label(old.nodes[0].name, **dict.fromkeys(LABELS))
    seen = await adopt(stage, eni_id, NAME)
    assert seen.status == 1
    assert f"NodeENI {NAME} does not want an ENI on node {old.nodes[0].name}" in seen.err
    assert not old.is_adopted()


async def test_what_the_controller_would_move_at_once_is_not_adopted(stage: Stage) -> None:
    _, eni_id = await forgotten(stage, V1_3_8, index=3)
    seen = await adopt(stage, eni_id, NAME)
    assert seen.status == 1
    assert "NotAdopted: " in seen.err
    assert "write its place into the spec" in seen.err
    stage.apply(deviceIndex=3)
    assert (await adopt(stage, eni_id, NAME)).status == 0


async def test_a_second_one_for_the_same_node_is_not_adopted(stage: Stage) -> None:
    old, eni_id = await forgotten(stage, V1_3_8)
    second = old.attach(old.nodes[0], index=3)["eniID"]
    assert (await adopt(stage, eni_id, NAME)).status == 0
    seen = await adopt(stage, second, NAME)
    assert seen.status == 1
    assert f"node {old.nodes[0].name} has {eni_id} of NodeENI {NAME}, and a node gets one" in seen.err


async def test_a_missing_permission_is_named(stage: Stage) -> None:
    old, eni_id = await forgotten(stage, V1_3_8)
    stage.ec2.faults.error("CreateTags", "UnauthorizedOperation", times=1)
    seen = await adopt(stage, eni_id, NAME)
    assert seen.status == 1
    assert "CreateTags" in seen.err
    assert "`nodeeni doctor` tells what is missing" in seen.err
    assert not old.is_adopted()

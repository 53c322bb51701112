"""The promise of the upgrade: the same ENIs, on the same instances, and nothing called but tagging."""

import asyncio
import json
import os
import sys
from collections import Counter
from typing import Any

import msgspec
from tests.controller.conftest import NAME, Stage
from tests.upgrade.old import OldInstallation, OldVersion

NODES = 20


async def test_twenty_enis_of_an_old_version_end_as_the_same_twenty(
    stage: Stage, version: OldVersion
) -> None:
    old = OldInstallation(stage, version)
    await old.build(NODES)
    before = {i.id: i for i in stage.ec2.secondary_interfaces()}
    async with stage.controller("--resync-period=300ms"):
        await stage.until_attached(*old.nodes)
        await stage.until(old.is_adopted)
        await stage.until(lambda: stage.status().get("attached") == NODES)
        await stage.stays(lambda: stage.calls().keys() == {"CreateTags"}, seconds=0.7)  # two resyncs
    after = {i.id: i for i in stage.ec2.secondary_interfaces()}
    assert stage.calls() == {"CreateTags": NODES}
    assert [_but_for_tags(i) for i in after.values()] == [_but_for_tags(before[id]) for id in after]
    assert all(i.tags.items() >= _kept(before[i.id].tags).items() for i in after.values())
    rows = {row["eniID"]: row["nodeID"] for row in stage.status()["attachments"]}
    assert rows == old.interfaces
    assert stage.condition("Ready")["status"] == "True"


async def test_what_was_adopted_is_removed_with_its_nodeeni(stage: Stage, version: OldVersion) -> None:
    old = OldInstallation(stage, version)
    await old.build(3)
    async with stage.controller():
        await stage.until(old.is_adopted)
        stage.delete()
        await stage.until_deleted()
    assert stage.ec2.secondary_interfaces() == []


async def test_the_plan_shows_beforehand_what_would_be_adopted_and_changes_nothing(
    stage: Stage, version: OldVersion
) -> None:
    old = OldInstallation(stage, version)
    await old.build(3)
    shown = await _plan(stage)
    steps = [
        (plan["node"], step["action"], step["nodeENI"]) for plan in shown["nodes"] for step in plan["now"]
    ]
    assert sorted(steps) == sorted((node.name, "SetTags", NAME) for node in old.nodes)
    texts = [step["text"] for plan in shown["nodes"] for step in plan["now"]]
    assert all(any(text.startswith(f"adopt {eni_id} ") for text in texts) for eni_id in old.interfaces)
    assert stage.calls() == Counter()
    assert not old.is_adopted()


async def test_a_dry_run_of_the_controller_changes_nothing(stage: Stage, version: OldVersion) -> None:
    old = OldInstallation(stage, version)
    await old.build(3)
    before = [msgspec.to_builtins(i) for i in stage.ec2.secondary_interfaces()]
    status = stage.status()
    async with stage.controller("--dry-run"):
        reads = stage.ec2.calls.by_action
        await stage.until(lambda: reads["DescribeInstances"] > 0)
        await stage.stays(lambda: not stage.calls(), seconds=0.5)
    assert [msgspec.to_builtins(i) for i in stage.ec2.secondary_interfaces()] == before
    assert stage.status() == status


def _but_for_tags(interface: Any) -> Any:
    return msgspec.to_builtins(msgspec.structs.replace(interface, tags={}))


def _kept(tags: dict[str, str]) -> dict[str, str]:
    """All of an interface's tags but the one that the two versions word differently."""
    return {key: value for key, value in tags.items() if key != "Name"}


async def _plan(stage: Stage) -> dict[str, Any]:
    environment = {**os.environ, **stage.environment}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "nodeeni.cli.main", "plan", "-o", "json"),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    shown: dict[str, Any] = json.loads(output)
    return shown

"""The manifests under examples/: each is applied as it is, and does on its nodes what its comment says."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiobotocore.session import get_session
from tests.cli.running import ROOT

from nodeeni.api.names import GROUP
from nodeeni.cli.stage import Stage
from nodeeni.sandbox.ec2 import Interface, quick_settings

# Zones of the nodes that get an ENI, and its device index.
EXPECTED = {
    "multus-eni.yaml": ("a", 2),
    "by-name.yaml": ("a", 2),
    "several-subnets.yaml": ("abc", 2),
    "jumbo-frames.yaml": ("a", 2),
    "next-free.yaml": ("a", 1),
    "addresses-and-prefixes.yaml": ("a", 2),
    "pods.yaml": ("abc", 2),
}


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with Stage(tmp_path, quick_settings()) as stage:
        for zone in "abc":
            await stage.world.add_node(zone=zone, labels={"ng": "multi-eni"})
        await stage.start_controller("--metrics-addr", "127.0.0.1:0", "--read-lag", "100ms")
        yield stage


def test_every_example_is_tried() -> None:
    """But those that are for other programs."""
    assert {path.name for path in (ROOT / "examples").iterdir()} == {
        *EXPECTED,
        "launch-time",
        "monitoring",
        "readiness",
    }


async def test_what_the_launch_template_brings_is_taken_over(stage: Stage) -> None:
    world = stage.world
    template = json.loads((ROOT / "examples" / "launch-time" / "launch-template.json").read_text())
    first, *_ = template["NetworkInterfaces"]
    world.ec2.add_subnet(world.vpc, "a", "10.21.0.0/16", id=first["SubnetId"])
    async with get_session().create_client(
        "ec2",
        region_name=world.ec2.account.region,
        endpoint_url=world.ec2.url,
        aws_access_key_id="AKIA",
        aws_secret_access_key="s",
    ) as client:
        launched = await client.run_instances(MinCount=2, MaxCount=2, **template)
    instances = [world.ec2.instance(each["InstanceId"]) for each in launched["Instances"]]
    for instance in instances:
        world.kube.create(world.registration(instance, labels={"ng": "multi-eni", "new": ""})[1])
    manifest = _read("launch-time/nodeeni.yaml")
    manifest["spec"]["nodeSelector"] |= {"new": ""}  # not those that the other tests have
    world.kube.create(manifest)
    await _until(lambda: (world.nodeeni("launch-time") or {}).get("status", {}).get("attached") == 2)
    brought = [
        each.id
        for instance in instances
        for each in world.ec2.interfaces_of(instance.id)
        if each.attachment and each.attachment.device_index == 2
    ]
    assert {each.id for each in world.ec2.interfaces(NodeENI="launch-time")} == set(brought)
    assert world.ec2.calls.by_action["CreateNetworkInterface"] == 0
    assert world.ec2.calls.by_action["AttachNetworkInterface"] == 0


async def test_each_gives_its_nodes_what_it_says(stage: Stage) -> None:
    ec2 = stage.world.ec2
    for name, (zones, device_index) in EXPECTED.items():
        manifest = _read(name)
        stage.world.kube.create(manifest)
        made = await _settled(stage, len(zones), source_dest_check="sourceDestCheck" not in manifest["spec"])
        assert sorted(one.zone[-1] for one in made) == list(zones), name
        assert {one.attachment.device_index for one in made if one.attachment} == {device_index}, name
        tags = manifest["spec"].get("tags", {})
        assert all(tags.items() <= one.tags.items() for one in made), name
        assert all(len(one.ipv4_prefixes) == manifest["spec"].get("ipv4PrefixCount", 0) for one in made), name

        stage.world.kube.delete(GROUP, "nodeenis", manifest["metadata"]["name"])
        await _until(lambda: not ec2.secondary_interfaces())


def _read(name: str) -> dict[str, Any]:
    return msgspec.yaml.decode((ROOT / "examples" / name).read_bytes(), type=dict[str, Any])


async def _settled(stage: Stage, number: int, *, source_dest_check: bool) -> list[Interface]:
    """The interfaces, once `number` are attached and have what is set only after the attach."""

    def settled() -> list[Interface]:
        return [
            one
            for one in stage.world.ec2.secondary_interfaces()
            if one.attachment is not None
            and one.attachment.status == "attached"
            and one.attachment.delete_on_termination
            and one.source_dest_check is source_dest_check
        ]

    await _until(lambda: len(settled()) == number)
    return settled()


async def _until(condition: Callable[[], bool], timeout: float = 20.0) -> None:
    async with asyncio.timeout(timeout):
        while not condition():  # noqa: ASYNC110  what is awaited is another process's doing
            await asyncio.sleep(0.02)

"""Controllers end, fail and meet: what is in EC2 is found again, and one at a time acts."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from nodeeni.sandbox.world import process_environment

from .conftest import NAME, QUICK, Stage


async def test_a_restart_changes_nothing_and_writes_nothing(stage: Stage) -> None:
    nodes = [await stage.node() for _ in range(3)]
    stage.apply()
    async with stage.controller():
        await stage.until_attached(*nodes)
        await stage.until(lambda: stage.condition("Progressing").get("status") == "False")
        await stage.until(lambda: stage.calls()["ModifyNetworkInterfaceAttribute"] == 3)
    before, calls = stage.world.nodeeni(NAME), stage.calls()
    reads = stage.ec2.calls.by_action["DescribeNetworkInterfaces"]
    async with stage.controller():
        await stage.until(lambda: stage.ec2.calls.by_action["DescribeNetworkInterfaces"] > reads)
        await stage.stays(lambda: stage.world.nodeeni(NAME) == before)
    assert stage.calls() == calls


async def test_a_wiped_status_is_written_again_from_what_ec2_has(stage: Stage) -> None:
    node = await stage.node()
    stage.apply()
    async with stage.controller():
        await stage.until(lambda: stage.condition("Ready").get("reason") == "AllAttached")
    row = stage.row(node)
    stage.kube.patch("networking.k8s.aws", "nodeenis", NAME, {"status": None}, subresource="status")
    async with stage.controller():
        await stage.until(lambda: stage.condition("Ready").get("reason") == "AllAttached")
    again = stage.row(node)
    assert {**again, "lastUpdated": ""} == {**row, "lastUpdated": ""}
    assert stage.calls()["CreateNetworkInterface"] == 1


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
@pytest.mark.parametrize("action", ["CreateNetworkInterface", "AttachNetworkInterface"])
async def test_ended_in_the_midst_of_a_call_and_started_again(
    stage: Stage, tmp_path: Path, action: str, stop: signal.Signals
) -> None:
    node = await stage.node()
    stage.ec2.faults.hang(action, phase="after")  # the work is done, the answer never comes
    stage.apply()
    process = await _start(stage, tmp_path)
    await stage.until(lambda: not stage.ec2.faults.pending(), timeout=30)
    process.send_signal(stop)
    assert await asyncio.wait_for(process.wait(), 20) == (0 if stop is signal.SIGTERM else -signal.SIGKILL)
    async with stage.controller():
        await stage.until_attached(node)
        stage.delete()
        await stage.until_deleted()
    assert stage.ec2.secondary_interfaces() == []
    made = {c.parameters["ClientToken"] for c in stage.ec2.calls.of("CreateNetworkInterface")}
    assert len(made) == 1


async def test_sigterm_gives_the_lease_back_and_the_standby_takes_over(stage: Stage, tmp_path: Path) -> None:
    node = await stage.node()
    leader = await _start(stage, tmp_path, "--enable-leader-election")
    await stage.until(lambda: _holder(stage) != "", timeout=30)
    first = _holder(stage)
    async with stage.controller("--enable-leader-election"):
        await stage.stays(lambda: _holder(stage) == first)
        leader.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(leader.wait(), 20) == 0
        await stage.until(lambda: _holder(stage) not in ("", first))
        stage.apply()
        await stage.until_attached(node)
    assert _holder(stage) == ""


async def test_a_frozen_leader_that_wakes_up_ends_without_a_call(stage: Stage, tmp_path: Path) -> None:
    node = await stage.node()
    stage.apply()
    flags = ("--enable-leader-election", "--lease-duration=3s")
    frozen = await _start(stage, tmp_path, *flags)
    try:
        await stage.until_attached(node)
        frozen.send_signal(signal.SIGSTOP)
        async with stage.controller(*flags):
            first = _holder(stage)
            await stage.until(lambda: _holder(stage) not in ("", first), timeout=30)
            stage.world.label(node.name, ng=None)
            await stage.until(lambda: stage.ours() == [] and stage.calls()["DeleteNetworkInterface"] == 1)
            calls = stage.calls()
            frozen.send_signal(signal.SIGCONT)
            assert await asyncio.wait_for(frozen.wait(), 20) == 1
            await stage.stays(lambda: stage.calls() == calls)
    finally:
        if frozen.returncode is None:
            frozen.kill()
            await frozen.wait()


async def test_the_api_server_is_away_and_comes_back(stage: Stage) -> None:
    node, late = await stage.node(), await stage.node(matching=False)
    stage.apply()
    async with stage.controller() as controller:
        await stage.until_attached(node)
        stage.kube.refuse_connections()
        await asyncio.sleep(1)
        stage.world.label(late.name, ng="multi-eni")
        assert not controller.done()
        await stage.kube.listen()
        await stage.until_attached(
            node,
            late,
        )
    assert len(stage.ours()) == 2


async def test_a_node_that_had_interfaces_before_the_restart_gets_one_without_blame(stage: Stage) -> None:
    """EC2 remembers the tokens that a predecessor used, and names what they made; all of that is deleted."""
    node = await stage.node()
    stage.apply()
    async with stage.controller():
        for _ in range(2):
            stage.world.label(node.name, ng="multi-eni")
            await stage.until_attached(node)
            stage.world.label(node.name, ng=None)
            await stage.until(lambda: stage.ours() == [] and not stage.row(node))
    async with stage.controller():
        stage.world.label(node.name, ng="multi-eni")
        await stage.until_attached(node, timeout=30)
    assert len(stage.ours()) == 1
    assert [event for event in stage.events() if "somebody else" in event[1]] == []


async def test_an_interface_tells_its_remover_which_token_comes_next(stage: Stage) -> None:
    """Each of three controllers replaces the interface of the one before, with a token that nobody used."""
    node = await stage.node()
    subnets = [stage.ec2.add_subnet(stage.world.vpc, "a", f"10.{20 + n}.0.0/16").id for n in range(3)]
    stage.apply(subnetID=subnets[0])
    for subnet in subnets:
        async with stage.controller():
            stage.apply(subnetID=subnet)
            await stage.until(lambda s=subnet: [i.subnet_id for i in stage.ours()] == [s])  # type: ignore[misc]
            await stage.until_attached(node)
    creates = stage.ec2.calls.of("CreateNetworkInterface")
    tokens = {call.parameters["ClientToken"] for call in creates}
    assert (len(creates), len(tokens)) == (3, 3)


async def test_dry_run_changes_nothing_anywhere(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    node = await stage.node()
    stage.apply()
    caplog.set_level("INFO", logger="nodeeni")
    before = stage.world.nodeeni(NAME)
    async with stage.controller("--dry-run"):
        await stage.until(lambda: any("would: create an ENI" in r.message for r in caplog.records))
        await stage.stays(lambda: stage.world.nodeeni(NAME) == before)
    assert stage.calls() == {}
    assert stage.world.eninode(node.name) is None


async def _start(stage: Stage, tmp_path: Path, *flags: str) -> asyncio.subprocess.Process:
    """The real controller as a process of its own."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "nodeeni.cli.main",
        "controller",
        *QUICK,
        *flags,
        env={**os.environ, **process_environment(stage.world, tmp_path / "kubeconfig")},
        stderr=asyncio.subprocess.DEVNULL,
    )


def _holder(stage: Stage) -> str:
    lease = stage.kube.get(
        "coordination.k8s.io",
        "leases",
        "nodeeni-controller-leader-election",
        namespace="eni-controller-system",
    )
    return str(lease["spec"].get("holderIdentity") or "") if lease else ""

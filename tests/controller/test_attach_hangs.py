"""An attach or a detach hangs: it is undone or forced once, people are told first, and nothing is left."""

import pytest

from .conftest import Stage

UNDO = "--undo-attach-after=500ms"


def _calls(stage: Stage) -> list[str]:
    return [call.action for call in stage.ec2.calls if call.action.startswith(("Attach", "Detach"))]


async def test_a_hanging_attach_is_undone_and_tried_again(stage: Stage) -> None:
    node = await stage.node()
    stage.ec2.faults.stick("AttachNetworkInterface")
    stage.apply()
    async with stage.controller(UNDO):
        await stage.until_attached(node)
        await stage.until(lambda: "ENIAttachmentUndone" in stage.reasons())
    assert _calls(stage) == ["AttachNetworkInterface", "DetachNetworkInterface", "AttachNetworkInterface"]
    assert stage.calls()["CreateNetworkInterface"] == 1
    assert len(stage.ours()) == 1


async def test_an_attach_that_hangs_again_is_reported_and_left(stage: Stage) -> None:
    node = await stage.node()
    stage.ec2.faults.stick("AttachNetworkInterface", times=None)
    stage.apply()
    async with stage.controller(UNDO):
        await stage.until(lambda: stage.row(node).get("reason") == "AttachHangs")
        await stage.until(lambda: "ENIAttachmentFailed" in stage.reasons())
        calls = _calls(stage)
        await stage.stays(lambda: _calls(stage) == calls)
        assert calls == ["AttachNetworkInterface", "DetachNetworkInterface", "AttachNetworkInterface"]
        assert "restart the instance" in stage.condition("Degraded")["message"]
        stage.delete()
        await stage.until_deleted()
    assert stage.ec2.secondary_interfaces() == []


@pytest.mark.parametrize("action", ["AttachNetworkInterface", "DetachNetworkInterface"])
async def test_what_hung_before_a_restart_is_undone_or_forced_after_it(stage: Stage, action: str) -> None:
    node = await stage.node()
    stage.ec2.faults.stick(action)
    stage.apply()
    async with stage.controller():
        if action == "DetachNetworkInterface":
            await stage.until_attached(node)
            stage.delete()
        await stage.until(lambda: not stage.ec2.faults.pending())
    async with stage.controller(UNDO, "--force-detach-after=500ms"):
        if action == "DetachNetworkInterface":
            await stage.until_deleted()
            assert stage.ours() == []
        else:
            await stage.until_attached(node)
    assert stage.calls()["CreateNetworkInterface"] == 1


async def test_a_hanging_detach_of_one_that_is_wanted_again_is_forced(stage: Stage) -> None:
    node = await stage.node()
    stage.apply()
    async with stage.controller("--force-detach-after=500ms"):
        await stage.until_attached(node)
        stage.ec2.faults.stick("DetachNetworkInterface")
        stage.world.label(node.name, ng=None)
        await stage.until(lambda: stage.row(node).get("status") == "detaching")
        stage.world.label(node.name, ng="multi-eni")
        await stage.until_attached(node)
        await stage.until(lambda: "ENIDetachmentForced" in stage.reasons())
    assert len(stage.ours()) == 1

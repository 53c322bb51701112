"""Kubelets report every few seconds: nothing is done about it, and nothing else is missed for it."""

import asyncio
from typing import Any

from .conftest import LABELS, Stage


def _time(number: int) -> str:
    return f"2026-01-01T{number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}Z"


def beat(stage: Stage, name: str, number: int) -> None:
    body: dict[str, Any] = {
        "status": {"conditions": [{"type": "Ready", "status": "True", "lastHeartbeatTime": _time(number)}]}
    }
    stage.kube.patch("", "nodes", name, body, subresource="status")


def writes(stage: Stage) -> int:
    requests = stage.kube.requests.items()
    return sum(n for (verb, path), n in requests if verb in ("create", "patch", "update", "delete"))


async def test_heartbeats_cause_no_call_and_no_write(stage: Stage) -> None:
    nodes = [await stage.node() for _ in range(3)]
    async with stage.controller():
        stage.apply()
        await stage.until_attached(*nodes)
        await stage.until(lambda: stage.calls()["ModifyNetworkInterfaceAttribute"] == 3)
        await asyncio.sleep(1.5)  # the last status and the last event are written
        before = (len(stage.ec2.calls), writes(stage))
        for number in range(100):
            for node in nodes:
                beat(stage, node.name, number)
            await asyncio.sleep(0.01)
        assert (len(stage.ec2.calls), writes(stage)) == before


async def test_a_label_that_goes_among_heartbeats_is_seen(stage: Stage) -> None:
    node = await stage.node()
    async with stage.controller():
        stage.apply()
        await stage.until_attached(node)
        for number in range(50):
            beat(stage, node.name, number)
        stage.world.label(node.name, **dict.fromkeys(LABELS))
        for number in range(50):
            beat(stage, node.name, number)
        await stage.until(lambda: not stage.ours())

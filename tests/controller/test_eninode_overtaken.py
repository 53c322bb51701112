"""The ENINode that was just written is collected with its old Node before the answer to the write is here."""

import asyncio
from typing import Any

import pytest

from nodeeni.api.names import GROUP
from nodeeni.kube.client import KubeClient
from nodeeni.kube.resources import ENINODES

from .conftest import Stage


async def test_an_eninode_that_goes_while_the_answer_is_on_its_way_is_written_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = await stage.node()
    answered = KubeClient.patch
    late = asyncio.Event()

    async def patch(self: KubeClient, resource: Any, name: str, *rest: Any, **more: Any) -> Any:
        result = await answered(self, resource, name, *rest, **more)
        if resource is ENINODES and not late.is_set():
            late.set()
            stage.kube.delete(GROUP, "eninodes", name)
            await asyncio.sleep(0.3)  # the watch is faster than this answer
        return result

    monkeypatch.setattr(KubeClient, "patch", patch)
    stage.apply()
    async with stage.controller():
        await stage.until_attached(node)
        stage.apply(mtu=9001)  # has the ENINode patched
        await stage.until(late.is_set)
        await stage.until(lambda: stage.world.eninode(node.name) is not None)
        eninode = stage.world.eninode(node.name)
        assert eninode is not None
        assert eninode["spec"]["interfaces"][0]["mtu"] == 9001

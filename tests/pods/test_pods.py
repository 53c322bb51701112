"""Pods on the extra ENI, with the real parts from Multus to the kernel. Each count is printed."""

from pathlib import Path

import pytest
from tests.pods.stage import PLUGINS, two_nodes

pytestmark = pytest.mark.timeout(900)


@pytest.mark.parametrize("plugins", PLUGINS)
async def test_pods_reach_each_other_across_nodes_and_zones(tmp_path: Path, plugins: str) -> None:
    async with two_nodes(tmp_path / "stage", plugins) as pods:
        await pods.start()
        for node in pods.nodes:
            added = await node.add(*(f"{node.name}-{n}" for n in range(3)))
            assert {len(addresses) for addresses in added.values()} == {2}, "an address of each family"
        pings = await pods.reach(2) + await pods.reach(1, size=8000)
        for node in pods.nodes:
            await node.held()
        print(f"plugins {plugins}: {pings} of {pings} pings answered; {pods.at_rest()}")
        for node in pods.nodes:
            await node.delete(*list(node.pods))
            assert await node.held() == {}
        assert pods.vpc.drops == []

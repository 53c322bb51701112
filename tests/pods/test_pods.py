"""Pods on the extra ENI, with the real parts from Multus to the kernel. Each count is printed."""

import pytest
from tests.pods.stage import PLUGINS, Pods

pytestmark = [pytest.mark.timeout(900), pytest.mark.asyncio(loop_scope="session")]


@pytest.mark.parametrize("plugins", PLUGINS)
async def test_pods_reach_each_other_across_nodes_and_zones(pods: Pods, plugins: str) -> None:
    await pods.renew(PLUGINS[plugins])
    for node in pods.nodes:
        added = await node.add(*(f"{node.name}-{n}" for n in range(3)), multus=True)
        assert {len(addresses) for addresses in added.values()} == {2}, "an address of each family"
    pings = await pods.reach(2) + await pods.reach(1, size=8000)
    print(f"plugins {plugins}: {pings} of {pings} pings answered; {await pods.end()}")

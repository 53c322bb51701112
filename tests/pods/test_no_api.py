"""What CNI asks, and whom."""

import pytest
from tests.pods.stage import NETWORK, PLUGINS, Pods

pytestmark = [pytest.mark.timeout(900), pytest.mark.asyncio(loop_scope="session")]


@pytest.mark.parametrize("plugins", PLUGINS)
async def test_cni_asks_no_api(pods: Pods, plugins: str) -> None:
    """Of `ipvlan` and `host-local`: Multus asks the API server for the pod, whatever its network is."""
    for node in pods.nodes:
        sockets = await node.ask("traced", pods=["x", "y"], network=NETWORK, path=PLUGINS[plugins])
        print(f"{node.name}, plugins {plugins}: sockets of 2 ADD and 2 DEL: {sockets}")
        assert sockets["AF_NETLINK"] > 0, "nothing was traced"
        assert set(sockets) <= {"AF_NETLINK", "AF_PACKET"}, "it talks to more than the kernel"
        assert await node.held() == {}

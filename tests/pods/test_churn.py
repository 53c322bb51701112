"""Many pods that come and go. Each count is printed."""

import asyncio

import pytest
from tests.pods.stage import CHURNED, Pods

pytestmark = [pytest.mark.timeout(CHURNED), pytest.mark.asyncio(loop_scope="session")]


async def test_two_hundred_pods_come_and_go_on_two_nodes(pods: Pods) -> None:
    """A hundred on each at the same time, twelve of them alive at once, out of sixteen addresses."""
    first = [await node.add(f"{node.name}-first") for node in pods.nodes]
    peers = [address for added in first for addresses in added.values() for address in addresses]
    told = await asyncio.gather(*(node.churn(100, 12, peers) for node in pods.nodes))
    began = sum(len(each["added"]) for each in told)
    given = [{a for addresses in each["added"] for a in addresses if ":" not in a} for each in told]
    assert max(map(len, given)) <= 16, "a node has sixteen addresses, given to one pod after another"
    pings = await pods.reach(others=3)
    again = sum(len(each["again"]) for each in told)
    print(f"{began} pods churned, {again} at a second try, each reached a pod by a ping; medians:")
    for node, each in zip(pods.nodes, told, strict=True):
        print(f"  {node.name}: " + ", ".join(f"{what} {s:.2f} s" for what, s in each["medians"].items()))
    print(f"then {pings} of {pings} pings answered; {await pods.end()}")

"""An operator's first hour: installed by helm, an ENI on each node up, and everything gone again."""

import pytest
from tests.cluster.operator import NAME, PATIENCE, Operator, timed

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_from_the_install_to_the_first_eni_and_back(bare: Operator) -> None:
    async with timed("helm install --wait: controllers and ENI managers are ready"):
        await bare.install()
    async with timed("NodeENI applied: both links are up"):
        await bare.apply()
        await bare.until_up(2)
    await bare.agree()
    assert len(bare.enis()) == 2
    for node in bare.nodes:
        (link,) = (await bare.links(node)).values()
        assert link["mtu"] == 9001
        assert "data0" in link["altnames"]

    told = await bare.doctor()
    assert {line[0] for line in told} == {"✓"}, told

    async with timed("label taken off: the node's ENI is gone"):
        first, second = bare.nodes
        await bare.kubectl("label", "node", second.name, "ng-")
        await bare.until_up(1)
        await bare.kubectl("wait", "--for=delete", f"eninode/{second.name}", f"--timeout={PATIENCE}")
    assert [bare.enis(first) != [], bare.enis()] == [True, bare.enis(first)]
    await bare.agree()
    await bare.kubectl("label", "node", second.name, "ng=multi-eni")
    await bare.until_up(2)

    async with timed("NodeENI deleted: both are gone"):
        await bare.kubectl("delete", "nodeeni", NAME, f"--timeout={PATIENCE}")
    assert bare.enis() == []
    await bare.agree()
    async with timed("helm uninstall --wait"):
        await bare.uninstall()
    assert (await bare.get("deployments,daemonsets,networkpolicies,poddisruptionbudgets"))["items"] == []

"""What happens to nodes that have ENIs: the ENIs stay with their instance, and go with it."""

import pytest
from tests.cluster.operator import PATIENCE, Operator, restarts, timed, until

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_one_is_drained_and_rebooted(operator: Operator) -> None:
    node, _ = operator.nodes
    before = operator.attached()
    async with timed("kubectl drain"):
        await operator.kubectl(
            *("drain", node.name, "--ignore-daemonsets", "--delete-emptydir-data", f"--timeout={PATIENCE}")
        )
    async with timed("reboot, until the node is Ready and its link up again"):
        await operator.cluster.machines().reboot(node.instance_id)
        await operator.cluster.join(node)
        await operator.kubectl("uncordon", node.name)
        await operator.until_ready(node.name)
        await until(lambda: operator.links_are_up(node))
    assert operator.attached() == before
    await operator.agree()


async def test_the_power_of_one_fails_and_comes_back(operator: Operator) -> None:
    """Its instance is the same, and nothing had time to be written."""
    node = await operator.leaders_node()
    before = operator.attached()
    async with timed("power cut, until the node is Ready and its link up again"):
        await operator.cluster.machines().reboot(node.instance_id, clean=False)
        await operator.cluster.join(node)
        await operator.until_ready(node.name)
        await until(lambda: operator.links_are_up(node))
    assert operator.attached() == before
    await operator.agree()


async def test_the_node_object_is_deleted_and_registers_again(operator: Operator) -> None:
    """Within the time that an absent Node is waited for; its ENINode goes with it, and comes again."""
    node, _ = operator.nodes
    before = operator.attached()
    former = (await operator.get("eninode", node.name))["metadata"]["uid"]
    async with timed("kubectl delete node, kubelet started anew, its link told as up again"):
        await operator.kubectl("delete", "node", node.name)
        await node.run("systemctl restart kubelet")
        await operator.until_ready(node.name)
        await until(lambda: operator.reports_anew(node, former))
    assert operator.attached() == before
    await operator.agree()


async def lose_the_leaders_node_in_the_middle_of_an_attach(operator: Operator) -> None:
    """Until the ENIs are right: one more on the node that is left, none of the one that is gone."""
    await until(operator.has_a_leader)
    leading = await operator.leaders_node()
    (other,) = (node for node in operator.nodes if node is not leading)
    await operator.apply("second", deviceIndex=3, interfaceName="data1")
    await until(operator.has_more_than_two_enis)
    assert not await operator.is_up(2, "second")

    async def only_those_of_the_other() -> bool:
        attached = operator.enis(other)
        return operator.enis() == attached and len(attached) == 2

    async with timed("the leader's node loses power: its instance ends, another controller finishes"):
        await operator.cluster.lose(leading)
        await until(only_those_of_the_other)
        await operator.until_up(1)
        await operator.until_up(1, "second")
    assert sorted(i.attachment.device_index for i in operator.enis() if i.attachment) == [2, 3]
    await operator.agree()


async def test_the_leaders_node_loses_power_while_the_other_controller_stands_by(operator: Operator) -> None:
    """On another node: it leads, and nobody has to start anything."""
    await operator.spread_controllers()
    await until(operator.has_a_leader)
    leading = await operator.leaders_node()
    (other,) = (node for node in operator.nodes if node is not leading)
    (standby,) = await operator.pods("eni-controller", other)
    await lose_the_leaders_node_in_the_middle_of_an_attach(operator)
    leads = await operator.leader()
    assert leads["metadata"]["uid"] == standby["metadata"]["uid"]
    assert restarts(leads) == restarts(standby)


async def test_the_leaders_node_loses_power_wherever_the_other_controller_is(operator: Operator) -> None:
    """Where it was on the same node, Kubernetes makes new ones on the other."""
    await lose_the_leaders_node_in_the_middle_of_an_attach(operator)

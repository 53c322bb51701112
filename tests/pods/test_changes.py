"""Pods' networks after nodes, ENIs, prefixes and NodeENIs changed under them. Each count is printed."""

import asyncio

import pytest
from tests.nodes.node import until
from tests.pods.stage import CONF_DIR, FILE, NETWORK, PodNode, Pods

from nodeeni.api.names import GROUP

pytestmark = [pytest.mark.timeout(1200), pytest.mark.asyncio(loop_scope="session")]


async def test_a_node_reboots(pods: Pods) -> None:
    """host-local's state outlives it, so that no new pod gets an address of one that nobody has ended."""
    rebooted, other = pods.nodes
    for node in pods.nodes:
        await node.add(*(f"{node.name}-{n}" for n in range(3)), multus=True)
    before = await rebooted.held()
    await rebooted.reboot()
    was, rebooted.pods = rebooted.pods, {}
    await rebooted.add(*(f"{rebooted.name}-new-{n}" for n in range(3)), multus=True)
    new = {address for addresses in rebooted.pods.values() for address in addresses}
    assert not new & before.keys(), "an address of a pod that nobody has ended yet"
    pings = await pods.reach()
    rebooted.pods |= was
    await rebooted.delete(*was, gone=True)
    pings += await pods.reach()
    assert len(other.pods) == 3
    print(f"after the reboot {pings} of {pings} pings answered; {await pods.end()}")


async def test_a_prefix_comes_and_goes_under_load(pods: Pods) -> None:
    node, other = pods.nodes
    (peer,) = (await other.add("peer")).values()
    load = asyncio.create_task(node.churn(40, 12, peer))
    pods.apply(ipv4PrefixCount=2)
    await node.until_ready(3)
    await other.until_ready(3)
    assert not load.done(), "no pods came and went while the prefix came"
    await load
    more = await node.add(*(f"more-{n}" for n in range(12)))
    assert len(node.pods) == 24, "more than a prefix has addresses"
    await node.held()
    pings = await pods.reach(others=3)

    # Fewer, while pods have addresses of both: none is taken from under a pod.
    pods.apply(ipv4PrefixCount=1)
    await until(lambda: len(other.eni().ipv4_prefixes) == 1, 180, "the prefix of the other node")
    pings += await pods.reach(others=3)
    assert len(node.eni().ipv4_prefixes) == 2, "a prefix was given back under a pod"
    kept = [prefix for prefix in node.told()["prefixes"] if ":" not in prefix]
    assert len(kept) == 2, "the manager lets a prefix go that pods hold"
    assert "10.21." in _said(pods), f"nobody is told for whom the prefix waits: {_said(pods)}"

    # The pods end: it goes.
    await node.delete(*list(node.pods))
    assert await node.held() == {}
    await until(lambda: len(node.eni().ipv4_prefixes) == 1, 180, "the prefix that nobody has")
    await node.until_ready(2)
    await node.add("last")
    pings += await pods.reach()
    print(f"{len(more)} pods more than one prefix, {pings} of {pings} pings answered; {await pods.end()}")


async def test_an_eni_is_replaced(pods: Pods) -> None:
    """Its pods lose their network, which is told before; those that come after have the new one's."""
    for node in pods.nodes:
        await node.add(f"{node.name}-0", multus=True)
    pings = await pods.reach()
    old = {node.name: node.eni().id for node in pods.nodes}
    held = [await node.held() for node in pods.nodes]
    pods.apply(subnetIDs=[subnet.id for subnet in pods.other_subnets])
    for node in pods.nodes:
        await _until_replaced(node, old[node.name])
        await node.until_ready()
    for each in held:
        assert any(address in _said(pods) for address in each), (
            f"nobody is told who loses what: {_said(pods)}"
        )
    # The pods that were have their addresses until they end, of a network that is gone.
    for node in pods.nodes:
        await node.add(f"{node.name}-1", multus=True)
        await node.delete(f"{node.name}-0")
    pings += await pods.reach()
    print(f"with the new ENIs {pings} of {pings} pings answered; {await pods.end()}")


async def test_a_nodeeni_is_deleted_while_pods_live(pods: Pods) -> None:
    """The file goes before the link, so that no pod starts on an ENI that leaves."""
    node = pods.nodes[0]
    await node.add("a", "b", multus=True)
    held = await node.held()
    watch = asyncio.create_task(_which_first(node))
    await node.sh("until [ -e /run/watching ]; do sleep 0.05; done")
    pods.world.kube.delete(GROUP, "nodeenis", NETWORK)
    assert await watch == "file"
    await until(lambda: pods.world.nodeeni(NETWORK) is None, 180, "the end of the NodeENI")
    assert [eni.id for eni in pods.world.ec2.interfaces() if eni.subnet_id in pods.subnet_ids()] == []
    assert any(address in _said(pods) for address in held), f"nobody is told who loses what: {_said(pods)}"
    for each in pods.nodes:
        assert await each.sh(f"ls {CONF_DIR}") == ""
    assert (await node.ask("state", network=NETWORK))["held"] == held
    await node.delete("a", "b")
    assert await node.held() == {}
    assert pods.vpc.drops == []
    print("file gone before the link, 0 ENIs left, addresses free once the pods had ended")


# What is told


def _said(pods: Pods) -> str:
    """All conditions and events of the NodeENI and of Nodes."""
    status = (pods.world.nodeeni(NETWORK) or {}).get("status", {})
    events = pods.world.kube.objects("events.k8s.io", "events") + pods.world.kube.objects("", "events")
    told = [condition.get("message", "") for condition in status.get("conditions", [])]
    return "\n".join([*told, *(str(event.get("note") or event.get("message")) for event in events)])


async def _until_replaced(node: PodNode, was: str) -> None:
    def replaced() -> bool:
        enis = node.enis()
        states = [eni.attachment.status for eni in enis if eni.attachment]
        return states == ["attached"] and enis[0].id != was

    await until(replaced, 300, f"the new ENI of {node.name}")


async def _which_first(node: PodNode) -> str:
    """Whether the file goes first, or the link."""
    script = (
        f"touch /run/watching; while [ -e {FILE} ] && ip link show data0 >/dev/null; do sleep 0.01; done;"
        f" if [ -e {FILE} ]; then echo link; else echo file; fi"
    )
    return (await node.sh(script, timeout=300)).strip()

"""Our pods: one that stops answering, one that may not be evicted, and what they take of a node."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from hack.cluster.nodes import Node
from tests.cluster.operator import PATIENCE, Failed, Operator, restarts, timed, until

pytestmark = pytest.mark.asyncio(loop_scope="session")

PROGRAM = "/usr/bin/python3.11 -I -m nodeeni"
CONTROLLER, ROOT_USER = 65532, 0
MANY, LOAD = 100, {"load": "yes"}


async def freeze(node: Node, user: int) -> None:
    """Its programs of ours that run as this user get no more time, as if they had locked up."""
    await node.run(
        "found=;"
        ' for process in /proc/[0-9]*; do case "$(tr "\\0" " " 2>/dev/null <$process/cmdline)" in'
        f' "{PROGRAM} "*) if [ "$(stat -c %u $process)" = {user} ]; then'
        " kill -STOP ${process#/proc/}; found=yes; fi;;"
        ' esac; done; [ "$found" ]'
    )


async def until_restarted(operator: Operator, pod: str, former: int) -> None:
    async def done() -> bool:
        return restarts(await operator.get("pod", pod)) > former

    await until(done)
    await operator.kubectl("wait", "--for=condition=Ready", f"pod/{pod}", f"--timeout={PATIENCE}")


async def test_a_leader_that_locks_up_is_followed_and_started_again(operator: Operator) -> None:
    before, calls = operator.attached(), operator.changing_calls()
    leader = await operator.leader()
    async with timed("the leader locks up, until the other replica leads"):
        await freeze(operator.node(leader), CONTROLLER)
        await until(lambda: operator.has_another_leader(leader["metadata"]["name"]))
    async with timed("until kubelet has started it again, by its liveness probe"):
        await until_restarted(operator, leader["metadata"]["name"], restarts(leader))
    assert (operator.attached(), operator.changing_calls()) == (before, calls)
    await operator.apply(mtu=1500)
    await until(lambda: operator.every_link_has(mtu=1500))


async def test_an_eni_manager_that_locks_up_is_started_again(operator: Operator) -> None:
    node, _ = operator.nodes
    (manager,) = await operator.pods("eni-manager", node)
    async with timed("an ENI manager locks up, until kubelet has started it again"):
        await freeze(node, ROOT_USER)
        await until_restarted(operator, manager["metadata"]["name"], restarts(manager))
    await operator.apply(mtu=1500)
    await until(lambda: operator.every_link_has(mtu=1500))


async def test_no_drain_takes_the_last_controller(operator: Operator) -> None:
    """One goes with the first node, and has nowhere else to run: the budget keeps the other where it is."""
    await operator.spread_controllers()
    drain = ("--ignore-daemonsets", "--delete-emptydir-data")
    first, second = operator.nodes
    for node in operator.nodes:
        await operator.kubectl("cordon", node.name)
    await operator.kubectl("drain", first.name, *drain, f"--timeout={PATIENCE}")
    with pytest.raises(Failed, match="it would violate the pod's disruption budget"):
        await operator.kubectl("drain", second.name, *drain, "--timeout=20s")
    assert len(await operator.pods("eni-controller", second)) == 1
    await until(lambda: operator.is_led_on(second))
    for node in operator.nodes:
        await operator.kubectl("uncordon", node.name)
    await operator.kubectl("rollout", "status", "deployment/eni-controller", f"--timeout={PATIENCE}")
    await operator.agree()


@pytest_asyncio.fixture(loop_scope="session")
async def many(operator: Operator) -> AsyncIterator[list[str]]:
    """A hundred Nodes more, which only EC2 and the API server know: no machine, no ENI manager."""
    world, kube = operator.cluster.world, operator.cluster.control_plane.api
    nodes = []
    for number in range(MANY):
        node, registration = world.launch(f"load-{number}", zone="ab"[number % 2], labels=LOAD)
        del registration["metadata"]["labels"]["kubernetes.io/os"]
        await asyncio.to_thread(kube.create, registration)
        nodes.append(node)
    yield [node.name for node in nodes]
    await operator.kubectl("delete", "nodes", "--selector=load=yes")
    for node in nodes:
        world.ec2.terminate(node.instance_id)


async def test_what_they_request_is_what_they_take(operator: Operator, many: list[str]) -> None:
    """Two hundred ENIs come and go, three of them on each machine: memory as kubelet reports it."""
    requested = {"eni-controller": 128 << 20, "eni-manager": 32 << 20}
    pods = [pod for app in requested for pod in await operator.pods(app)]
    assert len(pods) == 4
    most: dict[str, int] = {}

    async def look() -> None:
        for former in pods:
            pod = await operator.get("pod", former["metadata"]["name"])
            assert restarts(pod) == restarts(former), pod["status"]
            name = f"{pod['metadata']['labels']['app']} on {pod['spec']['nodeName']}"
            most[name] = max(most.get(name, 0), await operator.memory(pod))

    await look()
    for name, of in sorted(most.items()):
        print(f"{of / (1 << 20):6.1f} MiB  {name}, at rest")
    for name, index in (("second", 1), ("third", 3)):
        await operator.apply(name, deviceIndex=index, interfaceName=name)
        await operator.apply(f"{name}-load", nodeSelector=LOAD, deviceIndex=index)
    for name in ("second", "third"):
        attached = f"--for=jsonpath={{.status.attached}}={len(many)}"
        await operator.kubectl("wait", f"nodeeni/{name}-load", attached, f"--timeout={PATIENCE}")
        await operator.until_up(2, name)
        await look()
    await operator.agree()
    added = [f"{name}{load}" for name in ("second", "third") for load in ("", "-load")]
    await operator.kubectl("delete", "nodeeni", *added, f"--timeout={PATIENCE}")
    await look()
    for name, of in sorted(most.items()):
        print(f"{of / (1 << 20):6.1f} MiB  {name}, at most")
        assert of <= requested[name.split()[0]]

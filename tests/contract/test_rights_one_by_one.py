"""Each right taken away from the program that has it: what does not come about until it has it again.

Which situation shows it is in `NEEDED_BY` and `MANAGER_NEEDS`; `docs/rights.md` says it in words.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import pytest
from hack.apiserver import accounts
from hack.apiserver.accounts import CONTROLLER, MANAGER, Right, rights
from hack.render import STARTUP_TAINT
from tests.agent.situation import NODE, Node, a_node, until
from tests.contract.processes import real_is_wanted
from tests.contract.real import RealKube
from tests.contract.test_rights import doctor, orphan_of, tells_that_it_is_ready
from tests.controller.conftest import Stage
from tests.neighbours import CNI_IMAGE, MULTUS_IMAGE, daemon_set

from nodeeni.kube.events import GATHER
from nodeeni.sandbox.kube import KubeServer
from nodeeni.sandbox.world import SUBNET

pytestmark = pytest.mark.skipif(not real_is_wanted(), reason="the sandbox's API server has no rights")

NOWHERE = "subnet-0dead0000dead0000"
WITHOUT, WITH = 3.0, 20.0  # seconds for what is not to come, and for what is
FLAGS = ("--enable-leader-election", "--lease-duration=2s", "--resync-period=1s", "--orphan-grace-period=1s")
Reached = Callable[[Callable[[], Any]], Awaitable[bool]]


# What the controller does, and whether that was reached in the time that it is given.


async def a_status_is_reported(stage: Stage, reached: Reached) -> bool:
    node = await stage.node()
    stage.apply()
    async with stage.controller(*FLAGS):
        return await reached(lambda: stage.row(node).get("status") == "attached")


async def a_new_node_is_served(stage: Stage, reached: Reached) -> bool:
    first = await stage.node()
    stage.apply()
    async with stage.controller(*FLAGS):
        await stage.until_attached(first)
        second = await stage.node()
        return await reached(lambda: stage.ours(node=second))


async def a_link_that_comes_up_is_counted(stage: Stage, reached: Reached) -> bool:
    node = await stage.node()
    stage.apply()
    async with stage.controller(*FLAGS):
        await stage.until_attached(node)
        await stage.until(lambda: stage.world.eninode(node.name))
        (interface,) = stage.ours(node=node)
        link = {"macAddress": interface.mac, "linkName": "eth1", "state": "Up"}
        report = {"status": {"interfaces": [link]}}
        stage.kube.patch("networking.k8s.aws", "eninodes", node.name, report, subresource="status")
        return await reached(lambda: stage.status().get("linksUp"))


async def a_node_is_told_of_its_first_eni(stage: Stage, reached: Reached) -> bool:
    node = await stage.node()
    stage.apply()
    async with stage.controller(*FLAGS):
        return await reached(lambda: stage.world.eninode(node.name))


async def a_node_is_told_of_its_second_eni(stage: Stage, reached: Reached) -> bool:
    node = await stage.node()
    stage.apply()
    async with stage.controller(*FLAGS):
        await stage.until(lambda: stage.world.eninode(node.name))
        stage.apply("second", deviceIndex=3)
        return await reached(lambda: len((stage.world.eninode(node.name) or {})["spec"]["interfaces"]) == 2)


async def a_node_without_enis_is_told_nothing(stage: Stage, reached: Reached) -> bool:
    node = await stage.node()
    stage.apply()
    async with stage.controller(*FLAGS):
        await stage.until(lambda: stage.world.eninode(node.name))
        stage.world.label(node.name, ng=None)
        return await reached(lambda: stage.world.eninode(node.name) is None)


async def an_orphan_is_swept(stage: Stage, reached: Reached) -> bool:
    orphan_of(stage)
    async with stage.controller(*FLAGS):
        return await reached(lambda: stage.ec2.secondary_interfaces() == [])


async def an_event_is_seen(stage: Stage, reached: Reached) -> bool:
    await stage.node()
    stage.apply()
    async with stage.controller(*FLAGS):
        return await reached(stage.events)


async def an_event_is_counted_when_it_comes_again(stage: Stage, reached: Reached) -> bool:
    """What repeats is gathered for some seconds, and then written."""
    node = await stage.node()
    stage.apply()
    async with stage.controller(*FLAGS):
        await stage.until_attached(node)
        for subnet in (NOWHERE, SUBNET, NOWHERE):
            stage.apply(subnetID=subnet)
            failed = subnet != SUBNET
            await stage.until(lambda failed=failed: bool(stage.status().get("failed")) == failed)  # type: ignore[misc]
        await asyncio.sleep(GATHER)
        return await reached(lambda: any(event["count"] > 1 for event in stage.kube.objects("", "events")))


async def a_leader_stays_leader(stage: Stage, reached: Reached) -> bool:
    """After the time of a lease that was not renewed, nothing would be made any more."""
    async with stage.controller(*FLAGS):
        await stage.until(lambda: stage.kube.objects("coordination.k8s.io", "leases"))
        await asyncio.sleep(2.5)
        node = await stage.node()
        stage.apply()
        return await reached(lambda: stage.ours(node=node))


async def a_node_is_told_that_its_network_is_there(stage: Stage, reached: Reached) -> bool:
    node = await stage.node()
    stage.apply()
    async with stage.controller(*FLAGS):
        await stage.until_attached(node)
        return await reached(lambda: tells_that_it_is_ready(stage, node.name))


async def a_startup_taint_goes(stage: Stage, reached: Reached) -> bool:
    node = await stage.node()
    taint = {"key": STARTUP_TAINT, "effect": "NoSchedule"}
    stage.kube.patch("", "nodes", node.name, {"spec": {"taints": [taint]}})
    stage.apply()
    async with stage.controller(*FLAGS):
        await stage.until_attached(node)
        return await reached(lambda: not (stage.kube.get("", "nodes", node.name) or {})["spec"].get("taints"))


async def doctor_compares_the_definitions(stage: Stage, reached: Reached) -> bool:
    """As it does in the controller's pod: with its token."""
    told = await doctor(stage)
    logging.info(told)
    return await reached(lambda: told.count("networking.k8s.aws: installed and current") == 2)


async def doctor_tells_which_neighbours_there_are(stage: Stage, reached: Reached) -> bool:
    """As they are in the API server, with all that it adds."""
    there = {
        "aws-node": daemon_set("aws-node", f"{CNI_IMAGE}:v1.21.1-eksbuild.3", ENABLE_IPv6="false"),
        "kube-multus-ds": daemon_set("kube-multus-ds", f"{MULTUS_IMAGE}:v4.2.1", "/etc/cni/multus/net.d"),
    }
    for each in there.values():
        stage.kube.create(each)
    try:
        told = await doctor(stage)
    finally:
        for name in there:
            stage.kube.delete("apps", "daemonsets", name, namespace="kube-system")
    logging.info(told)
    expected = (
        "✗ VPC CNI: 1.21.1 (kube-system/aws-node) counts ENIs",
        "✓ Multus: 4.2.1 (kube-system/kube-multus-ds), with /etc/cni/multus/net.d of the host",
    )
    return await reached(lambda: all(line in told for line in expected))


NEEDED_BY: dict[str, Callable[[Stage, Reached], Awaitable[bool]]] = {
    "get customresourcedefinitions.apiextensions.k8s.io": doctor_compares_the_definitions,
    "get daemonsets.apps": doctor_tells_which_neighbours_there_are,
    "list nodes": a_status_is_reported,
    "watch nodes": a_new_node_is_served,
    "patch nodes/status": a_node_is_told_that_its_network_is_there,
    "patch nodes": a_startup_taint_goes,
    "get namespaces": a_status_is_reported,
    "list nodeenis.networking.k8s.aws": a_status_is_reported,
    "watch nodeenis.networking.k8s.aws": a_status_is_reported,  # it waits to see its finalizer
    "get nodeenis.networking.k8s.aws": an_orphan_is_swept,
    "patch nodeenis.networking.k8s.aws": a_status_is_reported,
    "patch nodeenis.networking.k8s.aws/status": a_status_is_reported,
    "list eninodes.networking.k8s.aws": a_status_is_reported,
    "watch eninodes.networking.k8s.aws": a_link_that_comes_up_is_counted,
    "create eninodes.networking.k8s.aws": a_node_is_told_of_its_first_eni,
    "patch eninodes.networking.k8s.aws": a_node_is_told_of_its_second_eni,
    "delete eninodes.networking.k8s.aws": a_node_without_enis_is_told_nothing,
    "get leases.coordination.k8s.io": a_status_is_reported,
    "create leases.coordination.k8s.io": a_status_is_reported,
    "patch leases.coordination.k8s.io": a_leader_stays_leader,
    "create events": an_event_is_seen,
    "patch events": an_event_is_counted_when_it_comes_again,
}


def called(right: Right) -> str:
    """The verb, and the resource as a role and the programs write it."""
    plural, _, subresource = right.resource.partition("/")
    resource = f"{plural}.{right.group}" if right.group else plural
    return f"{right.verb} {resource}" + (f"/{subresource}" if subresource else "")


def within(seconds: float) -> Reached:
    async def reached(holds: Callable[[], Any]) -> bool:
        deadline = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.05)
        return True

    return reached


async def takes_effect(kube: RealKube, right: Right, token: str, *, allowed: bool) -> None:
    """The API server's own answer to whether the holder of the token may."""
    plural, _, subresource = right.resource.partition("/")
    asked = {"verb": right.verb, "group": right.group, "resource": plural, "subresource": subresource}
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {**asked, "namespace": right.namespace, "name": right.name}},
    }
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"

    def told() -> bool:
        return bool(kube.call("POST", path, body, token=token)[1]["status"]["allowed"]) == allowed

    assert await within(WITH)(told)


def test_every_right_of_the_controller_has_its_situation() -> None:
    assert sorted(NEEDED_BY) == sorted(set(map(called, rights(CONTROLLER))))


@pytest.mark.parametrize("right", sorted(rights(CONTROLLER)), ids=called)
async def test_the_controller_without_a_right_and_with_it_again(
    kube: RealKube, stage: Stage, right: Right, caplog: pytest.LogCaptureFixture
) -> None:
    token, situation = accounts.token(kube, CONTROLLER), NEEDED_BY[called(right)]
    verb, _, resource = called(right).partition(" ")
    accounts.take_away(kube, right)
    try:
        await takes_effect(kube, right, token, allowed=False)
        (told,) = [line for line in (await doctor(stage)).splitlines() if line.startswith("✗ RBAC: ")]
        assert called(right) in told.partition("grant in a ClusterRole: ")[2].split(", ")
        with caplog.at_level(logging.INFO):
            assert not await situation(stage, within(WITHOUT))
        assert f'grant the verb "{verb}" on "{resource}"' in caplog.text
    finally:
        accounts.install(kube)
    await takes_effect(kube, right, token, allowed=True)
    assert await situation(stage, within(WITH))


# The ENI manager, likewise.

LINKS = {"eth1": "02:00:00:00:00:01", "eth2": "02:00:00:00:00:02"}


async def links_are_reported(node: Node, reached: Reached) -> bool:
    node.list_links(*({"macAddress": mac} for mac in LINKS.values()))
    return await reached(lambda: _up(node) == list(LINKS))


async def a_link_that_is_listed_later_is_reported(node: Node, reached: Reached) -> bool:
    first, second = ({"macAddress": mac} for mac in LINKS.values())
    await until(lambda: _up(node) == ["eth1"])
    node.list_links(first, second)
    return await reached(lambda: _up(node) == list(LINKS))


def _up(node: Node) -> list[str]:
    return [link["linkName"] for link in node.reported() if link["state"] == "Up"]


MANAGER_NEEDS = {
    "list eninodes.networking.k8s.aws": links_are_reported,
    "watch eninodes.networking.k8s.aws": a_link_that_is_listed_later_is_reported,
    "patch eninodes.networking.k8s.aws/status": links_are_reported,
}


@pytest.mark.parametrize("right", sorted(rights(MANAGER)), ids=called)
async def test_the_manager_without_a_right_and_with_it_again(
    kube: RealKube, tmp_path: Path, right: Right
) -> None:
    token, situation = accounts.token(kube, MANAGER, NODE), MANAGER_NEEDS[called(right)]
    async with a_node(cast("KubeServer", kube), tmp_path) as node:
        node.kernel.add_primary()
        node.kernel.ip(*(node.kernel.adding(name, mac) for name, mac in LINKS.items()))
        node.list_links({"macAddress": LINKS["eth1"]})
        accounts.take_away(kube, right)
        try:
            await takes_effect(kube, right, token, allowed=False)
            agent = await node.start_agent(kubeconfig=kube.kubeconfig(token))
            assert not await situation(node, within(WITHOUT))
            told = [line["error"].replace("\\", "") for line in agent.log() if "error" in line]
            assert f'cannot {right.verb} resource "{right.resource}"' in told[0]
            await agent.stop()
        finally:
            accounts.install(kube)
        await takes_effect(kube, right, token, allowed=True)
        node.list_links({"macAddress": LINKS["eth1"]})
        await node.start_agent(kubeconfig=kube.kubeconfig(token))
        assert await situation(node, within(WITH))

"""Pods on an ENI: their CNI file goes before the ENI does, and a prefix when no pod has an address of it."""

import asyncio
import ipaddress
from typing import Any

import pytest
from tests.controller.conftest import NAME, Stage
from tests.controller.pods import Manager, manager

from nodeeni.controller import withdrawals
from nodeeni.sandbox.world import WorldNode

PODS: dict[str, Any] = {"podNetwork": {"name": "pods"}}
DETACH, UNASSIGN = "DetachNetworkInterface", "UnassignPrivateIpAddresses"


async def running(stage: Stage, node: WorldNode, at: Manager, many: int) -> list[str]:
    """Pods on the node's ENI, which the ENINode tells of."""
    await stage.until(lambda: at.files)
    started = at.start_pods(many)
    await stage.until(lambda: network_of(stage, node).get("used") == many)
    return started


def network_of(stage: Stage, node: WorldNode) -> dict[str, object]:
    eninode = stage.world.eninode(node.name) or {}
    links = eninode.get("status", {}).get("interfaces", [])
    return next((dict(link["podNetwork"]) for link in links if "podNetwork" in link), {})


def prefixes(stage: Stage) -> list[str]:
    (eni,) = stage.ours()
    return list(eni.ipv4_prefixes)


async def test_an_eni_gets_a_prefix_and_its_node_is_told_which_file_it_has(stage: Stage) -> None:
    node = await stage.node()
    stage.apply(podNetwork={"mode": "L3", "routes": [{"dst": "10.0.0.0/8"}]})
    async with stage.controller(), manager(stage, node) as at:
        await stage.until_attached(node)
        await stage.until(lambda: at.files)
        assert at.files == {NAME: tuple(prefixes(stage))}
        assert len(prefixes(stage)) == 1
    (entry,) = (stage.world.eninode(node.name) or {})["spec"]["interfaces"]
    assert entry["podNetwork"] == {
        "type": "ipvlan",
        "mode": "L3",
        "name": NAME,
        "routes": [{"dst": "10.0.0.0/8"}],
        "prefixes": prefixes(stage),
    }
    assert stage.calls()["AssignPrivateIpAddresses"] == 0


@pytest.mark.parametrize("how", ["label gone", "deleted", "replaced"])
async def test_the_file_is_gone_before_the_detach_and_the_pods_are_named(stage: Stage, how: str) -> None:
    node = await stage.node()
    stage.apply(**PODS)
    async with stage.controller(), manager(stage, node) as at:
        await stage.until_attached(node)
        first, second = await running(stage, node, at, 2)
        (eni,) = stage.ours()
        match how:
            case "label gone":
                stage.world.label(node.name, ng=None)
            case "deleted":
                stage.delete()
            case "replaced":
                stage.apply(**PODS, deviceIndex=3)
        await stage.until(lambda: stage.calls()[DETACH])
        await stage.until(lambda: stage.told("PodsLoseNetwork"))
        assert at.attached_when_it_went == [True]
        ((kind, told),) = stage.told("PodsLoseNetwork")
        assert kind == "Warning"
        assert told.startswith(f"{node.name}: detach {eni.id}: ")
        assert told.endswith(f"pods lose their addresses on it, {first}, {second}")
        match how:
            case "label gone":
                await stage.until(lambda: not stage.ours())
            case "deleted":
                await stage.until_deleted()
            case "replaced":
                await stage.until(lambda: stage.row(node).get("deviceIndex") == 3)
                await stage.until(lambda: at.files == {"pods": tuple(prefixes(stage))})
    assert stage.calls()[DETACH] == 1


async def test_pods_that_are_told_of_with_the_files_end_alone_are_named_too(stage: Stage) -> None:
    node = await stage.node()
    stage.apply(**PODS)
    async with stage.controller(), manager(stage, node) as at:
        await stage.until_attached(node)
        (first,) = await running(stage, node, at, 1)
        at.tells_counts = False
        (second,) = at.start_pods(1)
        stage.delete()
        await stage.until_deleted()
        ends = [told.partition("addresses on it, ")[2] for _, told in stage.told("PodsLoseNetwork")]
        assert sorted(ends) == [first, f"{first}, {second}"]


async def test_a_manager_that_does_not_answer_keeps_no_eni(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(withdrawals, "FILE_WAIT", 1.5)
    node = await stage.node()
    stage.apply(**PODS)
    async with stage.controller(), manager(stage, node) as at:
        await stage.until_attached(node)
        await running(stage, node, at, 1)
        at.answers = False
        stage.delete()
        await stage.until(lambda: stage.row(node).get("reason") == "PodNetworkEnding")
        assert stage.calls()[DETACH] == 0
        progressing = stage.condition("Progressing")
        assert (progressing["status"], progressing["reason"]) == ("True", "Working")
        await stage.until_deleted()
    assert at.files == {"pods": at.files["pods"]}, "it did answer"


async def test_a_node_that_is_gone_is_not_waited_for(stage: Stage) -> None:
    node = await stage.node()
    stage.apply(**PODS)
    async with stage.controller(), manager(stage, node) as at:
        await stage.until_attached(node)
        await running(stage, node, at, 1)
        at.answers = False
        stage.world.kube.delete("", "nodes", node.name)
        await stage.until(lambda: not stage.ours())
        assert stage.told("PodsLoseNetwork") == []


async def test_the_file_is_back_when_the_label_is(stage: Stage) -> None:
    node = await stage.node()
    stage.apply(**PODS)
    async with stage.controller("--label-grace=0"), manager(stage, node) as at:
        await stage.until_attached(node)
        await running(stage, node, at, 1)
        at.answers = False
        stage.world.label(node.name, ng=None)
        await stage.until(lambda: stage.row(node).get("reason") == "PodNetworkEnding")
        stage.world.label(node.name, ng="multi-eni")
        at.answers = True
        await stage.until(lambda: stage.row(node).get("reason") is None and network_of(stage, node)["free"])
        assert (list(at.files), stage.calls()[DETACH]) == (["pods"], 0)


async def test_a_prefix_is_given_back_when_its_last_pod_is_gone(stage: Stage) -> None:
    node = await stage.node()
    stage.apply(**PODS, ipv4PrefixCount=2)
    async with stage.controller(), manager(stage, node) as at:
        await stage.until_attached(node)
        await running(stage, node, at, 32)
        kept, goes = prefixes(stage)
        stage.apply(**PODS, ipv4PrefixCount=1)
        await stage.until(lambda: stage.row(node).get("reason") == "PrefixInUse")
        await stage.until(lambda: at.files == {"pods": (kept,)})
        row = stage.row(node)
        assert row["status"] == "attached"
        assert row["message"].startswith(f"{goes} is given back once no pod has an address of it (")
        await stage.until(lambda: stage.told("PrefixInUse"))
        ready = stage.condition("Ready")
        assert (ready["status"], ready["reason"]) == ("False", "Updating")
        assert f"{goes} is given back once" in ready["message"]
        leaving = [address for address in sorted(at.pods) if address in pods_of(goes)]
        for address in leaving[1:]:
            at.pods.discard(address)
        last = leaving[0]
        await stage.until(lambda: stage.row(node)["message"].endswith(f"({last})"))
        assert stage.calls()[UNASSIGN] == 0
        at.pods.discard(last)
        await stage.until(lambda: prefixes(stage) == [kept])
        await stage.until(lambda: stage.condition("Ready").get("status") == "True")
    assert len(at.pods) == 16


def pods_of(prefix: str) -> set[str]:

    return {str(address) for address in ipaddress.ip_network(prefix)}


async def test_the_prefix_that_no_pod_uses_is_the_one_that_goes(stage: Stage) -> None:
    node = await stage.node()
    stage.apply(**PODS, ipv4PrefixCount=2)
    async with stage.controller(), manager(stage, node) as at:
        await stage.until_attached(node)
        await stage.until(lambda: at.files)
        _, last = prefixes(stage)
        at.pods.add(min(pods_of(last)))
        await stage.until(lambda: network_of(stage, node).get("used") == 1)
        stage.apply(**PODS, ipv4PrefixCount=1)
        await stage.until(lambda: prefixes(stage) == [last])
        await stage.until(lambda: at.files == {"pods": (last,)})
        assert stage.told("PrefixInUse") == []


async def test_without_the_managers_word_no_prefix_is_given_back(stage: Stage) -> None:
    node = await stage.node()
    stage.apply(**PODS, ipv4PrefixCount=2)
    async with stage.controller(), manager(stage, node) as at:
        await stage.until_attached(node)
        await stage.until(lambda: at.files)
        at.answers = False
        stage.apply(**PODS, ipv4PrefixCount=1)
        await stage.until(lambda: "has said that no pod" in stage.row(node).get("message", ""))
        await stage.stays(lambda: len(prefixes(stage)) == 2, 0.5)
        at.answers = True
        await stage.until(lambda: len(prefixes(stage)) == 1)


async def test_a_prefix_more_is_in_the_file_at_once(stage: Stage) -> None:
    node = await stage.node()
    stage.apply(**PODS)
    async with stage.controller(), manager(stage, node) as at:
        await stage.until_attached(node)
        before = await running(stage, node, at, 16)
        stage.apply(**PODS, ipv4PrefixCount=2)
        await stage.until(lambda: at.files == {"pods": tuple(prefixes(stage))} and len(prefixes(stage)) == 2)
        assert set(before) == at.pods


async def test_without_the_field_the_file_goes_and_the_prefixes_stay(stage: Stage) -> None:
    node = await stage.node()
    stage.apply(**PODS)
    async with stage.controller(), manager(stage, node) as at:
        await stage.until_attached(node)
        await running(stage, node, at, 1)
        stage.kube.patch("networking.k8s.aws", "nodeenis", NAME, {"spec": {"podNetwork": None}})
        await stage.until(lambda: not at.files)
        await stage.until(lambda: network_of(stage, node).get("state") == "Withdrawn")
        assert len(prefixes(stage)) == 1
    assert (stage.calls()[UNASSIGN], stage.calls()[DETACH]) == (0, 0)


async def test_two_networks_of_one_name_on_a_node_are_one_too_many(stage: Stage) -> None:
    node = await stage.node()
    stage.apply(**PODS)
    async with stage.controller(), manager(stage, node):
        await stage.until_attached(node)
        made = stage.calls()
        stage.apply("second", **PODS, deviceIndex=3)
        await stage.until(lambda: stage.row(node, "second").get("reason") == "PodNetworkTaken")
        assert f"the NodeENIs {NAME} and second both ask for" in stage.row(node, "second")["message"]
        await asyncio.sleep(0)
        assert stage.calls() == made


async def test_an_edit_does_not_take_the_network_of_pods_that_run(stage: Stage) -> None:
    node = await stage.node()
    stage.apply(podNetwork={"name": "other"})
    stage.apply("second", **PODS, deviceIndex=3)
    async with stage.controller(), manager(stage, node) as at:
        await stage.until_attached(node)
        await stage.until(lambda: set(at.files) == {"other", "pods"})
        before = at.files["pods"]
        stage.apply(**PODS)  # the older one asks for the younger one's
        await stage.until(lambda: stage.row(node).get("reason") == "PodNetworkTaken")
        await stage.until(lambda: at.files == {"pods": before})
        assert "and second has it" in stage.row(node)["message"]
        assert "reason" not in stage.row(node, "second")


async def test_a_link_in_a_pod_is_told_of_before_its_eni_goes(stage: Stage) -> None:
    node = await stage.node()
    stage.apply()
    async with stage.controller(), manager(stage, node) as at:
        await stage.until_attached(node)
        at.link_in_pod = True
        await stage.until(lambda: "inPod" in str((stage.world.eninode(node.name) or {}).get("status")))
        stage.delete()
        await stage.until_deleted()
        ((_, told),) = stage.told("PodsLoseNetwork")
        assert "its link is in a pod: delete that pod before" in told


async def test_killed_while_it_waits_for_the_file_the_next_one_goes_on(stage: Stage) -> None:
    node = await stage.node()
    stage.apply(**PODS)
    async with manager(stage, node) as at:
        async with stage.controller() as first:
            await stage.until_attached(node)
            await running(stage, node, at, 1)
            at.answers = False
            stage.delete()
            await stage.until(lambda: stage.row(node).get("reason") == "PodNetworkEnding")
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)
        assert stage.calls()[DETACH] == 0
        async with stage.controller():
            at.answers = True
            await stage.until_deleted()
    assert at.attached_when_it_went == [True]
    assert stage.ours() == []


async def test_an_eni_that_never_had_pods_waits_for_no_file_of_a_manager_that_is_behind(stage: Stage) -> None:
    """Such as one that does not run: the ENI would stay for half a minute, and be told to have pods."""
    node = await stage.node()
    stage.apply()
    async with stage.controller(), manager(stage, node) as at:
        await stage.until_attached(node)
        await stage.until(lambda: (stage.world.eninode(node.name) or {}).get("status"))
        at.answers = False
        stage.apply("second", deviceIndex=3)
        await stage.until_attached(node, name="second")
        stage.ec2.faults.error(DETACH, "RequestLimitExceeded", times=3)
        stage.delete("second")
        await stage.until(lambda: not stage.ours("second"), withdrawals.FILE_WAIT / 2)

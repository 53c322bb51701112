"""Definitions of an earlier version, then ours: statuses stay as they stand, and what is new is filled in."""

import copy
import time
from collections.abc import Callable
from typing import Any

from nodeeni.api.crd import eninode_crd, nodeeni_crd
from nodeeni.api.names import GROUP

from .conftest import NAME, Object, Stage


def without(definition: Object, cut: Callable[[Any], None]) -> Object:
    older = copy.deepcopy(definition)
    cut(older["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"])
    return older


def of_nodeenis(properties: Any) -> None:
    """As it was before a NodeENI was `Pending` from its creation on."""
    del properties["status"]["default"]
    del properties["status"]["properties"]["conditions"]["default"]


def of_eninodes(properties: Any) -> None:
    """As it was before anything was counted."""
    del properties["spec"]["properties"]["enis"]
    del properties["status"]["properties"]["linksUp"]


async def test_newer_definitions_and_a_restart_change_no_status_and_fill_in_the_counts(stage: Stage) -> None:
    stage.kube.apply(without(nodeeni_crd(), of_nodeenis))
    stage.kube.apply(without(eninode_crd(), of_eninodes))
    node = await stage.node()
    stage.apply()
    async with stage.controller():
        await stage.until_attached(node)
        await stage.until(lambda: stage.condition("Ready").get("status") == "True")
        await stage.until(lambda: stage.condition("Progressing").get("status") == "False")
    before = stage.world.nodeeni(NAME)
    stage.kube.apply(nodeeni_crd())
    stage.kube.apply(eninode_crd())
    assert stage.world.nodeeni(NAME) == before
    async with stage.controller():
        await stage.until(lambda: (stage.world.eninode(node.name) or {})["spec"].get("enis") == 1)
        await stage.stays(lambda: stage.world.nodeeni(NAME) == before, seconds=2.0)


async def test_one_that_no_version_reported_on_is_pending_and_then_as_it_is(stage: Stage) -> None:
    stage.kube.apply(without(nodeeni_crd(), of_nodeenis))
    node = await stage.node()
    stage.apply()
    assert stage.status() == {}
    stage.kube.apply(nodeeni_crd())
    await stage.until(lambda: stage.condition("Ready").get("reason") == "Pending")
    assert stage.condition("Ready")["status"] == "Unknown"
    async with stage.controller():
        await stage.until_attached(node)
        await stage.until(lambda: stage.condition("Ready")["status"] == "True")


def of_newer_fields(properties: Any) -> None:
    """As the release before had it, without what a spec has learnt since and the rules about that."""
    spec = properties["spec"]
    for name in NEWER:
        del spec["properties"][name]
    rules = spec["x-kubernetes-validations"]
    spec["x-kubernetes-validations"] = [r for r in rules if not any(name in r["rule"] for name in NEWER)]


NEWER: Object = {
    "connectionTracking": {"tcpEstablishedTimeout": 600},
    "enaExpress": {"enabled": True},
    "enaQueueCount": 8,
    "secondaryPrivateIPCount": 2,
    "ipv4PrefixCount": None,
    "ipv6AddressCount": None,
    "ipv6PrefixCount": None,
    "enablePrimaryIPv6": None,
    "vpcID": None,
}


async def test_an_older_chart_over_objects_with_newer_fields_takes_no_eni_away(stage: Stage) -> None:
    node = await stage.node(type="c6in.16xlarge")
    stage.apply(**NEWER)
    async with stage.controller():
        await stage.until_attached(node)
        await stage.until(lambda: stage.calls()["ModifyNetworkInterfaceAttribute"] == 1)
    (before,), calls = stage.ours(), stage.calls()
    stage.kube.apply(without(nodeeni_crd(), of_newer_fields))
    # A real API server takes a definition in after a moment of its own.
    await stage.until(lambda: not NEWER.keys() & _written(stage)["spec"].keys())
    async with stage.controller():
        await stage.until(lambda: _settings(stage)[:2] == (432000, False))
        await stage.until(lambda: stage.condition("Ready")["status"] == "True")
    (under_the_older,) = stage.ours()
    ids = [(each.id, each.attachment and each.attachment.id) for each in (before, under_the_older)]
    assert ids[0] == ids[1]
    assert under_the_older.private_ips == before.private_ips, "what no field asks for stays"
    assert stage.calls() - calls == {"ModifyNetworkInterfaceAttribute": 2}
    stage.kube.apply(nodeeni_crd())
    await stage.until(lambda: "enaExpress" in stage.apply(**NEWER)["spec"])
    async with stage.controller():
        await stage.until(lambda: _settings(stage) == (600, True, 8))
        await stage.until(lambda: stage.condition("Ready")["status"] == "True")
    assert [each.id for each in stage.ours()] == [before.id]


def _written(stage: Stage) -> Object:
    """The NodeENI after a write, which drops what its definition does not know."""
    return stage.kube.patch(GROUP, "nodeenis", NAME, {"metadata": {"labels": {"at": f"{time.monotonic()}"}}})


def _settings(stage: Stage) -> tuple[int | None, bool, int | None]:
    ((eni, attachment),) = [(each, each.attachment) for each in stage.ours() if each.attachment is not None]
    return eni.tcp_established_timeout, bool(attachment.ena_srd_enabled), attachment.ena_queue_count


ADDRESSES = ("secondaryPrivateIPAddresses", "ipv4Prefixes", "ipv6Addresses", "ipv6Prefixes")


def of_shown_addresses(properties: Any) -> None:
    """As it was before addresses were shown: of NodeENIs in the status, of ENINodes in the spec."""
    status, spec = properties["status"]["properties"], properties["spec"]["properties"]
    for field in ADDRESSES:
        (status["attachments"] if "attachments" in status else spec["interfaces"])["items"]["properties"].pop(
            field, None
        )


async def test_addresses_that_older_definitions_drop_are_not_said_again_and_again(stage: Stage) -> None:
    stage.kube.apply(without(nodeeni_crd(), of_shown_addresses))
    stage.kube.apply(without(eninode_crd(), of_shown_addresses))
    node = await stage.node()
    stage.apply(secondaryPrivateIPCount=2)
    async with stage.controller():
        await stage.until_attached(node)
        await until_nothing_is_written(stage, node.name)
        assert not set(ADDRESSES) & stage.row(node).keys()
    stage.kube.apply(nodeeni_crd())
    stage.kube.apply(eninode_crd())
    async with stage.controller():
        stage.apply(secondaryPrivateIPCount=3)
        await stage.until(lambda: len(stage.row(node).get("secondaryPrivateIPAddresses", ())) == 3)


async def until_nothing_is_written(stage: Stage, node: str, seconds: float = 3.0) -> None:
    """The NodeENI and the node's ENINode stand still for so long."""
    seen, since = [stage.world.nodeeni(NAME), stage.world.eninode(node)], time.monotonic()

    def still() -> bool:
        nonlocal seen, since
        now = [stage.world.nodeeni(NAME), stage.world.eninode(node)]
        if now != seen:
            seen, since = now, time.monotonic()
        return time.monotonic() > since + seconds

    await stage.until(still)


def before_pod_networks(properties: Any) -> None:
    """Of either kind, as they were before a NodeENI could ask for a network of pods."""
    spec = properties["spec"]["properties"]
    spec.pop("podNetwork", None)
    if "interfaces" in spec:
        for field in ("podNetwork", "subnetIPv6CIDR"):
            del spec["interfaces"]["items"]["properties"][field]
        link = properties["status"]["properties"]["interfaces"]["items"]["properties"]
        del link["podNetwork"], link["inPod"]


def without_rules(definition: Object) -> Object:
    older = without(definition, before_pod_networks)
    schema = older["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema.pop("x-kubernetes-validations", None)
    rules = schema["properties"]["spec"].get("x-kubernetes-validations", [])
    rules[:] = [rule for rule in rules if "podNetwork" not in rule["rule"]]
    return older


async def test_definitions_without_pod_networks_leave_the_prefix_and_take_no_eni_away(stage: Stage) -> None:
    node = await stage.node()
    stage.apply(podNetwork={"name": "pods"})
    async with stage.controller():
        await stage.until_attached(node)
        (made,) = stage.ours()
        # A real API server takes definitions in after a moment of its own, one after the other.
        stage.kube.apply(without_rules(eninode_crd()))
        stage.kube.apply(without_rules(nodeeni_crd()))
        await stage.until(lambda: "podNetwork" not in _written(stage)["spec"])
        stage.apply(description="edited")  # as one that knows no such field writes it

        def is_edited() -> bool:
            return [i.description for i in stage.ours()] == ["edited"]

        await stage.until(is_edited)
        await stage.stays(lambda: [i.ipv4_prefixes for i in stage.ours()] == [made.ipv4_prefixes])
        stage.kube.apply(eninode_crd())
        stage.kube.apply(nodeeni_crd())
        await stage.until(lambda: "podNetwork" in stage.apply(podNetwork={"name": "pods"})["spec"])

        def told() -> Any:
            (entry,) = (stage.world.eninode(node.name) or {})["spec"]["interfaces"]
            return entry.get("podNetwork", {}).get("prefixes")

        await stage.until(lambda: told() == list(made.ipv4_prefixes))
    assert [i.id for i in stage.ours()] == [made.id]

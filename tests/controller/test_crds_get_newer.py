"""Definitions of an earlier version, then ours: statuses stay as they stand, and what is new is filled in."""

import copy
from collections.abc import Callable
from typing import Any

from nodeeni.api.crd import eninode_crd, nodeeni_crd

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

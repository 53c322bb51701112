"""From f7e1c1b, the build before its objects counted and were born Pending: Ready never flickers."""

import copy
from typing import Any

import pytest
from tests.contract.processes import real_is_wanted
from tests.controller.conftest import NAME, Object, Stage

from nodeeni.api.crd import eninode_crd, nodeeni_crd

NEW = {"enis", "linksUp", "primary", "note"}  # members of an ENINode


def as_before(definition: Object) -> Object:
    """The CRD without what came since: members of an ENINode, defaults of a status."""
    old = copy.deepcopy(definition)
    version = old["spec"]["versions"][0]
    status = version["schema"]["openAPIV3Schema"]["properties"]["status"]
    status.pop("default", None)
    status["properties"].get("conditions", {}).pop("default", None)
    if old["spec"]["names"]["kind"] == "ENINode":
        _drop(version["schema"])
    version["additionalPrinterColumns"] = []
    return old


def _drop(schema: Any) -> None:
    if isinstance(schema, dict):
        for name in NEW & schema.get("properties", {}).keys():
            del schema["properties"][name]
        for member in schema.values():
            _drop(member)


@pytest.mark.skipif(real_is_wanted(), reason="a real API server takes a CRD in after a while of its own")
async def test_ready_stays_true_and_the_status_is_not_written(stage: Stage) -> None:
    for definition in (nodeeni_crd(), eninode_crd()):
        stage.kube.apply(as_before(definition))
    nodes = [await stage.node() for _ in range(3)]
    stage.apply()
    async with stage.controller():
        await stage.until_attached(*nodes)
        await stage.until(lambda: stage.condition("Ready").get("status") == "True")
        await stage.until(lambda: stage.calls()["ModifyNetworkInterfaceAttribute"] == 3)
        await stage.until(lambda: stage.condition("Progressing").get("status") == "False")
    enis, calls = {i.id for i in stage.ours()}, stage.calls()
    before = stage.world.nodeeni(NAME)
    assert before is not None
    assert all("enis" not in (stage.world.eninode(node.name) or {})["spec"] for node in nodes)
    for definition in (nodeeni_crd(), eninode_crd()):
        stage.kube.apply(definition)

    def upgraded() -> bool:
        assert stage.condition("Ready") == ready
        return all((stage.world.eninode(node.name) or {})["spec"].get("enis") == 1 for node in nodes)

    ready = stage.condition("Ready")
    async with stage.controller():
        await stage.until(upgraded)
        await stage.stays(lambda: stage.world.nodeeni(NAME) == before, 1.5)
    assert ({i.id for i in stage.ours()}, stage.calls()) == (enis, calls)

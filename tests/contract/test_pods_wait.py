"""Pods are not scheduled on a node before its link is up: by our startup taint, and by the Node Readiness
Controller's rule of examples/. The scheduler and that controller are the real ones (`make pods-wait`).
"""

import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hack.apiserver.processes import start_program
from hack.render import STARTUP_TAINT
from tests.contract.processes import real_is_wanted
from tests.contract.real import RealKube
from tests.controller.conftest import LABELS, Stage

from nodeeni.sandbox.world import WorldNode

PROGRAMS = ("NODEENI_KUBERNETES", "NODEENI_READINESS_CONTROLLER")
pytestmark = pytest.mark.skipif(
    not real_is_wanted() or any(not os.environ.get(name) for name in PROGRAMS),
    reason="a real scheduler and the Node Readiness Controller: make pods-wait",
)

Object = dict[str, Any]
ROOT = Path(__file__).parents[2]
FLAGS = ("--require-link-up", "--enable-leader-election")
RULES = "/apis/readiness.node.x-k8s.io/v1alpha1/nodereadinessrules"
RULES_TAINT = {"key": "readiness.k8s.io/nodeenis", "value": "pending", "effect": "NoSchedule"}


@pytest.fixture
async def scheduled(stage: Stage, kube: RealKube, tmp_path: Path) -> AsyncIterator[Path]:
    """The real scheduler at work; gives the kubeconfig of an administrator."""
    config = tmp_path / "admin.kubeconfig"
    config.write_text(kube.kubeconfig(kube.server.admin))
    (tmp_path / "kube-scheduler").symlink_to(os.environ["NODEENI_KUBERNETES"])
    kube.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}})
    with contextlib.ExitStack() as parts:
        scheduler = str(tmp_path / "kube-scheduler")
        start_program(
            parts, tmp_path, scheduler, f"--kubeconfig={config}", "--leader-elect=false", "--secure-port=0"
        )
        yield config


def born(stage: Stage, taint: Object) -> WorldNode:
    """A node whose kubelet registers it with that taint, and is Ready."""
    node, registration = stage.world.launch(labels=LABELS)
    stage.kube.create(registration)
    stage.kube.patch("", "nodes", node.name, {"spec": {"taints": [taint]}})  # as kubelet and control plane
    room = {"cpu": "4", "memory": "16Gi", "pods": "110"}
    status = {"status": {"capacity": room, "allocatable": room}}
    stage.kube.patch("", "nodes", node.name, status, subresource="status")
    return node


def wanted(stage: Stage, name: str) -> None:
    stage.kube.create(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"nodeSelector": LABELS, "containers": [{"name": "c", "image": "registry.example/upf"}]},
        }
    )


def pod(stage: Stage, name: str) -> tuple[str, str]:
    """The node that the pod was given, and what the scheduler says where it was given none."""
    found = stage.kube.get("", "pods", name, "default") or {}
    told = {c["type"]: c.get("message", "") for c in found.get("status", {}).get("conditions", ())}
    return found["spec"].get("nodeName", ""), told.get("PodScheduled", "")


def condition(stage: Stage, node: WorldNode) -> str:
    found = stage.kube.get("", "nodes", node.name) or {}
    told = {c["type"]: c["status"] for c in found["status"].get("conditions", ())}
    return str(told.get("NodeENIsReady", ""))


def taints(stage: Stage, node: WorldNode) -> list[str]:
    found = stage.kube.get("", "nodes", node.name) or {}
    return [taint["key"] for taint in found["spec"].get("taints", ())]


async def lives_through_it(stage: Stage, node: WorldNode, key: str) -> None:
    """A pod waits for the attach, then for the link, and then for nothing any more."""
    wanted(stage, "first")
    await stage.until(lambda: "untolerated taint" in pod(stage, "first")[1])
    stage.apply()
    async with stage.controller(*FLAGS):
        await stage.until_attached(node)
        await stage.until(lambda: condition(stage, node) == "False")
        await stage.stays(lambda: pod(stage, "first")[0] == "" and key in taints(stage, node), 2.0)
        stage.report_link(node, "Up")
        await stage.until(lambda: pod(stage, "first")[0] == node.name)
        assert condition(stage, node) == "True"
        assert taints(stage, node) == []
        stage.report_link(node, "Down", message="setting it up failed: EBUSY")
        await stage.until(lambda: condition(stage, node) == "False")
        await stage.stays(lambda: taints(stage, node) == [], 2.0)
        wanted(stage, "second")
        await stage.until(lambda: pod(stage, "second")[0] == node.name)


async def test_a_pod_waits_for_the_startup_taint_to_go(stage: Stage, scheduled: Path) -> None:
    node = born(stage, {"key": STARTUP_TAINT, "effect": "NoSchedule"})
    await lives_through_it(stage, node, STARTUP_TAINT)


async def test_a_pod_waits_for_the_rule_of_the_node_readiness_controller(
    stage: Stage, kube: RealKube, scheduled: Path, tmp_path: Path
) -> None:
    place = Path(os.environ["NODEENI_READINESS_CONTROLLER"])
    kube.create(msgspec.yaml.decode((place / "crd.yaml").read_bytes()))
    rule = (ROOT / "examples" / "readiness" / "node-readiness-rule.yaml").read_bytes()
    with contextlib.ExitStack() as parts:
        program, config = str(place / "node-readiness-controller"), f"--kubeconfig={scheduled}"
        start_program(parts, tmp_path, program, config, "--health-probe-bind-address=0")
        node = born(stage, RULES_TAINT)
        code, answer = kube.call("POST", RULES, msgspec.yaml.decode(rule))
        assert code == 201, answer
        await lives_through_it(stage, node, RULES_TAINT["key"])

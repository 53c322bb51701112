"""Of Nodes the controller may change its condition and take its startup taint off, and nothing else.

RBAC alone would let it change all of them. What the admission policy makes of it, on a real API server.
"""

import copy
import time
from collections.abc import Callable
from typing import Any

import pytest
from hack.apiserver import accounts
from hack.apiserver.accounts import CONTROLLER
from hack.render import STARTUP_TAINT, rendered
from tests.contract.processes import real_is_wanted
from tests.contract.real import RealKube
from tests.needs import program

from nodeeni.kube.client import JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH

pytestmark = pytest.mark.skipif(not real_is_wanted(), reason="the sandbox's API server has no rights")

Object = dict[str, Any]
NODE = "/api/v1/nodes/n1"
STATUS = f"{NODE}/status"
OURS = {"type": "NodeENIsReady", "status": "True", "reason": "ENIsReady", "message": "m"}
READY = {"type": "Ready", "status": "True", "reason": "KubeletReady"}
OTHER_TAINT = {"key": "dedicated", "value": "upf", "effect": "NoSchedule"}


def a_node(kube: RealKube) -> Object:
    """As a kubelet registers it."""
    return kube.create(
        {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": "n1", "labels": {"ng": "multi-eni"}, "annotations": {"a": "b"}},
            "spec": {
                "providerID": "aws:///us-west-2a/i-0123456789abcdef0",
                "taints": [OTHER_TAINT, {"key": STARTUP_TAINT, "effect": "NoSchedule"}],
            },
            "status": {
                "capacity": {"cpu": "4", "memory": "16Gi"},
                "allocatable": {"cpu": "4"},
                "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}],
                "images": [{"names": [f"registry.example/{i}"], "sizeBytes": i} for i in range(50)],
                "conditions": [READY, {"type": "DiskPressure", "status": "False"}],
            },
        }
    )


def as_it_is(kube: RealKube) -> Object:
    """But for what every write changes."""
    node = copy.deepcopy(kube.get("", "nodes", "n1") or {})
    for field in ("resourceVersion", "managedFields"):
        node["metadata"].pop(field)
    return node


def until(holds: Callable[[], bool], timeout: float = 20.0) -> None:
    deadline = time.monotonic() + timeout
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def confined(kube: RealKube) -> str:
    """A token of the controller, once the policy is in effect, which takes a moment after it was made."""
    token = accounts.token(kube, CONTROLLER)
    until(lambda: kube.call("PATCH", f"{NODE}?dryRun=All", LABEL, MERGE_PATCH, token=token)[0] == 403)
    return token


LABEL: Object = {"metadata": {"labels": {"stolen": "yes"}}}
REFUSED: dict[str, tuple[str, Any, str]] = {
    "a label": (NODE, LABEL, MERGE_PATCH),
    "a label by the status": (STATUS, LABEL, MERGE_PATCH),
    "a label taken off": (STATUS, {"metadata": {"labels": {"ng": None}}}, MERGE_PATCH),
    "an annotation": (NODE, {"metadata": {"annotations": {"c": "d"}}}, MERGE_PATCH),
    "an annotation changed by the status": (STATUS, {"metadata": {"annotations": {"a": "x"}}}, MERGE_PATCH),
    "a finalizer": (NODE, {"metadata": {"finalizers": ["example.com/f"]}}, MERGE_PATCH),
    "an owner": (
        STATUS,
        {"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "x", "uid": "x"}]}},
        MERGE_PATCH,
    ),
    "capacity": (STATUS, {"status": {"capacity": {"cpu": "400"}}}, MERGE_PATCH),
    "capacity of a new kind": (STATUS, {"status": {"capacity": {"example.com/gpu": "9"}}}, MERGE_PATCH),
    "allocatable, all of it": (STATUS, {"status": {"allocatable": None}}, MERGE_PATCH),
    "addresses": (
        STATUS,
        {"status": {"addresses": [{"type": "InternalIP", "address": "10.9.9.9"}]}},
        MERGE_PATCH,
    ),
    "a port": (STATUS, {"status": {"daemonEndpoints": {"kubeletEndpoint": {"Port": 1}}}}, MERGE_PATCH),
    "what it runs": (STATUS, {"status": {"nodeInfo": {"kubeletVersion": "v9"}}}, MERGE_PATCH),
    "images": (STATUS, {"status": {"images": []}}, MERGE_PATCH),
    "volumes": (
        STATUS,
        {"status": {"volumesAttached": [{"name": "v", "devicePath": "/dev/x"}]}},
        MERGE_PATCH,
    ),
    "Ready": (STATUS, {"status": {"conditions": [{"type": "Ready", "status": "False"}]}}, STRATEGIC_PATCH),
    "Ready beside ours": (
        STATUS,
        {"status": {"conditions": [OURS, {**READY, "message": "m"}]}},
        STRATEGIC_PATCH,
    ),
    "Ready taken away": (
        STATUS,
        {"status": {"conditions": [{"type": "Ready", "$patch": "delete"}]}},
        STRATEGIC_PATCH,
    ),
    "a condition of another name": (
        STATUS,
        {"status": {"conditions": [{**OURS, "type": "CalicoIsUp"}]}},
        STRATEGIC_PATCH,
    ),
    "ours alone": (STATUS, {"status": {"conditions": [OURS]}}, MERGE_PATCH),
    "cordoned": (NODE, {"spec": {"unschedulable": True}}, MERGE_PATCH),
    "pods' addresses": (NODE, {"spec": {"podCIDR": "10.9.0.0/24", "podCIDRs": ["10.9.0.0/24"]}}, MERGE_PATCH),
    "a taint put on": (
        NODE,
        [{"op": "add", "path": "/spec/taints/-", "value": {"key": "x", "effect": "NoExecute"}}],
        JSON_PATCH,
    ),
    "our taint put on with another effect": (
        NODE,
        [{"op": "replace", "path": "/spec/taints/1/effect", "value": "NoExecute"}],
        JSON_PATCH,
    ),
    "another taint taken off": (NODE, [{"op": "remove", "path": "/spec/taints/0"}], JSON_PATCH),
    "all taints taken off": (NODE, {"spec": {"taints": None}}, MERGE_PATCH),
    "our taint and a label": (
        NODE,
        [
            {"op": "remove", "path": "/spec/taints/1"},
            {"op": "add", "path": "/metadata/labels/stolen", "value": "yes"},
        ],
        JSON_PATCH,
    ),
}


def test_of_a_node_the_controller_changes_nothing_else(kube: RealKube) -> None:
    a_node(kube)
    token = confined(kube)
    before = as_it_is(kube)
    passed = {}
    for what, (path, patch, kind) in REFUSED.items():
        code, answer = kube.call("PATCH", path, patch, kind, token=token)
        if code != 403 or "the controller of nodeeni changes no" not in answer["message"]:
            passed[what] = (code, answer.get("message"))
    assert passed == {}
    assert as_it_is(kube) == before


def test_of_a_node_the_controller_changes_its_condition_and_takes_its_taint_off(kube: RealKube) -> None:
    a_node(kube)
    token = confined(kube)
    before = as_it_is(kube)

    def patched(path: str, patch: Any, kind: str) -> Object:
        code, answer = kube.call("PATCH", path, patch, kind, token=token)
        assert code == 200, answer
        return as_it_is(kube)

    def with_ours(node: Object, **more: Any) -> list[Object]:
        return sorted([*node["status"]["conditions"], {**OURS, **more}], key=str)

    told = patched(STATUS, {"status": {"conditions": [OURS]}}, STRATEGIC_PATCH)
    shown = [{k: v for k, v in c.items() if not k.startswith("last")} for c in told["status"]["conditions"]]
    was = [{k: v for k, v in c.items() if not k.startswith("last")} for c in with_ours(before)]
    assert sorted(shown, key=str) == sorted(was, key=str)
    patched(STATUS, {"status": {"conditions": [{**OURS, "status": "False"}]}}, STRATEGIC_PATCH)
    gone = [{"type": "NodeENIsReady", "$patch": "delete"}]
    assert patched(STATUS, {"status": {"conditions": gone}}, STRATEGIC_PATCH) == before
    after = patched(NODE, [{"op": "remove", "path": "/spec/taints/1"}], JSON_PATCH)
    before["spec"]["taints"] = [each for each in before["spec"]["taints"] if each["key"] != STARTUP_TAINT]
    assert after == before


def test_others_are_not_held_to_it(kube: RealKube) -> None:
    a_node(kube)
    confined(kube)
    assert kube.call("PATCH", NODE, LABEL, MERGE_PATCH)[0] == 200


@pytest.mark.parametrize(
    ("value", "path", "patch", "kind", "message"),
    [
        (
            "nodeCondition=true",
            NODE,
            [{"op": "remove", "path": "/spec/taints/1"}],
            JSON_PATCH,
            "the controller of nodeeni changes no taint",
        ),
        (
            f"startupTaint={STARTUP_TAINT}",
            STATUS,
            {"status": {"conditions": [OURS]}},
            STRATEGIC_PATCH,
            "the controller of nodeeni changes no condition of a Node",
        ),
    ],
    ids=["the condition alone", "the taint alone"],
)
def test_with_one_of_the_two_the_other_is_refused(
    kube: RealKube, value: str, path: str, patch: Any, kind: str, message: str
) -> None:
    """By the policy, even where a role would permit it."""
    program("helm")
    a_node(kube)
    name = "eni-controller-nodes"
    for obj in rendered("image.repository=registry.example/nodeeni", f"controller.settings.{value}"):
        if obj["metadata"]["name"] == name and obj["kind"] == "ValidatingAdmissionPolicy":
            kube.apply(obj)
    try:
        token = confined(kube)
        refused = kube.call("PATCH", f"{path}?dryRun=All", patch, kind, token=token)
        until(lambda: kube.call("PATCH", f"{path}?dryRun=All", patch, kind, token=token)[0] == 403)
        refused = kube.call("PATCH", path, patch, kind, token=token)
        assert refused[0] == 403
        assert refused[1]["message"].endswith(message)
    finally:
        accounts.install(kube)

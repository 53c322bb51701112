"""The rights that the shipped manifests give: enough for all the work, and none to spare.

Only a real API server knows of rights; the audit log says which of them were used. `docs/rights.md` lists
them with what each is for, test_rights_one_by_one.py takes each away.
"""

import asyncio
import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from hack.apiserver import accounts
from hack.apiserver.accounts import CONTROLLER, MANAGER
from hack.apiserver.server import MERGE_PATCH
from hack.render import STARTUP_TAINT
from tests.agent.situation import NODE, a_node
from tests.contract.processes import real_is_wanted
from tests.contract.real import RealKube
from tests.contract.scenes import ENINODES, NODEENIS, eninode, nodeeni
from tests.controller.conftest import Stage

from nodeeni.api.names import NAMESPACE, interface_tags
from nodeeni.sandbox.kube import KubeServer
from nodeeni.sandbox.world import SUBNET

pytestmark = pytest.mark.skipif(not real_is_wanted(), reason="the sandbox's API server has no rights")

MAC = "02:00:00:00:00:01"
Object = dict[str, Any]


async def all_the_work(stage: Stage) -> None:
    """Once through everything that the controller does in Kubernetes."""
    staying, leaving, dying = [await stage.node() for _ in range(3)]
    taint = {"key": STARTUP_TAINT, "effect": "NoSchedule"}
    stage.kube.patch("", "nodes", staying.name, {"spec": {"taints": [taint]}})
    stage.apply()
    orphan_of(stage)
    flags = ("--enable-leader-election", "--resync-period=1s", "--orphan-grace-period=1s")
    async with stage.controller(*flags):
        await stage.until_attached(staying, leaving, dying)
        await stage.until(lambda: tells_that_it_is_ready(stage, staying.name))
        await stage.until(lambda: not (stage.kube.get("", "nodes", staying.name) or {})["spec"].get("taints"))
        stage.apply(mtu=9001)  # the node's ENI manager is told by its ENINode
        await stage.until(lambda: mtus(stage, staying.name) == [9001])
        stage.world.label(leaving.name, ng=None)
        stage.ec2.terminate(dying.instance_id)
        await stage.until(lambda: stage.world.eninode(leaving.name) is None)
        await stage.until(lambda: len(stage.ours()) == 1)
        told = await doctor(stage)
        assert {line[0] for line in told.splitlines()} == {"✓"}, told
        for subnet in ("subnet-0dead0000dead0000", SUBNET, "subnet-0dead0000dead0000"):
            stage.apply(subnetID=subnet)
            failed = int(subnet != SUBNET)
            await stage.until(lambda failed=failed: stage.status().get("failed") == failed)  # type: ignore[misc]
        await stage.until(lambda: any(event["count"] > 1 for event in stage.kube.objects("", "events")))
        stage.delete()
        await stage.until_deleted()
    assert stage.ours() == []
    async with stage.controller(*flags):  # another holder takes the lease that is there
        await stage.until(lambda: stage.kube.objects("coordination.k8s.io", "leases"))
        await stage.node(matching=True)


def tells_that_it_is_ready(stage: Stage, node: str) -> bool:
    found = (stage.kube.get("", "nodes", node) or {}).get("status", {}).get("conditions", [])
    return any(each["type"] == "NodeENIsReady" and each["status"] == "True" for each in found)


def mtus(stage: Stage, node: str) -> list[int | None]:
    eninode = stage.world.eninode(node)
    return [entry.get("mtu") for entry in eninode["spec"]["interfaces"]] if eninode else []


async def doctor(stage: Stage) -> str:
    """What `nodeeni doctor` prints, with what the controller's pod has."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "nodeeni.cli.main", "doctor"),
        env={**os.environ, **stage.environment, "COLUMNS": "1000"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    return out.decode()


def orphan_of(stage: Stage) -> None:
    """An ENI of ours whose NodeENI is gone."""
    namespace = stage.kube.get("", "namespaces", "kube-system")
    assert namespace is not None
    tags = interface_tags(
        cluster_id=namespace["metadata"]["uid"], nodeeni="gone", uid="u-gone", node="n", instance_id="i-gone"
    )
    stage.ec2.plant_interface(stage.world.subnets["a"], tags=tags)


async def test_the_controller_does_all_its_work_and_has_no_right_to_spare(
    kube: RealKube, stage: Stage
) -> None:
    await all_the_work(stage)
    await used_what_was_given(kube, CONTROLLER)


async def test_the_manager_does_all_its_work_and_has_no_right_to_spare(
    kube: RealKube, tmp_path: Path
) -> None:
    token = accounts.token(kube, MANAGER, NODE)
    async with a_node(cast("KubeServer", kube), tmp_path) as node:
        node.kernel.add_primary()
        node.list_links({"macAddress": MAC, "mtu": 9001, "interfaceName": "multus"})
        await node.start_agent(kubeconfig=kube.kubeconfig(token))
        node.kernel.ip(node.kernel.adding("eth1", MAC))
        await node.until_reported(
            {"macAddress": MAC, "linkName": "eth1", "interfaceName": "multus", "state": "Up", "mtu": 9001}
        )
        await used_what_was_given(kube, MANAGER)


async def used_what_was_given(kube: RealKube, account: str) -> None:
    """The rights that were used are those that were given; nothing was refused."""
    granted = accounts.rights(account)
    entries: list[Object] = []
    deadline = time.monotonic() + 5.0
    while True:  # an entry is written when its request has been answered
        entries += kube.audited()
        used = accounts.used(entries, account)
        if used == granted or time.monotonic() > deadline:
            break
        await asyncio.sleep(0.05)
    refused = [f"{e['verb']} {e['requestURI']}" for e in entries if e["responseStatus"]["code"] == 403]
    assert refused == []
    assert sorted(map(str, used)) == sorted(map(str, granted))


async def until(holds: Callable[[], bool], timeout: float = 10.0) -> None:
    deadline = time.monotonic() + timeout
    while not holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def test_a_manager_reports_on_its_own_node_and_no_other(kube: RealKube) -> None:
    mine = accounts.token(kube, MANAGER, "n1")
    nowhere = accounts.token(kube, MANAGER)
    for name in ("n1", "n2"):
        kube.create(eninode(name))

    def report(token: str, name: str) -> int:
        body = {"status": {"observedGeneration": 1}}
        code, _ = kube.call("PATCH", f"{ENINODES}/{name}/status", body, MERGE_PATCH, token=token)
        return code

    await until(lambda: report(mine, "n2") == 403)  # a new policy takes effect after a moment
    assert report(mine, "n1") == 200
    assert report(nowhere, "n1") == 403
    named_alone = f"system:serviceaccount:{NAMESPACE}:{MANAGER}"  # as an old token: without any extra
    for asker in ({"token": mine}, {"token": nowhere}, {"user": named_alone}):
        code, answer = kube.call("PATCH", f"{ENINODES}/n2/status", {"status": {}}, MERGE_PATCH, **asker)
        assert code == 403
        assert "an ENI manager reports on its own node only" in answer["message"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", f"{ENINODES}/n1", {"spec": {"interfaces": []}}),
        ("DELETE", f"{ENINODES}/n1", None),
        ("POST", ENINODES, eninode("n3")),
        ("GET", NODEENIS, None),
        ("POST", NODEENIS, nodeeni()),
        ("GET", "/api/v1/nodes", None),
        ("GET", "/api/v1/secrets", None),
        ("PATCH", "/api/v1/nodes/n1", {"metadata": {"labels": {"a": "b"}}}),
        ("GET", f"/api/v1/namespaces/{NAMESPACE}/pods", None),
    ],
)
def test_a_manager_may_do_nothing_else(kube: RealKube, method: str, path: str, body: Any) -> None:
    kube.create(eninode("n1"))
    token = accounts.token(kube, MANAGER, "n1")
    assert (
        kube.call(method, path, body, MERGE_PATCH if method == "PATCH" else "application/json", token=token)[
            0
        ]
        == 403
    )


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/secrets"),
        ("GET", "/api/v1/pods"),
        ("DELETE", "/api/v1/nodes/n1"),
        ("POST", "/api/v1/nodes"),
        ("PATCH", "/api/v1/nodes/n1/proxy"),
        ("DELETE", f"{NODEENIS}/multus"),
        ("PATCH", f"{ENINODES}/n1/status"),
        ("GET", "/api/v1/namespaces/default"),
        ("GET", "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/x"),
    ],
)
def test_a_controller_may_do_nothing_else(kube: RealKube, method: str, path: str) -> None:
    token = accounts.token(kube, CONTROLLER)
    assert kube.call(method, path, {} if method == "PATCH" else None, MERGE_PATCH, token=token)[0] == 403


def test_pods_of_the_controller_are_restricted_and_those_of_the_manager_are_not(kube: RealKube) -> None:
    """Pod Security: what `restricted` refuses of each pod, as the API server's own admission sees it."""
    strict = {"pod-security.kubernetes.io/enforce": "restricted"}
    kube.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "restricted", "labels": strict}}
    )
    kube.apply(
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": "default", "namespace": "restricted"},
        }
    )

    def verdict(kind: str) -> tuple[int, str]:
        template = next(o for o in accounts.workloads() if o["kind"] == kind)["spec"]["template"]
        spec = {**template["spec"], "serviceAccountName": "default"}
        spec.pop("priorityClassName", None)
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec}
        code, body = kube.call("POST", "/api/v1/namespaces/restricted/pods?dryRun=All", pod)
        return code, body.get("message", "")

    assert verdict("Deployment")[0] == 201, verdict("Deployment")
    code, message = verdict("DaemonSet")
    assert code == 403
    exceptions = message.partition('"restricted:latest": ')[2]
    assert re.sub(r" \([^)]*\)+", "", exceptions).split(", ") == [
        "host namespaces",  # the links are the node's
        "hostPort",  # said of every port of a pod in the host's network
        "probe or lifecycle host",  # its health is asked for on loopback alone
        "unrestricted capabilities",  # NET_ADMIN, to set a link up
        "runAsNonRoot != true",  # NET_ADMIN is given to root alone
        "runAsUser=0",
    ]

"""What is rendered, on a real kube-apiserver: accepted, stable, an upgrade in place, enough to work with."""

import asyncio
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from hack.apiserver import accounts
from tests.contract.processes import real_is_wanted
from tests.contract.real import RealKube
from tests.controller.conftest import Stage
from tests.deploy.conftest import CHART, IMAGE, ROOT, Template, container
from tests.deploy.real import NAMESPACE, WORKLOADS, Kubectl, typed, v1_daemon_set, v1_deployment
from tests.docs.pages import shell

from nodeeni.sandbox.ec2 import quick_settings
from nodeeni.sandbox.kube import KubeServer
from nodeeni.sandbox.world import World

pytestmark = pytest.mark.skipif(not real_is_wanted(), reason="for a real API server: make apitest")

UPGRADE = "docs/upgrade.md"
IMAGE_NAMED = ("--set", f"image.repository={IMAGE}")
FULLEST = str(Path(__file__).parent / "fullest-values.yaml")
Object = dict[str, Any]


def rendered(helm: str, *arguments: str) -> str:
    command = [helm, "template", "nodeeni", str(CHART), "--namespace", NAMESPACE, *IMAGE_NAMED, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


async def versions(kubectl: Kubectl, manifests: str) -> dict[str, str]:
    """Resource versions of what the manifests name."""
    found = json.loads(await kubectl("get", "-f", "-", "-o", "json", stdin=manifests))
    return {f"{o['kind']} {o['metadata']['name']}": o["metadata"]["resourceVersion"] for o in found["items"]}


async def test_applied_twice_from_the_server_side_nothing_changes(helm: str, kubectl: Kubectl) -> None:
    manifests = rendered(helm)
    apply = ("apply", "--server-side", "--force-conflicts", "-f", "-")
    await kubectl(*apply, stdin=manifests)
    first = await versions(kubectl, manifests)
    await kubectl(*apply, stdin=manifests)
    assert await versions(kubectl, manifests) == first
    assert len(first) == len([d for d in yaml.safe_load_all(manifests) if d])


async def test_a_server_side_dry_run_of_the_fullest_values_is_accepted(helm: str, kubectl: Kubectl) -> None:
    kinds_of_operators = ("ServiceMonitor", "PodMonitor", "PrometheusRule")  # their CRDs are not here
    documents = [d for d in yaml.safe_load_all(rendered(helm, "--values", FULLEST)) if d]
    ours = [d for d in documents if d["kind"] not in kinds_of_operators]
    assert len(documents) - len(ours) == 3
    await kubectl(
        *("apply", "--server-side", "--dry-run=server", "--force-conflicts", "-f", "-"),
        stdin=yaml.safe_dump_all(ours),
    )


@pytest.mark.parametrize("level", ["restricted", "baseline", "privileged"])
async def test_what_pod_security_lets_in(helm: str, kubectl: Kubectl, level: str) -> None:
    """The controller is let in everywhere, the ENI manager, on the node's network, where anything is."""
    place = f"pods-{level}"
    metadata = {"name": place, "labels": {"pod-security.kubernetes.io/enforce": level}}
    await kubectl("apply", "-f", "-", stdin=yaml.safe_dump(_object("Namespace", metadata)))
    told = {}
    for document in yaml.safe_load_all(rendered(helm)):
        if document and document["kind"] in ("Deployment", "DaemonSet"):
            name, template = document["metadata"]["name"], document["spec"]["template"]
            pod = {**_object("Pod", {**template["metadata"], "name": name}), "spec": template["spec"]}
            account = _object("ServiceAccount", {"name": template["spec"]["serviceAccountName"]})
            await kubectl("apply", "-n", place, "-f", "-", stdin=yaml.safe_dump(account))
            creating = kubectl(
                "create", "-n", place, "--dry-run=server", "-f", "-", stdin=yaml.safe_dump(pod)
            )
            told[name] = str((await asyncio.gather(creating, return_exceptions=True))[0])
            # Others look whether anything of ours is on this server.
            await kubectl("delete", "serviceaccount", "-n", place, account["metadata"]["name"])
    assert told["eni-controller"].startswith("pod/eni-controller created")
    if level == "privileged":
        assert told["eni-manager"].startswith("pod/eni-manager created")
    else:
        for violation in (f'violates PodSecurity "{level}:latest": ', "host namespaces (hostNetwork=true)"):
            assert violation in told["eni-manager"]


def _object(kind: str, metadata: Object) -> Object:
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata}


async def test_the_documented_lines_of_v1_1_0_work(kubectl: Kubectl) -> None:
    await kubectl("apply", "--server-side", "--force-conflicts", "-f", str(ROOT / "deploy" / "crds"))
    for name in ("deployment.yaml", "eni-manager-daemonset.yaml"):
        text = (ROOT / "deploy" / name).read_text().replace("${UNIFIED_IMAGE}", "registry.example/eni:v2")
        await kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=text)
    for sample in sorted((ROOT / "deploy" / "samples").glob("*.yaml")):
        await kubectl("apply", "--dry-run=server", "-f", str(sample))
    deployment = await kubectl.json("get", "deployment", "eni-controller", "-n", NAMESPACE)
    assert container(deployment)["image"] == "registry.example/eni:v2"


async def test_the_script_of_v1_1_0_still_deploys(kubectl: Kubectl) -> None:
    before = {path: path.read_text() for path in (ROOT / "deploy").glob("*.yaml")}
    environment = {**kubectl.environment, "USE_GHCR": "true", "DRY_RUN": "server"}
    done = await asyncio.create_subprocess_exec(
        *(str(ROOT / "hack" / "deploy.sh"), "registry.example/eni:v2"),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await done.communicate()
    assert done.returncode == 0
    assert "using registry.example/eni:v2" in output.decode()
    assert "daemonset.apps/eni-manager created (server dry run)" in output.decode()
    assert before == {path: path.read_text() for path in before}


async def test_the_base_for_kustomize_is_accepted(kubectl: Kubectl) -> None:
    built = await kubectl("kustomize", str(ROOT / "deploy"))
    await kubectl("apply", "--server-side", "--dry-run=server", "--force-conflicts", "-f", "-", stdin=built)


async def test_the_workloads_of_v1_1_0_become_ours_in_place(kubectl: Kubectl) -> None:
    old = [v1_deployment(), v1_daemon_set()]
    await kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(old))
    before = [await kubectl.json("get", kind, name, "-n", NAMESPACE) for kind, name in WORKLOADS]
    *apply, _rollout = shell(UPGRADE, "Go").lines  # there is no kubelet, so no pod becomes ready
    await typed(kubectl, *apply)
    after = [await kubectl.json("get", kind, name, "-n", NAMESPACE) for kind, name in WORKLOADS]
    assert [o["metadata"]["uid"] for o in after] == [o["metadata"]["uid"] for o in before]
    shipped = {o["metadata"]["name"]: o for o in accounts.workloads()}
    for workload in after:
        pod, wanted = (
            o["spec"]["template"]["spec"] for o in (workload, shipped[workload["metadata"]["name"]])
        )
        assert pod["serviceAccountName"] == wanted["serviceAccountName"]
        assert container(workload)["args"] == wanted["containers"][0]["args"]
        assert container(workload)["securityContext"] == wanted["containers"][0]["securityContext"]
        assert {v["name"] for v in pod.get("volumes", [])} == {v["name"] for v in wanted.get("volumes", [])}


async def test_the_roles_that_v1_3_8_left_are_gone_by_the_documented_lines(kubectl: Kubectl) -> None:
    manager, pods = "eni-controller-sriov-manager", "eni-controller-pod-reader"
    made = (
        f"kubectl create clusterrole {manager} --verb=get --resource=pods",
        f"kubectl create clusterrolebinding {manager}-binding --clusterrole={manager} --user=u",
        f"kubectl -n {NAMESPACE} create role {pods} --verb=get --resource=pods",
        f"kubectl -n {NAMESPACE} create rolebinding {pods} --role={pods} --user=u",
    )
    delete = shell(UPGRADE, "Go", 1).lines
    await typed(kubectl, *made, *delete)
    left = await kubectl("get", "clusterroles,clusterrolebindings,roles,rolebindings", "-A", "-o", "name")
    assert manager not in left
    assert pods not in left
    await typed(kubectl, *delete)  # where they never were, all is well too


async def test_the_controller_works_with_the_rendered_arguments_environment_and_account(
    template: Template, tmp_path: Path
) -> None:
    kube = RealKube()
    port = _free_port()
    settings = (f"controller.metricsPort={port}", "controller.settings.readLag=200ms")
    accounts.install(kube)
    async with World(quick_settings(), kube=cast("KubeServer", kube)) as world:
        pod = container(template(*settings)["Deployment", "eni-controller"])
        environment = world.environment(tmp_path / "kubeconfig")
        (tmp_path / "kubeconfig").write_text(kube.kubeconfig(accounts.token(kube, accounts.CONTROLLER)))
        given = {entry["name"]: entry.get("value", NAMESPACE) for entry in pod["env"]}
        assert given.keys() == {"COMPONENT", "POD_NAMESPACE"}
        stage = Stage(world, environment)
        node = await stage.node()
        stage.apply()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-m", "nodeeni", *pod["args"]),
            env={**environment, **given, "PATH": os.environ["PATH"]},
        )
        try:
            await stage.until_attached(node)
            assert await _get(port, "/readyz") == 200
            assert await _get(port, "/healthz") == 200
            leases = kube.objects("coordination.k8s.io", "leases")
            held = {o["metadata"]["name"]: o["metadata"]["namespace"] for o in leases}
            assert held["nodeeni-controller-leader-election"] == NAMESPACE
        finally:
            process.terminate()
            assert await process.wait() == 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def _get(port: int, path: str) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.0\r\n\r\n".encode())
    status = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return int(status.split()[1])

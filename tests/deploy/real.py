"""What people run against a real kube-apiserver, and what v1.1.0's manifests leave in one."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.contract.real import RealKube

ROOT = Path(__file__).resolve().parents[2]
NAMESPACE = "eni-controller-system"
Object = dict[str, Any]


class Program:
    """A program of people's, run to its end, which has to be a good one."""

    def __init__(self, name: str, environment: dict[str, str]) -> None:
        self.name = name
        self.environment = environment

    async def __call__(self, *arguments: str, stdin: str = "") -> str:
        process = await asyncio.create_subprocess_exec(
            *(self.name, *arguments),
            env=self.environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, errors = await process.communicate(stdin.encode())
        assert process.returncode == 0, errors.decode()
        return output.decode()


class Kubectl(Program):
    def __init__(self, kubeconfig: Path) -> None:
        super().__init__("kubectl", {**os.environ, "KUBECONFIG": str(kubeconfig)})

    async def json(self, *arguments: str) -> Object:
        shown: Object = json.loads(await self(*arguments, "-o", "json"))
        return shown


@pytest.fixture
async def kube() -> AsyncIterator[RealKube]:
    kube = RealKube()
    await kube.start()
    try:
        yield kube
    finally:
        await kube.stop()


@pytest.fixture
async def kubectl(kube: RealKube, tmp_path: Path) -> AsyncIterator[Kubectl]:
    path = tmp_path / "admin.kubeconfig"
    path.write_text(kube.kubeconfig())
    kubectl = Kubectl(path)
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    await kubectl("apply", "-f", "-", stdin=json.dumps(namespace))
    yield kubectl
    # In the namespace, and of the cluster only what the tests of rights do not bring themselves.
    kinds = "deployments,daemonsets,poddisruptionbudgets,networkpolicies,roles,rolebindings"
    await kubectl("delete", kinds, "--all", "-n", NAMESPACE, "--wait=false")


async def typed(kubectl: Kubectl, *lines: str) -> str:
    """Lines of a page in one shell, in the checkout."""
    run = Program("bash", kubectl.environment)
    return await run("-euo", "pipefail", "-c", "\n".join([f"cd {ROOT}", *lines]))


WORKLOADS = (("deployment", "eni-controller"), ("daemonset", "eni-manager"))


def _workload(kind: str, name: str, pod: Object) -> Object:
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def _v1_container(name: str, component: str, args: list[str], **more: Any) -> Object:
    return {
        "name": name,
        "image": "registry.example/aws-multi-eni-controller:v1.1.0",
        "env": [{"name": "COMPONENT", "value": component}],
        "args": args,
        **more,
    }


def v1_deployment() -> Object:
    made = _v1_container("manager", "eni-controller", ["--metrics-addr=:8080", "--enable-leader-election"])
    made["env"].append({"name": "AWS_REGION", "value": "us-east-1"})
    return _workload(
        "Deployment", "eni-controller", {"serviceAccountName": "eni-controller", "containers": [made]}
    )


def v1_daemon_set() -> Object:
    folders = ("sys", "proc", "run")
    made = _v1_container(
        *("eni-manager", "eni-manager", ["--check-interval=30s", "--debug=true"]),
        securityContext={"privileged": True, "capabilities": {"add": ["NET_ADMIN"]}},
        volumeMounts=[{"name": f"host-{folder}", "mountPath": f"/host/{folder}"} for folder in folders],
    )
    pod = {
        "serviceAccountName": "eni-controller",
        "hostNetwork": True,
        "nodeSelector": {"ng": "multi-eni"},
        "containers": [made],
        "volumes": [{"name": f"host-{folder}", "hostPath": {"path": f"/{folder}"}} for folder in folders],
    }
    return _workload("DaemonSet", "eni-manager", pod)

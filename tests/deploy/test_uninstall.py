"""docs/uninstall.md word for word, after each way of install: nothing is left in EC2 and in the API server.

There has to be a real API server (`make apitest`), for the sandbox's has no workloads and no roles. That one
has no kubelet and no namespace controller, so the test plays both: our controller runs as long as there is
its Deployment, and a namespace that ends is emptied.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from tests.contract.processes import real_is_wanted
from tests.contract.real import RealKube
from tests.controller.conftest import Stage
from tests.docs.pages import ROOT, shell
from tests.needs import program

from nodeeni.api.names import NAMESPACE
from nodeeni.sandbox.ec2 import quick_settings
from nodeeni.sandbox.kube import KubeServer
from nodeeni.sandbox.world import World

pytestmark = [
    pytest.mark.skipif(not real_is_wanted(), reason="for a real API server: make apitest"),
    pytest.mark.timeout(240),
]

# Kinds of what we install, and of what our controller makes.
OURS = (
    "deployments,daemonsets,serviceaccounts,networkpolicies,poddisruptionbudgets,roles,rolebindings,leases",
    "clusterroles,clusterrolebindings,customresourcedefinitions,namespaces",
    "validatingadmissionpolicies,validatingadmissionpolicybindings",
)
Object = dict[str, Any]


class Cluster:
    """A person's shell in the checkout, and those of a cluster that are no API server."""

    def __init__(self, kube: RealKube, stage: Stage, kubeconfig: Path) -> None:
        self.kube = kube
        self.stage = stage
        self._environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}

    async def types(self, *lines: str) -> str:
        script = "set -eu\n" + "\n".join(lines)
        process = await asyncio.create_subprocess_exec(
            *("bash", "-o", "pipefail", "-c", script),
            cwd=ROOT,
            start_new_session=True,
            env=self._environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(90):
                output, errors = await process.communicate()
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
        assert process.returncode == 0, f"{lines}: {errors.decode()}"
        return output.decode()

    async def ours(self) -> list[str]:
        """What is there of what was installed, and of what our programs made."""
        listed = [(await self.types(f"kubectl get {kinds} -A -o name")).split() for kinds in OURS]
        theirs = ("/eni-", "networking.k8s.aws", "/nodeeni")
        return [name for names in listed for name in names if any(part in name for part in theirs)]

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Kubelet and namespace controller, for as long as the block lasts."""
        tasks = [asyncio.create_task(self._kubelet()), asyncio.create_task(self._namespace_controller())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(result, asyncio.CancelledError | None) for result in ended), ended

    async def _kubelet(self) -> None:
        def deployed() -> bool:
            return self.kube.get("apps", "deployments", "eni-controller", NAMESPACE) is not None

        await self.stage.until(deployed, timeout=90)
        async with self.stage.controller():
            await self.stage.until(lambda: not deployed(), timeout=90)

    async def _namespace_controller(self) -> None:
        while True:
            for namespace in self.kube.objects("", "namespaces"):
                if "deletionTimestamp" in namespace["metadata"]:
                    await self._finalize(namespace)
            await asyncio.sleep(0.1)

    async def _finalize(self, namespace: Object) -> None:
        name = namespace["metadata"]["name"]
        await self.types(f"kubectl delete {OURS[0]},events,configmaps,secrets --all -n {name}")
        namespace["spec"]["finalizers"] = []
        self.kube.call("PUT", f"/api/v1/namespaces/{name}/finalize", namespace)


@pytest.fixture
async def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Cluster]:
    """Nothing of ours is installed; what other tests of this server left is taken away."""
    kube = RealKube()
    async with World(quick_settings(), kube=cast("KubeServer", kube)) as world:
        environment = world.environment(tmp_path / "kubeconfig")
        for name, value in environment.items():  # botocore reads the process's own
            monkeypatch.setenv(name, value)
        made = Cluster(kube, Stage(world, environment), tmp_path / "kubeconfig")
        async with made.at_work():
            await made.types("kubectl delete -f deploy/readiness.yaml --ignore-not-found")
            await made.types("kubectl delete -f deploy/install.yaml --ignore-not-found")
        assert await made.ours() == []
        yield made


async def with_an_eni(cluster: Cluster) -> None:
    node = await cluster.stage.node()
    cluster.stage.apply()
    await cluster.stage.until_attached(node)


INSTALL = "docs/install.md"
UNINSTALL = "docs/uninstall.md"
INSTALLED = {  # how it is installed, and the section that tells how that goes
    "helm": (shell(INSTALL, "3. One command"), "Then: installed by Helm"),
    "install.yaml": (shell(INSTALL, "3. One command", 1), "Then: installed by deploy/install.yaml"),
    "v1.1.0": (shell(INSTALL, "3. One command", 2), "Then: installed by v1.1.0's three files"),
}


@pytest.mark.parametrize("way", INSTALLED)
async def test_in_the_documented_order_nothing_is_left(cluster: Cluster, way: str) -> None:
    if way == "helm":
        program("helm")
    install, title = INSTALLED[way]
    async with cluster.at_work():
        await cluster.types(*install.lines)
        await with_an_eni(cluster)
        assert "deployment.apps/eni-controller" in await cluster.ours()
        await cluster.types(*shell(UNINSTALL, "First the NodeENIs").lines)
        assert cluster.stage.ec2.secondary_interfaces() == []
        await cluster.types(*shell(UNINSTALL, title).lines)
    assert await cluster.ours() == []


async def test_the_other_way_round_is_finished_by_applying_again(cluster: Cluster) -> None:
    install, title = INSTALLED["install.yaml"]
    uninstall = shell(UNINSTALL, title).lines
    async with cluster.at_work():
        await cluster.types(*install.lines)
        await with_an_eni(cluster)
        waiting = asyncio.create_task(cluster.types(*uninstall))
        await cluster.stage.until(lambda: cluster.kube.get("", "namespaces", NAMESPACE) is None)
        assert not waiting.done()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert len(cluster.stage.ec2.secondary_interfaces()) == 1  # nothing is lost
    async with cluster.at_work():
        await cluster.types(*install.lines)
        await cluster.types(*shell(UNINSTALL, "The other way round").lines)
        assert cluster.stage.ec2.secondary_interfaces() == []
        await cluster.types(*uninstall)
    assert await cluster.ours() == []

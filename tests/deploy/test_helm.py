"""What people do with Helm 3, which patches what differs, and Helm 4, which applies on the server's side."""

import json
import subprocess
from typing import Any

import pytest
import yaml
from tests.contract.processes import real_is_wanted
from tests.deploy.conftest import CHART, IMAGE, ROOT, container
from tests.deploy.real import (
    NAMESPACE,
    WORKLOADS,
    Kubectl,
    Program,
    typed,
    v1_daemon_set,
    v1_deployment,
)
from tests.docs.pages import shell
from tests.needs import program

pytestmark = pytest.mark.skipif(not real_is_wanted(), reason="for a real API server: make apitest")

UPGRADE = "docs/upgrade.md"
RELEASE = ("nodeeni", "--namespace", NAMESPACE)
INSTALL = ("upgrade", "--install", "nodeeni", str(CHART), "--namespace", NAMESPACE)
IMAGE_NAMED = ("--set", f"image.repository={IMAGE}")
Object = dict[str, Any]


class Helm(Program):
    """`major`; a command that is to fail is told with `refused`."""

    def __init__(self, path: str, kubectl: Kubectl, major: int) -> None:
        super().__init__(path, kubectl.environment)
        self.major = major

    async def refused(self, *arguments: str) -> str:
        with pytest.raises(AssertionError) as told:
            await self(*arguments)
        return str(told.value)


@pytest.fixture(params=[3, 4])
def helm(request: pytest.FixtureRequest, kubectl: Kubectl) -> Helm:
    return helm_3(kubectl) if request.param == 3 else helm_4(kubectl)


def helm_3(kubectl: Kubectl) -> Helm:
    return Helm(program("helm"), kubectl, 3)


def helm_4(kubectl: Kubectl) -> Helm:
    command = [str(ROOT / "hack" / "helm.sh"), "--is-there"]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    if built.returncode:
        pytest.skip("Helm 4 is not built: hack/helm.sh")
    return Helm(built.stdout.strip(), kubectl, 4)


async def take_over(helm: Helm, kubectl: Kubectl) -> str:
    """By the page's lines for this Helm; what other tests left is taken over too."""
    lines = shell(UPGRADE, "Go", 2 if helm.major == 3 else 3).lines
    return await typed(kubectl, f'helm() {{ {helm.name} "$@"; }}', *lines)


async def versions(kubectl: Kubectl, helm: Helm) -> dict[str, str]:
    """Resource versions of what the release has."""
    manifests = await helm("get", "manifest", *RELEASE)
    found = json.loads(await kubectl("get", "-f", "-", "-o", "json", stdin=manifests))
    return {f"{o['kind']} {o['metadata']['name']}": o["metadata"]["resourceVersion"] for o in found["items"]}


async def uids(kubectl: Kubectl) -> list[str]:
    found = [await kubectl.json("get", kind, name, "-n", NAMESPACE) for kind, name in WORKLOADS]
    return [each["metadata"]["uid"] for each in found]


async def test_it_takes_over_upgrades_and_leaves_without_losing_a_nodeeni(
    helm: Helm, kubectl: Kubectl
) -> None:
    await kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all([v1_deployment(), v1_daemon_set()]))
    await kubectl("apply", "--server-side", "--force-conflicts", "-f", str(ROOT / "deploy" / "crds"))
    before = await uids(kubectl)
    sample = ROOT / "deploy" / "samples" / "networking_v1alpha1_nodeeni.yaml"
    await kubectl("apply", "-f", str(sample))
    nodeeni = await kubectl.json("get", "nodeeni", "multus-eni-config")

    notes = await take_over(helm, kubectl)
    assert "kubectl label node NODE ng=multi-eni" in notes
    assert await uids(kubectl) == before
    manager = await kubectl.json("get", "daemonset", "eni-manager", "-n", NAMESPACE)
    assert container(manager)["securityContext"]["privileged"] is False
    await helm(*INSTALL, *IMAGE_NAMED, "--set", "controller.replicas=3")
    await helm("uninstall", *RELEASE)

    left = await kubectl("get", "deployments,daemonsets", "-n", NAMESPACE, "-o", "name")
    assert left == ""
    kept = await kubectl.json("get", "nodeeni", "multus-eni-config")
    assert kept["metadata"]["uid"] == nodeeni["metadata"]["uid"]
    assert "deletionTimestamp" not in kept["metadata"]


async def test_it_takes_over_what_our_own_manifests_installed(helm: Helm, kubectl: Kubectl) -> None:
    await kubectl("apply", "-f", str(ROOT / "deploy" / "install.yaml"))
    before = await uids(kubectl)
    await take_over(helm, kubectl)
    assert await uids(kubectl) == before
    assert json.loads(await helm("status", *RELEASE, "-o", "json"))["info"]["status"] == "deployed"
    await helm("uninstall", *RELEASE)


async def test_helm_4_without_force_refuses_what_kubectl_wrote_and_leaves_it(kubectl: Kubectl) -> None:
    helm = helm_4(kubectl)
    await kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all([v1_deployment(), v1_daemon_set()]))
    told = await helm.refused(*INSTALL, *IMAGE_NAMED, "--take-ownership")
    assert "conflict" in told
    for kind, name in WORKLOADS:
        there = await kubectl.json("get", kind, name, "-n", NAMESPACE)
        assert container(there)["image"] == "registry.example/aws-multi-eni-controller:v1.1.0"
    await take_over(helm, kubectl)  # over the failed release
    await helm("uninstall", *RELEASE)


async def test_an_upgrade_without_a_change_changes_nothing(helm: Helm, kubectl: Kubectl) -> None:
    await helm("lint", str(CHART), *IMAGE_NAMED, "--strict")
    await take_over(helm, kubectl)
    first = await versions(kubectl, helm)
    for _ in range(2):
        await helm(*INSTALL, *IMAGE_NAMED)
    assert await versions(kubectl, helm) == first
    await helm("uninstall", *RELEASE)


async def test_a_field_that_a_person_changed(helm: Helm, kubectl: Kubectl) -> None:
    """Helm 3 overwrites it only where the chart's own value changes; Helm 4 names whose it is."""
    await take_over(helm, kubectl)
    await kubectl("-n", NAMESPACE, "scale", "deployment/eni-controller", "--replicas=5")
    if helm.major == 3:
        await helm(*INSTALL, *IMAGE_NAMED, "--set", "controller.replicas=3")
    else:
        told = await helm.refused(*INSTALL, *IMAGE_NAMED, "--set", "controller.replicas=3")
        assert ".spec.replicas" in told
        await helm(*INSTALL, *IMAGE_NAMED, "--set", "controller.replicas=3", "--force-conflicts")
    changed = await kubectl.json("get", "deployment", "eni-controller", "-n", NAMESPACE)
    assert changed["spec"]["replicas"] == 3
    await helm("uninstall", *RELEASE)


async def test_an_upgrade_that_does_not_become_ready_is_rolled_back(helm: Helm, kubectl: Kubectl) -> None:
    """There is no kubelet here: no pod becomes ready, and so each upgrade that waits fails."""
    await take_over(helm, kubectl)
    back = "--atomic" if helm.major == 3 else "--rollback-on-failure"
    told = await helm.refused(
        *INSTALL, *IMAGE_NAMED, "--set", "image.tag=broken", "--wait", back, "--timeout=5s"
    )
    assert told
    deployment = await kubectl.json("get", "deployment", "eni-controller", "-n", NAMESPACE)
    assert not container(deployment)["image"].endswith(":broken")
    await helm("uninstall", *RELEASE)

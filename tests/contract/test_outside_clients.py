"""What other programs see of our objects while the real controller works: GitOps, scripts, other operators.

On the sandbox in `make test`, on a real API server in `make apitest`.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import kubernetes
import lightkube
import pytest
import yaml
from lightkube.generic_resource import create_global_resource
from tests.contract.servers import access
from tests.controller.conftest import LABELS, NAME, Stage, staged
from tests.needs import program
from tests.sandbox.kube.clients import Kubectl

from nodeeni.api.names import API_VERSION, FINALIZER, GROUP, VERSION
from nodeeni.sandbox.ec2 import quick_settings

_SAMPLES = (Path(__file__).parents[2] / "deploy" / "samples").glob("*.yaml")  # those of v1.1.0's repository
SAMPLES = {str(path): list(yaml.safe_load_all(path.read_text())) for path in _SAMPLES}
EXAMPLE = str(Path(__file__).parents[2] / "examples" / "multus-eni.yaml")
PLACE = (GROUP, VERSION, "nodeenis")
Object = dict[str, Any]


@pytest.fixture
async def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    async with staged(tmp_path, monkeypatch, quick_settings()) as made:
        yield made


@pytest.fixture
def kubectl(stage: Stage, tmp_path: Path) -> Kubectl:
    program("kubectl")
    return Kubectl(tmp_path, stage.kube.kubeconfig())


@pytest.fixture
def official(stage: Stage) -> Iterator[Any]:
    headers, authority = access(stage.kube)
    configuration = kubernetes.client.Configuration()
    configuration.host = stage.kube.url
    configuration.ssl_ca_cert = authority
    with kubernetes.client.ApiClient(configuration) as client:
        client.default_headers.update(headers)
        yield kubernetes.client.CustomObjectsApi(client)


async def test_kubectl_waits_until_a_nodeeni_is_ready(stage: Stage, kubectl: Kubectl) -> None:
    node = await stage.node()
    async with stage.controller():
        await kubectl("apply", "-f", EXAMPLE)
        await kubectl("wait", "--for=condition=Ready", f"nodeeni/{NAME}", "--timeout=20s")
        jsonpath = "jsonpath={.status.attachments[0].eniID}"
        assert await kubectl("get", "nodeeni", NAME, "-o", jsonpath) == stage.ours(node=node)[0].id
        table = [line.split() for line in (await kubectl("get", "nodeeni", NAME)).splitlines()]
        assert table[0] == ["NAME", "NODES", "ATTACHED", "UP", "REMOVING", "READY", "AGE"]
        assert table[1][:4] == [NAME, "1", "1", "True"]
        assert "ENIAttached" in await kubectl("describe", "nodeeni", NAME)
        await kubectl("delete", "nodeeni", NAME, "--timeout=20s")
    assert stage.ours() == []


# Every field that v1.3.8's CRD has and v1.1.0's had not, as its samples use them.
V1_3_8: Object = {
    "apiVersion": API_VERSION,
    "kind": "NodeENI",
    "metadata": {"name": "of-v1.3.8"},
    "spec": {
        "nodeSelector": LABELS,
        "subnetIDs": ["subnet-00000000000000001", "subnet-00000000000000002"],
        "subnetNames": ["first", "second"],
        "securityGroupIDs": ["sg-00000000000000001"],
        "securityGroupNames": ["group"],
        "deviceIndex": 2,
        "mtu": 9000,
        "enableDPDK": True,
        "dpdkDriver": "vfio-pci",
        "dpdkResourceName": "intel.com/sriov_kernel_1",
        "dpdkPCIAddress": "0000:00:07.0",
    },
}


async def test_kubectl_applies_the_samples_of_older_versions_and_nothing_of_them_is_lost(
    stage: Stage, kubectl: Kubectl
) -> None:
    for path, documents in {**SAMPLES, kubectl.file("of-v1.3.8.yaml", V1_3_8): [V1_3_8]}.items():
        assert "created" in await kubectl("apply", "--validate=strict", "-f", path)
        assert "configured" not in await kubectl("apply", "--validate=strict", "-f", path)
        for written in documents:
            stored = stage.world.nodeeni(written["metadata"]["name"])
            assert stored is not None
            assert {**stored["spec"], **written["spec"]} == stored["spec"]


async def test_the_official_client_watches_an_attachment_come(stage: Stage, official: Any) -> None:
    await stage.node()

    new_watch: Any = kubernetes.watch.Watch
    listed = await asyncio.to_thread(official.list_cluster_custom_object, *PLACE)
    version = listed["metadata"]["resourceVersion"]

    def watch() -> list[str]:
        watcher = new_watch()
        seen: list[str] = []
        for event in watcher.stream(
            official.list_cluster_custom_object, *PLACE, resource_version=version, timeout_seconds=20
        ):
            rows = event["object"].get("status", {}).get("attachments", [])
            seen.append(rows[0]["status"] if rows else event["type"])
            if seen[-1] == "attached":
                watcher.stop()
        return seen

    async with stage.controller():
        stage.apply()
        seen = await asyncio.to_thread(watch)
    assert seen[0] == "ADDED"
    assert seen[-1] == "attached"


async def test_lightkube_watches_typed_objects(stage: Stage, tmp_path: Path) -> None:
    await stage.node()
    (tmp_path / "of-lightkube").write_text(stage.kube.kubeconfig())
    config = lightkube.KubeConfig.from_file(tmp_path / "of-lightkube")
    client = lightkube.AsyncClient(config=config)
    nodeenis: Any = create_global_resource(GROUP, VERSION, "NodeENI", "nodeenis")
    async with stage.controller():
        stage.apply()
        ready = await asyncio.wait_for(client.wait(nodeenis, NAME, for_conditions=["Ready"]), 20)
        assert ready.status["attached"] == 1
        eninodes: Any = create_global_resource(GROUP, VERSION, "ENINode", "eninodes")
        # From any version: for the newest an API server needs etcd 3.4.31 or 3.5.13, newer than Debian's.
        async for kind, eninode in client.watch(eninodes, resource_version="0"):
            assert kind == "ADDED"
            assert [entry["nodeENI"] for entry in eninode.spec["interfaces"]] == [NAME]
            break
    await client.close()


async def test_another_field_manager_and_the_controller_leave_each_other_alone(
    stage: Stage, kubectl: Kubectl
) -> None:
    """GitOps applies over and over; the controller writes its finalizer and the status alone."""
    node = await stage.node()
    body: Object = {
        "apiVersion": API_VERSION,
        "kind": "NodeENI",
        "metadata": {"name": NAME, "labels": {"team": "a"}},
        "spec": {
            "nodeSelector": LABELS,
            "subnetID": stage.world.subnets["a"].id,
            "securityGroupIDs": [stage.world.group.id],
            "deleteOnTermination": False,
        },
    }
    apply = ("apply", "--server-side", "--field-manager=argocd", "-f")
    async with stage.controller():
        await kubectl(*apply, kubectl.file("first.yaml", body))
        await stage.until_attached(node)
        before = stage.world.nodeeni(NAME)
        await kubectl(*apply, kubectl.file("again.yaml", body))
        assert stage.world.nodeeni(NAME) == before
        body["spec"]["description"] = "of the other"
        await kubectl(*apply, kubectl.file("changed.yaml", body))
        await stage.until(lambda: stage.ours()[0].description == "of the other")
        await stage.until(lambda: stage.status().get("observedGeneration") == 2)
    after = stage.world.nodeeni(NAME)
    assert after is not None
    assert after["metadata"]["finalizers"] == [FINALIZER]
    assert after["spec"]["deleteOnTermination"] is False
    owners = {
        entry["manager"] + "/" + entry.get("subresource", ""): sorted(entry["fieldsV1"])
        for entry in after["metadata"]["managedFields"]
    }
    assert owners == {
        "argocd/": ["f:metadata", "f:spec"],
        "nodeeni/": ["f:metadata"],
        "nodeeni/status": ["f:status"],
    }

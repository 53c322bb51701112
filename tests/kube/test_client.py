"""Each request, each way it fails, and the type that a caller sees."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from tests.kube.certificates import certified
from tests.kube.wire import Wire

from nodeeni.api.meta import ObjectMeta
from nodeeni.kube import errors
from nodeeni.kube.client import KubeClient
from nodeeni.kube.resources import EVENTS, LEASES, NAMESPACES, NODEENIS, NODES, Resource
from nodeeni.sandbox.kube import KubeServer


class Thing(msgspec.Struct):
    metadata: ObjectMeta


def node(name: str, **labels: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}}


@pytest.mark.parametrize(
    ("resource", "path"),
    [
        (NODES, "/api/v1/nodes/x/status"),
        (NODEENIS, "/apis/networking.k8s.aws/v1alpha1/nodeenis/x/status"),
        (EVENTS, "/api/v1/namespaces/ns/events/x/status"),
        (LEASES, "/apis/coordination.k8s.io/v1/namespaces/ns/leases/x/status"),
    ],
)
def test_paths(resource: Resource, path: str) -> None:
    assert resource.path(namespace="ns", name="x", subresource="status") == path


async def test_the_fence_is_asked_before_each_write_and_before_no_read(
    server: KubeServer, client: KubeClient
) -> None:
    await client.create(NODES, node("n0"))
    may_write = False
    fenced = client.fenced(lambda: may_write)
    served = server.requests.copy()
    with pytest.raises(errors.Unavailable):
        await fenced.create(NODES, node("n1"))
    with pytest.raises(errors.Unavailable):
        await fenced.patch(NODES, "n0", {"metadata": {"labels": {"a": "b"}}})
    with pytest.raises(errors.Unavailable):
        await fenced.delete(NODES, "n0")
    assert server.requests == served
    assert (await fenced.get(NODES, "n0", Thing)).metadata.labels == {}
    may_write = True
    await fenced.delete(NODES, "n0")
    assert server.objects("", "nodes") == []


async def test_an_object_from_birth_to_death(server: KubeServer, client: KubeClient) -> None:
    created = await client.create(NODES, node("n0"), Thing)
    assert (await client.get(NODES, "n0", Thing)) == created
    labelled = await client.patch(NODES, "n0", {"metadata": {"labels": {"ng": "multi-eni"}}}, Thing)
    assert labelled.metadata.labels == {"ng": "multi-eni"}

    stale = {"metadata": {"resourceVersion": created.metadata.resource_version, "labels": {"ng": None}}}
    with pytest.raises(errors.Conflict):
        await client.patch(NODES, "n0", stale)
    with pytest.raises(errors.AlreadyExists):
        await client.create(NODES, node("n0"))
    with pytest.raises(errors.Conflict):
        await client.delete(NODES, "n0", uid="another")
    assert [obj["metadata"]["labels"] for obj in server.objects("", "nodes")] == [{"ng": "multi-eni"}]

    await client.delete(NODES, "n0", uid=created.metadata.uid)
    for gone in (client.get(NODES, "n0", Thing), client.delete(NODES, "n0")):
        with pytest.raises(errors.NotFound):
            await gone


async def test_status_is_patched_apart(client: KubeClient) -> None:
    class Phased(Thing):
        status: dict[str, Any]

    await client.create(NODES, node("n0"))
    body = {"status": {"phase": "Running"}, "metadata": {"labels": {"ignored": "yes"}}}
    patched = await client.patch(NODES, "n0", body, Phased, subresource="status")
    assert patched.status["phase"] == "Running"


async def test_list_follows_pages_and_selects(server: KubeServer, client: KubeClient) -> None:
    for number in range(7):
        server.create(node(f"n{number}", odd=str(number % 2)))
    nodes, version = await client.list(NODES, Thing, limit=2)
    assert sorted(item.metadata.name for item in nodes) == [f"n{number}" for number in range(7)]
    assert version.isdigit()
    assert server.requests["list", "nodes"] == 4
    odd, _ = await client.list(NODES, Thing, label_selector="odd=1")
    assert len(odd) == 3
    one, _ = await client.list(NODES, Thing, field_selector="metadata.name=n3")
    assert [item.metadata.name for item in one] == ["n3"]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, errors.Unauthorized),
        (404, errors.NotFound),
        (409, errors.Conflict),
        (410, errors.Gone),
        (422, errors.Invalid),
        (429, errors.Throttled),
        (500, errors.Unavailable),
        (503, errors.Unavailable),
    ],
)
async def test_status_becomes_a_type(
    server: KubeServer, client: KubeClient, status: int, kind: type[errors.KubeError]
) -> None:
    server.faults.fail(status, verb="get", resource="namespaces", retry_after=3)
    with pytest.raises(errors.KubeError) as failed:
        await client.get(NAMESPACES, "default", Thing)
    assert type(failed.value) is kind
    assert (failed.value.status, failed.value.delay) == (status, 3.0)


@pytest.mark.parametrize(("asked", "taken"), [("900", 60.0), ("inf", 60.0), ("nan", 1.0), (" -1", 1.0)])
async def test_a_delay_that_is_no_delay_is_not_taken_at_its_word(
    server: KubeServer, client: KubeClient, wire: Wire, asked: str, taken: float
) -> None:
    """As a proxy may ask for one: whoever waited for it would be deaf, perhaps for ever."""
    server.faults.fail(429, verb="get", resource="namespaces", retry_after=100)
    wire.replace(b"Retry-After: 100", f"Retry-After: {asked}".encode())
    with pytest.raises(errors.Throttled) as throttled:
        await client.get(NAMESPACES, "default", Thing)
    assert throttled.value.delay == taken


async def test_missing_permission_is_named(server: KubeServer, client: KubeClient) -> None:
    server.faults.fail(403, verb="patch", resource="nodes/status")
    with pytest.raises(errors.Forbidden) as refused:
        await client.patch(NODES, "n0", {}, subresource="status")
    assert (refused.value.verb, refused.value.resource) == ("patch", "nodes/status")
    assert str(refused.value).startswith('grant the verb "patch" on "nodes/status"')


async def test_connection_that_fails(server: KubeServer, client: KubeClient, wire: Wire) -> None:
    for when in ("before", "after"):
        server.faults.drop(when, verb="create", resource="nodes")
        with pytest.raises(errors.Unavailable):
            await client.create(NODES, node(when))
    assert [obj["metadata"]["name"] for obj in server.objects("", "nodes")] == ["after"]
    wire.refuse()
    with pytest.raises(errors.Unavailable):
        await client.get(NODES, "after", Thing)


async def test_answer_that_never_comes(server: KubeServer, wire: Wire, tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(server.kubeconfig().replace(server.url, wire.url))
    client = KubeClient.connect(str(path), timeout=0.2)
    server.faults.hang(verb="get", resource="namespaces")
    with pytest.raises(errors.Unavailable):
        await client.get(NAMESPACES, "default", Thing)
    await client.close()


async def test_object_that_is_not_what_we_know(client: KubeClient) -> None:
    class Odd(Thing):
        spec: int

    with pytest.raises(errors.Invalid, match="namespaces"):
        await client.get(NAMESPACES, "default", Odd)


async def test_rotated_token_is_read_again(tmp_path: Path) -> None:
    server = KubeServer(tokens=["old", "new"])
    await server.start()
    token = tmp_path / "token"
    token.write_text("old\n")
    content = yaml.safe_load(server.kubeconfig())
    for user in content["users"]:
        user["user"] = {"tokenFile": "token"}
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(content))
    client = KubeClient.connect(str(path))
    assert (await client.get(NAMESPACES, "default", Thing)).metadata.name == "default"

    server.tokens.remove("old")
    token.write_text("new\n")
    assert (await client.get(NAMESPACES, "default", Thing)).metadata.name == "default"
    token.unlink()
    server.tokens.add("third")
    server.tokens.remove("new")
    with pytest.raises(errors.Unauthorized, match="token"):
        await client.get(NAMESPACES, "default", Thing)
    await client.close()
    await server.stop()


async def test_server_behind_tls(tmp_path: Path) -> None:
    server = KubeServer(**await certified(tmp_path, "DNS:kubernetes"))
    await server.start()
    content = yaml.safe_load(server.kubeconfig())
    cluster = {"server": server.url, "certificate-authority": "tls.crt"}
    outcomes = []
    for wanted in (cluster, {**cluster, "tls-server-name": "kubernetes"}):
        for entry in content["clusters"]:
            entry["cluster"] = wanted
        path = tmp_path / "kubeconfig"
        path.write_text(yaml.safe_dump(content))
        client = KubeClient.connect(str(path))
        try:
            outcomes.append((await client.get(NAMESPACES, "default", Thing)).metadata.name)
        except errors.Unavailable as error:
            outcomes.append("refused" if "certificate" in str(error) else str(error))
        await client.close()
    await server.stop()
    assert outcomes == ["refused", "default"]

"""What goes with its owner, with its namespace, and what is left alone."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from tests.sandbox.kube.clients import WIDGETS, Client, widget

from nodeeni.sandbox.kube import KubeServer

# Owners are followed by a cluster's controllers, not by its API server.
pytestmark = pytest.mark.usefixtures("sandbox_only")


async def until(server: KubeServer, condition: Callable[[], bool]) -> None:
    """Looks again after each write until the condition holds, for at most 5 s."""
    written = asyncio.Event()
    server.store.on_change.append(lambda storage, change: written.set())
    async with asyncio.timeout(5):
        while not condition():
            written.clear()
            await written.wait()


def node(server: KubeServer, name: str) -> dict[str, Any]:
    return server.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}})


def owned_by(*owners: dict[str, Any], finalizers: tuple[str, ...] = ()) -> dict[str, Any]:
    body = widget(part="part-1")
    body["metadata"]["ownerReferences"] = [
        {"apiVersion": o["apiVersion"], "kind": o["kind"], "name": o["metadata"]["name"], "uid": uid}
        for o in owners
        for uid in [o["metadata"]["uid"]]
    ]
    if finalizers:
        body["metadata"]["finalizers"] = list(finalizers)
    return body


def widget_names(server: KubeServer) -> list[str]:
    return [w["metadata"]["name"] for w in server.objects("example.com", "widgets")]


async def test_a_dependent_goes_with_its_owner(widgets: KubeServer) -> None:
    owner = node(widgets, "a")
    widgets.create(owned_by(owner))
    widgets.delete("", "nodes", "a")
    await until(widgets, lambda: widget_names(widgets) == [])


async def test_a_dependent_outlives_one_of_two_owners(widgets: KubeServer) -> None:
    first, second = node(widgets, "a"), node(widgets, "b")
    widgets.create(owned_by(first, second))
    widgets.delete("", "nodes", "a")

    def owners() -> list[str]:
        found = widgets.get("example.com", "widgets", "one")
        return [o["name"] for o in found["metadata"]["ownerReferences"]] if found else []

    await until(widgets, lambda: owners() == ["b"])


async def test_an_owner_that_never_was_leaves_no_dependent(widgets: KubeServer) -> None:
    owner = node(widgets, "a")
    widgets.delete("", "nodes", "a")
    widgets.create(owned_by(owner))
    await until(widgets, lambda: widget_names(widgets) == [])


async def test_orphans_are_let_go(widgets: KubeServer, client: Client) -> None:
    owner = node(widgets, "a")
    widgets.create(owned_by(owner))
    await client.delete("/api/v1/nodes/a", {"propagationPolicy": "Orphan"})
    await until(widgets, lambda: widgets.get("", "nodes", "a") is None)
    left = widgets.get("example.com", "widgets", "one")
    assert left is not None
    assert "ownerReferences" not in left["metadata"]


async def test_a_foreground_deletion_waits_for_dependents(widgets: KubeServer, client: Client) -> None:
    owner = node(widgets, "a")
    widgets.create(owned_by(owner, finalizers=("example.com/hold",)))
    await client.delete("/api/v1/nodes/a", {"propagationPolicy": "Foreground"})
    await until(
        widgets, lambda: "deletionTimestamp" in widgets.objects("example.com", "widgets")[0]["metadata"]
    )
    held = widgets.get("", "nodes", "a")
    assert held is not None
    assert held["metadata"]["finalizers"] == ["foregroundDeletion"]
    await client.merge(f"{WIDGETS}/one", {"metadata": {"finalizers": None}})
    await until(widgets, lambda: widgets.get("", "nodes", "a") is None)


async def test_a_namespace_is_emptied_before_it_goes(server: KubeServer, client: Client) -> None:
    server.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}})
    server.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "n"}})
    held = {"name": "h", "namespace": "n", "finalizers": ["example.com/hold"]}
    server.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": held})
    deleted = await client.delete("/api/v1/namespaces/n")
    assert deleted.body["status"]["phase"] == "Terminating"
    new = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "late"}}
    refused = await client.post("/api/v1/namespaces/n/configmaps", new)
    assert (refused.code, refused.body["reason"]) == (403, "Forbidden")
    await until(server, lambda: [c["metadata"]["name"] for c in server.objects("", "configmaps")] == ["h"])
    await client.merge("/api/v1/namespaces/n/configmaps/h", {"metadata": {"finalizers": None}})
    await until(server, lambda: server.get("", "namespaces", "n") is None)


async def test_a_crd_waits_for_its_last_object(widgets: KubeServer, client: Client) -> None:
    held = widget(part="part-1")
    held["metadata"]["finalizers"] = ["example.com/hold"]
    widgets.create(held)
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.example.com"
    await client.delete(path)
    await until(
        widgets, lambda: "deletionTimestamp" in widgets.objects("example.com", "widgets")[0]["metadata"]
    )
    assert (await client.get(path)).code == 200
    await client.merge(f"{WIDGETS}/one", {"metadata": {"finalizers": None}})
    await until(widgets, lambda: widgets.objects("apiextensions.k8s.io", "customresourcedefinitions") == [])

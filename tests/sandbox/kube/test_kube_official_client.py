"""The official Python client as an outside judge: typed objects, its watch, its error type."""

import asyncio
from collections.abc import Iterator
from typing import Any

import kubernetes
import pytest
from tests.contract.servers import access
from tests.sandbox.kube.clients import widget

from nodeeni.sandbox.kube import KubeServer


@pytest.fixture
def api(server: KubeServer) -> Iterator[Any]:
    configuration = kubernetes.client.Configuration()
    configuration.host = server.url
    headers, authority = access(server)
    configuration.ssl_ca_cert = authority
    with kubernetes.client.ApiClient(configuration) as client:
        client.default_headers.update(headers)
        yield client


async def test_typed_nodes_are_listed_and_watched(server: KubeServer, api: Any) -> None:
    core: Any = kubernetes.client.CoreV1Api(api)
    watcher: Any = kubernetes.watch.Watch
    server.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a"}})

    def work() -> list[tuple[str, str]]:
        listed = core.list_node()
        core.create_node(kubernetes.client.V1Node(metadata=kubernetes.client.V1ObjectMeta(name="b")))
        core.patch_node("b", {"metadata": {"labels": {"x": "y"}}})
        core.delete_node("b")
        seen = []
        watch = watcher()
        version = listed.metadata.resource_version
        for event in watch.stream(core.list_node, resource_version=version, timeout_seconds=5):
            seen.append((event["type"], event["object"].metadata.name))
            if event["type"] == "DELETED":
                watch.stop()
        return seen

    assert await asyncio.to_thread(work) == [("ADDED", "b"), ("MODIFIED", "b"), ("DELETED", "b")]


async def test_custom_objects_and_conflicts(widgets: KubeServer, api: Any) -> None:
    custom: Any = kubernetes.client.CustomObjectsApi(api)
    place = ("example.com", "v1", "widgets")

    def work() -> tuple[int, str, int]:
        made = custom.create_cluster_custom_object(*place, widget(part="part-1"))
        made["spec"]["size"] = 6
        custom.replace_cluster_custom_object(*place, "one", made)
        with pytest.raises(kubernetes.client.ApiException) as conflict:
            custom.replace_cluster_custom_object(*place, "one", made)
        custom.patch_cluster_custom_object_status(*place, "one", {"status": {"count": 4}})
        found = custom.get_cluster_custom_object(*place, "one")
        return conflict.value.status, conflict.value.reason, found["status"]["count"]

    assert await asyncio.to_thread(work) == (409, "Conflict", 4)


async def test_a_lease_is_held_and_renewed(server: KubeServer, api: Any) -> None:
    leases: Any = kubernetes.client.CoordinationV1Api(api)

    def work() -> tuple[str, int]:
        meta = kubernetes.client.V1ObjectMeta(name="l")
        spec = kubernetes.client.V1LeaseSpec(holder_identity="a", lease_duration_seconds=15)
        made = leases.create_namespaced_lease("default", kubernetes.client.V1Lease(metadata=meta, spec=spec))
        made.spec.holder_identity = "b"
        held = leases.replace_namespaced_lease("l", "default", made)
        with pytest.raises(kubernetes.client.ApiException) as conflict:
            leases.replace_namespaced_lease("l", "default", made)
        return held.spec.holder_identity, conflict.value.status

    assert await asyncio.to_thread(work) == ("b", 409)

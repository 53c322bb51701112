"""Lists, selectors, pages and the Table form."""

from typing import Any

import pytest
from tests.sandbox.kube.clients import WIDGETS, Client, widget

from nodeeni.sandbox.kube import KubeServer

NODES = "/api/v1/nodes"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


@pytest.fixture
def five_nodes(server: KubeServer) -> KubeServer:
    for index, name in enumerate("abcde"):
        labels = {"zone": "z1" if index < 2 else "z2", "rank": str(index)}
        server.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}})
    return server


async def names(client: Client, query: str) -> str:
    answer = await client.get(f"{NODES}?{query}")
    assert answer.code == 200, answer.body
    return "".join(item["metadata"]["name"] for item in answer.body["items"])


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("labelSelector=zone=z1", "ab"),
        ("labelSelector=zone!=z1", "cde"),
        ("labelSelector=zone%20in%20(z1,z3)", "ab"),
        ("labelSelector=zone%20notin%20(z1),rank%20in%20(2,3)", "cd"),
        ("labelSelector=nosuch", ""),
        ("labelSelector=!nosuch,zone%3D%3Dz2", "cde"),
        ("labelSelector=rank%3E2", "de"),
        ("fieldSelector=metadata.name=c", "c"),
        ("fieldSelector=metadata.name!=c", "abde"),
        ("fieldSelector=spec.unschedulable=false", "abcde"),
    ],
)
async def test_selectors(five_nodes: KubeServer, client: Client, query: str, found: str) -> None:
    assert await names(client, query) == found


@pytest.mark.parametrize("query", ["labelSelector=a%3D%3D%3Db", "fieldSelector=spec.nosuch%3Dx", "limit=x"])
async def test_what_cannot_be_selected_by_is_a_bad_request(
    five_nodes: KubeServer, client: Client, query: str
) -> None:
    answer = await client.get(f"{NODES}?{query}")
    assert (answer.code, answer.body["reason"]) == (400, "BadRequest")


async def test_pages_show_one_state_though_writes_go_on(five_nodes: KubeServer, client: Client) -> None:
    first = (await client.get(f"{NODES}?limit=2")).body
    assert first["metadata"]["remainingItemCount"] == 3
    five_nodes.delete("", "nodes", "d")
    five_nodes.patch("", "nodes", "c", {"metadata": {"labels": {"new": "yes"}}})
    five_nodes.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "cc"}})
    rest = (await client.get(f"{NODES}?limit=5&continue={first['metadata']['continue']}")).body
    assert [n["metadata"]["name"] for n in rest["items"]] == ["c", "d", "e"]
    assert "new" not in rest["items"][0]["metadata"]["labels"]
    assert rest["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


@pytest.mark.usefixtures("sandbox_only")  # a real one answers from its cache as long as that goes
async def test_a_page_of_a_forgotten_state_is_gone(five_nodes: KubeServer, client: Client) -> None:
    first = (await client.get(f"{NODES}?limit=2")).body
    five_nodes.patch("", "nodes", "c", {"metadata": {"labels": {"new": "yes"}}})
    five_nodes.store.compact()
    stale = await client.get(f"{NODES}?limit=5&continue={first['metadata']['continue']}")
    assert (stale.code, stale.body["reason"]) == (410, "Expired")


async def test_a_version_that_is_still_to_come_times_out(five_nodes: KubeServer, client: Client) -> None:
    answer = await client.get(f"{NODES}?resourceVersion=1000000")
    assert (answer.code, answer.body["reason"]) == (504, "Timeout")
    assert answer.body["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"


async def test_items_of_built_in_lists_come_without_their_kind(widgets: KubeServer, client: Client) -> None:
    widgets.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a"}})
    widgets.create(widget(part="part-1"))
    nodes = (await client.get(NODES)).body
    assert (nodes["kind"], nodes["apiVersion"]) == ("NodeList", "v1")
    assert "kind" not in nodes["items"][0]
    assert (await client.get(WIDGETS)).body["items"][0]["kind"] == "Widget"


async def test_printer_columns_make_the_table(widgets: KubeServer, client: Client) -> None:
    widgets.create({**widget(part="part-1"), "status": {"conditions": [{"type": "Ready", "status": "True"}]}})
    table = (await client.get(WIDGETS, Accept=TABLE)).body
    columns = [(c["name"], c["type"], c["priority"]) for c in table["columnDefinitions"]]
    assert columns == [
        ("Name", "string", 0),
        ("Size", "integer", 0),
        ("Ready", "string", 0),
        ("Mode", "string", 1),
        ("Age", "date", 0),
    ]
    assert table["rows"][0]["cells"][:4] == ["one", 5, "True", "Fast"]
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"


async def test_metadata_alone(five_nodes: KubeServer, client: Client) -> None:
    accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
    found = (await client.get(NODES, Accept=accept)).body
    assert found["kind"] == "PartialObjectMetadataList"
    assert {tuple(item) for item in found["items"]} == {("kind", "apiVersion", "metadata")}


@pytest.mark.usefixtures("sandbox_only")
async def test_protobuf_alone_is_not_acceptable(five_nodes: KubeServer, client: Client) -> None:
    answer: Any = await client.get(NODES, Accept="application/vnd.kubernetes.protobuf")
    assert (answer.code, answer.body["reason"]) == (406, "NotAcceptable")


async def test_requests_are_counted_by_verb_and_resource(widgets: KubeServer, client: Client) -> None:
    await client.post(WIDGETS, widget(part="part-1"))
    await client.merge(f"{WIDGETS}/one/status", {"status": {"count": 1}})
    await client.get(WIDGETS)
    await client.get(f"{WIDGETS}/one")
    assert dict(widgets.requests) == {
        ("create", "widgets"): 1,
        ("patch", "widgets/status"): 1,
        ("list", "widgets"): 1,
        ("get", "widgets"): 1,
    }

"""Create, update, patch and delete over HTTP, with the refusals that a real API server gives."""

from typing import Any

import pytest
from tests.sandbox.kube.clients import WIDGETS, Client, widget

from nodeeni.sandbox.kube import KubeServer

NODES = "/api/v1/nodes"


def node(name: str, **labels: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}}


async def test_a_created_object_gets_identity_and_defaults(widgets: KubeServer, client: Client) -> None:
    made = await client.post(WIDGETS, widget(part="part-1"))
    meta = made.body["metadata"]
    assert made.code == 201
    assert made.body["spec"] == {"selector": {"a": "b"}, "size": 5, "part": "part-1", "mode": "Fast"}
    assert meta["generation"] == 1
    assert meta["uid"]
    assert meta["creationTimestamp"].endswith("Z")
    assert (await client.get(f"{WIDGETS}/one")).body == made.body
    assert widgets.objects("example.com", "widgets") == [made.body]


async def test_a_second_create_of_a_name_is_refused(server: KubeServer, client: Client) -> None:
    await client.post(NODES, node("a"))
    again = await client.post(NODES, node("a"))
    assert again.code == 409
    assert again.body == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": 'nodes "a" already exists',
        "reason": "AlreadyExists",
        "details": {"name": "a", "kind": "nodes"},
        "code": 409,
    }


async def test_what_is_not_there_is_not_found(widgets: KubeServer, client: Client) -> None:
    missing = await client.get(f"{WIDGETS}/nope")
    assert (missing.code, missing.body["message"]) == (404, 'widgets.example.com "nope" not found')
    assert missing.body["details"] == {"name": "nope", "group": "example.com", "kind": "widgets"}
    assert (await client.delete(f"{WIDGETS}/nope")).code == 404
    assert (await client.merge(f"{WIDGETS}/nope", {})).code == 404
    unserved = await client.get("/apis/example.com/v1/gadgets")
    assert (unserved.code, unserved.body) == (404, "404 page not found\n")


async def test_generate_name_makes_new_names(server: KubeServer, client: Client) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "cm-"}}
    made = [await client.post("/api/v1/namespaces/default/configmaps", body) for _ in range(2)]
    names = {answer.body["metadata"]["name"] for answer in made}
    assert len(names) == 2
    assert all(name.startswith("cm-") and len(name) == 8 for name in names)


@pytest.mark.parametrize(
    ("obj", "message"),
    [
        (node("A_b"), 'metadata.name: Invalid value: "A_b": a lowercase RFC 1123 subdomain'),
        (node(""), "metadata.name: Required value: name or generateName is required"),
        (node("a", x="not ok"), 'metadata.labels: Invalid value: "not ok": a valid label must be'),
    ],
)
async def test_bad_metadata_is_refused(
    server: KubeServer, client: Client, obj: dict[str, Any], message: str
) -> None:
    refused = await client.post(NODES, obj)
    assert (refused.code, refused.body["reason"]) == (422, "Invalid")
    assert message in refused.body["message"]


async def test_objects_need_their_namespace(server: KubeServer, client: Client) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}
    refused = await client.post("/api/v1/namespaces/nope/configmaps", body)
    assert (refused.code, refused.body["message"]) == (404, 'namespaces "nope" not found')


async def test_a_stale_put_is_a_conflict(widgets: KubeServer, client: Client) -> None:
    made = (await client.post(WIDGETS, widget(part="part-1"))).body
    first = await client.put(f"{WIDGETS}/one", {**made, "spec": {**made["spec"], "size": 6}})
    stale = await client.put(f"{WIDGETS}/one", {**made, "spec": {**made["spec"], "size": 7}})
    assert first.code == 200
    assert (stale.code, stale.body["reason"]) == (409, "Conflict")
    assert stale.body["message"] == (
        'Operation cannot be fulfilled on widgets.example.com "one": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )


async def test_a_put_of_a_custom_resource_needs_a_version(widgets: KubeServer, client: Client) -> None:
    await client.post(WIDGETS, widget(part="part-1"))
    refused = await client.put(f"{WIDGETS}/one", widget(part="part-1"))
    assert refused.code == 422
    assert "metadata.resourceVersion: Invalid value: 0: must be specified" in refused.body["message"]


async def test_a_patch_can_be_bound_to_a_version(widgets: KubeServer, client: Client) -> None:
    made = (await client.post(WIDGETS, widget(part="part-1"))).body
    version = made["metadata"]["resourceVersion"]
    body = {"metadata": {"resourceVersion": version}, "spec": {"size": 6}}
    assert (await client.merge(f"{WIDGETS}/one", body)).code == 200
    assert (await client.merge(f"{WIDGETS}/one", {**body, "spec": {"size": 7}})).code == 409


async def test_generation_counts_spec_changes_alone(widgets: KubeServer, client: Client) -> None:
    await client.post(WIDGETS, widget(part="part-1"))

    async def generation(path: str, body: Any) -> int:
        answer = await client.merge(path, body)
        assert answer.code == 200, answer.body
        return int(answer.body["metadata"]["generation"])

    assert await generation(f"{WIDGETS}/one", {"metadata": {"labels": {"x": "y"}}}) == 1
    assert await generation(f"{WIDGETS}/one/status", {"status": {"count": 1}}) == 1
    assert await generation(f"{WIDGETS}/one", {"spec": {"size": 6}}) == 2
    assert await generation(f"{WIDGETS}/one", {"spec": {"size": 6}}) == 2


async def test_status_and_spec_have_separate_doors(widgets: KubeServer, client: Client) -> None:
    made = (await client.post(WIDGETS, {**widget(part="part-1"), "status": {"count": 9}})).body
    assert "status" not in made
    through_main = await client.merge(f"{WIDGETS}/one", {"status": {"count": 1}})
    assert "status" not in through_main.body
    body = {"metadata": {"labels": {"no": "no"}}, "spec": {"size": 9}, "status": {"count": 2}}
    through_status = (await client.merge(f"{WIDGETS}/one/status", body)).body
    assert through_status["status"] == {"count": 2}
    assert through_status["spec"]["size"] == 5
    assert "labels" not in through_status["metadata"]


async def test_a_write_that_changes_nothing_is_no_write(widgets: KubeServer, client: Client) -> None:
    made = (await client.post(WIDGETS, widget(part="part-1"))).body
    assert (await client.put(f"{WIDGETS}/one", made)).body == made
    assert (await client.merge(f"{WIDGETS}/one", {"spec": {"size": 5}})).body == made


async def test_a_dry_run_shows_and_stores_nothing(widgets: KubeServer, client: Client) -> None:
    shown = await client.post(f"{WIDGETS}?dryRun=All", widget(part="part-1"))
    assert (shown.code, shown.body["spec"]["mode"]) == (201, "Fast")
    assert widgets.objects("example.com", "widgets") == []
    await client.post(WIDGETS, widget(part="part-1"))
    await client.merge(f"{WIDGETS}/one?dryRun=All", {"spec": {"size": 9}})
    await client.delete(f"{WIDGETS}/one?dryRun=All")
    assert (await client.get(f"{WIDGETS}/one")).body["spec"]["size"] == 5


async def test_a_finalizer_holds_a_deleted_object(widgets: KubeServer, client: Client) -> None:
    held = widget(part="part-1")
    held["metadata"]["finalizers"] = ["example.com/hold"]
    await client.post(WIDGETS, held)
    deleted = await client.delete(f"{WIDGETS}/one")
    assert deleted.code == 200
    assert deleted.body["metadata"]["deletionTimestamp"]
    assert deleted.body["metadata"]["deletionGracePeriodSeconds"] == 0
    more = await client.merge(f"{WIDGETS}/one", {"metadata": {"finalizers": ["example.com/hold", "x.y/z"]}})
    assert more.code == 422
    assert "metadata.finalizers: Forbidden: no new finalizers can be added" in more.body["message"]
    again = await client.delete(f"{WIDGETS}/one")
    assert again.body["metadata"]["resourceVersion"] == deleted.body["metadata"]["resourceVersion"]
    await client.merge(f"{WIDGETS}/one", {"metadata": {"finalizers": None}})
    assert (await client.get(f"{WIDGETS}/one")).code == 404


async def test_a_deletion_can_be_bound_to_a_uid(server: KubeServer, client: Client) -> None:
    made = (await client.post(NODES, node("a"))).body
    other = await client.delete(f"{NODES}/a", {"preconditions": {"uid": "another"}})
    assert (other.code, other.body["reason"]) == (409, "Conflict")
    right = await client.delete(f"{NODES}/a", {"preconditions": {"uid": made["metadata"]["uid"]}})
    assert right.code == 200
    assert right.body["status"] == "Success"
    assert right.body["details"] == {"name": "a", "kind": "nodes", "uid": made["metadata"]["uid"]}


async def test_a_collection_is_deleted_by_selector(server: KubeServer, client: Client) -> None:
    for name, role in (("a", "x"), ("b", "y"), ("c", "x")):
        await client.post(NODES, node(name, role=role))
    deleted = await client.delete(f"{NODES}?labelSelector=role%3Dx")
    assert [item["metadata"]["name"] for item in deleted.body["items"]] == ["a", "c"]
    assert [n["metadata"]["name"] for n in server.objects("", "nodes")] == ["b"]


async def test_json_patches(widgets: KubeServer, client: Client) -> None:
    await client.post(WIDGETS, widget(part="part-1", parts=["a", "b"]))

    async def patch(*operations: dict[str, Any]) -> Any:
        return await client.call("PATCH", f"{WIDGETS}/one", list(operations), "application/json-patch+json")

    done = await patch(
        {"op": "test", "path": "/spec/size", "value": 5},
        {"op": "replace", "path": "/spec/size", "value": 6},
        {"op": "add", "path": "/spec/parts/-", "value": "c"},
        {"op": "remove", "path": "/spec/parts/0"},
        {"op": "add", "path": "/metadata/labels", "value": {"a/b": "1"}},
        {"op": "replace", "path": "/metadata/labels/a~1b", "value": "2"},
        {"op": "move", "from": "/spec/part", "path": "/spec/note"},
        {"op": "copy", "from": "/spec/note", "path": "/spec/part"},
    )
    assert done.body["spec"] == {
        "selector": {"a": "b"},
        "size": 6,
        "mode": "Fast",
        "parts": ["b", "c"],
        "part": "part-1",
        "note": "part-1",
    }
    assert done.body["metadata"]["labels"] == {"a/b": "2"}
    failed = await patch({"op": "test", "path": "/spec/size", "value": 5})
    assert (failed.code, failed.body["reason"]) == (422, "Invalid")


async def test_strategic_patches_merge_lists_by_key(server: KubeServer, client: Client) -> None:
    conditions = [{"type": "Ready", "status": "True"}, {"type": "Disk", "status": "False"}]
    server.create({**node("a"), "status": {"conditions": conditions}})
    patched = await client.call(
        "PATCH",
        f"{NODES}/a/status",
        {
            "status": {
                "$setElementOrder/conditions": [{"type": "New"}, {"type": "Ready"}],
                "conditions": [
                    {"type": "New", "status": "True"},
                    {"type": "Ready", "status": "False"},
                    {"$patch": "delete", "type": "Disk"},
                ],
            }
        },
        "application/strategic-merge-patch+json",
    )
    shown = patched.body["status"]["conditions"]
    assert [{"type": c["type"], "status": c["status"]} for c in shown] == [
        {"type": "New", "status": "True"},
        {"type": "Ready", "status": "False"},
    ]


async def test_strategic_patches_are_not_for_custom_resources(widgets: KubeServer, client: Client) -> None:
    await client.post(WIDGETS, widget(part="part-1"))
    refused = await client.call("PATCH", f"{WIDGETS}/one", {}, "application/strategic-merge-patch+json")
    assert (refused.code, refused.body["reason"]) == (415, "UnsupportedMediaType")


async def test_an_object_over_the_size_of_etcd_is_refused(widgets: KubeServer, client: Client) -> None:
    refused = await client.post(WIDGETS, widget(part="part-1", free={"x": "y" * 1_600_000}))
    assert (refused.code, refused.body["message"]) == (500, "etcdserver: request is too large")
    huge = await client.post(WIDGETS, widget(part="part-1", free={"x": "y" * 3_200_000}))
    assert (huge.code, huge.body["reason"]) == (413, "RequestEntityTooLarge")


async def test_a_lease_is_created_by_its_put(server: KubeServer, client: Client) -> None:
    path = "/apis/coordination.k8s.io/v1/namespaces/default/leases/l"
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "l", "namespace": "default"},
        "spec": {"holderIdentity": "a", "renewTime": "2026-01-01T00:00:00.123456Z"},
    }
    made = await client.put(path, lease)
    assert (made.code, made.body["spec"]) == (201, lease["spec"])


async def test_an_event_is_one_object_in_both_groups(server: KubeServer, client: Client) -> None:
    core = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "e", "namespace": "default"},
        "involvedObject": {"kind": "Node", "name": "a"},
        "reason": "Because",
        "message": "words",
        "count": 2,
    }
    await client.post("/api/v1/namespaces/default/events", core)
    other = "/apis/events.k8s.io/v1/namespaces/default/events"
    shown = (await client.get(f"{other}/e")).body
    assert (shown["regarding"], shown["note"], shown["deprecatedCount"]) == (
        core["involvedObject"],
        "words",
        2,
    )
    found = await client.get("/api/v1/events?fieldSelector=involvedObject.name%3Da,reason%3DBecause")
    assert [e["metadata"]["name"] for e in found.body["items"]] == ["e"]

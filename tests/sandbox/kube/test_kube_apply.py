"""Server-side apply: who owns a field, who may change it, what goes when nobody wants it any more."""

from typing import Any

import msgspec
from tests.sandbox.kube.clients import WIDGETS, Client, widget

from nodeeni.sandbox.kube import KubeServer

ONE = f"{WIDGETS}/one"


def owned(obj: dict[str, Any]) -> dict[str, Any]:
    return {
        entry["manager"] + ("/" + entry["subresource"] if "subresource" in entry else ""): entry["fieldsV1"]
        for entry in obj["metadata"]["managedFields"]
    }


def stated(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "one"}, "spec": spec}


async def test_an_apply_creates_and_owns_what_it_states(widgets: KubeServer, client: Client) -> None:
    body = stated(selector={"a": "b"}, parts=["x"], entries=[{"name": "n", "value": "v"}])
    made = await client.apply(ONE, body, "me")
    assert made.code == 201
    assert owned(made.body) == {
        "me": {
            "f:spec": {
                "f:selector": {"f:a": {}},
                "f:parts": {'v:"x"': {}},
                "f:entries": {'k:{"name":"n"}': {".": {}, "f:name": {}, "f:value": {}}},
            }
        }
    }
    assert made.body["spec"]["mode"] == "Fast"
    again = await client.apply(ONE, body, "me")
    assert (again.code, again.body) == (200, made.body)


async def test_an_apply_does_not_take_a_field_from_its_owner(widgets: KubeServer, client: Client) -> None:
    await client.apply(ONE, stated(selector={"a": "b"}, part="part-1", size=3), "first")
    refused = await client.apply(ONE, stated(size=4, mode="Slow"), "second")
    assert (refused.code, refused.body["reason"]) == (409, "Conflict")
    assert refused.body["message"] == 'Apply failed with 1 conflict: conflict with "first": .spec.size'
    assert refused.body["details"]["causes"] == [
        {"reason": "FieldManagerConflict", "message": 'conflict with "first"', "field": ".spec.size"}
    ]
    forced = await client.apply(ONE, stated(size=4, mode="Slow"), "second", force=True)
    assert (forced.body["spec"]["size"], forced.body["spec"]["mode"]) == (4, "Slow")
    assert owned(forced.body) == {
        "first": {"f:spec": {"f:selector": {"f:a": {}}, "f:part": {}}},
        "second": {"f:spec": {"f:size": {}, "f:mode": {}}},
    }


async def test_a_field_of_the_same_value_is_shared(widgets: KubeServer, client: Client) -> None:
    await client.apply(ONE, stated(selector={"a": "b"}, part="part-1", size=3), "first")
    await client.apply(ONE, stated(size=3), "second")
    left = await client.apply(ONE, stated(selector={"a": "b"}, part="part-1"), "first")
    assert left.body["spec"]["size"] == 3
    gone = await client.apply(ONE, {**stated(), "metadata": {"name": "one", "labels": {"x": "y"}}}, "second")
    assert "size" not in gone.body["spec"]
    assert gone.body["metadata"]["labels"] == {"x": "y"}


async def test_list_items_go_with_the_last_who_wants_them(widgets: KubeServer, client: Client) -> None:
    await client.apply(
        ONE, stated(selector={"a": "b"}, parts=["x", "y"], entries=[{"name": "n"}, {"name": "m"}]), "first"
    )
    await client.apply(ONE, stated(parts=["z", "y"], entries=[{"name": "m", "value": "v"}]), "second")
    left = await client.apply(ONE, stated(selector={"a": "b"}, parts=["x"], entries=[]), "first")
    assert left.body["spec"]["parts"] == ["x", "z", "y"]
    assert left.body["spec"]["entries"] == [{"name": "m", "weight": 1, "value": "v"}]


async def test_other_writes_take_ownership_and_make_conflicts(widgets: KubeServer, client: Client) -> None:
    await client.apply(ONE, stated(selector={"a": "b"}, part="part-1", size=3), "me")
    path = f"{ONE}?fieldManager=patcher"
    patched = await client.merge(path, {"spec": {"size": 4}, "metadata": {"labels": {"x": "y"}}})
    assert owned(patched.body)["patcher"] == {
        "f:metadata": {"f:labels": {".": {}, "f:x": {}}},
        "f:spec": {"f:size": {}},
    }
    assert owned(patched.body)["me"] == {"f:spec": {"f:selector": {"f:a": {}}, "f:part": {}}}
    refused = await client.apply(ONE, stated(selector={"a": "b"}, part="part-1", size=3), "me")
    assert refused.code == 409
    assert 'conflict with "patcher" using example.com/v1: ' in refused.body["message"]


async def test_status_has_its_own_owners(widgets: KubeServer, client: Client) -> None:
    await client.post(f"{WIDGETS}?fieldManager=maker", widget(part="part-1"))
    body = {
        "apiVersion": "example.com/v1",
        "kind": "Widget",
        "metadata": {"name": "one"},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    }
    applied = await client.apply(f"{ONE}/status", body, "controller", force=True)
    assert applied.body["status"] == body["status"]
    assert owned(applied.body)["controller/status"] == {
        "f:status": {"f:conditions": {'k:{"type":"Ready"}': {".": {}, "f:type": {}, "f:status": {}}}}
    }


async def test_an_apply_is_refused_that_is_none(widgets: KubeServer, client: Client) -> None:
    nameless = await client.call("PATCH", ONE, stated(), "application/apply-patch+yaml")
    assert nameless.code == 422
    assert "fieldManager: Required value: is required for apply patch" in nameless.body["message"]
    unknown = await client.apply(ONE, stated(selector={"a": "b"}, colour="red"), "me")
    assert unknown.code == 500
    assert ".spec.colour: field not declared in schema" in unknown.body["message"]
    managed = {**stated(), "metadata": {"name": "one", "managedFields": [{"manager": "x"}]}}
    assert (await client.apply(ONE, managed, "me")).body["message"] == "metadata.managedFields must be nil"


async def test_kubectl_takes_over_from_its_client_side_apply(widgets: KubeServer, client: Client) -> None:
    """The migration that the API server grants to the manager `kubectl` alone."""
    before = stated(selector={"a": "b"}, part="part-1", size=3)
    noted = {"kubectl.kubernetes.io/last-applied-configuration": msgspec.json.encode(before).decode()}
    annotated = {**before, "metadata": {"name": "one", "annotations": noted}}
    await client.post(f"{WIDGETS}?fieldManager=kubectl-client-side-apply", annotated)
    wanted = stated(selector={"a": "b"}, part="part-1", size=4)
    assert (await client.apply(ONE, wanted, "another")).code == 409
    taken = await client.apply(ONE, wanted, "kubectl")
    assert (taken.code, taken.body["spec"]["size"]) == (200, 4)
    note = taken.body["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"]
    assert msgspec.json.decode(note)["spec"]["size"] == 4
    await client.merge(f"{ONE}?fieldManager=other", {"spec": {"size": 5}})
    assert (await client.apply(ONE, wanted, "kubectl")).code == 409

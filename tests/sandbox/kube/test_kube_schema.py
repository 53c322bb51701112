"""What a CRD's schema and rules do to objects, and what becomes of a CRD that cannot be evaluated."""

import copy
from typing import Any

import pytest
from tests.kube.waiting import until
from tests.sandbox.kube.clients import WIDGETS, Client, widget

from nodeeni.sandbox.kube import ApiError, KubeServer

FIRST = {"part": "part-1"}


@pytest.mark.parametrize(
    ("spec", "fault"),
    [
        ({"size": 0}, "spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1"),
        ({"size": 11}, "spec.size: Invalid value: 11: spec.size in body should be less than or equal to 10"),
        ({"mode": "Lazy"}, 'spec.mode: Unsupported value: "Lazy": supported values: "Fast", "Slow"'),
        (
            {"part": "x"},
            "spec.part: Invalid value: \"x\": spec.part in body should match '^part-[0-9]+$'",
        ),
        ({"note": "x" * 11}, "spec.note: Too long: may not be more than 10 bytes"),
        ({"parts": ["a", "b", "c", "d"]}, "spec.parts: Too many: 4: must have at most 3 items"),
        ({"parts": ["a", "a"]}, 'spec.parts[1]: Duplicate value: "a"'),
        ({"entries": [{"value": "x"}]}, "spec.entries[0].name: Required value"),
        (
            {"entries": [{"name": "x"}, {"name": "x"}]},
            'spec.entries[1]: Duplicate value: {"name":"x"}',
        ),
        ({"tags": {"aws:x": "y"}}, "spec.tags: Forbidden: no key may begin with aws:, of 1"),
        (
            {"selector": {}},
            'spec.selector: Invalid value: "object": an empty selector would take everything',
        ),
        (
            {"size": "big"},
            'spec.size: Invalid value: "string": spec.size in body must be of type integer: "string"',
        ),
        ({"port": True}, 'spec.port: Invalid value: "boolean": spec.port in body must be of type integer'),
    ],
)
async def test_a_fault_is_named_with_its_field(
    widgets: KubeServer, client: Client, spec: dict[str, Any], fault: str
) -> None:
    refused = await client.post(WIDGETS, widget(**{**FIRST, **spec}))
    assert (refused.code, refused.body["reason"]) == (422, "Invalid")
    assert fault in refused.body["message"]
    field = fault.split(": ")[0]
    assert field in {cause["field"] for cause in refused.body["details"]["causes"]}
    assert widgets.objects("example.com", "widgets") == []


async def test_rules_across_fields(widgets: KubeServer, client: Client) -> None:
    refused = await client.post(WIDGETS, widget())
    assert refused.body["message"] == (
        'Widget.example.com "one" is invalid: spec: Invalid value: "object": '
        "at least one of part, parts is needed"
    )
    assert (await client.post(WIDGETS, widget(parts=["a"]))).code == 201


async def test_a_transition_rule_looks_at_what_was(widgets: KubeServer, client: Client) -> None:
    await client.post(WIDGETS, widget(part="part-1", parts=["a"]))
    refused = await client.merge(f"{WIDGETS}/one", {"spec": {"part": None}})
    assert refused.code == 422
    assert refused.body["details"]["causes"] == [
        {
            "reason": "FieldValueInvalid",
            "message": 'Invalid value: "object": part cannot be taken away',
            "field": "spec",
        }
    ]


async def test_unknown_fields_are_pruned_warned_of_or_refused(widgets: KubeServer, client: Client) -> None:
    body = widget(part="part-1", colour="red", free={"any": {"thing": 1}})
    strict = await client.post(f"{WIDGETS}?fieldValidation=Strict", body)
    assert strict.code == 400
    assert 'strict decoding error: unknown field "spec.colour"' in strict.body["message"]
    warned = await client.post(f"{WIDGETS}?fieldValidation=Warn", body)
    assert warned.headers["Warning"] == '299 - "unknown field \\"spec.colour\\""'
    assert "colour" not in warned.body["spec"]
    assert warned.body["spec"]["free"] == {"any": {"thing": 1}}


async def test_defaults_reach_into_lists_and_replace_nulls(widgets: KubeServer, client: Client) -> None:
    made = await client.post(
        WIDGETS, widget(part="part-1", mode=None, note=None, entries=[{"name": "a"}], port="http")
    )
    assert made.body["spec"]["entries"] == [{"name": "a", "weight": 1}]
    assert made.body["spec"]["mode"] == "Fast"
    assert made.body["spec"]["note"] is None


async def test_a_status_is_validated_too(widgets: KubeServer, client: Client) -> None:
    await client.post(WIDGETS, widget(part="part-1"))
    body = {"status": {"conditions": [{"type": "Ready", "status": "True", "since": "yesterday"}]}}
    refused = await client.merge(f"{WIDGETS}/one/status", body)
    assert refused.code == 422
    assert refused.body["details"]["causes"][0]["field"] == "status.conditions[0].since"


def _with_a_status_by_default(definition: dict[str, Any]) -> dict[str, Any]:
    changed = copy.deepcopy(definition)
    status = changed["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]
    status["default"] = {}
    status["properties"]["conditions"]["default"] = [{"type": "Ready", "status": "Unknown"}]
    return changed


UNKNOWN = {"conditions": [{"type": "Ready", "status": "Unknown"}]}


async def test_a_status_that_has_defaults_is_there_from_the_creation_on_whatever_was_sent(
    server: KubeServer, client: Client, definition: dict[str, Any]
) -> None:
    server.create(_with_a_status_by_default(definition))
    sent = {**widget(part="part-1"), "status": {"count": 7}}
    made = await client.post(WIDGETS, sent)
    assert made.body["status"] == UNKNOWN
    assert (await client.get(f"{WIDGETS}/one")).body["status"] == UNKNOWN
    told = await client.merge(f"{WIDGETS}/one/status", {"status": {"count": 1, "conditions": []}})
    assert told.body["status"] == {"count": 1, "conditions": []}
    wiped = await client.merge(f"{WIDGETS}/one/status", {"status": None})
    assert wiped.body["status"] == UNKNOWN


async def test_defaults_reach_what_was_stored_before_they_were_there_without_a_write(
    widgets: KubeServer, client: Client, definition: dict[str, Any]
) -> None:
    await client.post(WIDGETS, widget(part="part-1"))
    before = (await client.merge(f"{WIDGETS}/one/status", {"status": {"count": 1}})).body
    definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    spec = _with_a_status_by_default(definition)["spec"]
    await client.merge(f"{definitions}/widgets.example.com", {"spec": spec})

    # A real one serves by the new definition a moment later.
    await until(lambda: "conditions" in widgets.objects("example.com", "widgets")[0]["status"])
    found = (await client.get(f"{WIDGETS}/one")).body
    assert found["status"] == {"count": 1, **UNKNOWN}
    assert found["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    (listed,) = (await client.get(WIDGETS)).body["items"]
    assert listed["status"] == found["status"]


def _with_rule(definition: dict[str, Any], rule: str) -> dict[str, Any]:
    changed = copy.deepcopy(definition)
    spec = changed["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    spec["x-kubernetes-validations"] = [{"rule": rule}]
    return changed


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ("self.size >", "Syntax error"),
        ("nosuch(self.size)", "undeclared reference to 'nosuch'"),
        ("self.sise > 1", "undefined field 'sise'"),
        ("self.size + 1", "must evaluate to"),
    ],
)
def test_a_crd_with_a_rule_that_cannot_be_evaluated_is_refused(
    server: KubeServer, definition: dict[str, Any], rule: str, why: str
) -> None:
    with pytest.raises(ApiError) as refused:
        server.create(_with_rule(definition, rule))
    assert (refused.value.code, refused.value.reason) == (422, "Invalid")
    assert why in refused.value.message
    assert "properties[spec].x-kubernetes-validations[0].rule" in refused.value.message
    definitions = server.objects("apiextensions.k8s.io", "customresourcedefinitions")
    assert "widgets.example.com" not in [made["metadata"]["name"] for made in definitions]


@pytest.mark.usefixtures("sandbox_only")
def test_a_crd_with_a_function_that_is_not_there_is_refused(
    server: KubeServer, definition: dict[str, Any]
) -> None:
    with pytest.raises(ApiError, match="undeclared reference to 'isURL'"):
        server.create(_with_rule(definition, "isURL(self.part)"))


@pytest.mark.usefixtures("sandbox_only")
def test_a_crd_with_a_rule_option_that_is_not_evaluated_is_refused(
    server: KubeServer, definition: dict[str, Any]
) -> None:
    changed = _with_rule(definition, "!oldSelf.hasValue()")
    schema = changed["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema["properties"]["spec"]["x-kubernetes-validations"][0]["optionalOldSelf"] = True
    with pytest.raises(ApiError, match=r"optionalOldSelf: Forbidden: not evaluated by this server"):
        server.create(changed)


@pytest.mark.usefixtures("sandbox_only")
def test_a_crd_with_a_word_that_is_not_evaluated_is_refused(
    server: KubeServer, definition: dict[str, Any]
) -> None:
    spec = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    spec["properties"]["size"]["multipleOf"] = 2
    with pytest.raises(ApiError, match=r"properties\[size\]\.multipleOf: Forbidden"):
        server.create(definition)


async def test_a_crd_is_served_once_it_is_there_and_no_longer_when_it_is_gone(
    widgets: KubeServer, client: Client
) -> None:
    crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    crd = (await client.get(f"{crds}/widgets.example.com")).body
    assert {c["type"]: c["status"] for c in crd["status"]["conditions"]} == {
        "NamesAccepted": "True",
        "Established": "True",
    }
    assert crd["status"]["storedVersions"] == ["v1"]
    await client.post(WIDGETS, widget(part="part-1"))
    async with client.session.get(f"{WIDGETS}?watch=true&resourceVersion={widgets.store.revision}") as watch:
        await client.delete(f"{crds}/widgets.example.com")
        assert b'"type":"DELETED"' in await watch.content.read()
    assert (await client.get(WIDGETS)).code == 404
    assert (await client.get(f"{crds}/widgets.example.com")).code == 404

"""CustomResourceDefinitions: what is accepted, and what the server then serves.

A definition is refused where the real API server refuses it: names, one storage version, a structural
schema, rules that compile. So a manifest that this server takes is one that a cluster takes.
"""

from collections.abc import Iterator
from typing import Any

from nodeeni.sandbox.kube.builtin import NAME_COLUMN, OBJECT_META
from nodeeni.sandbox.kube.cel import Rules, compile_rules
from nodeeni.sandbox.kube.resources import Column, Resource
from nodeeni.sandbox.kube.schema import INT_OR_STRING, PRESERVE, child
from nodeeni.sandbox.kube.status import (
    Cause,
    Object,
    forbidden_value,
    invalid_value,
    not_supported,
    required,
)

GROUP = "apiextensions.k8s.io"
CLEANUP = "customresourcecleanup.apiextensions.k8s.io"

_TYPES = ("array", "boolean", "integer", "number", "object", "string")
# The words of a schema that are understood here. Others are refused: no constraint is passed over in silence.
_KNOWN_WORDS = frozenset(
    (
        "type",
        "properties",
        "required",
        "items",
        "additionalProperties",
        "enum",
        "pattern",
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
        "minProperties",
        "maxProperties",
        "minimum",
        "maximum",
        "default",
        "nullable",
        "format",
        "description",
        "title",
        "example",
        "externalDocs",
        "x-kubernetes-validations",
        "x-kubernetes-list-type",
        "x-kubernetes-list-map-keys",
        "x-kubernetes-map-type",
        "x-kubernetes-preserve-unknown-fields",
        "x-kubernetes-int-or-string",
    )
)


def check_definition(crd: Object) -> list[Cause]:
    spec = crd.get("spec") or {}
    faults = list(_check_names(crd["metadata"]["name"], spec))
    versions = spec.get("versions") or []
    if not versions:
        faults.append(required("spec.versions", "must have at least one version"))
    elif sum(bool(v.get("storage")) for v in versions) != 1:
        faults.append(
            invalid_value(
                "spec.versions", versions, "must have exactly one version marked as storage version"
            )
        )
    for index, version in enumerate(versions):
        faults.extend(_check_version(version, f"spec.versions[{index}]"))
    conversion = (spec.get("conversion") or {}).get("strategy", "None")
    if conversion != "None":
        faults.append(not_supported("spec.conversion.strategy", conversion, ["None"]))
    return faults


def _check_names(name: str, spec: Object) -> Iterator[Cause]:
    names, group = spec.get("names") or {}, spec.get("group", "")
    if not group:
        yield required("spec.group")
    for field in ("plural", "kind"):
        if not names.get(field):
            yield required(f"spec.names.{field}")
    if name != f"{names.get('plural')}.{group}":
        yield invalid_value("metadata.name", name, 'must be spec.names.plural+"."+spec.group')
    if spec.get("scope") not in ("Cluster", "Namespaced"):
        yield not_supported("spec.scope", spec.get("scope", ""), ["Cluster", "Namespaced"])


def _check_version(version: Object, place: str) -> list[Cause]:
    schema = (version.get("schema") or {}).get("openAPIV3Schema")
    at = f"{place}.schema.openAPIV3Schema"
    if not schema:
        return [required(at, "schemas are required")]
    faults = list(_check_structural(schema, at))
    if not faults:
        compile_rules(schema, at, faults)
    return faults


def _check_structural(schema: Object, at: str) -> Iterator[Cause]:
    if not schema.get("type") and not (schema.get(INT_OR_STRING) or schema.get(PRESERVE)):
        yield required(f"{at}.type", "must not be empty for specified object fields")
    elif "type" in schema and schema["type"] not in _TYPES:
        yield not_supported(f"{at}.type", schema["type"], _TYPES)
    for word in schema:
        if word not in _KNOWN_WORDS and not (word == "anyOf" and schema.get(INT_OR_STRING)):
            yield forbidden_value(f"{at}.{word}", "not evaluated by this server")
    yield from _check_list_type(schema, at)
    if isinstance(schema.get("additionalProperties"), dict):
        if schema.get("properties"):
            yield forbidden_value(f"{at}.additionalProperties", "must not be used with properties")
        yield from _check_structural(schema["additionalProperties"], f"{at}.additionalProperties")
    for name, field in schema.get("properties", {}).items():
        yield from _check_structural(field, f"{at}.properties[{name}]")
    if isinstance(schema.get("items"), dict):
        yield from _check_structural(schema["items"], f"{at}.items")
    elif schema.get("type") == "array":
        yield required(f"{at}.items", "must be specified")


def _check_list_type(schema: Object, at: str) -> Iterator[Cause]:
    keys = schema.get("x-kubernetes-list-map-keys")
    if schema.get("x-kubernetes-list-type") != "map":
        return
    if not keys:
        yield required(
            f"{at}.x-kubernetes-list-map-keys", "must not be empty if x-kubernetes-list-type is map"
        )
        return
    items = schema.get("items", {})
    for key in keys:
        if key not in items.get("properties", {}):
            yield invalid_value(
                f"{at}.x-kubernetes-list-map-keys", keys, "entries must all be names of item properties"
            )
        elif key not in items.get("required", ()) and "default" not in items["properties"][key]:
            place = child(f"{at}.items.properties[{key}]", "default")
            yield required(
                place,
                "a list map key must have a default or be a required property",
            )


def resources_of(crd: Object) -> Iterator[tuple[Resource, Rules | None]]:
    """What an accepted definition serves: one resource per served version, with its rules."""
    spec = crd["spec"]
    names = spec["names"]
    for version in spec["versions"]:
        if not version.get("served", True):
            continue
        schema = _with_metadata(version["schema"]["openAPIV3Schema"])
        subresources = version.get("subresources") or {}
        yield (
            Resource(
                spec["group"],
                version["name"],
                names["plural"],
                names["kind"],
                names.get("singular") or names["kind"].lower(),
                tuple(names.get("shortNames") or ()),
                tuple(names.get("categories") or ()),
                namespaced=spec["scope"] == "Namespaced",
                status="status" in subresources,
                generation=True,
                custom=True,
                unconditional_update=False,
                schema=schema,
                columns=tuple(_columns(version)),
                selectable=tuple(f["jsonPath"].lstrip(".") for f in version.get("selectableFields") or ()),
                list_kind=names.get("listKind", ""),
            ),
            compile_rules(schema, "", []),
        )


def _with_metadata(schema: Object) -> Object:
    properties = schema.get("properties", {})
    return {
        **schema,
        "properties": {
            "apiVersion": {
                "type": "string",
                "description": "The version of this representation of the object.",
            },
            "kind": {"type": "string", "description": "The REST resource that this object represents."},
            **properties,
            "metadata": OBJECT_META,
        },
    }


def _columns(version: Object) -> Iterator[Column]:
    yield NAME_COLUMN
    given: list[dict[str, Any]] = version.get("additionalPrinterColumns") or [
        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}
    ]
    for column in given:
        yield Column(
            column["name"],
            column["type"],
            column["jsonPath"],
            column.get("priority", 0),
            column.get("description")
            or f"Custom resource definition column (in JSONPath format): {column['jsonPath']}",
            column.get("format", ""),
        )


def established(crd: Object, now: str) -> Object:
    """The status of a definition that is being served, from one that was just written."""
    spec = crd["spec"]
    names = spec["names"]
    accepted = {
        **names,
        "singular": names.get("singular") or names["kind"].lower(),
        "listKind": names.get("listKind") or names["kind"] + "List",
    }
    known = {c["type"]: c for c in (crd.get("status") or {}).get("conditions") or ()}
    conditions = [
        known.get(kind)
        or {"type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": now}
        for kind, reason, message in (
            ("NamesAccepted", "NoConflicts", "no conflicts found"),
            ("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        )
    ]
    stored = [v["name"] for v in spec["versions"] if v.get("storage")]
    before = (crd.get("status") or {}).get("storedVersions") or []
    return {
        "conditions": conditions,
        "acceptedNames": accepted,
        "storedVersions": list(dict.fromkeys([*before, *stored])),
    }

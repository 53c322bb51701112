"""The CRD manifests, generated from the types in `v1alpha1/`. Run by `hack/generate.py`.

The walk goes over msgspec's own reading of the types, so that what is decoded and what the API server is
told can never differ. The result is a structural schema: inline, without references.
"""

import json
import re
from typing import Any

from msgspec import inspect

from nodeeni.api.names import GROUP, VERSION
from nodeeni.api.v1alpha1 import ENINode, NodeENI

Schema = dict[str, Any]

_HELD = re.compile(r"\{(\w+)\}")  # in a rule's message


def nodeeni_crd() -> Schema:
    """The manifest of the NodeENI custom resource definition."""
    return _crd(
        NodeENI,
        kind="NodeENI",
        plural="nodeenis",
        short_name="neni",
        required=["spec"],
        columns=[
            _column("Nodes", "integer", ".status.desired"),
            _column("Attached", "integer", ".status.attached"),
            _column("Up", "integer", ".status.linksUp"),
            _column("Removing", "integer", ".status.removing"),
            _column("Ready", "string", '.status.conditions[?(@.type=="Ready")].status'),
            _column("Subnet", "string", ".status.subnets", priority=1),
            _column("Index", "integer", ".spec.deviceIndex", priority=1),
            _column("IPs", "integer", ".spec.secondaryPrivateIPCount", priority=1),
            _column("Prefixes", "integer", ".spec.ipv4PrefixCount", priority=1),
            _column("IPv6", "integer", ".spec.ipv6AddressCount", priority=1),
            _column("IPv6Prefixes", "integer", ".spec.ipv6PrefixCount", priority=1),
            _column("Reason", "string", '.status.conditions[?(@.type=="Ready")].reason', priority=1),
            _column("Degraded", "string", '.status.conditions[?(@.type=="Degraded")].reason', priority=1),
            _column("Age", "date", ".metadata.creationTimestamp"),
        ],
    )


def eninode_crd() -> Schema:
    """The manifest of the ENINode custom resource definition."""
    return _crd(
        ENINode,
        kind="ENINode",
        plural="eninodes",
        short_name="enin",
        required=[],
        columns=[
            _column("Instance", "string", ".spec.instanceID"),
            # Counted by who writes them: of a list the API server prints the first match alone.
            _column("ENIs", "integer", ".spec.enis"),
            _column("Up", "integer", ".status.linksUp"),
            _column("Age", "date", ".metadata.creationTimestamp"),
        ],
    )


def _crd(
    root: type, *, kind: str, plural: str, short_name: str, required: list[str], columns: list[Schema]
) -> Schema:
    properties: Schema = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}}
    properties["metadata"] = {"type": "object"}
    for field in _struct(root).fields:
        if field.name != "metadata":
            properties[field.encode_name] = schema_of(field.type)
    document: Schema = {"type": "object", "description": (root.__doc__ or "").strip()}
    document["properties"] = properties
    if required:
        document["required"] = required
    document.update(_rules(root))
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": kind.lower(),
                "shortNames": [short_name],
            },
            "scope": "Cluster",
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": columns,
                    "schema": {"openAPIV3Schema": document},
                }
            ],
        },
    }


def _column(name: str, kind: str, path: str, priority: int = 0) -> Schema:
    column: Schema = {"name": name, "type": kind, "jsonPath": path}
    if priority:
        column["priority"] = priority
    return column


def schema_of(kind: inspect.Type) -> Schema:
    """The structural schema of one type, with the descriptions and rules that its annotations carry."""
    match kind:
        case inspect.Metadata(type=inner, extra_json_schema=extra):
            return {**schema_of(inner), **(extra or {})}
        case inspect.UnionType(types=members):
            return schema_of(_without_none(members))
        case inspect.StrType():
            return {"type": "string"}
        case inspect.BoolType():
            return {"type": "boolean"}
        case inspect.IntType():
            return {"type": "integer"}
        case inspect.LiteralType(values=values):
            return {"type": "string", "enum": list(values)}
        case inspect.ListType(item_type=item) | inspect.VarTupleType(item_type=item):
            return {"type": "array", "items": schema_of(item)}
        case inspect.DictType(value_type=value):
            return {"type": "object", "additionalProperties": schema_of(value)}
        case inspect.StructType():
            return _object(kind)
    raise TypeError(f"no structural schema for {kind!r}: write one in schema_of")


def _without_none(members: tuple[inspect.Type, ...]) -> inspect.Type:
    """An optional field is one that may be absent, not one that may be null."""
    (only,) = (member for member in members if not isinstance(member, inspect.NoneType))
    return only


def _object(kind: inspect.StructType) -> Schema:
    result: Schema = {"type": "object"}
    doc = (kind.cls.__doc__ or "").strip()
    if doc:
        result["description"] = " ".join(doc.split())
    result["properties"] = {}
    for field in kind.fields:
        entry = schema_of(field.type)
        if isinstance(field.default, str | int | bool) and field.default != "" and not _is_status(kind.cls):
            entry["default"] = field.default
        result["properties"][field.encode_name] = entry
    required = [field.encode_name for field in kind.fields if field.required]
    if required:
        result["required"] = required
    return {**result, **_rules(kind.cls)}


def _is_status(cls: type) -> bool:
    """No value of a type is defaulted into a status: what stands there was reported. Only what its schema
    says itself is: that nothing was, yet."""
    return cls.__name__.endswith("Status") or cls.__name__ == "Condition"


def _rules(cls: type) -> Schema:
    rules = [_rule(rule) for rule in getattr(cls, "RULES", ())]
    return {"x-kubernetes-validations": rules} if rules else {}


def _rule(rule: Any) -> Schema:
    says = {"message": rule.message}
    if len(parts := _HELD.split(rule.message)) > 1:
        # In turns text and the name of a field.
        words = [f"self.{each}" if n % 2 else json.dumps(each) for n, each in enumerate(parts)]
        says = {"messageExpression": " + ".join(words)}
    return {"rule": rule.rule, **says, "fieldPath": f".{rule.field}"}


def _struct(root: type) -> inspect.StructType:
    info = inspect.type_info(root)
    assert isinstance(info, inspect.StructType)
    return info


def manifests() -> dict[str, Schema]:
    """File name under `deploy/crds/` → manifest."""
    return {
        f"{crd['spec']['group']}_{crd['spec']['names']['plural']}_crd.yaml": crd
        for crd in (nodeeni_crd(), eninode_crd())
    }

"""What every write goes through before it is stored: is this the right kind of thing, which fields does the
schema know, is it valid.
"""

from typing import Any

from nodeeni.sandbox.kube import cel, crd, kinds, metadata, schema
from nodeeni.sandbox.kube.resources import Resource
from nodeeni.sandbox.kube.schema import ABSENT
from nodeeni.sandbox.kube.status import Cause, Object, bad_request, invalid, invalid_value
from nodeeni.sandbox.kube.targets import Options, Target

# Faults of the schema that keep the API server from evaluating the CEL rules at all.
_BLOCKING = frozenset(
    (
        "FieldValueNotSupported",
        "FieldValueRequired",
        "FieldValueTooLong",
        "FieldValueTooMany",
        "FieldValueTypeInvalid",
    )
)
_NOT_CHECKED = (
    "some validation rules were not checked because the object was invalid; correct the existing errors to "
    "complete validation"
)


def incoming(target: Target, obj: Any) -> Object:
    """What the client sent, in stored form, with kind and namespace checked and filled in."""
    resource = target.resource
    obj = metadata.check_shape(obj)
    version, kind = obj.get("apiVersion") or resource.api_version, obj.get("kind") or resource.kind
    if version != resource.api_version:
        raise bad_request(
            f"the API version in the data ({version}) does not match the expected API version "
            f"({resource.api_version})"
        )
    if kind != resource.kind and resource.custom:
        cause = invalid_value("kind", kind, f"must be {resource.kind}")
        raise invalid(kind, resource.group, obj["metadata"].get("name", ""), [cause])
    if kind != resource.kind:
        raise bad_request(
            f'{kind} in version "{resource.version}" cannot be handled as a {resource.kind}: '
            f"no kind {kind} is registered for the expected resource"
        )
    namespace = obj["metadata"].get("namespace") or target.key[0]
    if resource.namespaced and namespace != target.key[0]:
        raise bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )
    rest = {k: v for k, v in obj.items() if k not in ("apiVersion", "kind", "metadata")}
    return kinds.stored_form(
        resource,
        {
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": dict(obj["metadata"]),
            **rest,
        },
    )


def settled(resource: Resource, obj: Object, old: Object | None, options: Options) -> Object:
    """The object pruned and defaulted; unknown fields are refused or warned of as asked.

    A refusal is an ApiError 400; of a patch, 422.
    """
    unknown: list[str] = []
    settled: Object = schema.settle(resource.schema, obj, ABSENT if old is None else old, "", unknown)
    if unknown and options.field_validation == "Strict":
        listed = ", ".join(f'unknown field "{path}"' for path in unknown)
        if options.by_patch:
            cause = invalid_value("patch", settled, f"strict decoding error: {listed}")
            raise invalid("", "", "", [cause])
        raise bad_request(
            f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: '
            f"strict decoding error: {listed}"
        )
    if options.field_validation == "Warn":
        options.warnings.extend(f'unknown field "{path}"' for path in unknown)
    return settled


def as_read(resource: Resource, obj: Object) -> Object:
    """A stored object as its schema lets it be seen: the API server prunes and defaults at each reading too,
    so that defaults reach what was stored before they were there, and a status that a create may not bring.
    """
    if not resource.custom:
        return obj
    read: Object = schema.settle(resource.schema, obj, ABSENT, "", [])
    return read


def check(resource: Resource, rules: cel.Rules | None, obj: Object, old: Object | None) -> None:
    """Raises ApiError 422 with one cause for each fault of metadata, schema, rules, definition."""
    before: Any = ABSENT if old is None else old
    causes: list[Cause] = list(metadata.check(resource, obj["metadata"], old["metadata"] if old else None))
    without = {k: v for k, v in obj.items() if k != "metadata"}
    if old is not None:
        before = {k: v for k, v in old.items() if k != "metadata"}
    causes.extend(kinds.faults(resource, obj))
    causes.extend(schema.validate(resource.schema, without, before, ""))
    if rules is not None and any(cause.reason in _BLOCKING for cause in causes):
        causes.append(invalid_value("<nil>", None, _NOT_CHECKED))
    elif rules is not None:
        causes.extend(cel.check(rules, resource.schema, obj, ABSENT if old is None else old, ""))
    if resource.plural == "customresourcedefinitions":
        causes.extend(crd.check_definition(obj))
    if causes:
        raise invalid(resource.kind, resource.group, obj["metadata"].get("name", ""), causes)

"""The three patches that change an object by instruction: JSON merge, JSON, strategic merge.

All give a new object that shares what they leave alone with the old one.
"""

from types import MappingProxyType
from typing import Any

import jsonpatch

from nodeeni.sandbox.kube.schema import map_keys, property_schema
from nodeeni.sandbox.kube.status import ApiError, Object, bad_request

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge_patch(result.get(name), value)
    return result


class _Replace(jsonpatch.ReplaceOperation):
    """As the API server's library has it: a field that is not there is added."""

    def apply(self, obj: Any) -> Any:
        parent, name = self.pointer.to_last(obj)
        if name is not None and isinstance(parent, dict):
            parent[name] = self.operation["value"]
            return obj
        return super().apply(obj)


class _Patch(jsonpatch.JsonPatch):
    operations = MappingProxyType({**jsonpatch.JsonPatch.operations, "replace": _Replace})


def json_patch(target: Any, operations: Any) -> Any:
    """RFC 6902. Raises ApiError 422 where an operation does not apply, 400 where it is none."""
    try:
        patch = _Patch(operations)
    except (jsonpatch.InvalidJsonPatch, jsonpatch.JsonPointerException) as error:
        raise bad_request(f"error decoding patch: {error}") from error
    try:
        return patch.apply(target)
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException) as error:
        message = "the server rejected our request due to an error in our request"
        raise ApiError(422, "Invalid", message, {}) from error


def strategic_patch(schema: Object, target: Any, patch: Any) -> Any:
    """Kubernetes' own: merges lists by the merge keys of the built-in type, and knows `$patch` directives."""
    if not isinstance(patch, dict):
        return patch
    if patch.get("$patch") == "replace":
        return {k: v for k, v in patch.items() if k != "$patch"}
    result = dict(target) if isinstance(target, dict) else {}
    if "$retainKeys" in patch:
        result = {k: v for k, v in result.items() if k in patch["$retainKeys"]}
    for name, value in patch.items():
        directive, slash, field = name.partition("/")
        if slash and directive == "$deleteFromPrimitiveList":
            result[field] = [v for v in result.get(field) or () if v not in value]
        elif name.startswith("$"):
            continue
        elif value is None or (isinstance(value, dict) and value.get("$patch") == "delete"):
            result.pop(name, None)
        else:
            below = property_schema(schema, name) or {}
            order = patch.get("$setElementOrder/" + name)
            result[name] = _strategic_value(below, result.get(name), value, order)
    for name, order in patch.items():
        field = name.removeprefix("$setElementOrder/")
        if field != name and field not in patch and isinstance(result.get(field), list):
            result[field] = _ordered(property_schema(schema, field) or {}, result[field], order)
    return result


def _strategic_value(schema: Object, target: Any, value: Any, order: list[Any] | None) -> Any:
    if isinstance(value, dict):
        return strategic_patch(schema, target, value)
    kind = schema.get("x-kubernetes-list-type")
    if not isinstance(value, list) or kind not in ("map", "set"):
        return value
    held = target if isinstance(target, list) else []
    if kind == "set":
        return _ordered(schema, [*held, *(v for v in value if v not in held)], order)
    return _ordered(schema, _merged_list(schema, held, value), order)


def _merged_list(schema: Object, held: list[Any], value: list[Any]) -> list[Any]:
    key = (map_keys(schema) or [""])[0]
    if any(item.get("$patch") == "replace" for item in value):
        return [item for item in value if "$patch" not in item]
    result = list(held)
    for item in value:
        if key not in item:
            raise bad_request(f"map: {item} does not contain declared merge key: {key}")
        at = next((i for i, old in enumerate(result) if old.get(key) == item[key]), None)
        if item.get("$patch") == "delete":
            if at is not None:
                del result[at]
        elif at is None:
            result.append(strategic_patch(schema.get("items", {}), {}, item))
        else:
            result[at] = strategic_patch(schema.get("items", {}), result[at], item)
    return result


def _ordered(schema: Object, items: list[Any], order: list[Any] | None) -> list[Any]:
    if not order:
        return items
    keys = map_keys(schema)
    key = keys[0] if keys else None
    place = {(o if key is None else o.get(key)): i for i, o in enumerate(order)}
    last = len(place)
    return sorted(items, key=lambda item: place.get(item if key is None else item.get(key), last))

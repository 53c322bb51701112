"""Sets of field paths, as `metadata.managedFields` records them, and what they are made from: the leaves of
an object, and the difference of two objects.

A path is a tuple of FieldsV1 path elements: `f:<field>`, `k:<merge keys as JSON>`, `v:<value as JSON>`.
Follows structured-merge-diff, which the API server uses.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from nodeeni.sandbox.kube.schema import ABSENT, STRUCT, item_key, map_keys, property_schema
from nodeeni.sandbox.kube.status import Object

FieldPath = tuple[str, ...]
FieldSet = set[FieldPath]


def is_granular(schema: Object, value: Any) -> bool:
    """Whether the value's parts are owned one by one (else it is owned and merged as a whole)."""
    if isinstance(value, dict):
        return schema.get("x-kubernetes-map-type") != "atomic"
    if isinstance(value, list):
        return schema.get("x-kubernetes-list-type") in ("map", "set")
    return False


def parts(schema: Object, value: Any) -> Iterator[tuple[str, Object, Any]]:
    """Path element, schema and value of each part of a granular value."""
    if isinstance(value, dict):
        for name, held in value.items():
            yield "f:" + name, property_schema(schema, name) or {}, held
        return
    items = schema.get("items", {})
    keys = map_keys(schema)
    for item in value:
        if keys is None:
            yield "v:" + msgspec.json.encode(item).decode(), {}, item
        elif isinstance(item, dict):
            yield key_element(item, keys, items), items, item


def key_element(item: Object, keys: list[str], items: Object) -> str:
    values = zip(keys, item_key(item, keys, items), strict=True)
    return "k:" + msgspec.json.encode({k: v for k, v in sorted(values) if v is not None}).decode()


def leaves(schema: Object, value: Any, path: FieldPath = (), *, dots: bool = False) -> FieldSet:
    """Every path that a manager who wrote this value owns. `dots` adds the maps and lists on the way, which
    is how a write that is not an apply records one that it created."""
    found: FieldSet = set()
    _collect(schema, value, path, dots, found)
    return found


def _collect(schema: Object, value: Any, path: FieldPath, dots: bool, found: FieldSet) -> None:
    if not is_granular(schema, value):
        if path:
            found.add(path)
        return
    if path and (not value or path[-1][:2] in ("k:", "v:") or (dots and not schema.get(STRUCT))):
        found.add(path)
    for element, below, held in parts(schema, value):
        here = (*path, element)
        if isinstance(held, dict | list):
            _collect(below, held, here, dots, found)
        else:
            found.add(here)


def differ(
    schema: Object, old: Any, new: Any, changed: FieldSet, removed: FieldSet, path: FieldPath = ()
) -> None:
    """Adds the paths added or changed from `old` to `new` to `changed`, those gone to `removed`."""
    if old is not ABSENT and new is not ABSENT and old == new:
        return
    if old is ABSENT:
        changed.update(leaves(schema, new, path, dots=True))
    elif new is ABSENT:
        removed.update(leaves(schema, old, path, dots=True))
    elif is_granular(schema, old) and is_granular(schema, new) and type(old) is type(new):
        before = {element: (below, held) for element, below, held in parts(schema, old)}
        for element, below, held in parts(schema, new):
            was = before.pop(element, (below, ABSENT))[1]
            differ(below, was, held, changed, removed, (*path, element))
        for element, (below, was) in before.items():
            differ(below, was, ABSENT, changed, removed, (*path, element))
    else:
        removed.update(leaves(schema, old, path, dots=True))
        changed.update(leaves(schema, new, path, dots=True))
        removed.difference_update(changed)


def encode(fields: FieldSet) -> Object:
    """The FieldsV1 form: nested objects, `.` for a path that is itself a member and has members below."""
    tree: Object = {}
    for path in sorted(fields):
        node = tree
        for element in path:
            node = node.setdefault(element, {})
    _mark(tree, fields, ())
    return tree


def _mark(node: Object, fields: FieldSet, path: FieldPath) -> None:
    for element, below in list(node.items()):
        here = (*path, element)
        if below:
            _mark(below, fields, here)
            if here in fields:
                node[element] = {".": {}, **below}


def decode(tree: Object, path: FieldPath = ()) -> FieldSet:
    found: FieldSet = set()
    for element, below in tree.items():
        if element == ".":
            found.add(path)
            continue
        here = (*path, element)
        if below:
            found |= decode(below, here)
        else:
            found.add(here)
    return found


def shown(path: FieldPath) -> str:
    """The path as conflict messages write it: `.spec.items[name="a"].value`."""
    text = ""
    for element in path:
        kind, _, rest = element.partition(":")
        if kind == "f":
            text += "." + rest
        elif kind == "k":
            pairs = msgspec.json.decode(rest)
            text += "[" + ",".join(f"{k}={msgspec.json.encode(v).decode()}" for k, v in pairs.items()) + "]"
        else:
            text += f"[={rest}]"
    return text

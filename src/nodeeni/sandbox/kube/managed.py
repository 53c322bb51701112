"""Who owns which field (`metadata.managedFields`), and server-side apply, which decides by it.

A write that is not an apply takes the fields that it changes. An apply states all fields that its manager
wants: it gives up those no longer stated, and conflicts with other owners where it would change a value.
"""

from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from nodeeni.sandbox.kube import fieldsets
from nodeeni.sandbox.kube.fieldsets import FieldPath, FieldSet
from nodeeni.sandbox.kube.schema import ABSENT, item_key, map_keys, property_schema
from nodeeni.sandbox.kube.status import Cause, Object, apply_conflict

# What no manager owns: the server's own fields, and the object's identity.
_SYSTEM = frozenset(
    ("f:metadata", "f:" + name)
    for name in (
        "name",
        "namespace",
        "generateName",
        "creationTimestamp",
        "selfLink",
        "uid",
        "generation",
        "managedFields",
        "resourceVersion",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
    )
)


@dataclass(frozen=True, slots=True)
class Manager:
    """The identity of an owner; `operation` is Apply or Update."""

    name: str
    operation: str
    api_version: str
    subresource: str = ""


@dataclass(slots=True)
class Owned:
    manager: Manager
    fields: FieldSet = field(default_factory=set)
    time: str = ""


Owners = dict[Manager, Owned]


def read(obj: Object) -> Owners:
    owners: Owners = {}
    for entry in obj["metadata"].get("managedFields") or ():
        if not entry.get("manager"):
            continue
        manager = Manager(
            entry["manager"],
            entry.get("operation", "Update"),
            entry.get("apiVersion", ""),
            entry.get("subresource", ""),
        )
        owners[manager] = Owned(manager, fieldsets.decode(entry.get("fieldsV1") or {}), entry.get("time", ""))
    return owners


def write(obj: Object, owners: Owners) -> Object:
    """The object with these owners as its managedFields."""
    entries: list[Object] = []
    for owned in sorted(owners.values(), key=lambda o: (o.manager.operation, o.time, o.manager.name)):
        if not owned.fields:
            continue
        manager = owned.manager
        entry: Object = {
            "manager": manager.name,
            "operation": manager.operation,
            "apiVersion": manager.api_version,
            "time": owned.time,
            "fieldsType": "FieldsV1",
            "fieldsV1": fieldsets.encode(owned.fields),
        }
        if manager.subresource:
            entry["subresource"] = manager.subresource
        entries.append(entry)
    metadata = {k: v for k, v in obj["metadata"].items() if k != "managedFields"}
    if entries:
        metadata["managedFields"] = entries
    return {**obj, "metadata": metadata}


def _ownable(fields: FieldSet) -> FieldSet:
    return {
        path
        for path in fields
        if path[:2] not in _SYSTEM and path not in (("f:apiVersion",), ("f:kind",), ("f:metadata",))
    }


def differences(schema: Object, old: Object | None, new: Object) -> tuple[FieldSet, FieldSet]:
    """The ownable fields that were set or changed, and those that were removed."""
    changed: FieldSet = set()
    removed: FieldSet = set()
    fieldsets.differ(schema, ABSENT if old is None else old, new, changed, removed)
    return _ownable(changed), _ownable(removed)


def after_update(owners: Owners, changed: FieldSet, removed: FieldSet, manager: Manager, now: str) -> Owners:
    result: Owners = {}
    for owned in owners.values():
        lost = owned.fields & (changed | removed) if owned.manager != manager else owned.fields & removed
        result[owned.manager] = replace(owned, fields=owned.fields - lost) if lost else owned
    if changed:
        mine = result.get(manager)
        fields = (mine.fields if mine else set()) | changed
        result[manager] = Owned(manager, fields, now)
    return result


@dataclass(frozen=True, slots=True)
class Applied:
    """An apply's result before it is validated and stored."""

    obj: Object
    owners: Owners


def apply(
    schema: Object, live: Object | None, wanted: Object, manager: Manager, now: str, *, force: bool
) -> Applied:
    """Raises ApiError 409 with one cause a field when others own what would change and `force` is off."""
    owners = read(live) if live is not None else {}
    stated = _ownable(fieldsets.leaves(schema, wanted))
    merged = _merge(schema, live, wanted) if live is not None else wanted
    changed, _ = differences(schema, live, merged)
    others = {m: o for m, o in owners.items() if m != manager}
    conflicts = {m: o.fields & changed & stated for m, o in others.items()}
    conflicts = {m: fields for m, fields in conflicts.items() if fields}
    if conflicts and not force and not set().union(*conflicts.values()) <= _allowed(schema, live, manager):
        raise _conflict({m: sorted(fields) for m, fields in conflicts.items()})
    result: Owners = {
        m: replace(o, fields=o.fields - conflicts[m]) if m in conflicts else o for m, o in others.items()
    }
    before = owners.get(manager)
    if before is not None:
        kept = stated.union(*(o.fields for o in result.values()))
        merged = _give_up(schema, merged, before.fields - stated, kept)
    time = before.time if before is not None and before.fields == stated and not changed else now
    result[manager] = Owned(manager, stated, time)
    return Applied(merged, result)


LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def last_applied(obj: Object | None) -> str | None:
    """The configuration that a client-side `kubectl apply` left in an annotation, as JSON."""
    annotations: dict[str, str] = (obj or {}).get("metadata", {}).get("annotations") or {}
    return annotations.get(LAST_APPLIED)


def _allowed(schema: Object, live: Object | None, manager: Manager) -> FieldSet:
    """What `kubectl apply --server-side` may take over without force: fields that its own client-side apply
    set and nobody changed since."""
    text = last_applied(live)
    if manager.name != "kubectl" or text is None or live is None:
        return set()
    try:
        applied = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return set()
    changed: FieldSet = set()
    fieldsets.differ(schema, live, applied, changed, set())
    return fieldsets.leaves(schema, applied) - changed


def _conflict(conflicts: dict[Manager, list[FieldPath]]) -> Exception:
    def named(manager: Manager) -> str:
        text = f'"{manager.name}"'
        if manager.subresource:
            text += f' with subresource "{manager.subresource}"'
        if manager.operation == "Update":
            text += f" using {manager.api_version}"
        return text

    causes = [
        Cause("FieldManagerConflict", f"conflict with {named(manager)}", fieldsets.shown(path))
        for manager, paths in conflicts.items()
        for path in paths
    ]
    if len(causes) == 1:
        message = f"Apply failed with 1 conflict: {causes[0].message}: {causes[0].field}"
    else:
        blocks = [
            "\n".join([f"conflicts with {named(m)}:", *(f"- {fieldsets.shown(p)}" for p in paths)])
            for m, paths in sorted(conflicts.items(), key=lambda pair: pair[0].name)
        ]
        message = f"Apply failed with {len(causes)} conflicts: " + "\n".join(blocks)
    return apply_conflict(causes, message)


def _merge(schema: Object, live: Any, wanted: Any) -> Any:
    if isinstance(wanted, dict) and isinstance(live, dict) and fieldsets.is_granular(schema, wanted):
        result = dict(live)
        for name, value in wanted.items():
            below = property_schema(schema, name) or {}
            result[name] = _merge(below, live[name], value) if name in live else value
        return result
    if isinstance(wanted, list) and isinstance(live, list) and fieldsets.is_granular(schema, wanted):
        keys = map_keys(schema)
        if keys is None:
            return _merge_order(live, wanted)
        return _merge_items(schema.get("items", {}), keys, live, wanted)
    return wanted


def _merge_items(items: Object, keys: list[str], live: list[Any], wanted: list[Any]) -> list[Any]:
    stated = {item_key(item, keys, items): item for item in wanted}
    result = []
    for item in live:
        value = stated.pop(item_key(item, keys, items), ABSENT)
        result.append(item if value is ABSENT else _merge(items, item, value))
    return [*result, *stated.values()]


def _merge_order(live: list[Any], wanted: list[Any]) -> list[Any]:
    """Both, in the order of `wanted`; what only `live` has stays before what followed it there."""
    result: list[Any] = []
    coming = list(wanted)
    for item in live:
        if item not in wanted:
            result.append(item)
        while item in coming:
            result.append(coming.pop(0))
    return result + coming


def _give_up(schema: Object, obj: Any, dropped: FieldSet, kept: FieldSet) -> Any:
    """The object without the dropped fields that nobody keeps, deepest first."""
    held = {path[:n] for path in kept for n in range(1, len(path) + 1)}
    for path in sorted(dropped, key=len, reverse=True):
        if path in held or (len(path) > 1 and path[-2].startswith("k:") and _is_merge_key(path)):
            continue
        obj = _without(schema, obj, path, (), held)
    return obj


def _is_merge_key(path: FieldPath) -> bool:
    """Whether the path is a merge key of its list item: it goes with the item, never alone."""
    return f'"{path[-1][2:]}":' in path[-2]


def _without(schema: Object, value: Any, path: FieldPath, at: FieldPath, held: FieldSet) -> Any:
    """The value without what is at `path`; objects that this leaves empty go too, unless held."""
    head, rest = path[0], path[1:]
    here = (*at, head)
    if isinstance(value, dict):
        name = head[2:]
        if name not in value:
            return value
        below = property_schema(schema, name) or {}
        left = _without(below, value[name], rest, here, held) if rest else ABSENT
        result = dict(value)
        if left is ABSENT or (left in ({}, []) and here not in held):
            del result[name]
        else:
            result[name] = left
        return result
    if not isinstance(value, list):
        return value
    remaining = []
    for (element, below, item), original in zip(fieldsets.parts(schema, value), value, strict=True):
        if element != head:
            remaining.append(original)
        elif rest:
            remaining.append(_without(below, item, rest, here, held))
    return remaining

"""Structural schemas of custom resources: defaulting, pruning, unknown fields, validation.

Parts of an object that equal the stored object are taken over as they are and not looked at again. That is
what the API server does too (validation ratcheting), and it makes a write cost what it changes.
Messages follow kube-openapi and apiextensions-apiserver.
"""

import ipaddress
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import lru_cache
from typing import Any

from nodeeni.sandbox.kube.status import (
    Cause,
    Object,
    duplicate,
    invalid_value,
    not_supported,
    required,
    too_long,
    too_many,
    type_invalid,
)

ABSENT: Any = object()  # no value at all, as against null
PRESERVE = "x-kubernetes-preserve-unknown-fields"
INT_OR_STRING = "x-kubernetes-int-or-string"
STRUCT = "x-nodeeni-struct"  # of built-in types: a Go struct, which is never owned as such


def child(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def map_keys(schema: Object) -> list[str] | None:
    """The merge keys, if the schema is a list of type map."""
    if schema.get("x-kubernetes-list-type") != "map":
        return None
    keys: list[str] = schema["x-kubernetes-list-map-keys"]
    return keys


def item_key(item: Any, keys: list[str], items: Object) -> tuple[Any, ...]:
    """The values of the merge keys, defaults filled in."""
    properties = items.get("properties", {})
    return tuple(item.get(k, properties.get(k, {}).get("default")) for k in keys)


def correlated(schema: Object, old: Any) -> Callable[[int, Any], Any]:
    """How to find the stored counterpart of a list item: by merge key, else by position."""
    if not isinstance(old, list):
        return lambda index, item: ABSENT
    keys = map_keys(schema)
    if keys is None:
        return lambda index, item: old[index] if index < len(old) else ABSENT
    items = schema.get("items", {})
    known = {item_key(item, keys, items): item for item in old if isinstance(item, dict)}
    return lambda index, item: (
        known.get(item_key(item, keys, items), ABSENT) if isinstance(item, dict) else ABSENT
    )


def property_schema(schema: Object, name: str) -> Object | None:
    """The schema of one field of an object; {} where anything goes; None where the field is unknown."""
    found: Object | None = schema.get("properties", {}).get(name)
    if found is not None:
        return found
    extra = schema.get("additionalProperties")
    if isinstance(extra, dict):
        return extra
    return {PRESERVE: True} if extra is True or schema.get(PRESERVE) else None


def settle(schema: Object, value: Any, old: Any, path: str, unknown: list[str], *, free: bool = False) -> Any:
    """The value with unknown fields pruned (their paths are added to `unknown`) and defaults filled in.

    `free` says that the schema's surroundings preserve unknown fields.
    """
    if old is not ABSENT and value == old:
        return old
    if _is_inert(schema):
        return value
    if isinstance(value, dict):
        return _settle_object(schema, value, old, path, unknown, free)
    if isinstance(value, list):
        items = schema.get("items", {})
        counterpart = correlated(schema, old)
        return [
            settle(items, item, counterpart(i, item), f"{path}[{i}]", unknown, free=free)
            for i, item in enumerate(value)
        ]
    return value


_SCALARS = ("string", "integer", "number", "boolean")


def _is_inert(schema: Object) -> bool:
    """Whether nothing below can be unknown or defaulted: a free object, or a map of scalars."""
    if "properties" in schema or "items" in schema:
        return False
    extra = schema.get("additionalProperties")
    if isinstance(extra, dict):
        return extra.get("type") in _SCALARS
    return not schema or bool(schema.get(PRESERVE))


def _settle_object(
    schema: Object, value: Object, old: Any, path: str, unknown: list[str], free: bool
) -> Object:
    free = free or bool(schema.get(PRESERVE)) or not schema
    result: Object = {}
    known_old = old if isinstance(old, dict) else {}
    for name, held in value.items():
        field = property_schema(schema, name)
        if field is None and not free:
            unknown.append(child(path, name))
            continue
        if held is None and field and "type" in field and not field.get("nullable"):
            continue  # as if it were not there
        result[name] = settle(
            field or {}, held, known_old.get(name, ABSENT), child(path, name), unknown, free=field is None
        )
    for name, field in schema.get("properties", {}).items():
        if name not in result and "default" in field:
            result[name] = settle(field, field["default"], ABSENT, child(path, name), [])
    return result


def validate(schema: Object, value: Any, old: Any, path: str) -> Iterator[Cause]:
    """Every fault of the value, depth first."""
    if old is not ABSENT and value == old:
        return
    if value is None:
        if not schema.get("nullable") and "type" in schema:
            yield type_invalid(path, "null", f'{path} in body must be of type {schema["type"]}: "null"')
        return
    wrong = _type_fault(schema, value, path)
    if wrong is not None:
        yield wrong
        return
    if "enum" in schema and value not in schema["enum"]:
        yield not_supported(path, value, schema["enum"])
    if isinstance(value, str):
        yield from _validate_string(schema, value, path)
    elif isinstance(value, dict):
        yield from _validate_object(schema, value, old, path)
    elif isinstance(value, list):
        yield from _validate_list(schema, value, old, path)
    elif not isinstance(value, bool):
        yield from _validate_number(schema, value, path)


_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
}
_NAMES: dict[type, str] = {str: "string", int: "integer", float: "number", bool: "boolean"}


def _type_fault(schema: Object, value: Any, path: str) -> Cause | None:
    if schema.get(INT_OR_STRING):
        if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
            return None
        return type_invalid(path, _type_name(value), f"{path} in body must be of type integer,string")
    wanted = schema.get("type")
    if wanted is None:
        return None
    fits = isinstance(value, _TYPES[wanted]) and (wanted == "boolean" or not isinstance(value, bool))
    if not fits and wanted == "integer" and isinstance(value, float) and value.is_integer():
        fits = True
    if fits:
        return None
    name = _type_name(value)
    return type_invalid(path, name, f'{path} in body must be of type {wanted}: "{name}"')


def _type_name(value: Any) -> str:
    return _NAMES.get(type(value), "array" if isinstance(value, list) else "object")


@lru_cache(maxsize=512)
def _pattern(text: str) -> re.Pattern[str]:
    """As Go has it: `$` is the end alone, where Python's is also before a last line break."""
    return re.compile(text[:-1] + r"\Z" if text.endswith("$") and not text.endswith(r"\$") else text)


def _validate_string(schema: Object, value: str, path: str) -> Iterator[Cause]:
    longest, shortest, pattern = schema.get("maxLength"), schema.get("minLength"), schema.get("pattern")
    if longest is not None and len(value) > longest:
        yield too_long(path, longest)
    if shortest is not None and len(value) < shortest:
        yield invalid_value(path, value, f"{path} in body should be at least {shortest} chars long")
    elif pattern is not None and not _pattern(pattern).search(value):
        yield invalid_value(path, value, f"{path} in body should match '{pattern}'")
    of_format = _FORMATS.get(schema.get("format", ""))
    if of_format is not None and not of_format(value):
        yield type_invalid(path, value, f'{path} in body must be of type {schema["format"]}: "{value}"')


def _is_date_time(value: str) -> bool:
    try:
        return "T" in value and datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


def _is_cidr(value: str) -> bool:
    """As Go's net.ParseCIDR: an address with the length of its prefix, which may have bits beyond that."""
    address, _, length = value.partition("/")
    try:
        ipaddress.ip_interface(value)
    except ValueError:
        return False
    return length.isdecimal() and length == str(int(length)) and "%" not in address


_FORMATS: dict[str, Callable[[str], bool]] = {"date-time": _is_date_time, "cidr": _is_cidr}


def _validate_number(schema: Object, value: float, path: str) -> Iterator[Cause]:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and value < low:
        yield invalid_value(path, value, f"{path} in body should be greater than or equal to {low}")
    if high is not None and value > high:
        yield invalid_value(path, value, f"{path} in body should be less than or equal to {high}")
    bits = {"int32": 31, "int64": 63}.get(schema.get("format", ""))
    if bits is not None and not -(2**bits) <= value < 2**bits:
        yield invalid_value(path, value, f"Checked value must be of type integer with format int{bits + 1}")


def _validate_object(schema: Object, value: Object, old: Any, path: str) -> Iterator[Cause]:
    fewest, most = schema.get("minProperties"), schema.get("maxProperties")
    if fewest is not None and len(value) < fewest:
        yield invalid_value(path, len(value), f"{path} in body should have at least {fewest} properties")
    if most is not None and len(value) > most:
        yield too_many(path, len(value), most)
    for name in schema.get("required", ()):
        if name not in value:
            yield required(child(path, name))
    if "properties" not in schema and "additionalProperties" not in schema:
        return
    known_old = old if isinstance(old, dict) else {}
    for name, held in value.items():
        field = property_schema(schema, name)
        if field:
            yield from validate(field, held, known_old.get(name, ABSENT), child(path, name))


def _validate_list(schema: Object, value: list[Any], old: Any, path: str) -> Iterator[Cause]:
    fewest, most = schema.get("minItems"), schema.get("maxItems")
    if most is not None and len(value) > most:
        yield too_many(path, len(value), most)
    if fewest is not None and len(value) < fewest:
        yield invalid_value(path, len(value), f"{path} in body should have at least {fewest} items")
    items = schema.get("items", {})
    counterpart = correlated(schema, old)
    for index, item in enumerate(value):
        yield from validate(items, item, counterpart(index, item), f"{path}[{index}]")
    yield from _validate_unique(schema, value, path)


def _validate_unique(schema: Object, value: list[Any], path: str) -> Iterator[Cause]:
    seen: set[Any] = set()
    keys = map_keys(schema)
    if keys is not None:
        items = schema.get("items", {})
        for index, item in enumerate(value):
            if not isinstance(item, dict):
                continue
            key = item_key(item, keys, items)
            if key in seen:
                yield duplicate(f"{path}[{index}]", dict(zip(keys, key, strict=True)))
            seen.add(key)
    elif schema.get("x-kubernetes-list-type") == "set":
        for index, item in enumerate(value):
            mark = item if not isinstance(item, dict | list) else repr(item)
            if mark in seen:
                yield duplicate(f"{path}[{index}]", item)
            seen.add(mark)

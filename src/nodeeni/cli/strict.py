"""What the API server would refuse in a NodeENI's spec, told without asking: unknown fields, and what
breaks the CRD's schema or its rules.

Schema and rules are the CRD's own (`api/v1alpha1/`).
"""

import difflib
import ipaddress
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from nodeeni.api.crd import Schema, schema_of
from nodeeni.api.v1alpha1 import NodeENI, NodeENIMeta, NodeENISpec, Rule

_TYPES: dict[str, tuple[type, str]] = {
    "string": (str, "a string"),
    "integer": (int, "a whole number"),
    "boolean": (bool, "true or false"),
    "object": (dict, "an object"),
    "array": (list, "a list"),
}
_ITEM = re.compile(r"\[\d+\]")  # in the path of a list's item


def faults_of_spec(value: Any, name: str = "") -> list[str]:
    """Each with the field that it is about and the way out; none for a spec that can be applied. `name` is
    the NodeENI's."""
    found = list(_faults(schema_of(msgspec.inspect.type_info(NodeENISpec)), value, "spec"))
    if found:
        return found
    nodeeni = NodeENI(metadata=NodeENIMeta(name=name), spec=msgspec.convert(value, NodeENISpec))
    return [
        *_broken_rules(nodeeni.spec, "spec"),
        *(_told(r, nodeeni) for r in NodeENI.RULES if not r.holds(nodeeni)),
    ]


def _broken_rules(held: Any, path: str) -> Iterator[str]:
    """Those of an object, and of the objects in it."""
    if isinstance(held, list | tuple):
        for number, item in enumerate(held):
            yield from _broken_rules(item, f"{path}[{number}]")
    elif isinstance(held, msgspec.Struct):
        yield from (_told(rule, held, path) for rule in getattr(held, "RULES", ()) if not rule.holds(held))
        for field in msgspec.structs.fields(held):
            yield from _broken_rules(getattr(held, field.name), f"{path}.{field.encode_name}")


def _told(rule: Rule, held: msgspec.Struct, path: str = "") -> str:
    values = {field.encode_name: getattr(held, field.name) for field in msgspec.structs.fields(held)}
    return f"{path}.{rule.field}: {rule.message.format_map(values)}".lstrip(".")


def _faults(schema: Schema, value: Any, path: str) -> Iterator[str]:
    kind, wanted = _TYPES[schema["type"]]
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        scalar = kind is str and not isinstance(value, dict | list)
        yield f"{path} has to be {wanted}, not {_shown(value)}{': put it in quotes' if scalar else ''}"
    elif isinstance(value, dict):
        yield from _faults_of_object(schema, value, path)
    elif isinstance(value, list):
        yield from _too_many(schema.get("maxItems"), value, path)
        for number, item in enumerate(value):
            yield from _faults(schema["items"], item, f"{path}[{number}]")
    elif isinstance(value, str):
        yield from _faults_of_string(schema, value, path)
    elif not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        yield f"{path} has to be from {schema['minimum']} to {schema['maximum']}, not {value}"


def _faults_of_object(schema: Schema, value: dict[Any, Any], path: str) -> Iterator[str]:
    yield from _too_many(schema.get("maxProperties"), value, path)
    properties = schema.get("properties", {})
    for name, held in value.items():
        field = properties.get(name) or schema.get("additionalProperties")
        if not isinstance(name, str):
            yield f"{path}: its key {_shown(name)} has to be a string: put it in quotes"
        elif field is None:
            yield f"{path}.{name} is no field: {_meant(name, list(properties), path)}"
        else:
            yield from _faults(field, held, f"{path}.{name}")
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{path}.{name} is missing"


def _meant(name: str, known: list[str], path: str) -> str:
    by_lower = {field.lower(): field for field in known}
    close = difflib.get_close_matches(name.lower(), by_lower, n=1)
    if close:
        return f"is {by_lower[close[0]]} meant?"
    return f"`kubectl explain nodeeni.{_ITEM.sub('', path)}` lists them"


def _faults_of_string(schema: Schema, value: str, path: str) -> Iterator[str]:
    least, most = schema.get("minLength", 0), schema.get("maxLength", len(value))
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path} has to be one of {', '.join(schema['enum'])}, not {_shown(value)}"
    elif not least <= len(value) <= most:
        yield f"{path} has to have {least} to {most} characters, not {len(value)}"
    elif "pattern" in schema and (value.endswith("\n") or not re.search(schema["pattern"], value)):
        yield f"{path} has to match {schema['pattern']}, unlike {_shown(value)}"
    elif schema.get("format") == "cidr" and not _is_cidr(value):
        yield f"{path} has to be a CIDR block such as 10.1.0.0/16, unlike {_shown(value)}"


def _is_cidr(text: str) -> bool:
    """As the API server takes one: an address with the length of its prefix."""
    address, _, length = text.partition("/")
    try:
        ipaddress.ip_interface(text)
    except ValueError:
        return False
    return length.isdecimal() and length == str(int(length)) and "%" not in address


def _too_many(most: int | None, value: dict[str, Any] | list[Any], path: str) -> Iterator[str]:
    if most is not None and len(value) > most:
        yield f"{path} has {len(value)} entries, {most} at most are allowed"


def _shown(value: Any) -> str:
    try:
        return msgspec.json.encode(value).decode()
    except TypeError:  # what YAML knows and JSON does not
        return str(value)

"""What the API server would refuse in a NodeENI's spec, told without asking: unknown fields, and what
breaks the CRD's schema or its rules.

Schema and rules are the CRD's own (`api/v1alpha1/`).
"""

import difflib
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from nodeeni.api.crd import Schema, schema_of
from nodeeni.api.v1alpha1 import EnaExpress, LabelRequirement, NodeENISpec, Rule

_TYPES: dict[str, tuple[type, str]] = {
    "string": (str, "a string"),
    "integer": (int, "a whole number"),
    "boolean": (bool, "true or false"),
    "object": (dict, "an object"),
    "array": (list, "a list"),
}
_ITEM = re.compile(r"\[\d+\]")  # in the path of a list's item


def faults_of_spec(value: Any) -> list[str]:
    """Each with the field that it is about and the way out; none for a spec that can be applied."""
    found = list(_faults(schema_of(msgspec.inspect.type_info(NodeENISpec)), value, "spec"))
    return found or list(_broken_rules(msgspec.convert(value, NodeENISpec)))


def _broken_rules(spec: NodeENISpec) -> Iterator[str]:
    yield from (_told(rule, "spec") for rule in NodeENISpec.RULES if not rule.holds(spec))
    if spec.ena_express is not None:
        for rule in EnaExpress.RULES:
            if not rule.holds(spec.ena_express):
                yield _told(rule, "spec.enaExpress")
    for number, requirement in enumerate(spec.match_expressions):
        for rule in LabelRequirement.RULES:
            if not rule.holds(requirement):
                yield _told(rule, f"spec.matchExpressions[{number}]")


def _told(rule: Rule, path: str) -> str:
    return f"{path}.{rule.field}: {rule.message}"


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
    elif "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"{path} has to match {schema['pattern']}, unlike {_shown(value)}"


def _too_many(most: int | None, value: dict[str, Any] | list[Any], path: str) -> Iterator[str]:
    if most is not None and len(value) > most:
        yield f"{path} has {len(value)} entries, {most} at most are allowed"


def _shown(value: Any) -> str:
    try:
        return msgspec.json.encode(value).decode()
    except TypeError:  # what YAML knows and JSON does not
        return str(value)

"""The CEL rules of a custom resource's schema (`x-kubernetes-validations`): compiled when the CRD is
written, so that a rule that cannot be evaluated here is refused there, and evaluated at each write.

Evaluation is Google's cel-cpp by way of cel-expr-python: type-checked at compile time as in the API server,
which declares `self` and `oldSelf` from the schema too.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cel_expr_python import cel
from cel_expr_python.ext import ext_strings

from nodeeni.sandbox.kube.schema import ABSENT, INT_OR_STRING, child, correlated, property_schema
from nodeeni.sandbox.kube.status import Cause, Object, duplicate, forbidden_value, invalid_value, required

_T = cel.Type
_LITERALS = re.compile(r"""("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')""")
_OLD = re.compile(r"\boldSelf\b")
_FIELDS = re.compile(r"\b(?:self|oldSelf)((?:\s*\.\s*[A-Za-z_]\w*)+)(\s*\()?")


@dataclass(frozen=True, slots=True)
class Rule:
    """One compiled rule. `transition` rules mention oldSelf and hold only for updates."""

    text: str
    program: Any
    message: str
    message_program: Any | None
    reason: str
    field_path: str
    transition: bool


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of a schema node, and of the nodes below it that have any."""

    here: tuple[Rule, ...]
    type_name: str
    properties: dict[str, "Rules"]
    additional: "Rules | None"
    items: "Rules | None"


def compile_rules(schema: Object, place: str, faults: list[Cause]) -> Rules | None:
    """The rules in and below the schema, or None where there are none.

    `place` is the schema's own path in the CRD; faults of rules are added to `faults`.
    """
    here = tuple(_compile_all(schema, place, faults))
    properties = {}
    for name, field in schema.get("properties", {}).items():
        below = compile_rules(field, f"{place}.properties[{name}]", faults)
        if below is not None:
            properties[name] = below
    extra, item = schema.get("additionalProperties"), schema.get("items")
    additional = (
        compile_rules(extra, f"{place}.additionalProperties", faults) if isinstance(extra, dict) else None
    )
    items = compile_rules(item, f"{place}.items", faults) if isinstance(item, dict) else None
    if not (here or properties or additional or items):
        return None
    return Rules(here, schema.get("type", "object"), properties, additional, items)


def _compile_all(schema: Object, place: str, faults: list[Cause]) -> Iterator[Rule]:
    env: Any = None
    for index, given in enumerate(schema.get("x-kubernetes-validations", ())):
        at = f"{place}.x-kubernetes-validations[{index}]"
        text = given.get("rule", "").strip()
        if not text:
            faults.append(required(f"{at}.rule", "rule is not specified"))
            continue
        faults.extend(
            forbidden_value(f"{at}.{word}", "not evaluated by this server")
            for word in given.keys() - _RULE_WORDS
        )
        if env is None:
            kind = _cel_type(schema)
            env = cel.NewEnv(variables={"self": kind, "oldSelf": kind}, extensions=[ext_strings.ExtStrings()])
        program = _compile(env, text, schema, f"{at}.rule", _T.BOOL, faults)
        words = given.get("messageExpression", "")
        says = _compile(env, words, schema, f"{at}.messageExpression", _T.STRING, faults) if words else None
        if given.get("reason", "FieldValueInvalid") not in _REASONS:
            faults.append(invalid_value(f"{at}.reason", given["reason"], "unsupported reason"))
        if program is not None:
            yield Rule(
                text,
                program,
                given.get("message", ""),
                says,
                given.get("reason", "FieldValueInvalid"),
                given.get("fieldPath", ""),
                bool(_OLD.search(_LITERALS.sub('""', text))),
            )


_RULE_WORDS = {"rule", "message", "messageExpression", "reason", "fieldPath"}
_REASONS = ("FieldValueInvalid", "FieldValueForbidden", "FieldValueRequired", "FieldValueDuplicate")


def _compile(env: Any, text: str, schema: Object, at: str, result: Any, faults: list[Cause]) -> Any | None:
    unknown = _unknown_field(text, schema)
    if unknown:
        faults.append(invalid_value(at, text, f"compilation failed: undefined field '{unknown}'"))
        return None
    try:
        program = env.compile(text)
    except RuntimeError as error:
        faults.append(invalid_value(at, text, f"compilation failed: {error}"))
        return None
    if program.return_type() not in (result, _T.DYN):
        faults.append(invalid_value(at, text, f"must evaluate to {result.name().lower()}"))
        return None
    return program


def _unknown_field(text: str, schema: Object) -> str | None:
    """The first field in a `self.a.b` chain that the schema does not have (the API server's type check)."""
    for found in _FIELDS.finditer(_LITERALS.sub('""', text)):
        names = [part.strip() for part in found[1].split(".")[1:]]
        if found[2]:
            names.pop()  # the last one is a method
        node: Object | None = schema
        for name in names:
            if not node or "properties" not in node:
                break
            node = property_schema(node, name)
            if node is None:
                return name
    return None


def _cel_type(schema: Object) -> Any:
    if schema.get(INT_OR_STRING) or schema.get("nullable"):
        return _T.DYN
    match schema.get("type"):
        case "string":
            return _T.STRING
        case "integer":
            return _T.INT
        case "number":
            return _T.DOUBLE
        case "boolean":
            return _T.BOOL
        case "array":
            return _T.List(_cel_type(schema.get("items", {})))
        case "object" if isinstance(schema.get("additionalProperties"), dict):
            return _T.Map(_T.STRING, _cel_type(schema["additionalProperties"]))
        case "object":
            return _T.Map(_T.STRING, _T.DYN)
        case _:
            return _T.DYN


def check(rules: Rules, schema: Object, value: Any, old: Any, path: str) -> Iterator[Cause]:
    """The rules that the value breaks. `old` is the stored value, ABSENT on create."""
    if value is None or (old is not ABSENT and value == old):
        return
    if rules.here:
        yield from _check_here(rules, value, old, path)
    if isinstance(value, dict):
        yield from _check_fields(rules, schema, value, old if isinstance(old, dict) else {}, path)
    elif isinstance(value, list) and rules.items is not None:
        counterpart = correlated(schema, old)
        for index, item in enumerate(value):
            yield from check(rules.items, schema["items"], item, counterpart(index, item), f"{path}[{index}]")


def _check_fields(rules: Rules, schema: Object, value: Object, old: Object, path: str) -> Iterator[Cause]:
    for name, held in value.items():
        below, place = rules.properties.get(name), child(path, name)
        if below is None:
            below, place = rules.additional, f"{path}[{name}]"
        field = property_schema(schema, name)
        if below is not None and field is not None:
            yield from check(below, field, held, old.get(name, ABSENT), place)


def _check_here(rules: Rules, value: Any, old: Any, path: str) -> Iterator[Cause]:
    data = {"self": value, "oldSelf": None if old is ABSENT else old}
    for rule in rules.here:
        if rule.transition and old is ABSENT:
            continue
        result = rule.program.eval(data=data)
        if result.type() == _T.ERROR:
            why = f"{result.value()} evaluating rule: {rule.message or rule.text}"
            yield invalid_value(path or "<nil>", rules.type_name, why)
        elif result.value() is not True:
            yield _broken(rule, rules.type_name, data, path)


def _broken(rule: Rule, type_name: str, data: Object, path: str) -> Cause:
    message = rule.message or f"failed rule: {rule.text}"
    if rule.message_program is not None:
        said = rule.message_program.eval(data=data)
        if said.type() == _T.STRING and said.value().strip():
            message = said.value()
    at = (path + rule.field_path).lstrip(".") or "<nil>"
    match rule.reason:
        case "FieldValueRequired":
            return required(at, message)
        case "FieldValueForbidden":
            return forbidden_value(at, message)
        case "FieldValueDuplicate":
            return duplicate(at, type_name)
        case _:
            return invalid_value(at, type_name, message)

"""Label and field selectors: which objects a list, a watch or a deletecollection means."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from nodeeni.sandbox.kube.status import ApiError, Object, bad_request

Matcher = Callable[[Object], bool]

_REQUIREMENT = re.compile(
    r"""\s*(?:
        (?P<not>!)\s*(?P<absent>[^\s,=!()]+)
      | (?P<key>[^\s,=!()<>]+)\s*(?:
            (?P<set>in|notin)\s*\((?P<values>[^)]*)\)
          | (?P<op>==|=|!=|>|<)\s*(?P<value>[^\s,()]*)
        )?
    )\s*(?:,|$)""",
    re.VERBOSE,
)
_LABEL_VALUE = re.compile(r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$")


def everything(_: Object) -> bool:
    return True


def label_selector(text: str) -> Matcher:
    """Equality (`a=b`, `a!=b`), set (`a in (b,c)`, `a notin (b)`), presence (`a`, `!a`) and order terms.

    Raises ApiError 400 when the text does not parse, as the API server does.
    """
    if not text.strip():
        return everything
    terms: list[Callable[[Mapping[str, str]], bool]] = []
    position = 0
    while position < len(text):
        found = _REQUIREMENT.match(text, position)
        if found is None or found.end() == position:
            raise bad_request(f"unable to parse requirement: found '{text[position:]}'")
        terms.append(_label_term(found))
        position = found.end()

    def matches(obj: Object) -> bool:
        labels = obj["metadata"].get("labels") or {}
        return all(term(labels) for term in terms)

    return matches


def _label_term(found: re.Match[str]) -> Callable[[Mapping[str, str]], bool]:
    if absent := found["absent"]:
        return lambda labels: absent not in labels
    key = found["key"]
    if found["set"]:
        values = {value.strip() for value in found["values"].split(",")}
        _check_values(values)
        if found["set"] == "in":
            return lambda labels: labels.get(key) in values
        return lambda labels: labels.get(key) not in values
    operator, value = found["op"], found["value"]
    if operator is None:
        return lambda labels: key in labels
    if operator in (">", "<"):
        return _order_term(key, operator, value)
    _check_values({value})
    if operator == "!=":
        return lambda labels: labels.get(key) != value
    return lambda labels: labels.get(key) == value


def _order_term(key: str, operator: str, value: str) -> Callable[[Mapping[str, str]], bool]:
    try:
        bound = int(value)
    except ValueError as error:
        raise bad_request(f"for 'Gt', 'Lt' operators, the value must be an integer: {value!r}") from error

    def matches(labels: Mapping[str, str]) -> bool:
        held = labels.get(key, "")
        if not held.lstrip("-").isdigit():
            return False
        return int(held) > bound if operator == ">" else int(held) < bound

    return matches


def _check_values(values: set[str]) -> None:
    for value in values:
        if len(value) > 63 or not _LABEL_VALUE.match(value):
            raise bad_request(f'unable to parse requirement: values[0]: Invalid value: "{value}"')


# What the API server can select on besides metadata.name and metadata.namespace, by storage.
SELECTABLE: dict[str, tuple[str, ...]] = {
    "pods": (
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "status.phase",
        "status.podIP",
        "status.nominatedNodeName",
    ),
    "nodes": ("spec.unschedulable",),
    "namespaces": ("status.phase",),
    "secrets": ("type",),
    "events": (
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.apiVersion",
        "involvedObject.resourceVersion",
        "involvedObject.fieldPath",
        "reason",
        "reportingComponent",
        "source",
        "type",
    ),
}
# events.k8s.io/v1 names the same fields differently.
_EVENT_ALIASES = {"regarding": "involvedObject", "reportingController": "reportingComponent"}


def field_selector(text: str, storage: str, selectable: tuple[str, ...] = ()) -> tuple[Matcher, str | None]:
    """The matcher, and the one name it asks for if it asks for exactly one (watches are indexed by it).

    Raises ApiError 400 for a field that this resource cannot be selected by.
    """
    if not text.strip():
        return everything, None
    allowed = {"metadata.name", "metadata.namespace", *SELECTABLE.get(storage, ()), *selectable}
    terms: list[tuple[str, bool, str]] = []
    name: str | None = None
    for part in text.split(","):
        path, wanted, value = _field_term(part.strip())
        if storage == "events":
            head, dot, rest = path.partition(".")
            path = _EVENT_ALIASES.get(head, head) + dot + rest
        if path not in allowed:
            raise _unsupported_field(path)
        if path == "metadata.name" and wanted:
            name = value
        terms.append((path, wanted, value))

    def matches(obj: Object) -> bool:
        return all((field_value(obj, path, storage) == value) is wanted for path, wanted, value in terms)

    return matches, name


def _field_term(part: str) -> tuple[str, bool, str]:
    for operator, wanted in (("!=", False), ("==", True), ("=", True)):
        path, found, value = part.partition(operator)
        if found:
            return path.strip(), wanted, value.replace("\\,", ",").replace("\\=", "=")
    raise bad_request(f"invalid field selector: '{part}'; can't understand '{part}'")


def _unsupported_field(path: str) -> ApiError:
    return bad_request(f"field label not supported: {path}")


def field_value(obj: Object, path: str, storage: str) -> str:
    if storage == "events" and path == "source":
        return str((obj.get("source") or {}).get("component") or obj.get("reportingComponent") or "")
    value: Any = obj
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if value is None:
        return "false" if path == "spec.unschedulable" else ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)

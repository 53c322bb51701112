"""Bodies in Kubernetes' protobuf form, which kubectl sends for the objects that it makes itself (`kubectl
create namespace`, `kubectl auth can-i`), and Multus for a pod's status and events. Answers are JSON, which
they take as well.

Only the kinds and fields listed here are read; a body with anything else is refused with 415, never read in
part. Field numbers are those of the `generated.proto` files of k8s.io/api and k8s.io/apimachinery.
"""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from nodeeni.sandbox.kube.status import ApiError, Object, unsupported_media_type

CONTENT_TYPE = "application/vnd.kubernetes.protobuf"
_MAGIC = b"k8s\x00"


@dataclass(frozen=True, slots=True)
class Field:
    """`of` is a scalar's type (`string`, `bytes`, `int`, `bool`, `time`; `json`: a message whose first field
    has the text of it) or a message's fields."""

    name: str
    of: "str | dict[int, Field]" = "string"
    repeated: bool = False
    mapped: bool = False


Message = dict[int, Field]


def _strings(name: str) -> Field:
    return Field(name, repeated=True)


def _map(name: str, of: str = "string") -> Field:
    return Field(name, of, mapped=True)


_MANAGED: Message = {
    1: Field("manager"),
    2: Field("operation"),
    3: Field("apiVersion"),
    4: Field("time", "time"),
    6: Field("fieldsType"),
    7: Field("fieldsV1", "json"),
    8: Field("subresource"),
}
_META: Message = {
    1: Field("name"),
    2: Field("generateName"),
    3: Field("namespace"),
    4: Field("selfLink"),
    5: Field("uid"),
    6: Field("resourceVersion"),
    7: Field("generation", "int"),
    8: Field("creationTimestamp", "time"),
    11: _map("labels"),
    12: _map("annotations"),
    14: _strings("finalizers"),
    17: Field("managedFields", _MANAGED, repeated=True),
}
_REFERENCE: Message = dict(
    enumerate(
        map(Field, ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")), 1
    )
)
_SELECTOR: Message = {1: _map("matchLabels")}
_PORT: Message = {1: Field("name"), 3: Field("containerPort", "int"), 4: Field("protocol")}
_CONTAINER: Message = {
    1: Field("name"),
    2: Field("image"),
    3: _strings("command"),
    4: _strings("args"),
    6: Field("ports", _PORT, repeated=True),
    8: Field("resources", {}),
}
_TEMPLATE: Message = {
    1: Field("metadata", _META),
    2: Field("spec", {2: Field("containers", _CONTAINER, repeated=True), 3: Field("restartPolicy")}),
}
_RULE: Message = {
    1: _strings("verbs"),
    2: _strings("apiGroups"),
    3: _strings("resources"),
    4: _strings("resourceNames"),
    5: _strings("nonResourceURLs"),
}
_SUBJECT: Message = {1: Field("kind"), 2: Field("apiGroup"), 3: Field("name"), 4: Field("namespace")}
_ROLE_REF: Message = {1: Field("apiGroup"), 2: Field("kind"), 3: Field("name")}
_ACCESS: Message = {
    1: Field(
        "resourceAttributes",
        dict(
            enumerate(
                map(Field, ("namespace", "verb", "group", "version", "resource", "subresource", "name")), 1
            )
        ),
    ),
    2: Field("nonResourceAttributes", {1: Field("path"), 2: Field("verb")}),
}


def _kind(**fields: Field) -> Message:
    """A kind's message: metadata is field 1; the others are named `f<number>`."""
    return {1: Field("metadata", _META), **{int(name[1:]): field for name, field in fields.items()}}


_POD_SPEC: Message = {
    2: Field("containers", _CONTAINER, repeated=True),
    3: Field("restartPolicy"),
    10: Field("nodeName"),
}
_ROLE = _kind(f2=Field("rules", _RULE, repeated=True))
_BINDING = _kind(f2=Field("subjects", _SUBJECT, repeated=True), f3=Field("roleRef", _ROLE_REF))
_KINDS: dict[str, Message] = {
    "Namespace": _kind(
        f2=Field("spec", {1: _strings("finalizers")}), f3=Field("status", {1: Field("phase")})
    ),
    "ConfigMap": _kind(f2=_map("data"), f3=_map("binaryData", "bytes"), f4=Field("immutable", "bool")),
    "Secret": _kind(
        f2=_map("data", "bytes"), f3=Field("type"), f4=_map("stringData"), f5=Field("immutable", "bool")
    ),
    "ServiceAccount": _kind(f4=Field("automountServiceAccountToken", "bool")),
    "Deployment": _kind(
        f2=Field(
            "spec",
            {
                1: Field("replicas", "int"),
                2: Field("selector", _SELECTOR),
                3: Field("template", _TEMPLATE),
                4: Field("strategy", {1: Field("type")}),
                5: Field("minReadySeconds", "int"),
            },
        ),
        f3=Field("status", {n: Field(str(n), "int") for n in (1, 2, 3, 4, 5, 7)}),
    ),
    "Pod": _kind(f2=Field("spec", _POD_SPEC), f3=Field("status", {1: Field("phase"), 9: Field("qosClass")})),
    "Event": _kind(
        f2=Field("involvedObject", _REFERENCE),
        f3=Field("reason"),
        f4=Field("message"),
        f5=Field("source", {1: Field("component"), 2: Field("host")}),
        f6=Field("firstTimestamp", "time"),
        f7=Field("lastTimestamp", "time"),
        f8=Field("count", "int"),
        f9=Field("type"),
        f14=Field("reportingComponent"),
        f15=Field("reportingInstance"),
    ),
    "Role": _ROLE,
    "ClusterRole": _ROLE,
    "RoleBinding": _BINDING,
    "ClusterRoleBinding": _BINDING,
    "SelfSubjectAccessReview": _kind(
        f2=Field("spec", _ACCESS),
        f3=Field(
            "status",
            {
                1: Field("allowed", "bool"),
                2: Field("reason"),
                3: Field("evaluationError"),
                4: Field("denied", "bool"),
            },
        ),
    ),
    "SelfSubjectRulesReview": _kind(
        f2=Field("spec", {1: Field("namespace")}),
        f3=Field("status", {3: Field("incomplete", "bool"), 4: Field("evaluationError")}),
    ),
    "SelfSubjectReview": _kind(
        f2=Field("status", {1: Field("userInfo", {1: Field("username"), 2: Field("uid")})})
    ),
}


def decode(body: bytes) -> Object:
    """The object. Raises ApiError 415 for a kind or field that is not listed above."""
    if not body.startswith(_MAGIC):
        raise _unread()
    envelope = dict(_fields(body[len(_MAGIC) :]))
    header = {number: value.decode() for number, value in _fields(envelope.get(1, b""))}
    message = _KINDS.get(header.get(2, ""))
    if message is None:
        raise _unread()
    obj = _read(message, envelope.get(2, b""))
    obj.setdefault("metadata", {})
    return {"apiVersion": header[1], "kind": header[2], **obj}


def _unread() -> ApiError:
    return unsupported_media_type(("application/json", "application/yaml"))


def _read(message: Message, raw: bytes) -> Object:
    result: Object = {}
    for number, value in _fields(raw):
        field = message.get(number)
        if field is None:
            if value in (b"", 0):
                continue
            raise _unread()
        if field.mapped:
            pair = dict(_fields(value))
            held = _scalar(str(field.of), pair.get(2, b""))
            result.setdefault(field.name, {})[pair.get(1, b"").decode()] = held
            continue
        decoded = _scalar(field.of, value) if isinstance(field.of, str) else _read(field.of, value)
        if field.repeated:
            result.setdefault(field.name, []).append(decoded)
        elif decoded not in ("", 0, None, {}) or decoded is False:
            result[field.name] = decoded
    return result


def _scalar(kind: str, value: Any) -> Any:
    match kind:
        case "int":
            return value
        case "bool":
            return bool(value)
        case "json":
            return json.loads(dict(_fields(value)).get(1, b"{}"))
        case "bytes":
            return base64.b64encode(value).decode()
        case "time":
            seconds = dict(_fields(value)).get(1)
            if seconds is None:
                return None
            return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        case _:
            return value.decode()


def _fields(raw: bytes) -> Iterator[tuple[int, Any]]:
    """Number and value of each field: an int for varints, bytes for what has a length."""
    position = 0
    while position < len(raw):
        tag, position = _varint(raw, position)
        match tag & 7:
            case 0:
                value, position = _varint(raw, position)
                yield tag >> 3, value
            case 2:
                length, position = _varint(raw, position)
                yield tag >> 3, raw[position : position + length]
                position += length
            case _:
                raise _unread()


def _varint(raw: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if position >= len(raw):
            raise _unread()
        byte = raw[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7

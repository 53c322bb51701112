"""The refusals of the API server, in the shape of `meta/v1 Status`: code, reason, message, details, causes.

Wording and codes follow k8s.io/apimachinery `api/errors`, since clients and people read both.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Cause:
    """One fault of one field. `field` is a dotted path such as `spec.subnetIDs[0]`."""

    reason: str
    message: str
    field: str

    def text(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message


class ApiError(Exception):
    """A request refused. `status()` is the body that the client gets, `code` the HTTP status."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        details: Object | None = None,
        headers: dict[str, str] | None = None,
        *,
        plain: bool = False,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details
        self.headers = headers or {}
        self.plain = plain  # the message alone is the body

    def status(self) -> Object:
        body: Object = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            body["reason"] = self.reason
        if self.details is not None:
            body["details"] = self.details
        body["code"] = self.code
        return body


def details(name: str, group: str, kind: str, causes: Iterable[Cause] = (), uid: str = "") -> Object:
    result: Object = {}
    if name:
        result["name"] = name
    if group:
        result["group"] = group
    if kind:
        result["kind"] = kind
    if uid:
        result["uid"] = uid
    listed = [{"reason": c.reason, "message": c.message, "field": c.field} for c in causes]
    if listed:
        result["causes"] = listed
    return result


def qualified(plural_or_kind: str, group: str) -> str:
    return f"{plural_or_kind}.{group}" if group else plural_or_kind


def not_found(plural: str, group: str, name: str) -> ApiError:
    message = f'{qualified(plural, group)} "{name}" not found'
    return ApiError(404, "NotFound", message, details(name, group, plural))


def no_such_path() -> ApiError:
    """Of a group, version or resource that is not served: the server's answer is plain text."""
    return ApiError(404, "", "404 page not found\n", plain=True)


def already_exists(plural: str, group: str, name: str) -> ApiError:
    message = f'{qualified(plural, group)} "{name}" already exists'
    return ApiError(409, "AlreadyExists", message, details(name, group, plural))


def conflict(plural: str, group: str, name: str, why: str = "") -> ApiError:
    why = why or (
        "the object has been modified; please apply your changes to the latest version and try again"
    )
    message = f'Operation cannot be fulfilled on {qualified(plural, group)} "{name}": {why}'
    return ApiError(409, "Conflict", message, details(name, group, plural))


def apply_conflict(causes: Sequence[Cause], message: str) -> ApiError:
    return ApiError(409, "Conflict", message, details("", "", "", causes))


def invalid(kind: str, group: str, name: str, causes: Sequence[Cause]) -> ApiError:
    texts = list(dict.fromkeys(cause.text() for cause in causes))
    joined = texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]"
    message = f'{qualified(kind, group)} "{name}" is invalid: {joined}'
    return ApiError(422, "Invalid", message, details(name, group, kind, causes))


def bad_request(message: str) -> ApiError:
    return ApiError(400, "BadRequest", message)


def unauthorized() -> ApiError:
    return ApiError(401, "Unauthorized", "Unauthorized")


def forbidden(plural: str, group: str, name: str, why: str, causes: Iterable[Cause] = ()) -> ApiError:
    message = f'{qualified(plural, group)} "{name}" is forbidden: {why}'
    return ApiError(403, "Forbidden", message, details(name, group, plural, causes))


def method_not_allowed() -> ApiError:
    message = "the server does not allow this method on the requested resource"
    return ApiError(405, "MethodNotAllowed", message, {})


def unsupported_media_type(accepted: Iterable[str]) -> ApiError:
    message = "the body of the request was in an unknown format - accepted media types include: " + ", ".join(
        accepted
    )
    return ApiError(415, "UnsupportedMediaType", message)


def expired(message: str) -> ApiError:
    return ApiError(410, "Expired", message)


def too_large_for_store() -> ApiError:
    """etcd refuses requests over 1.5 MiB (its `--max-request-bytes`)."""
    return ApiError(500, "", "etcdserver: request is too large")


def version_too_large(asked: int, current: int) -> ApiError:
    cause = Cause("ResourceVersionTooLarge", "Too large resource version", "")
    body = details("", "", "", [cause])
    body["retryAfterSeconds"] = 1
    message = f"Timeout: Too large resource version: {asked}, current: {current}"
    return ApiError(504, "Timeout", message, body, {"Retry-After": "1"})


# Field faults, worded as k8s.io/apimachinery `util/validation/field`.


def shown(value: object) -> str:
    """A value as Go's field errors print it."""
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'"{escaped}"'
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"{value:g}" if isinstance(value, float) else str(value)
    return msgspec.json.encode(value).decode()


def invalid_value(field: str, value: object, why: str) -> Cause:
    return Cause("FieldValueInvalid", f"Invalid value: {shown(value)}: {why}", field)


def type_invalid(field: str, value: object, why: str) -> Cause:
    return Cause("FieldValueTypeInvalid", f"Invalid value: {shown(value)}: {why}", field)


def required(field: str, why: str = "") -> Cause:
    return Cause("FieldValueRequired", "Required value" + (f": {why}" if why else ""), field)


def duplicate(field: str, value: object) -> Cause:
    return Cause("FieldValueDuplicate", f"Duplicate value: {shown(value)}", field)


def not_supported(field: str, value: object, supported: Iterable[object]) -> Cause:
    listed = ", ".join(shown(v) for v in supported)
    return Cause(
        "FieldValueNotSupported", f"Unsupported value: {shown(value)}: supported values: {listed}", field
    )


def too_long(field: str, limit: int) -> Cause:
    return Cause("FieldValueTooLong", f"Too long: may not be more than {limit} bytes", field)


def too_many(field: str, found: int, limit: int) -> Cause:
    return Cause("FieldValueTooMany", f"Too many: {found}: must have at most {limit} items", field)


def forbidden_value(field: str, why: str) -> Cause:
    return Cause("FieldValueForbidden", f"Forbidden: {why}", field)

"""A request as the API knows it: verb, resource, key, options; read from HTTP's method, path and query."""

from dataclasses import dataclass
from typing import Any

import msgspec

from nodeeni.sandbox.kube import patches, protobuf
from nodeeni.sandbox.kube.resources import Registry, Resource
from nodeeni.sandbox.kube.status import (
    Object,
    bad_request,
    invalid,
    method_not_allowed,
    no_such_path,
    not_supported,
    unsupported_media_type,
)
from nodeeni.sandbox.kube.targets import Deletion, Options, Target


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """`target.key` has no name where the request is about the collection."""

    verb: str
    target: Target

    @property
    def resource(self) -> Resource:
        return self.target.resource

    @property
    def counted_as(self) -> str:
        """`nodeenis`, or `nodeenis/status`."""
        sub = self.target.subresource
        return f"{self.resource.plural}/{sub}" if sub else self.resource.plural


_COLLECTION_VERBS = {"GET": "list", "POST": "create", "DELETE": "deletecollection"}
_OBJECT_VERBS = {"GET": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


def parse(method: str, segments: list[str], query: dict[str, str], registry: Registry) -> ApiRequest:
    """`segments` are the path's parts. Raises ApiError 404 for what is not served, 405 for a wrong verb."""
    target = _target(segments, registry)
    resource = target.resource
    if target.key[1]:
        verb = _OBJECT_VERBS.get(method)
    else:
        verb = _COLLECTION_VERBS.get(method)
        if verb == "list" and query.get("watch") in ("true", "1"):
            verb = "watch"
    if verb is None or verb not in resource.verbs or (target.subresource and verb == "delete"):
        raise method_not_allowed()
    if verb == "create" and resource.namespaced and not target.key[0]:
        raise method_not_allowed()
    return ApiRequest(verb, target)


def _target(segments: list[str], registry: Registry) -> Target:
    if segments[0] == "api":
        group, rest = "", segments[1:]
    else:
        group, rest = segments[1], segments[2:]
    version, rest = rest[0], rest[1:]
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in ("status", "finalize"):
        namespace, rest = rest[1], rest[2:]
    resource = registry.find(group, version, rest[0])
    if resource is None or len(rest) > 3 or (bool(namespace) and not resource.namespaced):
        raise no_such_path()
    name = rest[1] if len(rest) > 1 else ""
    subresource = rest[2] if len(rest) > 2 else ""
    if subresource and not (subresource == "status" and resource.status):
        raise no_such_path()
    if resource.namespaced and name and not namespace:
        raise no_such_path()
    return Target(resource, (namespace, name), subresource)


_OPTIONS = {"POST": "CreateOptions", "PUT": "UpdateOptions", "PATCH": "PatchOptions"}


def write_options(query: dict[str, str], user_agent: str, method: str) -> Options:
    kind = _OPTIONS.get(method, "DeleteOptions")
    dry = query.get("dryRun", "")
    if dry not in ("", "All"):
        cause = not_supported("dryRun", [dry], ("All",))
        raise invalid(kind, "meta.k8s.io", "", [cause])
    validation = query.get("fieldValidation") or "Warn"
    if validation not in ("Strict", "Warn", "Ignore"):
        cause = not_supported("fieldValidation", validation, ("", "Ignore", "Strict", "Warn"))
        raise invalid(kind, "meta.k8s.io", "", [cause])
    return Options(
        manager=query.get("fieldManager") or user_agent.split("/")[0] or "unknown",
        dry_run=dry == "All",
        force=query.get("force") in ("true", "1"),
        field_validation=validation,
        by_patch=method == "PATCH",
    )


def decode_object(body: bytes, content_type: str) -> Any:
    if content_type == protobuf.CONTENT_TYPE:
        return protobuf.decode(body)
    if content_type not in ("application/json", "application/yaml", patches.APPLY_PATCH, ""):
        raise unsupported_media_type(("application/json", "application/yaml"))
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        if content_type == "application/json":
            raise bad_request(f"the object provided is unrecognized: {error}") from error
    try:
        return msgspec.yaml.decode(body)
    except msgspec.DecodeError as error:
        raise bad_request(f"error decoding YAML: {error}") from error


def decode_patch(body: bytes, content_type: str) -> Any:
    if content_type == patches.APPLY_PATCH:
        return decode_object(body, content_type)
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise bad_request(f"error decoding patch: {error}") from error


def deletion(body: bytes, query: dict[str, str]) -> tuple[Deletion, bool]:
    """The deletion asked for, and whether it is a dry run by its body."""
    given: Object = {}
    if body.strip():
        decoded = decode_object(body, "")
        if isinstance(decoded, dict):
            given = decoded
    before = given.get("preconditions") or {}
    propagation = given.get("propagationPolicy") or query.get("propagationPolicy") or "Background"
    if given.get("orphanDependents") or query.get("orphanDependents") == "true":
        propagation = "Orphan"
    if propagation not in ("Background", "Foreground", "Orphan"):
        supported = ("Foreground", "Background", "Orphan", "nil")
        cause = not_supported("propagationPolicy", propagation, supported)
        raise invalid("DeleteOptions", "meta.k8s.io", "", [cause])
    return Deletion(before.get("uid"), before.get("resourceVersion"), propagation), bool(given.get("dryRun"))

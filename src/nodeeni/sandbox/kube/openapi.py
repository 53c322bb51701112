"""OpenAPI v3 (and the definitions of v2) of what is served: `kubectl explain` reads the schemas, `kubectl
apply` looks whether PATCH takes `fieldValidation`.
"""

from collections.abc import Iterable
from typing import Any

from nodeeni.sandbox.kube.builtin import OBJECT_META
from nodeeni.sandbox.kube.resources import Registry, Resource
from nodeeni.sandbox.kube.status import Object

_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"


def index(registry: Registry, hashed: str) -> Object:
    """The group versions and where their documents are; `hashed` changes whenever they might."""
    paths: Object = {}
    for group, versions in registry.versions().items():
        for version in versions:
            path = f"apis/{group}/{version}" if group else f"api/{version}"
            paths[path] = {"serverRelativeURL": f"/openapi/v3/{path}?hash={hashed}"}
    return {"paths": paths}


def document(resources: Iterable[Resource]) -> Object:
    """The OpenAPI v3 document of one group version."""
    schemas: Object = {_META: OBJECT_META}
    paths: Object = {}
    for resource in resources:
        name = schema_name(resource)
        schemas[name] = _published(resource, "#/components/schemas/")
        collection, single = _paths(resource)
        reference = {"$ref": f"#/components/schemas/{name}"}
        paths[collection] = {
            "get": _operation(resource, "list", reference, ()),
            "post": _operation(resource, "post", reference, ("dryRun", "fieldManager", "fieldValidation")),
        }
        paths[single] = {
            "get": _operation(resource, "get", reference, ()),
            "put": _operation(resource, "put", reference, ("dryRun", "fieldManager", "fieldValidation")),
            "patch": _operation(
                resource, "patch", reference, ("dryRun", "fieldManager", "fieldValidation", "force")
            ),
            "delete": _operation(resource, "delete", reference, ("dryRun", "propagationPolicy")),
        }
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "v1.34.0"},
        "paths": paths,
        "components": {"schemas": schemas},
    }


def swagger(registry: Registry) -> Object:
    """The OpenAPI v2 document: definitions alone."""
    definitions: Object = {_META: OBJECT_META}
    for resource in registry:
        definitions[schema_name(resource)] = _published(resource, "#/definitions/")
    return {
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": "v1.34.0"},
        "paths": {},
        "definitions": definitions,
    }


# As kubectl asks for it, and as the API server names it in its answer: `@` is no character of a media type.
SWAGGER_ASKED = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
SWAGGER_GIVEN = SWAGGER_ASKED.replace("@", ".")


def swagger_protobuf() -> bytes:
    """The OpenAPI v2 document in Protobuf (gnostic's `openapi.v2.Document`), which is all that kubectl takes,
    without definitions: kubectl reads it for kinds alone that v3 does not have, and finds none here either.
    """
    version, title = b"v1.34.0", b"Kubernetes"
    info = _field(1, title) + _field(2, version)
    return _field(1, b"2.0") + _field(2, info) + _field(8, b"")


def _field(number: int, content: bytes) -> bytes:
    """One length-delimited field; none here is longer than 127 bytes, so the length is one byte."""
    return bytes([number << 3 | 2, len(content)]) + content


def schema_name(resource: Resource) -> str:
    """`io.k8s.api.core.v1.Node`; a custom resource's group is reversed, as the API server names it."""
    if resource.custom:
        reverse = ".".join(reversed(resource.group.split(".")))
        return f"{reverse}.{resource.version}.{resource.kind}"
    group = resource.group.split(".")[0] or "core"
    return f"io.k8s.api.{group}.{resource.version}.{resource.kind}"


def _published(resource: Resource, references: str) -> Object:
    schema = resource.schema
    properties = dict(schema.get("properties", {}))
    if "metadata" in properties:
        properties["metadata"] = {
            "allOf": [{"$ref": references + _META}],
            "description": OBJECT_META["description"],
        }
    kind = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    return {**schema, "properties": properties, "x-kubernetes-group-version-kind": [kind]}


def _paths(resource: Resource) -> tuple[str, str]:
    root = f"/apis/{resource.group}/{resource.version}" if resource.group else f"/api/{resource.version}"
    scope = "/namespaces/{namespace}" if resource.namespaced else ""
    collection = f"{root}{scope}/{resource.plural}"
    return collection, collection + "/{name}"


def _operation(resource: Resource, action: str, reference: Object, parameters: Iterable[str]) -> Object:
    listed: list[dict[str, Any]] = [
        {"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": True}}
        for name in parameters
    ]
    operation: Object = {
        "responses": {
            "200": {"description": "OK", "content": {"application/json": {"schema": reference}}},
        },
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": {
            "group": resource.group,
            "version": resource.version,
            "kind": resource.kind,
        },
    }
    if listed:
        operation["parameters"] = listed
    return operation

"""The API server's side: reached, our resources current, permissions of whoever asks."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec

from nodeeni.api.crd import manifests
from nodeeni.api.meta import ObjectMeta
from nodeeni.cli.findings import Finding, note, right, wrong
from nodeeni.controller.permissions import Permission, kubernetes
from nodeeni.kube.client import KubeClient
from nodeeni.kube.errors import Forbidden, KubeError, NotFound
from nodeeni.kube.resources import CRDS, NODES, Resource
from nodeeni.settings import Settings

REVIEWS = Resource("authorization.k8s.io", "v1", "selfsubjectaccessreviews")
CLEANUP = "customresourcecleanup.apiextensions.k8s.io"  # the API server's own
MOST_NAMED = 5  # fields that a definition lacks
APPLY_CRDS = "kubectl apply -f deploy/crds"


class _Definition(msgspec.Struct):
    metadata: ObjectMeta
    spec: dict[str, Any]


class _ReviewStatus(msgspec.Struct):
    allowed: bool = False


class _Review(msgspec.Struct):
    status: _ReviewStatus


async def reached(client: KubeClient) -> Finding:
    """Anybody who is known at all may ask what he may do."""
    try:
        await _may(client, Permission(NODES, ("list",)), "list")
    except KubeError as error:
        return wrong("API server", f"{client.url} does not serve us: {error}")
    return right("API server", client.url)


async def definitions(client: KubeClient) -> AsyncIterator[Finding]:
    """Whether the custom resources are installed, in the shape of this version."""
    for wanted in manifests().values():
        name = wanted["metadata"]["name"]
        try:
            found = await client.get(CRDS, name, _Definition)
        except NotFound:
            yield wrong(name, f"is not installed: {APPLY_CRDS}")
        except Forbidden as error:
            yield note(name, f"cannot be compared with this version's: {error}")
        else:
            if found.metadata.deleting:
                yield wrong(name, _being_deleted(found.metadata, wanted["spec"]["names"]["kind"]))
                continue
            if _shape(found.spec) == _shape(wanted["spec"]):
                yield right(name, "installed and current")
                continue
            lacking = _fields(wanted["spec"]) - _fields(found.spec)
            older = f", and what is told in {_some(lacking)} is dropped" if lacking else ""
            yield wrong(name, f"is not that of this version{older}: {APPLY_CRDS}")


def _being_deleted(metadata: ObjectMeta, kind: str) -> str:
    held = f"its finalizer {CLEANUP} waits until no {kind} is left"
    if CLEANUP not in metadata.finalizers:
        held = f"whoever set {', '.join(metadata.finalizers)} has to take it off"
    return f"is being deleted: {held}; once it is gone: {APPLY_CRDS}"


def _shape(spec: dict[str, Any]) -> Any:
    """What of a definition we wrote; the API server adds fields of its own around it."""
    keys = ("name", "schema", "subresources", "additionalPrinterColumns")
    return [{key: version.get(key) for key in keys} for version in spec["versions"]]


def _fields(spec: dict[str, Any]) -> set[str]:
    """Paths of all fields that a definition knows."""
    found: set[str] = set()

    def walk(schema: dict[str, Any], path: str) -> None:
        for name, field in schema.get("properties", {}).items():
            found.add(f"{path}.{name}".lstrip("."))
            walk(field, f"{path}.{name}")
        if "items" in schema:
            walk(schema["items"], f"{path}[]")

    for version in spec["versions"]:
        walk((version.get("schema") or {}).get("openAPIV3Schema") or {}, "")
    return found


def _some(fields: set[str]) -> str:
    """The first few of them, without what lies within another."""
    outer = sorted(f for f in fields if not any(f.startswith((f"{o}.", f"{o}[]")) for o in fields))
    more = f" and {len(outer) - MOST_NAMED} more" if len(outer) > MOST_NAMED else ""
    return ", ".join(outer[:MOST_NAMED]) + more


async def permissions(client: KubeClient, settings: Settings) -> Finding:
    """Whether the present user, in the pod the controller's service account, may do all of it."""
    needed = kubernetes(settings)
    missing = [
        f"{verb} {permission.resource.described(permission.subresource)}"
        for permission in needed
        for verb in permission.verbs
        if not await _may(client, permission, verb)
    ]
    count = sum(len(permission.verbs) for permission in needed)
    if missing:
        return wrong("RBAC", f"grant in a ClusterRole: {', '.join(missing)}")
    return right("RBAC", f"all {count} permissions that the controller needs, for the user of this command")


async def _may(client: KubeClient, permission: Permission, verb: str) -> bool:
    attributes = {
        "verb": verb,
        "group": permission.resource.group,
        "version": permission.resource.version,
        "resource": permission.resource.plural,
        "subresource": permission.subresource,
        "namespace": permission.namespace,
        "name": permission.name,
    }
    body = {
        "apiVersion": REVIEWS.api_version,
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {key: value for key, value in attributes.items() if value}},
    }
    return (await client.create(REVIEWS, body, _Review)).status.allowed

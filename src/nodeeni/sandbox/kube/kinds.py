"""What single built-in kinds need beyond plain storage: defaults at creation, checks, two forms of events."""

import base64
from collections.abc import Iterator

from nodeeni.sandbox.kube.resources import Resource
from nodeeni.sandbox.kube.status import Cause, Object, invalid_value


def prepared(resource: Resource, obj: Object) -> Object:
    """The object as the API server would complete it on creation."""
    match resource.group, resource.plural:
        case "", "namespaces":
            labels = {**(obj["metadata"].get("labels") or {})}
            labels["kubernetes.io/metadata.name"] = obj["metadata"]["name"]
            metadata = {**obj["metadata"], "labels": labels}
            return {
                **obj,
                "metadata": metadata,
                "spec": {"finalizers": ["kubernetes"]},
                "status": {"phase": "Active"},
            }
        case "", "pods":
            return {**obj, "status": {"phase": "Pending", "qosClass": "BestEffort"}}
        case "", "nodes":
            return {"spec": {}, "status": {}, **obj}
        case "", "secrets":
            return _secret(obj)
        case (("" | "events.k8s.io"), "events"):
            return {"eventTime": None, **obj}
        case "apiextensions.k8s.io", "customresourcedefinitions":
            return {**obj, "spec": {"conversion": {"strategy": "None"}, **(obj.get("spec") or {})}}
        case _ if resource.status and resource.custom:
            return {k: v for k, v in obj.items() if k != "status"}
        case _:
            return obj


def faults(resource: Resource, obj: Object) -> Iterator[Cause]:
    """What the API server's own validation of the kind finds, as far as our programs could meet it."""
    if resource.plural == "leases":
        seconds = (obj.get("spec") or {}).get("leaseDurationSeconds")
        if seconds is not None and seconds <= 0:
            yield invalid_value("spec.leaseDurationSeconds", seconds, "must be greater than 0")


def _secret(obj: Object) -> Object:
    result = {"type": "Opaque", **{k: v for k, v in obj.items() if k != "stringData"}}
    plain = obj.get("stringData") or {}
    if plain:
        encoded = {k: base64.b64encode(v.encode()).decode() for k, v in plain.items()}
        result["data"] = {**(obj.get("data") or {}), **encoded}
    return result


# events.k8s.io/v1 names for the fields of core/v1 Event; storage keeps the core form.
_EVENT_FIELDS = {
    "regarding": "involvedObject",
    "note": "message",
    "reportingController": "reportingComponent",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
}
_CORE_FIELDS = {core: new for new, core in _EVENT_FIELDS.items()}


def stored_form(resource: Resource, obj: Object) -> Object:
    if resource.storage == "events" and resource.group:
        renamed = {_EVENT_FIELDS.get(k, k): v for k, v in obj.items()}
        return {**renamed, "apiVersion": "v1"}
    return obj


def served_form(resource: Resource, obj: Object) -> Object:
    """The object as this group and version show it; the very same one where they do not differ."""
    if resource.storage == "events" and resource.group:
        renamed = {_CORE_FIELDS.get(k, k): v for k, v in obj.items()}
        return {**renamed, "apiVersion": resource.api_version}
    if obj.get("apiVersion") != resource.api_version:
        return {**obj, "apiVersion": resource.api_version}
    return obj

"""The Table form that `kubectl get` asks for: columns of the resource, one row an object."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from nodeeni.sandbox.kube.jsonpath import Path, parse
from nodeeni.sandbox.kube.resources import Column, Resource
from nodeeni.sandbox.kube.status import Object


def age(since: str | None) -> str:
    """Time since an RFC 3339 timestamp, as kubectl writes it: `5s`, `3m20s`, `4h`, `2d3h`."""
    if not since:
        return "<unknown>"
    seconds = int((datetime.now(UTC) - datetime.fromisoformat(since)).total_seconds())
    if seconds < 120:
        return f"{max(seconds, 0)}s"
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if minutes < 180:
        rest = seconds % 60
        return f"{minutes}m{rest}s" if minutes < 10 and rest else f"{minutes}m"
    if hours < 48:
        rest = minutes % 60
        return f"{hours}h{rest}m" if hours < 8 and rest else f"{hours}h"
    rest = hours % 24
    return f"{days}d{rest}h" if days < 8 and rest else f"{days}d"


def _node_status(node: Object) -> str:
    conditions = {c["type"]: c["status"] for c in (node.get("status") or {}).get("conditions") or ()}
    ready = {"True": "Ready", "False": "NotReady"}.get(conditions.get("Ready", ""), "Unknown")
    return ready + (",SchedulingDisabled" if (node.get("spec") or {}).get("unschedulable") else "")


def _node_roles(node: Object) -> str:
    prefix = "node-role.kubernetes.io/"
    roles = sorted(k[len(prefix) :] for k in node["metadata"].get("labels") or () if k.startswith(prefix))
    return ",".join(roles) or "<none>"


def _pod_ready(pod: Object) -> str:
    states = (pod.get("status") or {}).get("containerStatuses") or ()
    containers = (pod.get("spec") or {}).get("containers") or ()
    return f"{sum(bool(s.get('ready')) for s in states)}/{len(containers)}"


def _pod_restarts(pod: Object) -> int:
    states = (pod.get("status") or {}).get("containerStatuses") or ()
    return sum(s.get("restartCount", 0) for s in states)


def _data_count(obj: Object) -> int:
    return len(obj.get("data") or ()) + len(obj.get("binaryData") or ())


def _event_last_seen(event: Object) -> str:
    series = event.get("series") or {}
    times = (series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"))
    return age(next((t for t in times if t), event["metadata"].get("creationTimestamp")))


def _event_object(event: Object) -> str:
    about = event.get("involvedObject") or {}
    return f"{about.get('kind', '').lower()}/{about.get('name', '')}"


def _event_source(event: Object) -> str:
    source = event.get("source") or {}
    component = source.get("component") or event.get("reportingComponent") or ""
    return ", ".join(part for part in (component, source.get("host", "")) if part)


_COMPUTED: dict[str, Callable[[Object], Any]] = {
    "@node-status": _node_status,
    "@node-roles": _node_roles,
    "@pod-ready": _pod_ready,
    "@pod-restarts": _pod_restarts,
    "@data-count": _data_count,
    "@secrets-count": lambda account: len(account.get("secrets") or ()),
    "@event-last-seen": _event_last_seen,
    "@event-object": _event_object,
    "@event-source": _event_source,
}


def definitions(resource: Resource) -> list[Object]:
    return [
        {
            "name": column.name,
            "type": column.type,
            "format": column.format,
            "description": column.description or column.name,
            "priority": column.priority,
        }
        for column in _columns(resource)
    ]


_NAME = Column("Name", "string", ".metadata.name", format="name")


def _columns(resource: Resource) -> tuple[Column, ...]:
    return resource.columns or (_NAME,)


def _cell(column: Column, path: Path | None, obj: Object, *, custom: bool) -> Any:
    if path is None:
        return _COMPUTED[column.path](obj)
    found = path(obj)
    if column.type == "date":
        return age(found[0]) if found else ("" if custom else "<unknown>")
    if not found or found[0] is None:
        return None if custom else "<none>"
    value = found[0]
    if column.type == "string":
        return value if isinstance(value, str) else _text(value)
    if column.type == "boolean" or not isinstance(value, bool):
        return value
    return None


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def table(
    resource: Resource,
    objects: Iterable[Object],
    metadata: Object,
    include: str,
    *,
    with_columns: bool = True,
) -> Object:
    """`include` says what a row carries of its object: `Metadata`, `Object` or `None`."""
    columns = [
        (column, None if column.path.startswith("@") else parse(column.path)) for column in _columns(resource)
    ]
    rows: list[Object] = []
    for obj in objects:
        row: Object = {"cells": [_cell(c, path, obj, custom=resource.custom) for c, path in columns]}
        if include == "Object":
            row["object"] = obj
        else:
            row["object"] = None if include == "None" else partial(obj)
        rows.append(row)
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": definitions(resource) if with_columns else None,
        "rows": rows,
    }


def partial(obj: Object) -> Object:
    """The metadata alone, as metadata clients and tables carry it."""
    return {
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": obj["metadata"],
    }

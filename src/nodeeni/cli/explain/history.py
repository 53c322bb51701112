"""What happened, in order of time: who edited what, what conditions, rows and links say, and the events."""

import datetime
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from nodeeni.api.v1alpha1 import ENINode, NodeENI
from nodeeni.cli.explain.standings import in_words
from nodeeni.kube.client import KubeClient
from nodeeni.kube.errors import Forbidden, NotFound
from nodeeni.kube.resources import EVENTS, NODEENIS, NODES, Resource


class Moment(msgspec.Struct, frozen=True, omit_defaults=True):
    """`time` is RFC 3339, in UTC; `by` is who did or said it. Of a condition and a row `message` is the
    message alone: an event often has it too.
    """

    time: str
    by: str
    text: str
    message: str = ""


class _Involved(msgspec.Struct, frozen=True):
    kind: str = ""
    name: str = ""


class _Source(msgspec.Struct, frozen=True):
    component: str = ""


class Event(msgspec.Struct, rename="camel"):
    """Of the core group, as far as it is shown. Clients of events.k8s.io leave the times of the core group
    empty."""

    involved_object: _Involved = _Involved()
    reason: str = ""
    message: str = ""
    type: str = ""
    count: int | None = None
    first_timestamp: str | None = None
    last_timestamp: str | None = None
    event_time: str | None = None
    source: _Source = _Source()
    reporting_component: str = ""


class _Managed(msgspec.Struct, rename="camel"):
    manager: str = ""
    time: str | None = None
    subresource: str = ""
    fields_v1: dict[str, Any] = msgspec.field(name="fieldsV1", default_factory=dict)


class _ManagedMeta(msgspec.Struct, rename="camel"):
    managed_fields: list[_Managed] = []


class Edited(msgspec.Struct):
    """An object, as far as it tells who wrote it when."""

    metadata: _ManagedMeta


async def events_of(client: KubeClient, kind: str, name: str | None) -> list[Event] | None:
    """Of one object, or of all of the kind; None where they may not be listed. Those of objects without a
    namespace are in `default`.
    """
    selector = f"involvedObject.kind={kind}" + (f",involvedObject.name={name}" if name else "")
    try:
        found, _ = await client.list(EVENTS, Event, namespace="default", field_selector=selector)
    except Forbidden:
        return None
    return list(found)


async def edits_of(client: KubeClient, resource: Resource, name: str) -> Edited | None:
    """None of an object that is gone, or may not be read."""
    try:
        return await client.get(resource, name, Edited)
    except (Forbidden, NotFound):
        return None


async def edits_of_nodeeni(client: KubeClient, name: str) -> list[Moment]:
    """Who wrote its spec last, by each who did."""
    edited = await edits_of(client, NODEENIS, name)
    entries = edited.metadata.managed_fields if edited else ()
    return [
        Moment(_utc(entry.time), entry.manager, f"wrote the spec of NodeENI {name}")
        for entry in entries
        if not entry.subresource and "f:spec" in entry.fields_v1
    ]


async def edits_of_labels(client: KubeClient, node: str, keys: Iterable[str]) -> list[Moment]:
    """Who wrote these labels of a Node last, as far as they stand: one that was taken off tells nobody."""
    edited = await edits_of(client, NODES, node)
    moments = []
    for entry in edited.metadata.managed_fields if edited else ():
        fields = entry.fields_v1.get("f:metadata", {}).get("f:labels", {})
        written = sorted(key for key in keys if f"f:{key}" in fields)
        if written and not entry.subresource:
            told = f"wrote to Node {node}, whose label {', '.join(written)} is from there"
            moments.append(Moment(_utc(entry.time), entry.manager, told))
    return moments


def of_events(events: Iterable[Event], mentioning: Sequence[str] = ()) -> Iterator[Moment]:
    """`mentioning`: only those with one of these words in their message."""
    for event in events:
        if mentioning and not any(word in event.message for word in mentioning):
            continue
        last = event.last_timestamp or event.event_time or event.first_timestamp
        count = event.count or 1
        again = f" ({count} times since {_clock(event.first_timestamp)})" if count > 1 else ""
        by = event.source.component or event.reporting_component or "event"
        about = event.involved_object
        told = f"{about.kind} {about.name}: {event.reason}: {event.message}{again}"
        yield Moment(_utc(last), by, told)


def of_life(nodeeni: NodeENI) -> Iterator[Moment]:
    name, metadata = nodeeni.metadata.name, nodeeni.metadata
    yield Moment(_utc(metadata.creation_timestamp), "API server", f"NodeENI {name} was made")
    if metadata.deleting:
        yield Moment(_utc(metadata.deletion_timestamp), "API server", f"NodeENI {name} was asked to go")


def of_conditions(nodeeni: NodeENI) -> Iterator[Moment]:
    name = nodeeni.metadata.name
    for condition in nodeeni.status.conditions:
        if not condition.last_transition_time.startswith("1970"):
            told = f"NodeENI {name}: {condition.type} became {condition.status}, and says now"
            yield Moment(
                _utc(condition.last_transition_time),
                "controller",
                f"{told} {condition.reason}: {condition.message}",
                condition.message,
            )


def of_rows(nodeeni: NodeENI, nodes: Sequence[str]) -> Iterator[Moment]:
    for entry in nodeeni.status.attachments:
        if entry.node_id in nodes:
            told = f"{nodeeni.metadata.name} on {entry.node_id}: {in_words(entry)}"
            yield Moment(_utc(entry.last_updated), "controller", told, entry.message)


def of_links(eninode: ENINode | None, macs: Sequence[str]) -> Iterator[Moment]:
    for link in eninode.status.interfaces if eninode else ():
        if link.mac_address in macs:
            told = ": ".join(filter(None, (link.state, link.message, link.note)))
            what = f"link {link.link_name or link.mac_address} on {eninode.metadata.name if eninode else ''}"
            yield Moment(_utc(link.last_updated), "ENI manager", f"{what}: {told}")


def in_order(moments: Iterable[Moment]) -> list[Moment]:
    """Oldest first, each once, and of one second as they were given. What has no time is left out, and so is
    the report of what an event tells already.
    """
    found = list(dict.fromkeys(each for each in moments if each.time))
    told = [each.text for each in found if not each.message]
    fresh = [each for each in found if not (each.message and any(_first(each) in text for text in told))]
    return sorted(fresh, key=lambda each: each.time)


def _first(moment: Moment) -> str:
    """Of a condition that sums up many nodes, what it says of the first."""
    return _SUMMED_UP.sub("", moment.message)


_SUMMED_UP = re.compile(r" \(and \d+ \w+ more\)$")


def _utc(time: str | None) -> str:
    """To the second: those who write events give no more."""
    if not time:
        return ""
    try:
        moment = datetime.datetime.fromisoformat(time)
    except ValueError:
        return ""
    return moment.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _clock(time: str | None) -> str:
    return _utc(time)[11:19] or "?"

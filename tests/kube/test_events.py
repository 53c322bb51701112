"""People are told once, however often it happened, and nothing waits for the telling."""

import asyncio
import logging
from collections import Counter
from typing import Any

import pytest
from tests.kube.waiting import Background, until
from tests.kube.wire import Wire

from nodeeni.kube.backoff import Backoff
from nodeeni.kube.client import KubeClient
from nodeeni.kube.events import BURST, REFILL, EventRecorder, ObjectRef
from nodeeni.sandbox.kube import KubeServer

NODEENI = ObjectRef("NodeENI", "networking.k8s.aws/v1alpha1", "multus-eni-config", "uid-1")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def recorder(client: KubeClient, background: Background, **options: Any) -> EventRecorder:
    recorder = EventRecorder(client, instance="host-1", backoff=lambda: Backoff(0.02, 0.2), **options)
    background.start(recorder.run())
    return recorder


def events(server: KubeServer) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = server.objects("", "events")
    return found


def told(server: KubeServer) -> list[tuple[str, str, int]]:
    return [(event["reason"], event["message"], event["count"]) for event in events(server)]


async def test_event_of_a_cluster_scoped_object(
    server: KubeServer, client: KubeClient, background: Background
) -> None:
    records = recorder(client, background)
    records.event(NODEENI, "Normal", "ENIAttached", "eni-1 is attached to node n0")
    await records.drain(timeout=60.0)
    (event,) = events(server)
    assert event["metadata"]["namespace"] == "default"
    assert event["metadata"]["name"].startswith("multus-eni-config.")
    assert {key: value for key, value in event.items() if key not in ("metadata", "eventTime")} == {
        "apiVersion": "v1",
        "kind": "Event",
        "involvedObject": {
            "kind": "NodeENI",
            "apiVersion": "networking.k8s.aws/v1alpha1",
            "name": "multus-eni-config",
            "uid": "uid-1",
        },
        "type": "Normal",
        "reason": "ENIAttached",
        "message": "eni-1 is attached to node n0",
        "count": 1,
        "firstTimestamp": event["lastTimestamp"],
        "lastTimestamp": event["lastTimestamp"],
        "source": {"component": "nodeeni-controller", "host": "host-1"},
        "reportingComponent": "nodeeni-controller",
        "reportingInstance": "host-1",
    }


async def test_repetition_is_counted(server: KubeServer, client: KubeClient, background: Background) -> None:
    clock = Clock()
    records = recorder(client, background, clock=clock)
    for _ in range(3):
        records.event(NODEENI, "Warning", "ENICreationFailed", "subnet full")
        await records.drain(timeout=60.0)
    records.event(NODEENI, "Warning", "ENICreationFailed", "another message")
    await records.drain(timeout=60.0)
    clock.now += 601
    records.event(NODEENI, "Warning", "ENICreationFailed", "subnet full")
    await records.drain(timeout=60.0)
    assert sorted(told(server)) == [
        ("ENICreationFailed", "another message", 1),
        ("ENICreationFailed", "subnet full", 1),
        ("ENICreationFailed", "subnet full", 3),
    ]


async def test_repetition_before_the_first_write_is_one_write(
    server: KubeServer, client: KubeClient, background: Background
) -> None:
    records = recorder(client, background)
    for _ in range(40):
        records.event(NODEENI, "Normal", "ENIAttached", "many")
    await records.drain(timeout=60.0)
    assert told(server) == [("ENIAttached", "many", 40)]
    assert (server.requests["create", "events"], server.requests["patch", "events"]) == (1, 0)


async def test_flood_of_one_kind_becomes_one_event_that_tells_how_many(
    server: KubeServer, client: KubeClient, background: Background
) -> None:
    clock = Clock()
    records = recorder(client, background, clock=clock)
    for number in range(BURST + 15):
        records.event(NODEENI, "Normal", "ENIAttached", f"node {number}")
    each = [("ENIAttached", f"node {number}", 1) for number in range(BURST)]
    await records.drain(timeout=60.0)
    more = ("ENIAttached", "15 more of this kind, the last: node 39", 15)
    assert sorted(told(server)) == sorted([*each, more])
    clock.now += REFILL + 1
    records.event(NODEENI, "Normal", "ENIAttached", "one more")
    records.event(NODEENI, "Normal", "ENIAttached", "two more")
    await records.drain(timeout=60.0)
    assert sorted(told(server)) == sorted(
        [
            *each,
            ("ENIAttached", "one more", 1),
            ("ENIAttached", "16 more of this kind, the last: two more", 16),
        ]
    )
    assert records.dropped == 0


async def test_flood_is_gathered_into_few_writes(
    server: KubeServer, client: KubeClient, background: Background
) -> None:
    records = recorder(client, background, gather=0.05)
    for number in range(1000):
        records.event(NODEENI, "Normal", "ENIAttached", f"node {number}")
    await until(lambda: ("ENIAttached", "975 more of this kind, the last: node 999", 975) in told(server))
    assert server.requests["create", "events"] == BURST + 1
    assert server.requests["patch", "events"] == 0


async def test_many_normal_events_leave_room_for_warnings_other_reasons_and_other_objects(
    server: KubeServer, client: KubeClient, background: Background
) -> None:
    records = recorder(client, background)
    for number in range(100):
        records.event(NODEENI, "Normal", "ENIAttached", f"node {number}")
    for number in range(100):
        records.event(NODEENI, "Warning", "ENICreationFailed", f"node {number}")
    records.event(NODEENI, "Warning", "ENIDetachmentFailed", "heard")
    records.event(ObjectRef("Node", "v1", "n0", "uid-2"), "Normal", "ENIAttached", "heard")
    await records.drain(timeout=60.0)
    more = "75 more of this kind, the last: node 99"
    assert Counter(event["reason"] for event in events(server)) == {
        "ENIAttached": BURST + 2,
        "ENICreationFailed": BURST + 1,
        "ENIDetachmentFailed": 1,
    }
    assert {("ENIAttached", more, 75), ("ENICreationFailed", more, 75)} <= set(told(server))


async def test_server_is_away_for_a_while(
    server: KubeServer, client: KubeClient, wire: Wire, background: Background
) -> None:
    records = recorder(client, background)
    wire.refuse()
    records.event(NODEENI, "Normal", "ENIAttached", "at last")
    await asyncio.sleep(0.05)
    await wire.listen()
    await until(lambda: told(server) == [("ENIAttached", "at last", 1)])


async def test_answer_to_the_create_is_lost(
    server: KubeServer, client: KubeClient, background: Background
) -> None:
    records = recorder(client, background)
    server.faults.drop("after", verb="create", resource="events")
    records.event(NODEENI, "Normal", "ENIAttached", "once")
    await records.drain(timeout=60.0)
    records.event(NODEENI, "Normal", "ENIAttached", "once")
    await records.drain(timeout=60.0)
    assert told(server) == [("ENIAttached", "once", 2)]


async def test_server_forgot_the_event(
    server: KubeServer, client: KubeClient, background: Background
) -> None:
    records = recorder(client, background)
    records.event(NODEENI, "Normal", "ENIAttached", "again")
    await records.drain(timeout=60.0)
    (event,) = events(server)
    server.delete("", "events", event["metadata"]["name"], namespace="default")
    records.event(NODEENI, "Normal", "ENIAttached", "again")
    await records.drain(timeout=60.0)
    assert told(server) == [("ENIAttached", "again", 2)]


async def test_refusal_is_logged_once(
    server: KubeServer, client: KubeClient, background: Background, caplog: pytest.LogCaptureFixture
) -> None:
    records = recorder(client, background)
    server.faults.fail(403, verb="create", resource="events", times=5)
    for number in range(5):
        records.event(NODEENI, "Normal", "ENIAttached", f"node {number}")
    await records.drain(timeout=60.0)
    assert (events(server), records.dropped) == ([], 5)
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 1
    assert 'grant the verb "create" on "events"' in warnings[0]


async def test_full_queue_drops_and_does_not_wait(client: KubeClient) -> None:
    records = EventRecorder(client, capacity=3)
    for number in range(5):
        records.event(NODEENI, "Normal", "ENIAttached", f"node {number}")
    assert records.dropped == 2
    await records.drain(timeout=0.05)

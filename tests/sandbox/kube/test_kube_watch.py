"""Watches: what they show, where they begin, how they end."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec
import pytest
from tests.sandbox.kube.clients import Client

from nodeeni.sandbox.kube import KubeServer

NODES = "/api/v1/nodes"


def node(name: str, **labels: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}}


class Events:
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response

    async def next(self) -> tuple[str, Any]:
        line = await asyncio.wait_for(self.response.content.readline(), 5)
        assert line, "the stream has ended"
        event = msgspec.json.decode(line)
        return event["type"], event["object"]

    async def named(self, count: int) -> list[tuple[str, str]]:
        events = [await self.next() for _ in range(count)]
        return [(kind, obj["metadata"]["name"]) for kind, obj in events]

    async def ended(self) -> bytes:
        return await asyncio.wait_for(self.response.content.read(), 5)


@asynccontextmanager
async def watching(client: Client, query: str = "", **headers: str) -> AsyncIterator[Events]:
    async with client.session.get(f"{NODES}?watch=true&{query}", headers=headers) as response:
        assert response.status == 200
        yield Events(response)


async def test_a_watch_follows_a_list_without_a_gap(server: KubeServer, client: Client) -> None:
    server.create(node("a"))
    listed = (await client.get(NODES)).body["metadata"]["resourceVersion"]
    server.create(node("b"))
    async with watching(client, f"resourceVersion={listed}") as events:
        server.patch("", "nodes", "a", {"metadata": {"labels": {"x": "y"}}})
        server.delete("", "nodes", "b")
        assert await events.named(3) == [("ADDED", "b"), ("MODIFIED", "a"), ("DELETED", "b")]


async def test_a_watch_without_a_version_begins_with_what_is_there(
    server: KubeServer, client: Client
) -> None:
    server.create(node("a"))
    async with watching(client) as events:
        server.create(node("b"))
        assert await events.named(2) == [("ADDED", "a"), ("ADDED", "b")]


async def test_an_object_enters_and_leaves_a_selection(server: KubeServer, client: Client) -> None:
    server.create(node("a"))
    async with watching(client, f"labelSelector=ng%3Dx&resourceVersion={server.store.revision}") as events:
        for labels in ({"ng": "x"}, {"ng": "x", "other": "1"}, {"ng": None}, {"ng": "x"}):
            server.patch("", "nodes", "a", {"metadata": {"labels": labels}})
        assert await events.named(4) == [
            ("ADDED", "a"),
            ("MODIFIED", "a"),
            ("DELETED", "a"),
            ("ADDED", "a"),
        ]


async def test_one_object_is_watched_by_its_name(server: KubeServer, client: Client) -> None:
    query = f"fieldSelector=metadata.name%3Db&resourceVersion={server.store.revision}"
    async with watching(client, query) as events:
        for name in "abc":
            server.create(node(name))
        server.delete("", "nodes", "b")
        assert await events.named(2) == [("ADDED", "b"), ("DELETED", "b")]


@pytest.mark.usefixtures("sandbox_only")  # how much is remembered is a setting
async def test_a_version_that_was_forgotten_is_gone(client: Client, server: KubeServer) -> None:
    server.store.log_length = 3
    for name in "abcdef":
        server.create(node(name))
    async with watching(client, "resourceVersion=2") as events:
        kind, status = await events.next()
        assert kind == "ERROR"
        assert (status["code"], status["reason"]) == (410, "Expired")
        assert await events.ended() == b""


async def test_bookmarks_tell_how_far_a_quiet_watch_is() -> None:
    server = KubeServer(bookmark_every=0.05)
    await server.start()
    query = "allowWatchBookmarks=true&resourceVersion=1"
    async with aiohttp.ClientSession(server.url) as session, watching(Client(session), query) as events:
        server.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}})
        kind, obj = await events.next()
        while obj["metadata"]["resourceVersion"] != str(server.store.revision):
            kind, obj = await events.next()
        assert (kind, obj["kind"]) == ("BOOKMARK", "Node")
    await server.stop()


@pytest.mark.usefixtures("sandbox_only")  # an API server needs etcd 3.4.31 or 3.5.13 for it
async def test_initial_events_end_with_a_bookmark(client: Client, server: KubeServer) -> None:
    server.create(node("a"))
    query = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    async with watching(client, query) as events:
        assert await events.named(1) == [("ADDED", "a")]
        kind, obj = await events.next()
        assert kind == "BOOKMARK"
        assert obj["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


async def test_a_watch_ends_when_its_time_is_up(client: Client, server: KubeServer) -> None:
    async with watching(client, "timeoutSeconds=1") as events:
        assert await events.ended() == b""
    assert server.faults.watches == set()


@pytest.mark.usefixtures("sandbox_only")  # only its loop can be kept busy
async def test_what_changes_as_the_time_is_up_comes_before_the_last_bookmark(
    client: Client, server: KubeServer
) -> None:
    query = f"timeoutSeconds=1&allowWatchBookmarks=true&resourceVersion={server.store.revision}"
    async with watching(client, query) as events:
        until = time.monotonic() + 1.2
        while time.monotonic() < until:  # a server that is busy: the time is up before it looks
            pass
        server.create(node("late"))
        assert await events.named(1) == [("ADDED", "late")]
        kind, bookmark = await events.next()
        assert (kind, bookmark["metadata"]["resourceVersion"]) == ("BOOKMARK", str(server.store.revision))
        assert await events.ended() == b""


async def test_a_table_watch_names_its_columns_once(client: Client, server: KubeServer) -> None:
    server.create(node("a"))
    async with watching(client, Accept="application/json;as=Table;v=v1;g=meta.k8s.io") as events:
        _, first = await events.next()
        server.create(node("b"))
        _, second = await events.next()
    assert first["columnDefinitions"][0]["name"] == "Name"
    assert second["columnDefinitions"] is None
    assert [first["rows"][0]["cells"][0], second["rows"][0]["cells"][0]] == ["a", "b"]


async def test_a_client_that_leaves_is_noticed(client: Client, server: KubeServer) -> None:
    async with watching(client):
        assert len(server.faults.watches) == 1
    async with asyncio.timeout(5):
        while server.faults.watches:  # noqa: ASYNC110 (nothing is told when a handler ends)
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("how", ["end", "reset", "gone", "silent"])
async def test_a_test_can_break_watches(client: Client, server: KubeServer, how: Any) -> None:
    async with watching(client, "resourceVersion=1&allowWatchBookmarks=true&timeoutSeconds=1") as events:
        assert server.faults.break_watches(how, "pods") == 0
        assert server.faults.break_watches(how, "nodes") == 1
        server.create(node("unseen"))
        if how == "end":
            assert b"unseen" in await events.ended()
        elif how == "reset":
            with pytest.raises(aiohttp.ClientPayloadError):
                await events.ended()
        elif how == "gone":
            kind, status = await events.next()
            assert (kind, status["code"]) == ("ERROR", 410)
        else:
            assert await events.ended() == b""

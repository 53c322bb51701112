"""The informer's copy stays right, and every change is told once, whatever the connection does."""

import asyncio
import logging
import time
import weakref
from collections.abc import Callable
from typing import Any, ClassVar

import msgspec
import pytest
from tests.contract.processes import real_is_wanted
from tests.kube.waiting import Background, until
from tests.kube.wire import Wire

from nodeeni.api.meta import ObjectMeta
from nodeeni.kube.backoff import Backoff
from nodeeni.kube.client import KubeClient
from nodeeni.kube.informer import STANDS, Informer
from nodeeni.kube.resources import NODES
from nodeeni.sandbox.kube import KubeServer
from nodeeni.sandbox.kube.faults import WatchBreak
from nodeeni.slices import SLICE


class Node(msgspec.Struct):
    metadata: ObjectMeta


class StrictSpec(msgspec.Struct):
    unschedulable: bool = False


class StrictNode(Node):
    spec: StrictSpec = msgspec.field(default_factory=StrictSpec)


def node(name: str, **labels: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}}


class Told:
    """What a listener hears, judged as it comes: each `old` has to be what was told last for that name."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, str]] = []
        self.state: dict[str, tuple[str, str]] = {}
        self.wrong: list[str] = []

    def __call__(self, old: Node | None, new: Node | None) -> None:
        known = old or new
        assert known is not None
        name = known.metadata.name
        before, after = self._version(old), self._version(new)
        if self.state.get(name) != before:
            self.wrong.append(f"{name}: {before} was never told, or no longer stands")
        if before == after:
            self.wrong.append(f"{name}: {after} is told twice")
        if after is None:
            self.state.pop(name, None)
        else:
            if before is not None and before[0] != after[0]:
                self.wrong.append(f"{name}: another object under the old name")
            self.state[name] = after
        self.steps.append((name, "new" if old is None else "gone" if new is None else "changed"))

    def settled(self, server: KubeServer) -> bool:
        """Whether all is told."""
        assert not self.wrong
        return self.state == truth(server)

    @staticmethod
    def _version(obj: Node | None) -> tuple[str, str] | None:
        return None if obj is None else (obj.metadata.uid, obj.metadata.resource_version)


def truth(server: KubeServer) -> dict[str, tuple[str, str]]:
    metadata = [obj["metadata"] for obj in server.objects("", "nodes")]
    return {item["name"]: (item["uid"], item["resourceVersion"]) for item in metadata}


class Started:
    """An informer that has synced and watches."""

    def __init__(self, informer: Informer[Node], told: Told) -> None:
        self.informer = informer
        self.told = told


async def start(client: KubeClient, server: KubeServer, background: Background, **options: Any) -> Started:
    options.setdefault("backoff", Backoff(0.02, 0.5))
    informer: Informer[Node] = Informer(client, NODES, Node, **options)
    told = Told()
    informer.add_listener(told)
    background.start(informer.run())
    async with asyncio.timeout(10):
        await informer.synced.wait()
    await until(lambda: server.requests["watch", "nodes"])
    return Started(informer, told)


async def test_pages_are_listed_then_changes_watched(
    server: KubeServer, client: KubeClient, background: Background
) -> None:
    for number in range(5):
        server.create(node(f"n{number}"))
    started = await start(client, server, background, page_limit=2)
    assert server.requests["list", "nodes"] == 3
    assert sorted(started.told.steps) == [(f"n{number}", "new") for number in range(5)]

    started.told.steps.clear()
    server.patch("", "nodes", "n1", {"metadata": {"labels": {"ng": "multi-eni"}}})
    server.delete("", "nodes", "n2")
    server.create(node("n2"))
    await until(lambda: len(started.told.steps) == 3)
    assert started.told.steps == [("n1", "changed"), ("n2", "gone"), ("n2", "new")]
    assert started.told.settled(server)


def reset(server: KubeServer, wire: Wire) -> None:
    wire.reset()


def refuse_for_a_while(server: KubeServer, wire: Wire) -> None:
    wire.refuse()
    asyncio.get_running_loop().call_later(0.3, lambda: asyncio.ensure_future(wire.listen()))


def half_open(server: KubeServer, wire: Wire) -> None:
    wire.freeze()


def truncated_line(server: KubeServer, wire: Wire) -> None:
    wire.cut_inside(b'"MODIFIED","object"')


def spoiled_line(server: KubeServer, wire: Wire) -> None:
    wire.replace(b'"MODIFIED"', b'"MODIFI\x01D"')


def gone_in_stream(server: KubeServer, wire: Wire) -> None:
    server.faults.break_watches("gone", resource="nodes")


def ended_early(server: KubeServer, wire: Wire) -> None:
    server.faults.break_watches("end", resource="nodes")


def answered(status: int, verb: str = "watch", **options: Any) -> Callable[[KubeServer, Wire], None]:
    def fault(server: KubeServer, wire: Wire) -> None:
        server.faults.fail(status, verb=verb, resource="nodes", **options)
        wire.reset()

    fault.__name__ = f"answered_{status}"
    return fault


def gone_then_list_fails(server: KubeServer, wire: Wire) -> None:
    server.faults.fail(500, verb="list", resource="nodes", times=2)
    answered(410)(server, wire)


RESUMED = [
    reset,
    refuse_for_a_while,
    half_open,
    truncated_line,
    ended_early,
    answered(401, times=2),
    answered(403),
    answered(429, retry_after=1),
    answered(500, times=3),
]
LISTED_AGAIN = [gone_in_stream, answered(410), spoiled_line, gone_then_list_fails]


@pytest.mark.parametrize(
    ("fault", "relists"),
    [(fault, 0) for fault in RESUMED] + [(fault, 1) for fault in LISTED_AGAIN],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_broken_watch(
    server: KubeServer,
    wire: Wire,
    client: KubeClient,
    background: Background,
    monkeypatch: pytest.MonkeyPatch,
    fault: Callable[[KubeServer, Wire], None],
    relists: int,
) -> None:
    monkeypatch.setattr("nodeeni.kube.errors.Unauthorized.delay", 0.1)
    monkeypatch.setattr("nodeeni.kube.errors.Forbidden.delay", 0.1)
    for number in range(4):
        server.create(node(f"n{number}"))
    started = await start(client, server, background, silence=0.5)
    server.patch("", "nodes", "n3", {"metadata": {"labels": {"seen": "early"}}})
    server.patch("", "nodes", "n3", {"metadata": {"labels": {"seen": "before"}}})
    await until(lambda: started.told.settled(server))

    fault(server, wire)
    server.patch("", "nodes", "n0", {"metadata": {"labels": {"ng": "multi-eni"}}})
    server.delete("", "nodes", "n1")
    server.delete("", "nodes", "n2")
    server.create(node("n2", born="again"))
    server.create(node("n4"))
    await until(lambda: started.told.settled(server))
    server.patch("", "nodes", "n3", {"metadata": {"labels": {"seen": "after"}}})
    await until(lambda: started.told.settled(server))

    assert sorted(started.told.steps) == sorted(
        [(f"n{number}", "new") for number in range(4)]
        + [
            ("n3", "changed"),
            ("n3", "changed"),
            ("n0", "changed"),
            ("n1", "gone"),
            ("n2", "gone"),
            ("n2", "new"),
        ]
        + [("n4", "new"), ("n3", "changed")]
    )
    assert {
        name: (obj.metadata.uid, obj.metadata.resource_version)
        for name, obj in started.informer.store.items()
    } == truth(server)
    assert started.informer.relists == relists


async def test_line_cut_short_in_a_stream_that_ends_well(
    server: KubeServer, wire: Wire, client: KubeClient, background: Background
) -> None:
    server.create(node("n0"))
    started = await start(client, server, background)
    wire.replace(b"}\n", b"  ")
    server.patch("", "nodes", "n0", {"metadata": {"labels": {"ng": "multi-eni"}}})
    await until(lambda: wire.spoiled)
    server.faults.break_watches("end", resource="nodes")
    await until(lambda: started.told.settled(server))
    assert started.told.steps == [("n0", "new"), ("n0", "changed")]
    assert started.informer.relists == 0


async def test_list_that_takes_longer_than_its_snapshot_is_kept_is_tried_with_larger_pages(
    server: KubeServer, client: KubeClient, background: Background
) -> None:
    """It would never be through: each page of a slow server takes as long at the next try."""
    for number in range(8):
        server.create(node(f"n{number}"))
    server.faults.fail(410, verb="list", resource="nodes", times=2)
    started = await start(client, server, background, page_limit=1)
    assert started.told.settled(server)
    assert server.requests["list", "nodes"] == 2 + 8 / 4


async def test_server_is_away_at_the_start(
    server: KubeServer,
    wire: Wire,
    client: KubeClient,
    background: Background,
    caplog: pytest.LogCaptureFixture,
) -> None:
    wire.refuse()
    informer = Informer(client, NODES, Node, backoff=Backoff(0.02, 0.1))
    background.start(informer.run())
    await until(lambda: caplog.records)
    assert not informer.synced.is_set()
    server.create(node("n0"))
    await wire.listen()
    await until(informer.synced.is_set)
    assert list(informer.store) == ["n0"]


async def test_quiet_watch_is_renewed_without_a_word_and_never_grows_too_old(
    server: KubeServer, client: KubeClient, background: Background, caplog: pytest.LogCaptureFixture
) -> None:
    server.create(node("n0", watched="yes"))
    started = await start(client, server, background, watch_timeout=1.0, label_selector="watched=yes")
    for number in range(20):
        server.create(node(f"other{number}"))
    opened = server.requests["watch", "nodes"]
    await until(lambda: server.requests["watch", "nodes"] == opened + 1)
    server.store.compact()
    compacted = time.monotonic()
    await until(lambda: server.requests["watch", "nodes"] == opened + 3)
    assert started.told.steps == [("n0", "new")]
    assert (started.informer.relists, list(started.informer.store)) == (0, ["n0"])
    assert started.informer.last_contact is not None
    assert started.informer.last_contact > compacted
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize("how", ["end", "reset"])
async def test_quiet_watch_that_is_cut_again_and_again_is_resumed_at_once(
    server: KubeServer, client: KubeClient, background: Background, how: WatchBreak
) -> None:
    """As by a balancer that cuts idle connections: without a change the pauses would grow to 30 s."""
    started = await start(client, server, background, backoff=Backoff())
    for _ in range(6):
        await until(lambda: server.faults.watches)
        await asyncio.sleep(STANDS + 0.1)
        server.faults.break_watches(how, "nodes")
        await until(lambda: not server.faults.watches)
    server.create(node("n1"))
    await until(lambda: started.told.settled(server), timeout=1.0)


class CountedNode(msgspec.Struct, weakref=True):
    """Knows how many of its kind are in memory, and the most that there were."""

    alive: ClassVar[int] = 0
    most: ClassVar[int] = 0

    metadata: ObjectMeta

    def __post_init__(self) -> None:
        CountedNode.alive += 1
        CountedNode.most = max(CountedNode.most, CountedNode.alive)
        weakref.finalize(self, CountedNode.forget)

    @classmethod
    def forget(cls) -> None:
        cls.alive -= 1


def kept_unless_labelled(old: CountedNode | None, new: CountedNode) -> CountedNode:
    if old is None or old.metadata.labels != new.metadata.labels:
        return new
    old.metadata.resource_version = new.metadata.resource_version
    return old


async def test_list_after_heartbeats_of_all_nodes_holds_no_second_copy_of_them(
    server: KubeServer, wire: Wire, client: KubeClient, background: Background
) -> None:
    if real_is_wanted():
        pytest.skip("a real API server's watch cache outlives the compaction, and nothing is listed anew")
    for number in range(20):
        server.create(node(f"n{number}"))
    informer = Informer(
        client, NODES, CountedNode, kept=kept_unless_labelled, page_limit=5, backoff=Backoff(0.02, 0.1)
    )
    background.start(informer.run())
    await until(informer.synced.is_set)
    wire.refuse()
    wire.reset()
    for number in range(20):
        server.patch("", "nodes", f"n{number}", {"status": {"phase": "Running"}}, subresource="status")
    server.patch("", "nodes", "n7", {"metadata": {"labels": {"ng": "multi-eni"}}})
    server.store.compact()
    CountedNode.most = 0
    await wire.listen()
    await until(lambda: informer.relists == 1)
    assert informer.store["n7"].metadata.labels == {"ng": "multi-eni"}
    assert CountedNode.most <= 20 + 3  # the one that changed, and those just being read


async def test_object_that_cannot_be_read_spoils_no_other(
    server: KubeServer, client: KubeClient, background: Background, caplog: pytest.LogCaptureFixture
) -> None:
    if real_is_wanted():
        pytest.skip("a real API server takes no such Node")
    server.create(node("good"))
    server.create({**node("bad"), "spec": {"unschedulable": "maybe"}})
    informer = Informer(client, NODES, StrictNode)
    background.start(informer.run())
    await until(informer.synced.is_set)
    assert list(informer.store) == ["good"]

    server.patch("", "nodes", "bad", {"metadata": {"labels": {"still": "bad"}}})
    server.create(node("later"))
    await until(lambda: "later" in informer.store)
    assert informer.undecodable == 2
    assert len([r for r in caplog.records if "cannot be read" in r.getMessage()]) == 1

    server.patch("", "nodes", "bad", {"spec": {"unschedulable": True}})
    await until(lambda: "bad" in informer.store)
    server.patch("", "nodes", "bad", {"spec": {"unschedulable": "again"}})
    server.create(node("last"))
    await until(lambda: "last" in informer.store)
    assert informer.store["bad"].spec.unschedulable, "the last good one stands"
    server.faults.break_watches("gone", resource="nodes")
    await until(lambda: informer.relists == 1)
    assert informer.store["bad"].spec.unschedulable
    server.delete("", "nodes", "bad")
    await until(lambda: "bad" not in informer.store)


async def test_listener_that_fails_harms_nobody_else(
    server: KubeServer, client: KubeClient, background: Background, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(old: Node | None, new: Node | None) -> None:
        raise RuntimeError("a bug")

    informer = Informer(client, NODES, Node)
    informer.add_listener(broken)
    told = Told()
    informer.add_listener(told)
    server.create(node("n0"))
    background.start(informer.run())
    await until(informer.synced.is_set)
    server.create(node("n1"))
    await until(lambda: told.settled(server))
    assert caplog.text.count("a listener of nodes failed") == 2


async def test_listener_that_comes_late_hears_what_stands(
    server: KubeServer, client: KubeClient, background: Background
) -> None:
    server.create(node("n0"))
    started = await start(client, server, background)
    late = Told()
    started.informer.add_listener(late)
    assert late.steps == [("n0", "new")]


async def test_who_follows_has_each_told_as_new_once_though_they_change_and_go_meanwhile(
    server: KubeServer, client: KubeClient, background: Background
) -> None:
    for number in range(40):
        server.create(node(f"n{number:02}"))
    started = await start(client, server, background)
    late, turns = Told(), 0

    def slow(old: Node | None, new: Node | None) -> None:
        until_then = time.perf_counter() + 2 * SLICE
        while time.perf_counter() < until_then:
            pass  # work, in which nobody else has a turn
        late(old, new)

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    background.start(others())
    following = asyncio.create_task(started.informer.follow(slow))
    await until(lambda: len(late.steps) > 2)
    server.patch("", "nodes", "n00", {"metadata": {"labels": {"ng": "multi-eni"}}})
    server.patch("", "nodes", "n39", {"metadata": {"labels": {"ng": "multi-eni"}}})
    server.delete("", "nodes", "n38")
    server.create(node("n40"))
    await until(lambda: late.state.get("n00") == truth(server)["n00"])
    await following
    await until(lambda: late.settled(server))
    assert turns > 30  # between one and the next
    server.delete("", "nodes", "n01")
    await until(lambda: late.settled(server))
    assert late.steps[-1] == ("n01", "gone")

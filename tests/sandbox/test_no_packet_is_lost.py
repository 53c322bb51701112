"""Packets through a link, while what its ENI hangs on goes for a moment: none of them is lost."""

import asyncio
import contextlib
import json
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.needs import kernels

from nodeeni.api.names import GROUP, TAG_UID
from nodeeni.cli.stage import Stage
from nodeeni.sandbox import hosts as hosts_room
from nodeeni.sandbox.ec2 import quick_settings
from nodeeni.sandbox.hosts import Hosts
from nodeeni.sandbox.world import WorldNode, readme_nodeeni

NAME, LABEL = "multus-eni-config", {"ng": "multi-eni"}
FLAGS = ("--metrics-addr=127.0.0.1:0", "--read-lag=200ms", "--label-grace=1h", "--node-grace-period=1h")
EVERY = 0.01  # seconds from one packet to the next
ECHO = """
import socket, sys
here = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
here.bind((sys.argv[1], 7))
while True:
    data, who = here.recvfrom(64)
    here.sendto(data, who)
"""


async def until(holds: Callable[[], Any], within: float = 60.0) -> None:
    deadline = time.monotonic() + within
    while not holds():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        await asyncio.sleep(0.02)


class Line:
    """Packets to the node's link from the other end of its wire, each of which is to be answered."""

    def __init__(self, hosts: Hosts, there: str) -> None:
        self._socket = hosts_room._inside(
            hosts._switch, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        )
        self._socket.setblocking(False)
        self._socket.connect((there, 7))
        self.sent: set[bytes] = set()
        self.answered: set[bytes] = set()

    async def run(self) -> None:
        while True:
            packet = str(len(self.sent)).encode()
            self.sent.add(packet)
            with contextlib.suppress(ConnectionError):  # until somebody answers
                self._socket.send(packet)
            await asyncio.sleep(EVERY)
            self.take()

    def take(self) -> None:
        while True:
            try:
                self.answered.add(self._socket.recv(64))
            except BlockingIOError:
                return
            except ConnectionError:
                continue

    @property
    def lost(self) -> set[bytes]:
        self.take()
        return self.sent - self.answered

    def begin(self) -> None:
        """What was lost before somebody answered does not count."""
        self.take()
        self.sent, self.answered = {b"first"}, {b"first"}

    def close(self) -> None:
        self._socket.close()


class Site:
    def __init__(self, stage: Stage, hosts: Hosts, node: WorldNode, line: Line) -> None:
        self.stage, self.world, self.hosts, self.node, self.line = stage, stage.world, hosts, node, line

    def row(self) -> dict[str, Any]:
        status = (self.world.nodeeni(NAME) or {}).get("status") or {}
        rows = status.get("attachments", [])
        return next((dict(r) for r in rows if r["nodeID"] == self.node.name), {})

    async def link(self) -> dict[str, Any]:
        links = await self.hosts.links(self.node.instance_id)
        return next(dict(link) for link in links if link["ifname"] == "eth2")


@pytest.fixture(autouse=True)
def namespaces() -> None:
    kernels()


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """A node with its ENI manager, and something that answers behind the link of its ENI."""
    hosts = Hosts()
    async with Stage(tmp_path, quick_settings(), hosts=hosts) as stage:
        node = await stage.world.add_node(labels=LABEL)
        stage.world.kube.apply(readme_nodeeni(NAME, mtu=9000, interfaceName="data0"))
        await stage.start_controller(*FLAGS)
        await stage.start_agent(node)
        await until(lambda: _links_up(stage) == 1)
        (interface,) = stage.world.ec2.interfaces(NodeENI=NAME)
        port = hosts._hosts[node.instance_id].links[interface.id]
        await asyncio.to_thread(hosts_room._ip, hosts._switch, f"addr add 192.0.2.1/24 dev {port}")
        inside = hosts._hosts[node.instance_id].namespace
        await asyncio.to_thread(hosts_room._ip, inside, "addr add 192.0.2.2/24 dev eth2")
        command = hosts.command(node.instance_id, (sys.executable, "-c", ECHO, "192.0.2.2"))
        echo = await asyncio.create_subprocess_exec(*command)
        line = Line(hosts, "192.0.2.2")
        sending = asyncio.create_task(line.run())
        try:
            await until(lambda: len(line.answered) > 10)
            line.begin()
            yield Site(stage, hosts, node, line)
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            line.close()
            echo.kill()
            await echo.wait()


def _links_up(stage: Stage) -> int:
    status = (stage.world.nodeeni(NAME) or {}).get("status") or {}
    return int(status.get("linksUp") or 0)


async def test_while_a_label_blinks(site: Site) -> None:
    before, calls = await site.link(), len(site.stage.world.ec2.calls.of("DetachNetworkInterface"))
    for _ in range(5):
        site.world.label(site.node.name, ng=None)
        await until(lambda: site.row().get("reason") == "LabelGone")
        site.world.label(site.node.name, ng="multi-eni")
        await until(lambda: site.row().get("status") == "attached" and not site.row().get("reason"))
    await until(lambda: len(site.line.sent) > 50 and not site.line.lost)
    assert await site.link() == before, "its MAC, MTU and name too"
    assert len(site.stage.world.ec2.calls.of("DetachNetworkInterface")) == calls == 0


async def test_while_the_node_vanishes_and_comes_back(site: Site) -> None:
    """Its ENINode, which belongs to the Node, goes with it and comes back."""
    before = await site.link()
    manifest = site.world.kube.get("", "nodes", site.node.name)
    assert manifest is not None
    site.world.kube.delete("", "nodes", site.node.name)
    await until(lambda: site.row().get("reason") == "NodeGone")
    await until(lambda: site.world.kube.get(GROUP, "eninodes", site.node.name) is None)
    fresh = {key: manifest["metadata"][key] for key in ("name", "labels")}
    site.world.kube.create({**manifest, "metadata": fresh})
    await until(lambda: site.row().get("status") == "attached" and not site.row().get("reason"))
    await until(lambda: site.world.eninode(site.node.name) is not None)
    await until(lambda: len(site.line.sent) > 50 and not site.line.lost)
    after = await site.link()
    assert (after["address"], after["mtu"]) == (before["address"], before["mtu"]), json.dumps(after)


async def test_while_the_node_is_registered_under_another_name(site: Site) -> None:
    """As its kubelet does it, with the ENI manager of the DaemonSet's new pod."""
    before, old, new = await site.link(), site.node, f"{site.node.instance_id}.us-west-2.compute.internal"
    manifest = site.world.kube.get("", "nodes", old.name)
    assert manifest is not None
    site.world.kube.delete("", "nodes", old.name)
    await site.stage.stop_agent(old)
    site.world.kube.create({**manifest, "metadata": {"name": new, "labels": manifest["metadata"]["labels"]}})
    site.node = site.world.nodes[new] = WorldNode(new, old.instance_id)
    del site.world.nodes[old.name]
    await site.stage.start_agent(site.node)
    await until(lambda: site.row().get("status") == "attached" and _links_up(site.stage) == 1)
    await until(lambda: site.world.ec2.interfaces(NodeENI=NAME)[0].tags["Node"] == new)
    await until(lambda: len(site.line.sent) > 50 and not site.line.lost)
    after = await site.link()
    assert (after["address"], after["ifindex"]) == (before["address"], before["ifindex"])
    assert not site.stage.world.ec2.calls.of("DetachNetworkInterface")


async def test_while_the_nodeeni_is_made_anew(site: Site) -> None:
    """Its finalizer was taken off by hand, and somebody applied it again."""
    before, old = await site.link(), site.world.nodeeni(NAME)
    assert old is not None
    site.world.kube.patch(GROUP, "nodeenis", NAME, {"metadata": {"finalizers": []}})
    site.world.kube.delete(GROUP, "nodeenis", NAME)
    site.world.kube.apply(readme_nodeeni(NAME, mtu=9000, interfaceName="data0"))
    uid = (site.world.nodeeni(NAME) or {})["metadata"]["uid"]
    assert uid != old["metadata"]["uid"]
    await until(lambda: site.world.ec2.interfaces(NodeENI=NAME)[0].tags[TAG_UID] == uid)
    await until(lambda: site.row().get("status") == "attached" and _links_up(site.stage) == 1)
    await until(lambda: len(site.line.sent) > 50 and not site.line.lost)
    assert await site.link() == before, "its MAC, MTU and name too"
    assert not site.stage.world.ec2.calls.of("DetachNetworkInterface")

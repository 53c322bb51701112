"""The API server away, its watch broken in every way, its token renewed: links are served meanwhile."""

import asyncio
import contextlib
import socket
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.agent.situation import GROUP, NODE, PLURAL, ROOT, Node, Relay, a_node, until

from nodeeni.agent.api import ENINodeApi
from nodeeni.agent.counters import Counters
from nodeeni.agent.health import Health, listen
from nodeeni.agent.kubeconfig import Access
from nodeeni.agent.watch import STANDS, Pause, Watch
from nodeeni.sandbox.kube import KubeServer

MAC = "02:00:00:00:00:01"
WISH = {"macAddress": MAC, "mtu": 9001, "interfaceName": "multus"}
AWAY = "the API server cannot be used, links are served meanwhile"
UP = {"macAddress": MAC, "linkName": "eth1", "interfaceName": "multus", "state": "Up", "mtu": 9001}


async def watching(node: Node) -> None:
    await until(lambda: node.kube.faults.watches)


async def test_links_come_up_while_the_api_server_is_away(node: Node) -> None:
    node.list_links(WISH)
    agent = await node.start_agent()
    await until(lambda: len(node.reported()) == 1)
    await node.relay.cut()
    node.kernel.ip(node.kernel.adding("eth1", MAC))
    await until(lambda: node.kernel.state("eth1") == (True, 9001, ["multus"]))
    await until(lambda: agent.said(AWAY))
    assert node.reported()[0]["state"] == "Missing"
    await node.relay.open()
    await node.until_reported(UP)
    assert len(agent.said(AWAY)) == 1


@pytest.mark.parametrize("how", ["end", "reset", "gone"])
async def test_a_watch_that_breaks_is_taken_up_again(node: Node, how: str) -> None:
    node.kernel.ip(node.kernel.adding("eth1", MAC))
    node.list_links()
    await node.start_agent()
    await watching(node)
    lists = node.kube.requests["list", PLURAL]
    assert node.kube.faults.break_watches(how, PLURAL) == 1  # type: ignore[arg-type]
    node.list_links(WISH)
    await node.until_reported(UP)
    assert node.kube.requests["list", PLURAL] == lists + (how == "gone")


async def test_a_watch_without_a_bookmark_is_dead_though_its_connection_lives(tmp_path: Path) -> None:
    """As behind a middle box that keeps a connection alive of which the other end is gone."""
    kube = KubeServer(bookmark_every=0.2)
    await kube.start()
    seen: list[dict[str, Any] | None] = []
    stop = threading.Event()
    access = Access("127.0.0.1", kube.port, tls=False)
    watch = Watch(ENINodeApi(access, NODE, 30.0, silence=1.0), seen.append, Counters(), stop)
    for path in sorted((ROOT / "deploy" / "crds").glob("*.yaml")):
        kube.create(yaml.safe_load(path.read_text()))
    thread = threading.Thread(target=watch.run)
    thread.start()
    try:
        await until(lambda: kube.faults.watches)
        await asyncio.sleep(1.5)
        assert kube.requests["watch", PLURAL] == 1  # bookmarks are words
        assert kube.faults.break_watches("silent", PLURAL) == 1
        kube.create({"apiVersion": f"{GROUP}/v1alpha1", "kind": "ENINode", "metadata": {"name": NODE}})
        await until(lambda: seen[-1] is not None)
    finally:
        stop.set()
        kube.faults.break_watches("end", PLURAL)
        await asyncio.to_thread(thread.join)
        await kube.stop()


def test_the_pause_grows_while_watches_end_at_once_and_not_where_they_stand_for_a_while() -> None:
    """A balancer cuts idle connections after 20 s or so; what changes in a pause comes up after it."""
    pause = Pause()
    for _ in range(10):
        grown = pause.next()
        pause.stood(STANDS / 2)
    pause.stood(STANDS)
    assert grown >= 15
    assert pause.next() <= 0.25


@pytest.mark.parametrize("status", [401, 410, 429, 500, 503])
async def test_an_error_at_the_start_is_tried_again(node: Node, status: int) -> None:
    node.kernel.ip(node.kernel.adding("eth1", MAC))
    node.list_links(WISH)
    node.kube.faults.fail(status, resource=PLURAL)
    node.kube.faults.fail(status, verb="patch", times=1)
    await node.start_agent()
    await node.until_reported(UP)


async def test_that_it_may_not_report_is_said_once(node: Node) -> None:
    node.kernel.ip(node.kernel.adding("eth1", MAC))
    node.list_links(WISH)
    node.kube.faults.fail(403, verb="patch", times=2)
    agent = await node.start_agent()
    await node.until_reported(UP)
    (said,) = agent.said("status not patched")
    assert said["error"].startswith("403 ")


async def test_a_lost_answer_to_a_patch(node: Node) -> None:
    node.kernel.ip(node.kernel.adding("eth1", MAC))
    node.kube.faults.drop("after", verb="patch")
    node.list_links(WISH)
    await node.start_agent()
    await node.until_reported(UP)
    node.kernel.ip("link del eth1")
    await node.until_reported({"macAddress": MAC, "state": "Missing", "message": "the link is gone"})


async def test_an_api_server_that_vanished_without_a_word_is_noticed_and_what_changed_is_applied(
    node: Node,
) -> None:
    """The watch waits, nothing comes, and no packet tells that nothing will: only keep-alives do."""
    relay = Relay(node.kernel.listen_beyond, node.kube.port)
    await relay.open()
    kubeconfig = node.kube.kubeconfig().replace("//127.0.0.1:", "//10.0.0.1:")
    if "https" in kubeconfig:
        kubeconfig = kubeconfig.replace("server:", "tls-server-name: 127.0.0.1\n    server:")
    node.list_links(WISH)
    node.kernel.ip(node.kernel.adding("eth1", MAC))
    agent = await node.start_agent("--keepalive=1s", kubeconfig=kubeconfig)
    await node.until_reported(UP)
    node.list_links({**WISH, "mtu": 9000})
    await node.until_reported({**UP, "mtu": 9000})  # so the watch is open
    node.kernel.on_switch("link set peth0 down")
    await relay.cut()
    await until(lambda: agent.said(AWAY), timeout=20)
    node.list_links({**WISH, "mtu": 8000})
    node.kernel.on_switch("addr flush dev peth0", "link set peth0 up")
    await relay.open()
    await node.until_reported({**UP, "mtu": 8000}, timeout=40)
    await agent.stop()
    await relay.cut()


async def test_the_crd_comes_later(bare_node: Node) -> None:
    node = bare_node
    node.remove_crds()
    await until(lambda: not node.kube.objects("apiextensions.k8s.io", "customresourcedefinitions"))
    node.kernel.add_primary()
    node.kernel.ip(node.kernel.adding("eth1", MAC))
    agent = await node.start_agent()
    await until(lambda: agent.said("the cluster knows no ENINodes: is the CRD applied?"))
    node.apply_crds()
    node.list_links(WISH)
    await node.until_reported(UP)


async def test_after_a_reboot_the_kept_spec_serves_until_the_api_server_answers(node: Node) -> None:
    kept = node.directory / "spec.json"
    node.list_links(WISH)
    first = await node.start_agent("--spec-file", str(kept))
    await until(kept.exists)
    await first.stop()
    await node.relay.cut()
    node.kernel.ip(node.kernel.adding("eth1", MAC))
    await node.start_agent("--spec-file", str(kept))
    await until(lambda: node.kernel.state("eth1") == (True, 9001, ["multus"]))
    node.list_links({**WISH, "mtu": 8000})
    await node.relay.open()
    await node.until_reported({**UP, "mtu": 8000})


async def test_a_kept_spec_that_is_broken_is_no_obstacle(node: Node) -> None:
    kept = node.directory / "spec.json"
    kept.write_text('{"spec": [')
    node.kernel.ip(node.kernel.adding("eth1", MAC))
    node.list_links(WISH)
    agent = await node.start_agent("--spec-file", str(kept))
    await node.until_reported(UP)
    assert agent.said("the spec kept on disk cannot be read")


async def test_another_nodes_object_is_not_watched(node: Node) -> None:
    other = {"apiVersion": f"{GROUP}/v1alpha1", "kind": "ENINode", "metadata": {"name": "node-2"}}
    entry = {"nodeENI": "m", "eniID": "eni-2", "deviceIndex": 2, "networkCardIndex": 0, **WISH}
    node.kube.create({**other, "spec": {"interfaces": [entry]}})
    node.list_links()
    node.kernel.ip(node.kernel.adding("eth1", MAC))
    agent = await node.start_agent()
    await until(lambda: node.status().get("observedGeneration") == 1)
    await agent.stop()
    assert node.kernel.state("eth1") == (False, 1500, [])


def make_certificate(directory: Path, name: str) -> tuple[str, str]:
    """(certificate, key) that it signed itself."""
    paths = str(directory / "server.crt"), str(directory / "server.key")
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=api"
    )
    more = ["-addext", f"subjectAltName={name}", "-out", paths[0], "-keyout", paths[1]]
    subprocess.run([*command.split(), *more], check=True, capture_output=True)
    return paths


@pytest.mark.parametrize("name", ["IP:127.0.0.1", "DNS:api.example"])
async def test_over_tls_with_a_token_that_is_renewed(namespaces: None, tmp_path: Path, name: str) -> None:
    """And with the memory that the agent may take: 26 MB, of which 14 MB are its own."""
    certificate, key = make_certificate(tmp_path, name)
    kube = KubeServer(tokens=["first"], certfile=certificate, keyfile=key)
    token = tmp_path / "token"
    token.write_text("first")
    async with a_node(kube, tmp_path) as node:
        node.kernel.add_primary()
        node.apply_crds()
        kubeconfig = kube.kubeconfig().replace("token: first", "tokenFile: token")
        if name.startswith("DNS"):
            kubeconfig = kubeconfig.replace("    server:", "    tls-server-name: api.example\n    server:")
        agent = await node.start_agent(kubeconfig=kubeconfig)
        node.list_links(WISH)
        node.kernel.ip(node.kernel.adding("eth1", MAC))
        await node.until_reported(UP)
        kube.tokens.add("second")
        kube.tokens.discard("first")
        kube.faults.break_watches("reset")
        await until(lambda: agent.said("the API server refuses the token, links are served meanwhile"))
        token.write_text("second")
        node.list_links({**WISH, "mtu": 8000})
        await node.until_reported({**UP, "mtu": 8000})
        memory = agent.memory()
        assert memory["VmRSS"] <= 26 * 1024
        assert memory["RssAnon"] <= 14 * 1024


def test_who_asks_a_byte_at_a_time_holds_up_no_probe() -> None:
    listener = listen(("127.0.0.1", 0))
    health = Health(listener, Counters(), 10.0)
    threading.Thread(target=health.run, daemon=True).start()
    slow = socket.create_connection(listener.getsockname())
    done = threading.Event()

    def drip() -> None:
        with contextlib.suppress(OSError):
            while not done.wait(0.5):
                slow.sendall(b"G")

    dripping = threading.Thread(target=drip)
    dripping.start()
    with socket.create_connection(listener.getsockname(), timeout=6) as probe:
        probe.sendall(b"GET /healthz HTTP/1.1\r\n\r\n")
        assert probe.recv(15) == b"HTTP/1.1 200 OK"
    done.set()
    dripping.join()
    slow.close()


async def test_health_and_metrics(node: Node) -> None:
    node.list_links(WISH)
    node.kernel.ip(node.kernel.adding("eth1", MAC))
    await node.start_agent("--metrics-addr=127.0.0.1:9180")
    await node.until_reported(UP)
    assert node.kernel.fetch(9180, "/healthz") == (200, "ok\n")
    assert node.kernel.fetch(9180, "/") == (404, "try /healthz or /metrics\n")
    status, text = node.kernel.fetch(9180, "/metrics")
    assert status == 200
    assert 'nodeeni_agent_link_changes_total{aspect="up"} 1\n' in text
    assert node.kube.get(GROUP, PLURAL, NODE) is not None

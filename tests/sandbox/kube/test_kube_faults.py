"""What tests can make the server do wrong, and its doors: tokens, TLS, refused connections."""

import asyncio
import ssl
from pathlib import Path

import aiohttp
import msgspec
import pytest
from tests.sandbox.kube.clients import WIDGETS, Client, widget

from nodeeni.sandbox.kube import KubeServer


async def test_the_next_matching_requests_fail(widgets: KubeServer, client: Client) -> None:
    fault = widgets.faults.fail(429, verb="create", resource="widgets", times=2, retry_after=3)
    assert (await client.get(WIDGETS)).code == 200
    refused = await client.post(WIDGETS, widget(part="part-1"))
    assert (refused.code, refused.body["reason"]) == (429, "TooManyRequests")
    assert refused.headers["Retry-After"] == "3"
    assert (await client.post(WIDGETS, widget(part="part-1"))).code == 429
    assert fault.served == 2
    assert (await client.post(WIDGETS, widget(part="part-1"))).code == 201


@pytest.mark.parametrize(("when", "stored"), [("before", 0), ("after", 1)])
async def test_a_reply_is_lost_before_or_after_the_work(
    widgets: KubeServer, client: Client, when: str, stored: int
) -> None:
    widgets.faults.drop("before" if when == "before" else "after", verb="create")
    with pytest.raises(aiohttp.ClientConnectionError):
        await client.post(WIDGETS, widget(part="part-1"))
    assert len(widgets.objects("example.com", "widgets")) == stored


async def test_a_request_hangs(widgets: KubeServer, client: Client) -> None:
    widgets.faults.hang(verb="list", resource="widgets")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(client.get(WIDGETS), 0.1)
    assert (await client.get(WIDGETS)).code == 200


async def test_a_watch_is_refused_with_410(widgets: KubeServer, client: Client) -> None:
    widgets.faults.fail(410, verb="watch", resource="widgets")
    answer = await client.get(f"{WIDGETS}?watch=1&resourceVersion=5")
    assert (answer.code, answer.body["reason"]) == (410, "Expired")


async def test_connections_are_refused_for_a_while(widgets: KubeServer, client: Client) -> None:
    widgets.create(widget(part="part-1"))
    port = widgets.port
    async with client.session.get(f"{WIDGETS}?watch=1") as watch:
        await watch.content.readline()
        widgets.refuse_connections()
        with pytest.raises(aiohttp.ClientPayloadError):
            await watch.content.readline()
    with pytest.raises(aiohttp.ClientConnectorError):
        await client.get(WIDGETS)
    await widgets.listen()
    assert widgets.port == port
    assert len((await client.get(WIDGETS)).body["items"]) == 1


async def test_a_token_is_asked_for_and_can_be_changed() -> None:
    server = KubeServer(tokens=["old"])
    await server.start()
    async with aiohttp.ClientSession(server.url) as session:
        client = Client(session)
        none = await client.get("/api/v1/nodes")
        assert (none.code, none.body["reason"]) == (401, "Unauthorized")
        assert (await client.get("/api/v1/nodes", Authorization="Bearer old")).code == 200
        assert (await client.get("/healthz")).code == 200
        server.tokens.clear()
        server.tokens.add("new")
        assert (await client.get("/api/v1/nodes", Authorization="Bearer old")).code == 401
        assert (await client.get("/api/v1/nodes", Authorization="Bearer new")).code == 200
    await server.stop()


async def test_tls_with_a_certificate_that_the_kubeconfig_carries(tmp_path: Path) -> None:
    certificate, key = str(tmp_path / "tls.crt"), str(tmp_path / "tls.key")
    openssl = await asyncio.create_subprocess_exec(
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
        *("-keyout", key, "-out", certificate, "-subj", "/CN=sandbox", "-days", "2"),
        *("-addext", "subjectAltName=IP:127.0.0.1"),
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert await openssl.wait() == 0
    server = KubeServer(certfile=certificate, keyfile=key, tokens=["t"])
    await server.start()
    config = msgspec.yaml.decode(server.kubeconfig())
    assert config["users"][0]["user"] == {"token": "t"}
    trust = ssl.create_default_context(cafile=certificate)
    connector = aiohttp.TCPConnector(ssl=trust)
    async with aiohttp.ClientSession(
        config["clusters"][0]["cluster"]["server"], connector=connector
    ) as session:
        answer = await Client(session).get("/api/v1/namespaces/kube-system", Authorization="Bearer t")
        assert answer.body["metadata"]["uid"]
    await server.stop()

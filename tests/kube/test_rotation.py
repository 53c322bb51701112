"""Certificates that are rotated while a process runs: it goes on, and says so once."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import yaml
from tests.kube.certificates import certified
from tests.kube.waiting import until

from nodeeni.api.core import Namespace
from nodeeni.kube import errors
from nodeeni.kube.backoff import Backoff
from nodeeni.kube.client import KubeClient
from nodeeni.kube.informer import Informer
from nodeeni.kube.resources import NAMESPACES
from nodeeni.sandbox.kube import KubeServer


class Rotated:
    """A server that wants client certificates; `tls.crt` is its own, `client/tls.crt` ours."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.client = directory / "client"
        self.client.mkdir()

    async def certify(self) -> None:
        await certified(self.directory, "IP:127.0.0.1")
        await certified(self.client, "DNS:nodeeni")

    def kubeconfig(self, **cluster: str) -> str:
        content = yaml.safe_load(self.server.kubeconfig())
        for entry in content["clusters"]:
            entry["cluster"] = {"server": self.server.url, "certificate-authority": "tls.crt", **cluster}
        for entry in content["users"]:
            entry["user"] = {"client-certificate": "client/tls.crt", "client-key": "client/tls.key"}
        path = self.directory / "kubeconfig"
        path.write_text(yaml.safe_dump(content))
        return str(path)

    async def start(self) -> None:
        await self.certify()
        self.server = KubeServer(
            certfile=str(self.directory / "tls.crt"),
            keyfile=str(self.directory / "tls.key"),
            client_authority=str(self.client / "tls.crt"),
        )
        await self.server.start()


@asynccontextmanager
async def rotated(directory: Path) -> AsyncIterator[Rotated]:
    made = Rotated(directory)
    await made.start()
    yield made
    await made.server.stop()


async def name_of_default(client: KubeClient) -> str:
    return (await client.get(NAMESPACES, "default", Namespace)).metadata.name


async def test_new_certificates_of_both_sides_are_used_from_the_next_request_on(tmp_path: Path) -> None:
    async with rotated(tmp_path) as made:
        client = KubeClient.connect(made.kubeconfig())
        informer = Informer(client, NAMESPACES, Namespace, backoff=Backoff(0.05, 0.2))
        following = asyncio.create_task(informer.run())
        await informer.synced.wait()
        made.server.refuse_connections()
        await made.certify()
        await made.server.listen()
        assert await name_of_default(client) == "default"
        made.server.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "later"}})
        await until(lambda: "later" in informer.store)
        following.cancel()
        await client.close()


async def test_a_server_with_a_certificate_that_nobody_gave_us_is_told_as_such(tmp_path: Path) -> None:
    async with rotated(tmp_path) as made:
        authority = tmp_path / "authority.crt"
        authority.write_bytes((tmp_path / "tls.crt").read_bytes())
        client = KubeClient.connect(made.kubeconfig(**{"certificate-authority": "authority.crt"}))
        assert await name_of_default(client) == "default"
        made.server.refuse_connections()
        await certified(tmp_path, "IP:127.0.0.1")
        await made.server.listen()
        for _ in range(2):
            with pytest.raises(errors.Untrusted, match="certificate"):
                await name_of_default(client)
        authority.write_bytes((tmp_path / "tls.crt").read_bytes())
        assert await name_of_default(client) == "default"
        await client.close()


async def test_half_a_file_is_waited_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with rotated(tmp_path) as made:
        client = KubeClient.connect(made.kubeconfig())
        key = made.client / "tls.key"
        whole = key.read_text()
        key.write_text(whole[:100])
        with caplog.at_level(logging.INFO):
            assert [await name_of_default(client) for _ in range(3)] == ["default"] * 3
        (said,) = [
            r.message for r in caplog.records if "going on with the credentials as they were" in r.message
        ]
        assert "credentials of context" in said
        key.write_text(whole)
        assert await name_of_default(client) == "default"
        await client.close()


async def test_a_kubeconfig_that_comes_to_name_another_cluster_does_not_move_us(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with rotated(tmp_path) as made:
        client = KubeClient.connect(made.kubeconfig())
        made.kubeconfig(server="https://127.0.0.1:1")
        assert await name_of_default(client) == "default"
        assert client.url == made.server.url
        assert [r.message for r in caplog.records] == [
            f"the kubeconfig leads to https://127.0.0.1:1 now: staying with {made.server.url}"
        ]
        await client.close()

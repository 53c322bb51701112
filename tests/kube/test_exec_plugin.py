"""Credentials from a program, as `aws eks update-kubeconfig` sets it up."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from nodeeni.api.meta import ObjectMeta
from nodeeni.kube.client import KubeClient
from nodeeni.kube.errors import Unauthorized
from nodeeni.kube.resources import NAMESPACES
from nodeeni.sandbox.kube import KubeServer

PLUGIN = """
import json, os, pathlib, sys, time
here = pathlib.Path(__file__).parent
with open(here / "runs", "a") as runs:
    runs.write(os.environ["KUBERNETES_EXEC_INFO"] + "\\n")
time.sleep(float(os.environ.get("SLOW", 0)))
print(json.dumps({
    "apiVersion": "client.authentication.k8s.io/v1",
    "kind": "ExecCredential",
    "status": json.loads((here / "status.json").read_text()),
}))
"""


class Namespace(msgspec.Struct):
    metadata: ObjectMeta


class Plugin:
    """The program in a folder, what it answers, and a client of `server` that uses it."""

    def __init__(self, folder: Path, server: KubeServer) -> None:
        self._folder = folder
        self._server = server
        (folder / "plugin.py").write_text(PLUGIN)

    def answers(self, **status: str) -> None:
        (self._folder / "status.json").write_text(json.dumps(status))

    @property
    def runs(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self._folder / "runs").read_text().splitlines()]

    def client(self, **overrides: Any) -> KubeClient:
        content = yaml.safe_load(self._server.kubeconfig())
        context = next(c for c in content["contexts"] if c["name"] == content["current-context"])
        context["context"]["user"] = "plugin"
        plugin = {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": sys.executable,
            "args": [str(self._folder / "plugin.py")],
            "interactiveMode": "IfAvailable",
            **overrides,
        }
        content["users"] = [{"name": "plugin", "user": {"exec": plugin}}]
        path = self._folder / "kubeconfig"
        path.write_text(yaml.safe_dump(content))
        return KubeClient.connect(str(path))


@pytest.fixture
async def plugin(tmp_path: Path) -> Any:
    server = KubeServer(tokens=["first", "second"])
    await server.start()
    yield Plugin(tmp_path, server)
    await server.stop()


async def read_something(client: KubeClient) -> str:
    return (await client.get(NAMESPACES, "kube-system", Namespace)).metadata.name


async def test_one_run_serves_many_requests(plugin: Plugin) -> None:
    plugin.answers(token="first", expirationTimestamp="2999-01-01T00:00:00Z")
    client = plugin.client(env=[{"name": "SLOW", "value": "0.2"}])
    assert await asyncio.gather(*(read_something(client) for _ in range(5))) == ["kube-system"] * 5
    await client.close()
    assert plugin.runs == [
        {
            "apiVersion": "client.authentication.k8s.io/v1",
            "kind": "ExecCredential",
            "spec": {"interactive": False},
        }
    ]


async def test_refused_token_is_asked_for_again(plugin: Plugin) -> None:
    plugin.answers(token="stale")
    client = plugin.client()
    with pytest.raises(Unauthorized):
        await read_something(client)
    plugin.answers(token="second")
    assert await read_something(client) == "kube-system"
    await client.close()


async def test_expired_token_is_not_sent(plugin: Plugin) -> None:
    plugin.answers(token="first", expirationTimestamp="2001-01-01T00:00:00Z")
    client = plugin.client()
    for _ in range(2):
        await read_something(client)
    await client.close()
    assert len(plugin.runs) == 2


async def test_cluster_is_described_when_asked_for(plugin: Plugin) -> None:
    plugin.answers(token="first")
    client = plugin.client(provideClusterInfo=True)
    await read_something(client)
    await client.close()
    assert plugin.runs[0]["spec"]["cluster"]["server"] == client.url


@pytest.mark.parametrize(
    ("overrides", "complaint"),
    [
        ({"command": "/nonexistent/aws", "installHint": "Install the AWS CLI"}, "Install the AWS CLI"),
        ({"args": ["-c", "import sys; sys.exit('no credentials')"]}, "ended with 1: no credentials"),
        ({"args": ["-c", "print('hello')"]}, "printed no ExecCredential"),
        ({"args": ["-c", 'print(\'{"status": {"clientCertificateData": "x"}}\')']}, "gave no token"),
    ],
)
async def test_program_that_fails_is_told(plugin: Plugin, overrides: dict[str, Any], complaint: str) -> None:
    client = plugin.client(**overrides)
    with pytest.raises(Unauthorized, match=complaint):
        await read_something(client)
    await client.close()

"""Ways to talk to the server: raw HTTP and kubectl. And the objects that are sent."""

import asyncio
import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

WIDGETS = "/apis/example.com/v1/widgets"


def widget(name: str = "one", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "example.com/v1",
        "kind": "Widget",
        "metadata": {"name": name},
        "spec": {"selector": {"a": "b"}, "size": 5, **spec},
    }


@dataclass(frozen=True)
class Answer:
    code: int
    body: Any
    headers: dict[str, str]


class Client:
    """Raw HTTP: what is sent and what comes back, nothing in between."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.session = session

    async def call(
        self, method: str, path: str, body: Any = None, content_type: str = "application/json", **headers: str
    ) -> Answer:
        data = None if body is None else (body if isinstance(body, bytes) else msgspec.json.encode(body))
        sent = {k.replace("_", "-"): v for k, v in headers.items()}
        if data is not None:
            sent["Content-Type"] = content_type
        stream = None if data is None else io.BytesIO(data)
        async with self.session.request(method, path, data=stream, headers=sent) as response:
            text = await response.read()
            is_json = response.content_type == "application/json"
            decoded = msgspec.json.decode(text) if is_json else text.decode()
            return Answer(response.status, decoded, dict(response.headers))

    async def get(self, path: str, **headers: str) -> Answer:
        return await self.call("GET", path, **headers)

    async def post(self, path: str, body: Any) -> Answer:
        return await self.call("POST", path, body)

    async def put(self, path: str, body: Any) -> Answer:
        return await self.call("PUT", path, body)

    async def delete(self, path: str, body: Any = None) -> Answer:
        return await self.call("DELETE", path, body)

    async def merge(self, path: str, body: Any) -> Answer:
        return await self.call("PATCH", path, body, "application/merge-patch+json")

    async def apply(self, path: str, body: Any, manager: str, force: bool = False) -> Answer:
        query = f"?fieldManager={manager}" + ("&force=true" if force else "")
        return await self.call("PATCH", path + query, body, "application/apply-patch+yaml")


class Kubectl:
    """kubectl as a person runs it: its output, or its complaint."""

    def __init__(self, home: Path, kubeconfig: str) -> None:
        self.home = home
        (home / "config").write_text(kubeconfig)

    async def start(self, *words: str, **env: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            "kubectl",
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={
                "KUBECONFIG": str(self.home / "config"),
                "HOME": str(self.home),
                "PATH": os.environ["PATH"],
                **env,
            },
        )

    async def __call__(self, *words: str, **env: str) -> str:
        code, out, err = await self.run(*words, **env)
        assert code == 0, err
        return out

    async def run(self, *words: str, **env: str) -> tuple[int, str, str]:
        process = await self.start(*words, **env)
        out, err = await asyncio.wait_for(process.communicate(), 30)
        assert process.returncode is not None
        return process.returncode, out.decode(), err.decode()

    def file(self, name: str, obj: Any) -> str:
        """The path of a manifest with this object, or these objects."""
        path = self.home / name
        documents = obj if isinstance(obj, list) else [obj]
        path.write_bytes(b"---\n".join(msgspec.yaml.encode(d) for d in documents))
        return str(path)

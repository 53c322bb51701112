"""A node for the agent to live on: a kernel of its own (network namespace), an API server within reach, and
the agent as the process that it is in a cluster."""

import asyncio
import contextlib
import ctypes
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from nodeeni.sandbox.kube import KubeServer

Link = dict[str, Any]
NODE = "node-1"
GROUP, PLURAL = "networking.k8s.aws", "eninodes"
ROOT = Path(__file__).parents[2]
_numbers = itertools.count()
_CLONE_NEWNET = 0x40000000


async def until(condition: Callable[[], Any], timeout: float = 30.0) -> None:
    """Wait until `condition()` is true; TimeoutError after `timeout` seconds."""
    async with asyncio.timeout(timeout):
        while not condition():  # noqa: ASYNC110  what is awaited lies in another process
            await asyncio.sleep(0.005)


class Kernel:
    """A network namespace with `lo`; other ends of veth pairs stand in a second one, the switch."""

    def __init__(self) -> None:
        number = next(_numbers)
        self.name = f"agent-{os.getpid()}-{number}"
        self.switch = f"{self.name}-switch"
        for name in (self.name, self.switch):
            subprocess.run(["ip", "netns", "add", name], check=True)
        self.ip("link set lo up")

    def remove(self) -> None:
        for name in (self.name, self.switch):
            subprocess.run(["ip", "netns", "del", name], check=True)

    def ip(self, *commands: str) -> None:
        """Commands of `ip`, all by one process."""
        _batch(self.name, commands)

    def add_primary(self, name: str = "eth0", address: str = "02:00:00:00:ff:01") -> None:
        self.ip(
            self.adding(name, address),
            f"link set {name} up",
            f"addr add 10.0.0.5/24 dev {name}",
            f"route add default via 10.0.0.1 dev {name}",
        )
        self.on_switch(f"link set p{name} up")

    def adding(self, name: str, address: str) -> str:
        """The command that makes a link appear: down, with its address from the first moment."""
        return f"link add {name} address {address} type veth peer name p{name} netns {self.switch}"

    def on_switch(self, *commands: str) -> None:
        _batch(self.switch, commands)

    def links(self) -> dict[str, Link]:
        """Links by name, as `ip -j -d link` shows them."""
        shown = subprocess.run(
            ["ip", "-n", self.name, "-j", "-d", "link"], check=True, capture_output=True, text=True
        )
        return {link["ifname"]: link for link in json.loads(shown.stdout)}

    def state(self, name: str) -> tuple[bool, int, list[str]]:
        """(up, MTU, alternative names) of a link."""
        link = self.links()[name]
        return "UP" in link["flags"], link["mtu"], link.get("altnames", [])

    def listen(self, port: int) -> socket.socket:
        """A socket that listens on this kernel's loopback, and is served by this process."""
        return self._listen("127.0.0.1", port, self.name)

    def listen_beyond(self, port: int) -> socket.socket:
        """The same on the other end of `eth0`, where its default route leads."""
        self.on_switch("addr add 10.0.0.1/24 dev peth0")
        return self._listen("10.0.0.1", port, self.switch)

    def _listen(self, address: str, port: int, namespace: str) -> socket.socket:
        found: socket.socket = self.inside(lambda: socket.create_server((address, port)), namespace)
        return found

    def fetch(self, port: int, path: str) -> tuple[int, str]:
        """(status, body) of what a server in this namespace answers."""

        def ask() -> bytes:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
                client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                answer = b""
                while part := client.recv(65536):
                    answer += part
                return answer

        head, _, body = self.inside(ask).decode().partition("\r\n\r\n")
        return int(head.split()[1]), body

    def inside(self, work: Callable[[], Any], name: str = "") -> Any:
        """What `work` returns when it runs in this namespace, or in that one."""
        found: list[Any] = []

        def enter() -> None:
            with open(f"/run/netns/{name or self.name}", "rb") as namespace:
                assert ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), _CLONE_NEWNET) == 0
            found.append(work())

        thread = threading.Thread(target=enter)  # a namespace is a thread's
        thread.start()
        thread.join()
        return found[0]


def _batch(namespace: str, commands: Sequence[str]) -> None:
    command = ["ip", "-n", namespace, "-batch", "-"]
    done = subprocess.run(command, input="\n".join(commands), text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


class Relay:
    """Carries connections from a socket in a namespace to the API server outside, until it is cut."""

    def __init__(self, listen: Callable[[int], socket.socket], port: int) -> None:
        self._listen = listen
        self._port = port
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._accept, sock=self._listen(self._port))

    async def cut(self) -> None:
        """No connection any more, as when the API server is away."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        there_writer: asyncio.StreamWriter | None = None
        try:
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._port)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._carry(reader, there_writer))
                group.create_task(self._carry(there_reader, writer))
        except* (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            for end in (writer, there_writer):
                if end is not None:
                    end.transport.abort()  # TLS says goodbye, and nobody may be there to hear it
            self._tasks.discard(task)

    @staticmethod
    async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        finally:
            writer.close()


class Agent:
    """The agent's process."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self.process = process
        self._log = log

    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._log.read_text().splitlines()]

    def said(self, message: str) -> list[dict[str, Any]]:
        return [line for line in self.log() if line["msg"] == message]

    def memory(self) -> dict[str, int]:
        """kB by the names of /proc/PID/status: VmRSS, RssAnon."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return {line.split(":")[0]: int(line.split()[1]) for line in lines if line.endswith("kB")}

    async def stop(self) -> int:
        """SIGTERM; the exit status."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(5):
            return await self.process.wait()


class Node:
    """Everything of one situation. `kube` may be shut off from the agent by `relay.cut()`."""

    def __init__(self, kernel: Kernel, kube: KubeServer, directory: Path) -> None:
        self.kernel = kernel
        self.kube = kube
        self.relay = Relay(kernel.listen, kube.port)
        self.agents: list[Agent] = []
        self.directory = directory

    def apply_crds(self) -> None:
        for path in sorted((ROOT / "deploy" / "crds").glob("*.yaml")):
            self.kube.create(yaml.safe_load(path.read_text()))

    def remove_crds(self) -> None:
        """A real API server keeps what earlier tests applied."""
        for definition in self.kube.objects("apiextensions.k8s.io", "customresourcedefinitions"):
            name = definition["metadata"]["name"]
            self.kube.delete("apiextensions.k8s.io", "customresourcedefinitions", name)

    def list_links(self, *interfaces: Mapping[str, Any]) -> None:
        """Write these interfaces into the ENINode's spec, as the controller does."""
        entries = [
            {
                "nodeENI": "multus",
                "eniID": f"eni-{number}",
                "deviceIndex": number,
                "networkCardIndex": 0,
                **interface,
            }
            for number, interface in enumerate(interfaces, 1)
        ]
        self.kube.apply(
            {
                "apiVersion": "networking.k8s.aws/v1alpha1",
                "kind": "ENINode",
                "metadata": {"name": NODE},
                "spec": {"instanceID": "i-1", "interfaces": entries},
            }
        )

    async def start_agent(
        self,
        *flags: str,
        with_api: bool = True,
        kubeconfig: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Agent:
        """Started once it has found its way: returns when it says so, or waits for the primary."""
        number = len(self.agents)
        log = self.directory / f"agent-{number}.log"
        path = self.directory / "kubeconfig"
        path.write_text(kubeconfig or self.kube.kubeconfig())
        arguments = ["--node-name", NODE, *(("--kubeconfig", str(path)) if with_api else ()), *flags]
        with log.open("wb") as stderr:
            process = await asyncio.create_subprocess_exec(
                *("ip", "netns", "exec", self.kernel.name),
                *(sys.executable, "-m", "nodeeni.agent", *arguments),
                stderr=stderr,
                env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "src"), **(environment or {})},
            )
        agent = Agent(process, log)
        self.agents.append(agent)
        await until(lambda: agent.said("the ENI manager has started") or process.returncode is not None)
        return agent

    def status(self) -> dict[str, Any]:
        eninode = self.kube.get(GROUP, PLURAL, NODE)
        return (eninode or {}).get("status") or {}

    def reported(self) -> list[dict[str, Any]]:
        """`status.interfaces` without the times."""
        entries = self.status().get("interfaces") or []
        return [{key: value for key, value in entry.items() if key != "lastUpdated"} for entry in entries]

    async def until_reported(self, *entries: Mapping[str, Any], timeout: float = 30.0) -> None:
        """Wait for this status; on failure show what was there instead."""
        try:
            await until(lambda: self.reported() == list(entries), timeout)
        except TimeoutError:
            found = self.reported()
            assert found == list(entries), found

    def status_writes(self) -> int:
        return self.kube.requests["patch", "eninodes/status"]


@contextlib.asynccontextmanager
async def a_node(kube: KubeServer, directory: Path) -> AsyncIterator[Node]:
    """A kernel without a primary interface, and this API server without our CRDs; every agent ends well."""
    await kube.start()
    kernel = Kernel()
    node = Node(kernel, kube, directory)
    await node.relay.open()
    try:
        yield node
    finally:
        codes = [await agent.stop() for agent in node.agents]
        await node.relay.cut()
        kernel.remove()
        await kube.stop()
    assert codes == [0] * len(codes)

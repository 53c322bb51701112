"""Who is measured: the agent, a pyroute2 twin, a poll; and links that are made ready by who makes them."""

import asyncio
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.agent.probes import (
    BURST,
    ENVIRONMENT,
    FOREIGN_EVENTS,
    HERE,
    foreign_events,
    memory,
    observed,
    quantiles,
    text,
    wake_ups,
)
from bench.result import Promise, Result
from tests.agent.situation import Kernel, Node, a_node, until

from nodeeni.sandbox.kube import KubeServer

ONE = "one link at a time: p50 / p99 / max (ms)"
MANY = f"{BURST} links at once: p50 / p99 / max (ms)"
WORD = "one link, from udev's word: p50 / p99 / max (ms)"
MEMORY = "RSS / anonymous (MB)"
REST = "wake-ups a minute at rest"
VALUES = "RSS after 10,000 new names and MTUs on 10 links / before"
CPU = f"CPU for {FOREIGN_EVENTS:,} foreign events (s)"
COMMAND = "python -m bench.agent"
_ONES, _BURSTS = 200, 34  # rounds: p99 is of some hundred links, not of the worst three


async def agent(rest: float) -> Result:
    """With its watch open over TLS. The promises are this one's."""
    with tempfile.TemporaryDirectory() as temporary:
        certificate, key = f"{temporary}/crt", f"{temporary}/key"
        command = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=api -addext"
        more = ["subjectAltName=IP:127.0.0.1", "-out", certificate, "-keyout", key]
        await asyncio.to_thread(subprocess.run, [*command.split(), *more], check=True, capture_output=True)
        async with a_node(KubeServer(certfile=certificate, keyfile=key), Path(temporary)) as node:
            node.kernel.add_primary()
            node.apply_crds()
            node.list_links(*_wishes())
            process = (await node.start_agent()).process
            await until(lambda: len(node.reported()) == BURST)
            result = await _measured("agent", "the ENI manager", node.kernel, process.pid, rest)
            word = quantiles(await observed(node.kernel, 1, _ONES, how="udev"))
            result.figures[WORD] = text(word)
            result.promises.append(Promise("one link, from udev's word, p99 (ms)", round(word[1], 2), 5))
            before, _ = memory(process.pid)
            await _new_values(node)
            result.figures[VALUES] = ratio = round(memory(process.pid)[0] / before, 3)
            result.promises.append(Promise(VALUES, ratio, 1.1))
            return result


async def _new_values(node: Node) -> None:
    """500 times another name and another MTU for each of ten links, each taken in before the next."""
    macs = [f"02:00:00:00:02:{number:02x}" for number in range(10)]
    node.kernel.ip(*(node.kernel.adding(f"new{n}", mac) for n, mac in enumerate(macs)))
    for turn in range(500):
        node.list_links(
            *(
                {"macAddress": mac, "mtu": 1300 + turn, "interfaceName": f"turn{turn}-{number}"}
                for number, mac in enumerate(macs)
            )
        )
        await until(lambda turn=turn: _mtus(node) == {1300 + turn})  # type: ignore[misc]


def _mtus(node: Node) -> set[int]:
    return {entry.get("mtu", 0) for entry in node.reported()}


async def twin(rest: float) -> Result:
    """The same work on the same events with pyroute2. It knows no API server."""
    kernel = Kernel()
    process = await _start_twin(kernel, "pyroute2")
    result = await _measured("pyroute2", "a pyroute2 twin", kernel, process.pid, rest)
    await _stop(process, kernel)
    return Result(result.name, result.title, result.command, result.figures, [])


async def poll(_rest: float) -> Result:
    """As rivals do it."""
    kernel = Kernel()
    process = await _start_twin(kernel, "poll", "30")
    bursts = quantiles(await observed(kernel, BURST, 1, patience=40))
    figures = {MANY: text(bursts), MEMORY: _of(memory(process.pid))}
    await _stop(process, kernel)
    return Result("poll", "a poll every 30 s", COMMAND, figures, [])


async def alone(_rest: float) -> Result:
    """The limit: nobody has to hear of a link, the next two requests of `ip` make it ready."""
    kernel = Kernel()
    one = quantiles(await observed(kernel, 1, _ONES, how="alone"))
    bursts = quantiles(await observed(kernel, BURST, _BURSTS, how="alone"))
    kernel.remove()
    return Result("limit", "made ready by who makes it", COMMAND, {ONE: text(one), MANY: text(bursts)}, [])


CONTENDERS = (agent, alone, twin, poll)


async def _measured(name: str, title: str, kernel: Kernel, pid: int, rest: float) -> Result:
    one = quantiles(await observed(kernel, 1, _ONES))
    bursts = quantiles(await observed(kernel, BURST, _BURSTS))
    cpu = await foreign_events(kernel, pid)
    rss, anonymous = memory(pid)
    a_minute = await wake_ups(pid, rest)
    figures: dict[str, Any] = {
        ONE: text(one),
        MANY: text(bursts),
        MEMORY: _of((rss, anonymous)),
        REST: a_minute,
        CPU: cpu,
    }
    promises = [
        Promise("one link, p99 (ms)", round(one[1], 2), 5),
        Promise(f"{BURST} links at once, p99 (ms)", round(bursts[1], 2), 5),
        Promise("RSS (MB)", rss, 26),
        Promise("anonymous memory (MB)", anonymous, 15),
        Promise(REST, a_minute, 4),
    ]
    return Result(name, title, COMMAND, figures, promises)


def _of(megabytes: tuple[float, float]) -> str:
    return " / ".join(map(str, megabytes))


def _wishes() -> list[dict[str, object]]:
    return [
        {"macAddress": f"02:00:00:00:01:{number:02x}", "mtu": 9001, "interfaceName": f"multus{number}"}
        for number in range(BURST)
    ]


async def _start_twin(kernel: Kernel, *arguments: str) -> asyncio.subprocess.Process:
    command = ["ip", "netns", "exec", kernel.name, sys.executable, str(HERE / "twins.py"), *arguments]
    process = await asyncio.create_subprocess_exec(*command, stderr=subprocess.PIPE, env=ENVIRONMENT)
    assert process.stderr is not None
    await process.stderr.readline()  # "ready"
    return process


async def _stop(process: asyncio.subprocess.Process, kernel: Kernel) -> None:
    process.terminate()
    await process.wait()
    kernel.remove()

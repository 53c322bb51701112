"""The node agent's promises, measured: `python -m bench.agent [--rest SECONDS]`, as root.

Event to up (one link at a time; bursts of 30), memory with the watch open over TLS, wake-ups at rest, and
CPU for 10,000 foreign events; beside a pyroute2 twin and a 30 s poll.
"""

import argparse
import asyncio
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from tests.agent.situation import ROOT, Kernel, a_node, until

from nodeeni.sandbox.kube import KubeServer

HERE = Path(__file__).parent
ENVIRONMENT = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
FOREIGN_EVENTS = 10_000


async def observed(kernel: Kernel, size: int, rounds: int, patience: float = 5) -> list[float | None]:
    command = [sys.executable, str(HERE / "observer.py"), kernel.name, str(size), str(rounds), str(patience)]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, env=ENVIRONMENT)
    out, _ = await process.communicate()
    values: list[float | None] = json.loads(out)
    return values


def quantiles(values: Sequence[float | None]) -> str:
    """p50 / p99 / max in milliseconds."""
    found = sorted(value for value in values if value is not None)
    if len(found) < len(values):
        return f"{len(values) - len(found)} of {len(values)} never"
    cuts = statistics.quantiles(found, n=100, method="inclusive")
    return f"{cuts[49]:.2f} / {cuts[98]:.2f} / {found[-1]:.2f}"


def of_process(pid: int, *names: str) -> list[int]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    found = {line.split(":")[0]: int(line.split()[1]) for line in lines if line.split(":")[0] in names}
    return [found[name] for name in names]


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wake_ups(pid: int) -> int:
    """Of all its threads."""
    return sum(
        of_process(int(task.name), "voluntary_ctxt_switches")[0]
        for task in Path(f"/proc/{pid}/task").iterdir()
    )


async def foreign_events(kernel: Kernel, pid: int) -> float:
    """CPU seconds for events of a link that is not ours."""
    kernel.ip(kernel.adding("pod0", "06:00:00:00:00:09"))
    before = cpu_seconds(pid)
    toggles = [f"link set pod0 mtu {1400 + number % 2}" for number in range(FOREIGN_EVENTS)]
    await asyncio.to_thread(kernel.ip, *toggles)
    await asyncio.sleep(2)  # what is left in its queue
    kernel.ip("link del pod0")
    return cpu_seconds(pid) - before


async def measured(name: str, kernel: Kernel, pid: int, rest: float) -> list[str]:
    one = await observed(kernel, 1, 200)
    bursts = await observed(kernel, 30, 10)
    cpu = await foreign_events(kernel, pid)
    rss, anonymous = of_process(pid, "VmRSS", "RssAnon")
    before = wake_ups(pid)
    await asyncio.sleep(rest)
    a_minute = (wake_ups(pid) - before) * 60 / rest
    memory = f"{rss / 1024:.1f} / {anonymous / 1024:.1f}"
    return [name, quantiles(one), quantiles(bursts), memory, f"{a_minute:.1f}", f"{cpu:.2f}"]


async def agent(rest: float) -> list[str]:
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary)
        certificate, key = f"{temporary}/crt", f"{temporary}/key"
        command = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=api -addext"
        more = ["subjectAltName=IP:127.0.0.1", "-out", certificate, "-keyout", key]
        await asyncio.to_thread(subprocess.run, [*command.split(), *more], check=True, capture_output=True)
        async with a_node(KubeServer(certfile=certificate, keyfile=key), directory) as node:
            node.kernel.add_primary()
            node.apply_crds()
            node.list_links(*_wishes())
            process = (await node.start_agent()).process
            await until(lambda: len(node.reported()) == 30)
            return await measured("nodeeni manager", node.kernel, process.pid, rest)


def _wishes() -> list[dict[str, object]]:
    return [
        {"macAddress": f"02:00:00:00:01:{number:02x}", "mtu": 9001, "interfaceName": f"multus{number}"}
        for number in range(30)
    ]


async def twin(rest: float) -> list[str]:
    kernel = Kernel()
    process = await _start_twin(kernel, "pyroute2")
    row = await measured("pyroute2 twin", kernel, process.pid, rest)
    process.terminate()
    await process.wait()
    kernel.remove()
    return row


async def poll() -> list[str]:
    kernel = Kernel()
    process = await _start_twin(kernel, "poll", "30")
    bursts = await observed(kernel, 30, 1, patience=40)
    rss, anonymous = of_process(process.pid, "VmRSS", "RssAnon")
    process.terminate()
    await process.wait()
    kernel.remove()
    return ["poll every 30 s", "", quantiles(bursts), f"{rss / 1024:.1f} / {anonymous / 1024:.1f}", "", ""]


async def _start_twin(kernel: Kernel, *arguments: str) -> asyncio.subprocess.Process:
    command = ["ip", "netns", "exec", kernel.name, sys.executable, str(HERE / "twins.py"), *arguments]
    process = await asyncio.create_subprocess_exec(*command, stderr=subprocess.PIPE, env=ENVIRONMENT)
    assert process.stderr is not None
    await process.stderr.readline()  # "ready"
    return process


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.agent", description=__doc__)
    parser.add_argument("--rest", type=float, default=60, help="seconds to count wake-ups in (60)")
    rest = parser.parse_args().rest
    kernel, python = platform.release(), platform.python_version()
    table = Table(title=f"Node agent; {os.cpu_count()} cores, Linux {kernel}, Python {python}")
    for heading in (
        *("", "one link: p50 / p99 / max ms", "30 at once: p50 / p99 / max ms"),
        *("RSS / anonymous MB", "wake-ups a minute", f"CPU s for {FOREIGN_EVENTS:,} foreign events"),
    ):
        table.add_column(heading)
    for row in (await agent(rest), await twin(rest), await poll()):
        table.add_row(*row)
    Console(width=150).print(table)


if __name__ == "__main__":
    asyncio.run(main())

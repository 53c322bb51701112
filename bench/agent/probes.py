"""What is read off a process and a kernel while links come and go."""

import asyncio
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.agent.situation import ROOT, Kernel

HERE = Path(__file__).parent
ENVIRONMENT = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
FOREIGN_EVENTS = 10_000
BURST = 30


async def observed(
    kernel: Kernel, size: int, rounds: int, *, patience: float = 5, how: str = ""
) -> list[float | None]:
    """Milliseconds from the kernel's first word on each link, or from udev's, to its being ready; None:
    never. `how`: as observer.py takes it."""
    command = [sys.executable, str(HERE / "observer.py"), kernel.name, str(size), str(rounds), str(patience)]
    process = await asyncio.create_subprocess_exec(
        *command, *([how] if how else []), stdout=subprocess.PIPE, env=ENVIRONMENT
    )
    out, _ = await process.communicate()
    values: list[float | None] = json.loads(out)
    return values


def quantiles(values: Sequence[float | None]) -> tuple[float, float, float]:
    """p50, p99 and maximum; infinite where links never came up."""
    found = sorted(float("inf") if value is None else value for value in values)
    if len(found) == 1 or found[-1] == float("inf"):
        return found[len(found) // 2], found[-1], found[-1]
    cuts = statistics.quantiles(found, n=100, method="inclusive")
    return cuts[49], cuts[98], found[-1]


def text(cuts: tuple[float, float, float]) -> str:
    return " / ".join(f"{value:.2f}" for value in cuts)


def memory(pid: int) -> tuple[float, float]:
    """(RSS, anonymous) in MB."""
    rss, anonymous = _of_status(Path(f"/proc/{pid}"), "VmRSS", "RssAnon")
    return round(rss / 1024, 1), round(anonymous / 1024, 1)


async def wake_ups(pid: int, seconds: float) -> float:
    """A minute, of all threads of a process that nobody disturbs."""
    before = _switches(pid)
    await asyncio.sleep(seconds)
    return round((_switches(pid) - before) * 60 / seconds, 1)


async def foreign_events(kernel: Kernel, pid: int) -> float:
    """CPU seconds for events of a link that is not ours."""
    kernel.ip(kernel.adding("pod0", "06:00:00:00:00:09"))
    before = _cpu_seconds(pid)
    toggles = [f"link set pod0 mtu {1400 + number % 2}" for number in range(FOREIGN_EVENTS)]
    await asyncio.to_thread(kernel.ip, *toggles)
    await asyncio.sleep(2)  # what is left in its queue
    kernel.ip("link del pod0")
    return round(_cpu_seconds(pid) - before, 2)


def _of_status(directory: Path, *names: str) -> list[int]:
    lines = (directory / "status").read_text().splitlines()
    found = {line.split(":")[0]: int(line.split()[1]) for line in lines if line.split(":")[0] in names}
    return [found[name] for name in names]


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _switches(pid: int) -> int:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(_of_status(task, "voluntary_ctxt_switches")[0] for task in tasks)

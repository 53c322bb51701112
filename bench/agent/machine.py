"""From udev's word to a link that is up, and whose time it is, on a machine: `python -m bench.agent.machine`.

A guest under QEMU, ENIs plugged into it. Its clock counts instructions, a nanosecond each: a slow processor,
but one whose time has nothing of who emulates it, nor of what else runs here (`--wall` for that on the wall).
The guest's own kernel traces the ENI manager's thread: when it ran, when it slept, when it asked. The one
processor is shared by all that a plug sets going, udev's workers, systemd and the observer; so the whole has
parts:

word → [ours: its own instructions] → the request for UP → [driver: those of the kernel's] → up
        with [asleep: the driver waits for the device] and [others: the processor was somebody else's] in both
"""

import argparse
import asyncio
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from bench.agent.probes import quantiles, text
from bench.result import Promise, Result
from tests.nodes.node import Node, a_node, until

from bench import report
from nodeeni.sandbox.machines.images import Image

AT_A_TIME = 15  # of the machine's slots
KINDS = ("UP with MTU and name", "UP alone")  # every other ENI
SUM = "a million additions in Python: there / on this machine (ms)"
COMMAND = "python -m bench.agent.machine"
_TRACING = "/sys/kernel/tracing"
# Times are CLOCK_MONOTONIC, as the observer's. Of this one thread: who traces all slows all down.
_START = """
mountpoint -q {at} || mount -t tracefs none {at}; cd {at}
echo mono >trace_clock; echo 8192 >buffer_size_kb
for one in enter exit; do
  echo 'common_pid=={pid}' >events/syscalls/sys_${{one}}_sendto/filter
  echo 1 >events/syscalls/sys_${{one}}_sendto/enable
done
echo 'prev_pid=={pid} || next_pid=={pid}' >events/sched/sched_switch/filter
echo 1 >events/sched/sched_switch/enable
echo 'pid=={pid}' >events/sched/sched_wakeup/filter
echo 1 >events/sched/sched_wakeup/enable
echo 1 >tracing_on
"""
# How quick a processor is: ms, the best of ten.
_SUM = 'import timeit; print(min(timeit.repeat("sum(range(1000000))", repeat=10, number=1)) * 1000)'
_LINE = re.compile(r"\s(\d+\.\d+): (\w+)[:(]? ?(.*)")


class Parts(NamedTuple):
    """Milliseconds from udev's word to up, `whole` being their sum."""

    whole: float
    ours: float
    driver: float
    asleep: float
    others: float


TOLD = {
    "whole": "from udev's word to up: p50 / p99 / max (ms)",
    "ours": "of it the ENI manager's own instructions",
    "driver": "the kernel's, setting the link up",
    "asleep": "the driver asleep, while the device takes the MTU",
    "others": "the processor was another program's",
}


class Step(NamedTuple):
    """From `at` (seconds) on the thread is in `state`: ours, driver, asleep, others."""

    at: float
    state: str


def steps(trace: str, pid: int) -> Iterator[Step]:
    """What the thread did, from the kernel's trace. Within a request it is the kernel that runs."""
    running, asking, waiting = False, False, "others"
    for line in trace.splitlines():
        found = _LINE.search(line)
        if line.startswith("#") or found is None:
            continue
        at, event, rest = float(found[1]), found[2], found[3]
        if event == "sched_switch":
            running = f"next_pid={pid} " in rest
            waiting = "asleep" if asking and "prev_state=R" not in rest else "others"
        elif event == "sched_wakeup":
            waiting = "others"
        elif event == "sys_sendto":
            asking = not rest.startswith("->")
        yield Step(at, ("driver" if asking else "ours") if running else waiting)


def parts(taken: Iterable[Step], word: float, up: float) -> Parts:
    """What lies between the two moments. Asking for the link's present state is ours too: of the requests
    only the last makes it come up."""
    within = [step for step in taken if step.at < up]
    spans = [
        (max(step.at, word), min(following, up), step.state)
        for step, following in zip(within, [*(step.at for step in within[1:]), up], strict=True)
        if following > word
    ]
    last = max((start for start, _end, state in spans if state == "driver"), default=up)
    asked = _asked(spans, last)
    sums = dict.fromkeys(Parts._fields, 0.0)
    for start, end, state in spans:
        sums["ours" if state == "driver" and start < asked else state] += (end - start) * 1000
    return Parts(**{**sums, "whole": (up - word) * 1000})


def _asked(spans: list[tuple[float, float, str]], last: float) -> float:
    """When the request began whose last stretch began at `last`: the thread did nothing of its own since."""
    own = [end for start, end, state in spans if state == "ours" and start < last]
    return max(own, default=spans[0][0] if spans else last)


async def plugged(node: Node, count: int) -> list[Parts]:
    enis = [node.plant() for _ in range(count)]
    wishes: list[dict[str, Any]] = [
        {"mtu": 9001, "interfaceName": f"data{number}"} if number % len(KINDS) == 0 else {}
        for number in range(count)
    ]
    node.list_enis(*zip(enis, wishes, strict=True))
    await node.start_manager()
    pid = int(await node.sh("pgrep -o -f nodeeni.agent"))
    await node.sh(_START.format(at=_TRACING, pid=pid))
    for start in range(0, count, AT_A_TIME):
        batch = enis[start : start + AT_A_TIME]
        for eni in batch:
            await node.attach(eni)
            await until(lambda eni=eni: node.timing(eni)[1] is not None)  # type: ignore[misc]
            await node.quiet()
        for eni in batch:
            await node.detach(eni)
    taken = list(steps(await node.sh(f"cat {_TRACING}/trace", timeout=600), pid))
    timings = [node.timing(eni) for eni in enis]
    return [parts(taken, word, up) for word, up in timings if word is not None and up is not None]


def _best_here() -> float:
    done = subprocess.run([sys.executable, "-c", _SUM], capture_output=True, check=True)
    return float(done.stdout)


def result(release: str, kind: str, found: list[Parts]) -> Result:
    columns = dict(zip(Parts._fields, zip(*found, strict=True), strict=True))
    return Result(
        name=f"debian-{release}",
        title=f"Debian {release}, {kind}",
        command=COMMAND,
        figures={"links": len(found), **{TOLD[name]: text(quantiles(of)) for name, of in columns.items()}},
        promises=[Promise(f"{kind}, p99 (ms)", round(quantiles(columns["whole"])[1], 2), 5)],
    )


async def _measure(image: Image, count: int) -> list[Result]:
    load, began = os.getloadavg()[0], time.monotonic()
    with tempfile.TemporaryDirectory() as directory:
        async with a_node(image, Path(directory) / "node") as node:
            there, here = float(await node.sh(f"python3 -c '{_SUM}'")), _best_here()
            found = await plugged(node, count)
    assert len(found) == count, f"{len(found)} of {count} links came up"
    results = [result(image.release, kind, found[n :: len(KINDS)]) for n, kind in enumerate(KINDS)]
    for one in results:
        one.figures[SUM] = f"{there:.0f} / {here:.0f}"
        one.load, one.seconds = round(load, 2), round(time.monotonic() - began, 1)
        report.show(one)
    return results


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.agent.machine", description=__doc__)
    parser.add_argument("--release", nargs="+", default=["12", "13"], help="of Debian (12 13)")
    parser.add_argument(
        "--board", default="virtio", help="the device's driver too: virtio, or i440fx with an e1000 (virtio)"
    )
    parser.add_argument("--plugs", type=int, default=60, help="how many ENIs are plugged (60)")
    parser.add_argument("--wall", action="store_true", help="time by the clock on the wall")
    parser.add_argument("--docs", metavar="DIRECTORY", help="write benchmarks.md and the figures there")
    given = parser.parse_args()
    results: list[Result] = []
    for release in given.release:
        image = Image(release, board=given.board, counted=not given.wall)
        results += asyncio.run(_measure(image, given.plugs))
        if given.docs:
            report.write_docs(report.run_of(results), given.docs, report.GUEST_FILE)
    return 0 if all(one.kept for one in results) else 1


if __name__ == "__main__":
    sys.exit(main())

"""A NodeENI of 5,000 nodes while they are attached: what its status costs, and how old is what people see."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from bench.builds import Figures, side_by_side
from bench.harness import NAME, Bench, bench
from bench.limits import steady_settings
from bench.planting import plant
from bench.result import Promise, Result

COUNT = 5000
PAIRS = 2
WATCHED = 60.0  # seconds in the midst: all of it takes EC2 a quarter of an hour
SHARE = 0.5  # of what the build before takes
WRITER = "Reporter.run"  # the task of it, in both builds
FRESH = 1.0  # of the age before
BYTES, CPU = "bytes to etcd a minute (MB)", "CPU a minute (s)"
WRITING = "of it writing the status (s)"
COUNT_AGE = "age of an attachment when the count has it, mean (s)"


async def reported() -> Result:
    """Half of them have their ENI; the others get it at EC2's 5 a second."""
    compared = await side_by_side(_reported, PAIRS)
    found = {each.what: each for each in compared}
    return Result(
        name="status-5000",
        title=f"A NodeENI of {COUNT:,} nodes that are being attached",
        command="python -m bench status-5000",
        figures={},
        promises=[
            Promise(f"{BYTES}, share of before", found[BYTES].ratio, SHARE),
            Promise(f"{CPU}, share of before", found[CPU].ratio, SHARE),
            Promise(f"{WRITING}, share of before", found[WRITING].ratio, SHARE),
            Promise(f"{COUNT_AGE}, share of before", found[COUNT_AGE].ratio, FRESH),
        ],
        compared=compared,
    )


def _is_attached(entry: dict[str, Any]) -> bool:
    return bool(entry["status"] == "attached")


class _Reader:
    """Who looks at the status: each version of it, when it came, and what it says."""

    def __init__(self, b: Bench) -> None:
        self._b = b
        self._writes = self._number()
        self._there = {entry["nodeID"] for entry in b.status()["attachments"] if _is_attached(entry)}
        self._attached: int = b.status()["attached"]
        self.bytes = 0
        self.counts: list[tuple[float, int]] = []
        self.rows: set[str] = set()  # nodes that were shown as attached since

    def look(self) -> None:
        writes = self._number()
        if writes == self._writes:
            return
        self._writes = writes
        now, nodeeni = time.monotonic(), self._b.world.nodeeni(NAME)
        assert nodeeni is not None
        self.bytes += len(msgspec.json.encode(nodeeni))
        status = nodeeni["status"]
        self.counts.append((now, status["attached"]))
        self.rows |= {e["nodeID"] for e in status["attachments"] if _is_attached(e)} - self._there

    def ages(self, moments: list[float], planted: int) -> Iterator[float]:
        """Of each ENI that was made, how long it had been attached when the count first had it."""
        shown = self._attached
        for at, count in self.counts:
            for moment in moments[shown - planted : count - planted]:
                yield max(0.0, at - moment)
            shown = max(shown, count)

    def _number(self) -> int:
        return self._b.kube_writes().get("patch nodeenis/status", 0)


async def _reported(build: Path | None) -> Figures:
    async with bench(steady_settings(interface_quota=4 * COUNT), build) as b:
        b.counts_steps = True
        nodes = await b.nodes(COUNT)
        b.apply()
        plant(b, nodes[::2])
        await b.start_controller()
        await b.until(lambda: (b.status().get("attached") or 0) >= COUNT // 2 + 100, 300, 0.2)
        tasks, reader, used, began = await b.task_cpu(), _Reader(b), b.usage().cpu, time.monotonic()

        def over() -> bool:
            reader.look()
            return time.monotonic() - began >= WATCHED

        await b.until(over, 2 * WATCHED, 0.02)
        minutes = (time.monotonic() - began) / 60
        cpu, writing = b.usage().cpu - used, (await b.task_cpu())[WRITER] - tasks[WRITER]
        ages = list(reader.ages(b.attach_moments(), COUNT // 2))
        return {
            BYTES: round(reader.bytes / 1e6 / minutes, 2),
            CPU: round(cpu / minutes, 2),
            WRITING: round(writing / minutes, 3),
            "writes of the status a minute": round(len(reader.counts) / minutes, 1),
            COUNT_AGE: round(sum(ages) / len(ages), 2),
            "age of the count, longest (s)": round(max(ages), 2),
            "share of rows shown within the minute": round(len(reader.rows) / len(ages), 2),
        }

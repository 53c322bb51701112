"""20,000 nodes with an ENI each, on which the build before this one and this one start by turns."""

import asyncio
import time
from pathlib import Path

from bench.builds import Figures, compared, source
from bench.harness import Bench, bench
from bench.limits import steady_settings
from bench.planting import plant
from bench.result import Compared, Promise, Result

COUNT = 20_000
PAIRS = 2
SHARE = 0.6  # of what the build before takes
LONGEST_STEP = 0.05  # seconds of CPU in which nothing else is heard
RESYNC = 60.0  # seconds
INSTANCES_A_CALL = 200
ABOVE_IDLE, READY, RESYNC_CPU, STEP = (
    "memory above idle (MB)",
    "ready after (s)",
    "CPU of a minute with a resync (s)",
    "longest step of the event loop (s of CPU)",
)


async def huge(count: int = COUNT, pairs: int = PAIRS) -> Result:
    """Memory, restart, resync and stalls, on one world for both builds: it takes a minute to make."""
    old, before, now = source(), list[Figures](), list[Figures]()
    idle = {build: await _idle(build) for build in (old, None)}
    async with bench(steady_settings(interface_quota=4 * count)) as b:
        b.counts_steps = True
        await _settle(b, count)
        for pair in range(pairs):
            turns = [(old, before), (None, now)]
            for build, figures in turns if pair % 2 == 0 else reversed(turns):
                b.build = build
                figures.append(await _measured(b, count, idle[build]))
    found = {each.what: each for each in compared(before, now)}
    return Result(
        name=f"large-{count}",
        title=f"{count:,} nodes with an ENI each",
        command=f"python -m bench large-{count}",
        figures={"RSS idle, before and now (MB)": f"{idle[old]:.1f}, {idle[None]:.1f}"},
        promises=[
            *(
                Promise(f"{what}, share of before", found[what].ratio, SHARE)
                for what in (ABOVE_IDLE, READY, RESYNC_CPU)
            ),
            Promise(STEP, found[STEP].now, LONGEST_STEP),
        ],
        compared=list[Compared](found.values()),
    )


async def _idle(build: Path | None) -> float:
    """Its memory where there is nothing, in MB."""
    async with bench(None, build) as b:
        await b.start_controller()
        await asyncio.sleep(3)
        return b.usage().rss


async def _settle(b: Bench, count: int) -> None:
    nodes = await b.nodes(count, large=True)
    b.apply()
    plant(b, nodes, reported=True)
    await b.start_controller()
    await b.until(lambda: b.status().get("attached") == count, 600, 1.0)
    await _quiet(b)
    await b.stop_controller()


async def _quiet(b: Bench) -> None:
    """Until 5 seconds have passed without a write but the lease's."""
    seen, since = -1, time.monotonic()

    def nothing_is_written() -> bool:
        nonlocal seen, since
        writes = sum(count for key, count in b.kube_writes().items() if "leases" not in key)
        if writes != seen:
            seen, since = writes, time.monotonic()
        return time.monotonic() - since > 5

    await b.until(nothing_is_written, 600, 0.5)


async def _measured(b: Bench, count: int, idle: float) -> Figures:
    looked = b.calls().get("DescribeInstances", 0)
    await b.start_controller(f"--resync-period={RESYNC:g}s")
    ready = b.ready_after
    every_node = looked + count // INSTANCES_A_CALL
    await b.until(lambda: b.calls().get("DescribeInstances", 0) >= every_node, 600, 0.5)
    await asyncio.sleep(10)
    looks = b.calls()["DescribeInstances"] - looked
    used, reads = b.usage(), b.calls().get("DescribeNetworkInterfaces", 0)
    await asyncio.sleep(RESYNC)
    after = b.usage()
    pages = b.calls().get("DescribeNetworkInterfaces", 0) - reads
    longest = (await b.stop_counting())[0]
    return {
        ABOVE_IDLE: round(used.rss - idle, 1),
        "peak RSS (MB)": round(after.peak_rss, 1),
        READY: round(ready, 2),
        "CPU of the start (s)": round(used.cpu, 2),
        RESYNC_CPU: round(after.cpu - used.cpu, 2),
        STEP: longest.took,
        "of it the search for garbage (s)": longest.garbage,
        "looks at instances at the start": looks,
        "pages of interfaces a resync": pages,
    }

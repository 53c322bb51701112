"""A cluster of 5,000 nodes with an ENI each: the restart on it, and the quiet hours after."""

import asyncio
import time

from bench.harness import Bench, bench
from bench.kubelet import Kubelets
from bench.limits import steady_settings
from bench.planting import plant
from bench.result import Promise, Result
from nodeeni.api.names import GROUP

COUNT = 5000
SETTINGS = steady_settings(interface_quota=4 * COUNT)
READY_WITHIN = 10.0  # seconds
MOST_RSS = 120.0  # MB
MOST_CPU = 0.05  # of a core
RESYNC = 60.0  # seconds, so that there is one in each watched time; five minutes by default
PAGES = COUNT // 200
REACTS_WITHIN = 1.0  # seconds: who falls behind the heartbeats reacts ever later
WATCHED = 60.0  # seconds of steady state that are looked at


async def restart() -> Result:
    async with bench(SETTINGS) as b:
        await settle(b)
        return await restarted(b)


async def restarted(b: Bench) -> Result:
    """A controller ends in order, another begins: it is ready, and has changed nothing anywhere."""
    calls, called, writes = b.mutating(), b.calls(), b.kube_writes()
    reads = b.describes()
    await b.start_controller()
    await b.until(lambda: b.describes() - reads >= PAGES, 60)
    await asyncio.sleep(10)  # whatever it might still do
    used = b.usage()
    written = _difference(b.kube_writes(), writes)
    return Result(
        name="restart-5000",
        title=f"Restart on {COUNT:,} nodes with an ENI each",
        command="python -m bench restart-5000",
        figures={
            "ready after (s)": round(b.ready_after, 2),
            "EC2 calls that change": b.mutating() - calls,
            "EC2 describes": _difference(b.calls(), called),
            "Kubernetes writes": written,
            "RSS (MB)": round(used.rss, 1),
            "peak RSS (MB)": round(used.peak_rss, 1),
            "CPU (s)": round(used.cpu, 2),
        },
        promises=[
            Promise("ready within (s)", round(b.ready_after, 2), READY_WITHIN),
            Promise("EC2 calls that change", b.mutating() - calls, 0, "exactly"),
            Promise("Kubernetes writes but the lease", sum(written.values()), 0, "exactly"),
            Promise("RSS (MB)", round(used.rss, 1), MOST_RSS),
            Promise("peak RSS (MB)", round(used.peak_rss, 1), MOST_RSS),
        ],
    )


async def steady() -> Result:
    """Heartbeats from each node every 10 seconds."""
    async with bench(SETTINGS) as b:
        await settle(b)
        return await watched(b, COUNT / 10)


async def watched(b: Bench, heartbeats: float) -> Result:
    """Nothing happens but kubelets' heartbeats: none, then so many a second. No controller runs before."""
    await b.start_controller(f"--resync-period={RESYNC:g}s", "--label-grace=0")  # the pace is the subject
    await asyncio.sleep(10)
    quiet = await _watch(b, WATCHED)
    kubelets = Kubelets(b.kubelets, list(b.world.nodes), heartbeats)
    kubelets.start()
    await asyncio.sleep(5)
    busy = await _watch(b, WATCHED)
    reaction = await _reaction(b)
    rate = await kubelets.stop()
    used = b.usage()
    return Result(
        name="steady-5000",
        title=f"Steady state with {COUNT:,} nodes and {COUNT:,} ENIs",
        command="python -m bench steady-5000",
        figures={
            "heartbeats a second": round(rate, 1),
            "CPU, no heartbeats (%)": round(quiet.cpu * 100, 2),
            "CPU, heartbeats (%)": round(busy.cpu * 100, 2),
            "a label that goes is acted on after (s)": round(reaction, 2),
            "EC2 describes a resync": round(quiet.describes * RESYNC / WATCHED, 1),
            "EC2 calls that change": quiet.mutating + busy.mutating,
            "Kubernetes writes a minute": {
                key: round(count * 60 / WATCHED, 1) for key, count in busy.writes.items()
            },
            "RSS (MB)": round(used.rss, 1),
            "peak RSS (MB)": round(used.peak_rss, 1),
        },
        promises=[
            Promise("CPU with heartbeats, of a core", round(busy.cpu, 4), MOST_CPU),
            Promise("a label that goes is acted on within (s)", round(reaction, 2), REACTS_WITHIN),
            Promise("EC2 describes a resync", quiet.describes * RESYNC / WATCHED, PAGES),
            Promise("EC2 calls that change", quiet.mutating + busy.mutating, 0, "exactly"),
            Promise(
                "Kubernetes writes but the lease",
                sum(quiet.writes.values()) + sum(busy.writes.values()),
                0,
                "exactly",
            ),
            Promise("RSS (MB)", round(used.rss, 1), MOST_RSS),
        ],
    )


class _Seen:
    """What the controller used in a time: `cpu` is a share of a core."""

    def __init__(self, cpu: float, describes: int, mutating: int, writes: dict[str, int]) -> None:
        self.cpu, self.describes, self.mutating, self.writes = cpu, describes, mutating, writes


async def _watch(b: Bench, seconds: float) -> _Seen:
    cpu, describes, mutating, writes = b.usage().cpu, b.describes(), b.mutating(), b.kube_writes()
    began = time.monotonic()
    await asyncio.sleep(seconds)
    took = time.monotonic() - began
    return _Seen(
        (b.usage().cpu - cpu) / took,
        b.describes() - describes,
        b.mutating() - mutating,
        _difference(b.kube_writes(), writes),
    )


async def _reaction(b: Bench) -> float:
    """Seconds from the label that goes from a node to the detach of its ENI, amid heartbeats."""
    before = b.calls().get("DetachNetworkInterface", 0)
    began = time.monotonic()
    b.world.label(next(iter(b.world.nodes)), ng=None)
    return await b.until(lambda: b.calls().get("DetachNetworkInterface", 0) > before, 60, pause=0.01) - began


def _difference(after: dict[str, int], before: dict[str, int]) -> dict[str, int]:
    """The lease apart: it is written every 2 seconds as long as a controller lives."""
    changed = {key: count - before.get(key, 0) for key, count in after.items()}
    return {key: count for key, count in changed.items() if count and "leases" not in key}


async def settle(b: Bench) -> None:
    """Nodes of a kubelet's size with an attached ENI each, which a controller has adopted and reported."""
    nodes = await b.nodes(COUNT, large=True)
    b.apply()
    plant(b, nodes)
    await b.start_controller()
    await b.until(lambda: b.status().get("attached") == COUNT, 300, 1.0)
    await b.until(lambda: len(b.world.kube.objects(GROUP, "eninodes")) == COUNT, 300, 2.0)
    await asyncio.sleep(2)
    await b.stop_controller()

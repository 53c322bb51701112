"""Nodes that have just been born, as an autoscaler brings them: until each has its ENI."""

import asyncio
import time
from pathlib import Path

from bench.builds import Figures, side_by_side
from bench.harness import Bench, bench
from bench.limits import ATTACH_SECONDS, attached_at, median
from bench.planting import plant
from bench.result import Promise, Result
from nodeeni.sandbox.ec2.calls import OK
from nodeeni.sandbox.world import NODE_LABELS

SIZES = (1, 40, 200)
A_SECOND = 20.0
# Seconds since somebody asked for the NodeENI's subnets: nodes come to a cluster that has stood for a while.
STOOD = 61.0
REFILLED = 11.0  # seconds until EC2's bucket is full again
PAIRS = 2
NEAR = 1.05


async def scale_out() -> Result:
    """One controller is given all sizes, the smallest first."""
    found = await side_by_side(_scale_out, PAIRS)
    now = {each.what: each.now for each in found}
    return Result(
        name="scale-out",
        title=f"{', '.join(map(str, SIZES))} unknown nodes register at {A_SECOND:g} a second",
        command="python -m bench scale-out",
        figures={},
        promises=[
            Promise(what, now[what], NEAR)
            for count in SIZES
            for what in (f"{count}: median, ratio to its limit", f"{count}: last, ratio to its limit")
        ],
        compared=found,
    )


async def _scale_out(build: Path | None) -> Figures:
    async with bench(build=build) as b:
        standing = await b.nodes(1)
        b.apply()
        plant(b, standing)
        await b.start_controller()
        await b.until(lambda: b.status().get("attached") == 1, 30)
        await asyncio.sleep(STOOD)
        figures: dict[str, float] = {}
        for count in SIZES:
            figures |= await _register(b, count)
            await asyncio.sleep(REFILLED)
        return figures


async def _register(b: Bench, count: int) -> Figures:
    """From the creation of each Node to its ENI attached, beside what EC2 alone would take."""
    launched = [b.world.launch(type="m5.4xlarge", labels=NODE_LABELS) for _ in range(count)]
    born: dict[str, float] = {}
    began = time.monotonic()
    for number, (node, registration) in enumerate(launched):
        await asyncio.sleep(max(0.0, began + number / A_SECOND - time.monotonic()))
        born[node.instance_id] = time.monotonic()
        b.world.kube.create(registration)
    nodes = [node.instance_id for node, _ in launched]
    await b.until(lambda: set(_attached(b)) >= set(nodes), 30 + count / 4)
    attached = _attached(b)
    took = [attached[node] - born[node] for node in nodes]
    limit = [at - born[node] for at, node in zip(attached_at([born[n] for n in nodes]), nodes, strict=True)]
    return {
        f"{count}: median (s)": round(median(took), 3),
        f"{count}: last (s)": round(max(took), 3),
        f"{count}: median, ratio to its limit": round(median(took) / median(limit), 3),
        f"{count}: last, ratio to its limit": round(max(took) / max(limit), 3),
    }


def _attached(b: Bench) -> dict[str, float]:
    """When the ENI of each instance is in the state `attached`."""
    calls = b.world.ec2.calls.of("AttachNetworkInterface", OK)
    return {call.parameters["InstanceId"]: call.time + ATTACH_SECONDS for call in calls}

"""Taking away what is there: of living nodes by two calls an ENI, of dying ones by none."""

import asyncio
from pathlib import Path

from bench.builds import Figures, side_by_side
from bench.harness import NAME, bench
from bench.limits import removal_limit, steady_settings
from bench.planting import plant
from bench.result import Promise, Result
from nodeeni.sandbox.ec2 import Delay

COUNT = 200
NEAR = 1.1
FEW, PAIRS = 10, 3
USUAL_DETACH = Delay(3.0, spread=2 / 3)
SHARE = 0.75  # of what it took before


async def removal() -> Result:
    """A NodeENI with 200 attached ENIs is deleted: until the last ENI and the object are gone."""
    async with bench() as b:
        nodes = await b.nodes(COUNT)
        b.apply()
        plant(b, nodes)
        await b.start_controller("--read-lag=2s")
        await b.until(lambda: b.status().get("attached") == COUNT, 60)
        await asyncio.sleep(1)
        began = b.delete()
        last_eni = await b.until(lambda: not b.world.ec2.interfaces(NodeENI=NAME), 120, 0.02) - began
        object_gone = await b.until(lambda: b.world.nodeeni(NAME) is None, 60, 0.02) - began
        limit, used = removal_limit(COUNT), b.usage()
        return Result(
            name="remove-200",
            title=f"{COUNT} live ENIs removed",
            command="python -m bench remove-200",
            figures={
                "last ENI gone (s)": round(last_eni, 2),
                "limit (s)": round(limit, 2),
                "ratio": round(last_eni / limit, 3),
                "object gone (s)": round(object_gone, 2),
                "throttled calls": b.throttled(),
                "mutating calls per ENI": b.mutating() / COUNT,
                "describe calls": b.describes(),
                "EC2 calls": b.calls(),
                "peak RSS (MB)": round(used.peak_rss, 1),
                "CPU (s)": round(used.cpu, 2),
            },
            promises=[
                Promise("ratio to the limit", round(last_eni / limit, 3), NEAR),
                Promise("throttled share of calls", b.throttled() / sum(b.calls().values()), 0.01),
                Promise("mutating calls per ENI", b.mutating() / COUNT, 2, "exactly"),
            ],
        )


async def dying() -> Result:
    """200 instances are terminated: DeleteOnTermination does the work, and nothing is called."""
    async with bench() as b:
        nodes = await b.nodes(COUNT)
        b.apply()
        plant(b, nodes)
        await b.start_controller()
        await b.until(lambda: b.status().get("attached") == COUNT, 60)
        for node in nodes:
            b.world.ec2.terminate(node.instance_id)
        await b.until(lambda: not b.world.ec2.interfaces(NodeENI=NAME), 60)
        await b.until(lambda: b.status().get("desired") == 0 and not b.status().get("attachments"), 120)
        return Result(
            name="dying-200",
            title=f"{COUNT} instances with an ENI terminated",
            command="python -m bench dying-200",
            figures={
                "mutating calls": b.mutating(),
                "describe calls": b.describes(),
                "CPU (s)": round(b.usage().cpu, 2),
            },
            promises=[Promise("mutating calls", b.mutating(), 0, "exactly")],
        )


async def object_gone() -> Result:
    """Ten nodes' ENIs, made by this controller, whose NodeENI is deleted: until the object is gone."""
    found = await side_by_side(_object_gone, PAIRS)
    gone = next(each for each in found if each.what == "object gone (s)")
    return Result(
        name="remove-10",
        title=f"{FEW} live ENIs removed, until the NodeENI is gone",
        command="python -m bench remove-10",
        figures={},
        promises=[Promise("object gone, ratio to the build before", gone.ratio, SHARE)],
        compared=found,
    )


async def _object_gone(build: Path | None) -> Figures:
    """A detach takes 1 to 5 s, the same for both builds where they come in the same order."""
    async with bench(steady_settings(detaching=USUAL_DETACH), build) as b:
        await b.nodes(FEW)
        await b.start_controller("--read-lag=2s")
        b.apply()
        await b.until(lambda: b.status().get("attached") == FEW, 60)
        await asyncio.sleep(1)
        reads, began = b.describes(), b.delete()
        last_eni = await b.until(lambda: not b.world.ec2.interfaces(NodeENI=NAME), 60, 0.01) - began
        gone = await b.until(lambda: b.world.nodeeni(NAME) is None, 60, 0.01) - began
        return {
            "last ENI gone (s)": round(last_eni, 2),
            "object gone (s)": round(gone, 2),
            "after the last ENI (s)": round(gone - last_eni, 2),
            "describe calls": b.describes() - reads,
        }

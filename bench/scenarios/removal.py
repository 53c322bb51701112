"""Taking away what is there: of living nodes by two calls an ENI, of dying ones by none."""

import asyncio

from bench.harness import NAME, bench
from bench.limits import removal_limit
from bench.planting import plant
from bench.result import Promise, Result

COUNT = 200
NEAR = 1.1


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

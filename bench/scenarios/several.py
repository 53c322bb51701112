"""200 nodes with three NodeENIs each: nodes are to be complete one after another, not all at the end."""

from collections import defaultdict

from bench.harness import Bench, bench, known_nodes
from bench.limits import ATTACH_SECONDS, median, node_lines
from bench.result import Promise, Result
from nodeeni.sandbox.ec2.calls import OK

NODES, EACH = 200, 3
NEAR = 1.1


async def several() -> Result:
    """Three NodeENIs are applied at once; when had the first, the median and the last node all three?"""
    async with bench() as b:
        await b.nodes(NODES)
        await b.start_controller()
        await known_nodes(b)
        began = b.apply("first", deviceIndex=2)
        b.apply("second", deviceIndex=3)
        b.apply("third", deviceIndex=4)
        await b.until(lambda: b.attached() == NODES * EACH, 300)
        await b.until(lambda: b.done("ModifyNetworkInterfaceAttribute", NODES * EACH), 60)
        complete = _completions(b, began)
        limits = node_lines(NODES, EACH)
        measured = (complete[0], median(complete), complete[-1])
        calls = NODES * EACH
        used = b.usage()
        return Result(
            name="several-200x3",
            title=f"{NODES} nodes, {EACH} NodeENIs",
            command="python -m bench several-200x3",
            figures={
                "first node complete (s)": round(measured[0], 2),
                "median node complete (s)": round(measured[1], 2),
                "last node complete (s)": round(measured[2], 2),
                "their limits (s)": ", ".join(f"{limit:.1f}" for limit in limits),
                "throttled calls": b.throttled(),
                "mutating calls per ENI": b.mutating() / calls,
                "describe calls": b.describes(),
                "peak RSS (MB)": round(used.peak_rss, 1),
                "CPU (s)": round(used.cpu, 2),
            },
            promises=[
                Promise("last node, ratio to its limit", round(measured[2] / limits[2], 3), NEAR),
                Promise("median node, ratio to its limit", round(measured[1] / limits[1], 3), NEAR),
                Promise("throttled share of calls", b.throttled() / sum(b.calls().values()), 0.01),
                Promise("mutating calls per ENI", b.mutating() / calls, 3, "exactly"),
            ],
        )


def _completions(b: Bench, began: float) -> list[float]:
    """When each node had its last ENI, seconds from the order, sorted."""
    by_instance: defaultdict[str, list[float]] = defaultdict(list)
    for call in b.world.ec2.calls.of("AttachNetworkInterface", OK):
        by_instance[call.parameters["InstanceId"]].append(call.time + ATTACH_SECONDS - began)
    return sorted(max(moments) for moments in by_instance.values())

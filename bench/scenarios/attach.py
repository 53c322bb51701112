"""N nodes, one NodeENI: how near to EC2's own limit the last ENI is attached."""

import asyncio

from bench.harness import Bench, Usage, bench, known_nodes
from bench.limits import READ_SECONDS, attach_limit, attach_line
from bench.result import Curve, Promise, Result
from nodeeni.sandbox.ec2.calls import OK

MOST_DESCRIBES = 400
MOST_IDLE_RSS = 80.0  # MB


async def attach(count: int, runs: int = 1) -> Result:
    """The run with the median ratio: where a tenth of T(N) is 0.16 s, the machine's other work shows."""
    results = sorted([await _attach(count) for _ in range(runs)], key=lambda result: result.promises[0].value)
    result = results[runs // 2]
    if runs > 1:
        result.figures["ratio of each run"] = ", ".join(f"{one.promises[0].value}" for one in results)
    return result


async def _attach(count: int) -> Result:
    """From the moment of the apply to the last ENI attached, by EC2's log; and to the status saying so."""
    async with bench() as b:
        await b.nodes(count)
        await b.start_controller()
        return await attach_all(b, count)


async def attach_all(b: Bench, count: int) -> Result:
    """On nodes and a controller that stand."""
    await known_nodes(b)
    idle = b.usage()
    before = b.describes()
    began = b.apply()
    limit = attach_limit(count)
    await b.until(lambda: b.attached() == count, limit * 3 + 30)
    shown = await b.until(lambda: b.status().get("attached") == count, 30) - began
    await b.until(lambda: b.done("ModifyNetworkInterfaceAttribute", count), limit + 60)
    used = b.usage()
    moments = [moment - began for moment in b.attach_moments()]
    await asyncio.sleep(1.5)
    return _result(b, count, moments, shown, idle, used.cpu - idle.cpu, before)


def _result(
    b: Bench, count: int, moments: list[float], shown: float, idle: Usage, cpu: float, before: int
) -> Result:
    limit, calls, mutating = attach_limit(count), b.calls(), b.mutating()
    throttled = b.throttled()
    refused = sum(1 for call in b.world.ec2.calls if call.code not in (OK, "RequestLimitExceeded"))
    describes = b.describes() - before
    ratio = moments[-1] / limit
    return Result(
        name=f"attach-{count}",
        title=f"{count:,} nodes, one NodeENI",
        command=f"python -m bench attach-{count}",
        figures={
            "first attached (s)": round(moments[0], 2),
            "median attached (s)": round(moments[len(moments) // 2], 2),
            "last attached (s)": round(moments[-1], 2),
            "limit T(N) (s)": round(limit, 2),
            "ratio": round(ratio, 3),
            "status says so (s)": round(shown, 2),
            "throttled calls": throttled,
            "other refused calls": refused,
            "mutating calls per ENI": mutating / count,
            "describe calls": describes,
            "Kubernetes writes": b.kube_writes(),
            "EC2 calls": calls,
            "RSS before (MB)": round(idle.rss, 1),
            "peak RSS (MB)": round(b.usage().peak_rss, 1),
            "CPU (s)": round(cpu, 2),
        },
        promises=[
            Promise("ratio to T(N) and one read", round(moments[-1] / (limit + READ_SECONDS), 3), 1.1),
            Promise("throttled share of calls", throttled / sum(calls.values()), 0.01),
            Promise("mutating calls per ENI", mutating / count, 3, "exactly"),
            Promise("describe calls", describes, MOST_DESCRIBES),
            Promise("RSS idle (MB)", round(idle.rss, 1), MOST_IDLE_RSS),
        ],
        curve=Curve(count, [round(moment, 3) for moment in moments], attach_line(count)),
    )

"""Others in the way: a program that spends half of each bucket, and a subnet that fills up."""

import asyncio
from contextlib import AsyncExitStack

from bench.harness import MUTATING, bench, known_nodes
from bench.limits import BURST, CREATE_SECONDS, READ_SECONDS, REFILL, attach_limit
from bench.result import Promise, Result
from nodeeni.sandbox.ec2.calls import OK, THROTTLED
from nodeeni.sandbox.ec2.settings import DOCUMENTED_BUCKETS

RIVALLED = 300
LEAST_USED = 0.9
SMALL = 59  # addresses that a /26 leaves
FILLING = 90


async def rival() -> Result:
    """Another program spends half of each bucket, its burst and its refill: what is left is to be used,
    nothing to fail.
    """
    async with bench() as b, AsyncExitStack() as stack:
        await b.nodes(RIVALLED)
        await b.start_controller()
        await known_nodes(b)
        rivals = {}
        for action in MUTATING:
            one = b.world.ec2.rival(action, DOCUMENTED_BUCKETS[action][1] / 2)
            rivals[action] = one
            stack.push_async_callback(one.stop)
        for action in MUTATING:
            for _ in range(int(DOCUMENTED_BUCKETS[action][0] / 2)):
                b.world.ec2.buckets.spend(action)
        began = b.apply()
        await b.until(lambda: b.attached() == RIVALLED, 600)
        last = b.attach_moments()[-1] - began
        attach_rival = rivals["AttachNetworkInterface"]
        # All that the bucket gave in that time, less what the other program got of it.
        seconds = last - attach_limit(0) + CREATE_SECONDS
        left = BURST / 2 + REFILL * seconds - (attach_rival.calls - attach_rival.throttled)
        failed = b.status().get("failed", 0)
        by_code = b.world.ec2.calls.by_code
        refused = by_code["AttachNetworkInterface", THROTTLED]
        return Result(
            name="rival-half",
            title=f"{RIVALLED} nodes while another program spends half of each bucket",
            command="python -m bench rival-half",
            figures={
                "last attached (s)": round(last, 1),
                "limit if the rest were ours (s)": round(
                    attach_limit(0) + (RIVALLED - BURST / 2) / (REFILL / 2), 1
                ),
                "attaches that were left": round(left, 1),
                "used of them": round(RIVALLED / left, 3),
                "throttled attaches of ours": refused,
                "throttled calls of ours": b.throttled(),
                "throttled attaches of theirs": attach_rival.throttled,
                "failed attachments": failed,
                "attach calls per ENI": (by_code["AttachNetworkInterface", OK] + refused) / RIVALLED,
                "peak RSS (MB)": round(b.usage().peak_rss, 1),
                "CPU (s)": round(b.usage().cpu, 2),
            },
            promises=[
                Promise("share used of what was left", round(RIVALLED / left, 3), LEAST_USED, "at least"),
                Promise("failed attachments", failed, 0, "exactly"),
            ],
        )


async def filling() -> Result:
    """The larger candidate subnet fills up in the middle; the next one of the zone takes over."""
    async with bench() as b:
        ec2 = b.world.ec2
        small = ec2.add_subnet(b.world.vpc, "a", "10.200.0.0/26", name="small")
        next_one = ec2.add_subnet(b.world.vpc, "a", "10.201.0.0/26", name="next")
        await b.nodes(FILLING)
        await b.start_controller()
        await known_nodes(b)
        began = b.apply(subnetID=small.id, subnetIDs=[next_one.id])
        await b.until(lambda: b.attached() == FILLING, 300)
        last = b.attach_moments()[-1] - began
        await b.until(lambda: b.status().get("attached") == FILLING, 30)
        await asyncio.sleep(1)
        limit = attach_limit(FILLING)
        refused = ec2.calls.by_code["CreateNetworkInterface", "InsufficientFreeAddressesInSubnet"]
        per_subnet = [sum(i.subnet_id == s.id for i in ec2.secondary_interfaces()) for s in (small, next_one)]
        return Result(
            name="subnet-fills",
            title=f"{FILLING} nodes, two subnets of {SMALL} addresses each",
            command="python -m bench subnet-fills",
            figures={
                "last attached (s)": round(last, 2),
                "limit T(N) (s)": round(limit, 2),
                "ratio": round(last / limit, 3),
                "ENIs by subnet": " and ".join(map(str, per_subnet)),
                "creates refused": refused,
                "failed at the end": b.status().get("failed", 0),
                "throttled calls": b.throttled(),
                "mutating calls per ENI": round(b.mutating() / FILLING, 2),
                "CPU (s)": round(b.usage().cpu, 2),
            },
            promises=[
                Promise("ratio to T(N) and one read", round(last / (limit + READ_SECONDS), 3), 1.1),
                Promise("ENIs in all", sum(per_subnet), FILLING, "exactly"),
                Promise("throttled share of calls", b.throttled() / sum(b.calls().values()), 0.01),
            ],
        )

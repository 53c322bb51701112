"""Nodes that come and go for months: memory is of what exists, not of what ever existed."""

from bench.harness import NAME, Bench, bench
from bench.result import Promise, Result
from nodeeni.ec2.types import Action
from nodeeni.sandbox.ec2 import quick_settings

AT_ONCE = 100
FIRST, ROUNDS = 10, 60  # rounds until the memory is that of a working process, and after them
UNMETERED = ",".join(f"{action.value}=10000/10000" for action in Action)


async def lives() -> Result:
    """6,000 Nodes, 100 at a time, each with an ENI until its instance is terminated."""
    async with bench(quick_settings()) as b:
        b.apply()
        await b.start_controller(f"--ec2-rate={UNMETERED}", "--node-grace-period=1s", "--read-lag=200ms")
        for _ in range(FIRST):
            await _one_round(b)
        before = b.usage().rss
        for _ in range(ROUNDS):
            await _one_round(b)
        after = b.usage()
        ratio = round(after.rss / before, 3)
        return Result(
            name="lives-6000",
            title=f"{AT_ONCE * ROUNDS:,} Nodes come and go, {AT_ONCE} at a time",
            command="python -m bench lives-6000",
            figures={
                "RSS before (MB)": round(before, 1),
                "RSS after (MB)": round(after.rss, 1),
                "ratio": ratio,
                "ENIs left": len(b.world.ec2.interfaces(NodeENI=NAME)),
                "CPU (s)": round(after.cpu, 2),
            },
            promises=[Promise("RSS after / before", ratio, 1.1)],
        )


async def _one_round(b: Bench) -> None:
    nodes = await b.nodes(AT_ONCE)
    await b.until(lambda: b.status().get("attached") == AT_ONCE, 60)
    for node in nodes:
        b.world.ec2.terminate(node.instance_id)
    await b.until(lambda: b.status().get("desired") == 0 and not b.status().get("attachments"), 60)

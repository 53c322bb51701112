"""Nodes whose launch template brought the ENI, beside the build before, which has to attach it."""

import asyncio
import time
from pathlib import Path

from bench.builds import Figures, side_by_side
from bench.harness import NAME, Bench, bench
from bench.limits import attach_limit, steady_settings
from bench.result import Promise, Result
from nodeeni.api.names import TAG_INSTANCE, TAG_NO_MANAGE
from nodeeni.sandbox.ec2 import LaunchInterface
from nodeeni.sandbox.world import SECURITY_GROUP, readme_nodeeni

COUNT = 1000
READY_WITHIN = 15.0  # seconds after the last Node shows
CREATES, ATTACHES, TAGS = "CreateNetworkInterface", "AttachNetworkInterface", "CreateTags"


async def launch_time() -> Result:
    """All nodes of a cluster register at once: until the NodeENI's status says that each has its ENI."""
    found = await side_by_side(_measure, 1)
    now = {each.what: each.now for each in found}
    limit = attach_limit(COUNT)
    return Result(
        name="launch-time-1000",
        title=f"{COUNT:,} nodes that bring their ENI from the launch",
        command="python -m bench launch-time-1000",
        figures={
            "T(N), what attaching them takes at the least (s)": round(limit, 1),
            "all ready of that": round(now["all ready (s)"] / limit, 3),
        },
        promises=[
            Promise("all ready after the last Node shows, within (s)", now["all ready (s)"], READY_WITHIN),
            Promise("Creates and Attaches", now[CREATES] + now[ATTACHES], 0, "exactly"),
            Promise("throttled share of tag calls", round(now["throttled calls"] / now[TAGS], 4), 0.01),
        ],
        compared=found,
    )


async def _measure(build: Path | None) -> Figures:
    """The build before, which adopts nothing, has instances that bring none."""
    async with bench(steady_settings(), build) as b:
        spec = {"adoption": "LaunchTime"} if build is None else {}
        b.apply(**spec)
        await b.start_controller()
        await b.until(lambda: "finalizers" in (b.world.nodeeni(NAME) or {})["metadata"], 30)
        idle = b.usage()
        began = time.monotonic()
        await b.nodes(COUNT, brought=[_as_asked(b)] if build is None else [])
        shown = time.monotonic()
        ready = await b.until(lambda: _is_ready(b), 300) - shown
        tagged = await b.until(lambda: _tagged(b) == COUNT, 300) - shown
        await asyncio.sleep(1.5)
        calls = b.calls()
        return {
            "Nodes registered in (s)": round(shown - began, 2),
            "all ready (s)": round(ready, 2),
            "last tag of its node (s)": round(tagged, 1),
            CREATES: calls.get(CREATES, 0),
            ATTACHES: calls.get(ATTACHES, 0),
            TAGS: calls.get(TAGS, 0),
            "describe calls": b.describes(),
            "throttled calls": b.throttled(),
            "CPU (s)": round(b.usage().cpu - idle.cpu, 2),
            "peak RSS (MB)": round(b.usage().peak_rss, 1),
        }


def _as_asked(b: Bench) -> LaunchInterface:
    asked = readme_nodeeni(NAME)["spec"]
    return LaunchInterface(
        subnet=b.world.subnets["a"],
        device_index=asked["deviceIndex"],
        group_ids=(SECURITY_GROUP,),
        description=asked["description"],
        tags={TAG_NO_MANAGE: "true"},
    )


def _is_ready(b: Bench) -> bool:
    status = b.status()
    standing = {each["type"]: each["status"] for each in status.get("conditions", [])}
    return status.get("attached") == COUNT and standing.get("Ready") == "True"


def _tagged(b: Bench) -> int:
    return sum(TAG_INSTANCE in each.tags for each in b.world.ec2.interfaces(NodeENI=NAME))

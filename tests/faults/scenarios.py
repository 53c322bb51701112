"""Runs that are right only because of one guard each: what the mutants, who lack it, fail in.

Each returns what was wrong, nothing for a controller that is as it should be.
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.faults.points import Point, Points
from tests.faults.processes import Zygote
from tests.faults.right import ours_in
from tests.faults.situation import NAME, Situation, lagging, situated

from nodeeni.sandbox.ec2 import EC2Settings

LEASED = ("--enable-leader-election", "--lease-duration=3s")
SLOW = "--read-lag=4s"
Scenario = Callable[[Situation], Awaitable[list[str]]]
_CREATED = Point("EC2 CreateNetworkInterface", 1)


async def killed_after_create(at: Situation) -> list[str]:
    """The interface is made, nobody was told, and reads do not show it yet."""
    await _killed_at_create(at)
    async with await at.start(SLOW):
        await at.until(lambda: len(at.ec2.calls.of("CreateNetworkInterface")) > 1)
        _show_all(at)
        return await at.righted()


async def deleted_after_a_crash(at: Situation) -> list[str]:
    """The same, and the NodeENI is deleted before the next controller has begun."""
    await _killed_at_create(at)
    at.delete()
    reads = at.ec2.calls.by_action["DescribeNetworkInterfaces"]
    async with await at.start(SLOW):
        await at.until(
            lambda: (
                at.ec2.calls.by_action["DescribeNetworkInterfaces"] > reads + 1
                or at.world.nodeeni(NAME) is None
            )
        )
        _show_all(at)
        return await at.righted()


async def reads_that_lag(at: Situation) -> list[str]:
    """EC2 is read all the time, and shows each write late: nothing is done twice."""
    count = 6
    for _ in range(count):
        await at.node()
    at.apply()
    async with await at.start("--resync-period=100ms", SLOW):
        faults = await at.righted()
        await asyncio.sleep(1.0)
    calls = at.ec2.calls.by_action
    once = ("CreateNetworkInterface", "AttachNetworkInterface", "ModifyNetworkInterfaceAttribute")
    return faults + [f"{calls[action]} x {action}" for action in once if calls[action] != count]


async def frozen_leader(at: Situation) -> list[str]:
    """Stopped in the midst of its work for longer than its lease, it wakes up beside its successor."""
    nodes = [await at.node() for _ in range(8)]
    at.apply()
    at.ec2.faults.delay("CreateNetworkInterface", 0.5, times=None)
    async with await at.start(*LEASED, "--max-concurrent-nodes=2") as frozen:  # so that much is left to do
        await at.until(lambda: len(at.ec2.calls.of("CreateNetworkInterface")) > 1)
        frozen.signal(signal.SIGSTOP)
        at.ec2.faults.clear()
        async with await at.start(*LEASED):
            await at.until_right(60)
            for node in nodes[:4]:
                at.world.label(node.name, ng=None)
            await at.until_right(60)
            calls = at.ec2.calls.by_code.copy()
            frozen.signal(signal.SIGCONT)
            await frozen.ended()
            await asyncio.sleep(0.5)
            faults = await at.righted()
    # What EC2 refused changed nothing: a call may have been let through just before the process froze.
    done = at.ec2.calls.by_code - calls
    told = [
        f"{n} x {action} done after it woke" for (action, code), n in done.items() if _is_done(action, code)
    ]
    return faults + told


_CALLS = frozenset(f"{verb}NetworkInterface" for verb in ("Create", "Attach", "Detach", "Delete"))


def _is_done(action: str, code: str) -> bool:
    return code == "ok" and action in _CALLS


async def look_alikes(at: Situation) -> list[str]:
    """Others' interfaces carry all our names, but not our cluster's id, nor the NodeENI's uid."""
    node = await at.node()
    at.apply()
    at.plant_look_alike(NAME, node.name)
    async with await at.start("--resync-period=300ms"):
        faults = await at.righted()
        await asyncio.sleep(1.0)
    return faults or at.wrong()


async def nobody_answers_for_a_node(at: Situation) -> list[str]:
    """EC2 says nothing of an instance for a while: the node is desired all the same."""
    await at.node()
    async with await at.start():
        await at.watch(2.0)  # it has begun
        at.ec2.faults.hang("DescribeInstances", times=None)
        at.apply()
        await at.node()
        await at.watch()
        at.ec2.faults.clear()
        return await at.righted()


async def edited_while_changes_take_long(at: Situation) -> list[str]:
    """Groups are edited, and EC2 takes its time: they are not as asked before that."""
    await at.node()
    at.apply()
    group = at.ec2.add_security_group(at.world.vpc)
    async with await at.start():
        await at.until_right()
        at.ec2.faults.hang("ModifyNetworkInterfaceAttribute", times=None)
        at.apply(securityGroupIDs=[group.id])
        await at.watch()
        at.ec2.faults.clear()
        return await at.righted()


async def deleted_by_hand(at: Situation) -> list[str]:
    """An interface goes, and no other can be made for a while: the status is not to name the old one."""
    await at.node()
    at.apply()
    async with await at.start():
        await at.until_right()
        (interface,) = ours_in(at.world)
        at.ec2.faults.error("CreateNetworkInterface", "Unavailable", times=None)
        at.ec2.remove_interface(interface.id)
        await at.watch()
        at.ec2.faults.clear()
        return await at.righted()


_CHANGE = (
    "CreateNetworkInterface",
    "AttachNetworkInterface",
    "DetachNetworkInterface",
    "DeleteNetworkInterface",
)

# Scenario, EC2's settings, and the mutants that it has to catch.
SCENARIOS: dict[Scenario, tuple[EC2Settings, tuple[str, ...]]] = {
    killed_after_create: (lagging(), ("random_token",)),
    deleted_after_a_crash: (lagging(), ("hasty_finalizer", "no_finalizer")),
    reads_that_lag: (lagging(stale_reads=1.0), ("one_observation", "no_overlay")),
    frozen_leader: (lagging(), ("no_fence",)),
    look_alikes: (lagging(), ("everything_is_ours",)),
    nobody_answers_for_a_node: (lagging(), ("counts_rows_only",)),
    edited_while_changes_take_long: (lagging(), ("edits_are_done",)),
    deleted_by_hand: (lagging(), ("nothing_is_missed",)),
}


async def judge(zygote: Zygote, directory: Path, scenario: Scenario, mutant: str = "") -> list[str]:
    """What was wrong with this controller in this scenario."""
    async with situated(zygote, directory, mutant=mutant, settings=SCENARIOS[scenario][0]) as at:
        return await scenario(at)


async def _killed_at_create(at: Situation) -> None:
    await at.node()
    at.apply()
    points = Points(at.world)
    victim = await at.start(SLOW)
    points.arm(_CREATED, "after", victim.kill)
    await victim.ended()
    at.ec2.account.interfaces.lag = 3600.0  # until `_show_all`: a busy machine is no quicker than a clock


def _show_all(at: Situation) -> None:
    at.ec2.account.interfaces.lag = 0.0

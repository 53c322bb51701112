"""Nodes that wait to be reconciled: each once, and of many that come together a few in each turn."""

import asyncio

from nodeeni.controller.workqueue import A_TURN, WorkQueue


async def test_of_many_that_are_added_together_a_few_are_handed_out_in_each_turn_in_their_order() -> None:
    queue, taken = WorkQueue(), list[str]()
    keys = [f"node-{number}" for number in range(5 * A_TURN)]

    async def worker() -> None:
        taken.append(await queue.get())

    workers = [asyncio.create_task(worker()) for _ in keys]
    await asyncio.sleep(0)
    for key in keys:
        queue.add(key)
    most, before = 0, 0
    while len(taken) < len(keys):
        await asyncio.sleep(0)
        most, before = max(most, len(taken) - before), len(taken)
    await asyncio.gather(*workers)
    assert (taken, most) == (keys, A_TURN)


async def test_a_worker_that_never_waits_leaves_others_their_turns() -> None:
    queue, turns = WorkQueue(), 0
    keys = [f"node-{number}" for number in range(100)]

    async def worker() -> None:
        for _ in keys:
            queue.done(await queue.get())

    for key in keys:
        queue.add(key)
    working = asyncio.create_task(worker())
    while not working.done():
        turns += 1
        await asyncio.sleep(0)
    assert turns >= len(keys) / A_TURN


async def test_a_node_that_is_added_while_it_is_at_work_is_handed_out_once_more() -> None:
    queue = WorkQueue()
    for _ in range(2):
        queue.add("node")
    assert await queue.get() == "node"
    for _ in range(2):
        queue.add("node")
    queue.done("node")
    assert await queue.get() == "node"
    queue.done("node")
    await queue.drained()

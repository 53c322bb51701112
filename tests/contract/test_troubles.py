"""What a test asks an API server to do wrong, it does: the sandbox's and the real one behind its proxy."""

import asyncio

import aiohttp
import pytest
from tests.contract.servers import new_server, session


async def test_a_watch_whose_answer_is_under_way_is_broken_as_one_that_is_open() -> None:
    server = new_server(troubled=True)
    await server.start()

    async def watched() -> bytes:
        async with session(server) as http, http.get("/api/v1/nodes", params={"watch": "1"}) as answer:
            return await answer.read()

    watching = asyncio.create_task(watched())
    async with asyncio.timeout(10):
        while not server.requests["watch", "nodes"]:  # noqa: ASYNC110  each turn: the answer is not to be there yet
            await asyncio.sleep(0)
    assert server.faults.break_watches("reset", "nodes") == 1
    with pytest.raises(aiohttp.ClientError):
        async with asyncio.timeout(10):
            await watching
    await server.stop()

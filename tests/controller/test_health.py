"""The server of `/metrics` and the probes, when the process ends."""

import asyncio
import time

from nodeeni.controller import health


async def test_half_a_request_does_not_hold_up_the_end() -> None:
    async with health.serve(("127.0.0.1", 0), alive=dict, ready=dict, on_scrape=lambda: None) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /metrics HTTP/1.1\r\nHost: node\r\nContent-Length: 100\r\n\r\nhalf")
        assert (await reader.readline()).startswith(b"HTTP/1.1 405")
        ending = time.monotonic()
    assert time.monotonic() - ending < 9  # aiohttp's own patience is 10
    writer.close()

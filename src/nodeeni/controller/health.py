"""`/metrics`, `/healthz` and `/readyz`: how a cluster and its people see that this process works."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

# Name of a check → what is wrong, or None.
Checks = Callable[[], dict[str, str | None]]


@asynccontextmanager
async def serve(
    address: tuple[str, int], checks: Checks, on_scrape: Callable[[], None]
) -> AsyncIterator[int]:
    """Serve until the block ends; yields the port. OSError when the address cannot be had."""

    async def metrics(_: web.Request) -> web.Response:
        on_scrape()
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_: web.Request) -> web.Response:
        results = checks()
        text = "".join(
            f"[{'-' if fault else '+'}]{name} {fault or 'ok'}\n" for name, fault in results.items()
        )
        return web.Response(text=text, status=503 if any(results.values()) else 200)

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        host, port = address
        site = web.TCPSite(runner, host or None, port)
        await site.start()
        bound: int = runner.addresses[0][1]
        yield bound
    finally:
        await runner.cleanup()

"""`/metrics`, `/healthz` and `/readyz`: how a cluster and its people see that this process works."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from nodeeni.ec2.errors import EC2Error, ErrorClass

# Name of a check → what is wrong, or None.
Checks = Callable[[], dict[str, str | None]]

SHUTDOWN = 0.5  # seconds: nobody who reads slowly, or sends half a request, holds up the end
PATIENCE = 5.0  # seconds of failure that are nothing yet: one lost connection, one overloaded answer


class Reach:
    """Whether EC2 answers and takes our credentials, by the calls that are made anyway."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failing_since: float | None = None
        self._code = ""

    def observe(self, error: EC2Error | None) -> None:
        """One call's outcome. A refusal is an answer, unless nothing would be answered to us."""
        if error is None or not _is_unreachable(error):
            self._failing_since = None
            return
        self._failing_since = self._failing_since or self._clock()
        self._code = error.code

    def fault(self) -> str | None:
        """What is wrong, None while calls are answered."""
        if self._failing_since is None or self._clock() - self._failing_since < PATIENCE:
            return None
        return f"no call was answered for {self._clock() - self._failing_since:.0f} s: {self._code}"


def _is_unreachable(error: EC2Error) -> bool:
    if error.error_class is ErrorClass.DENIED:
        return error.permission is None  # credentials, as against one missing permission
    return error.known and error.error_class is ErrorClass.UNKNOWN_OUTCOME


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
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN)
    await runner.setup()
    try:
        host, port = address
        site = web.TCPSite(runner, host or None, port)
        await site.start()
        bound: int = runner.addresses[0][1]
        yield bound
    finally:
        await runner.cleanup()

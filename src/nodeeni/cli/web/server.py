"""Serves the page on loopback: to browsers of this machine, and to pages of nobody else."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import msgspec
from aiohttp import web

from nodeeni.api.names import CONTROLLER, TAG_MANAGED_BY
from nodeeni.cli.stage import Stage
from nodeeni.cli.status.looking import Progress, look
from nodeeni.cli.status.picture import Picture
from nodeeni.cli.web.curve import Tracker
from nodeeni.cli.web.data import moment
from nodeeni.flags import Flags, port, typed
from nodeeni.kube.client import KubeClient
from nodeeni.plan.rows import State

LOOPBACK = "127.0.0.1"
SAMPLE = 0.1  # seconds
PAGE = Path(__file__).with_name("page.html")


def add_flag(flags: Flags) -> None:
    flags.add_argument(
        "--web",
        nargs="?",
        const=0,
        type=typed(port),
        metavar="PORT",
        help="show it on a page in a browser of this machine (default port: a free one)",
    )


class _Server:
    def __init__(self, stage: Stage, title: str) -> None:
        self._stage = stage
        self._title = title
        self._tracker = Tracker(stage.world.ec2.settings)
        self._wanted = 0
        self._data = b"null"
        self._hosts: frozenset[str] = frozenset()

    def listens_at(self, at: int) -> None:
        self._hosts = frozenset({f"{LOOPBACK}:{at}", f"localhost:{at}"})

    def show(self, picture: Picture, progress: Mapping[str, Progress], away: str) -> None:
        # What cannot be had is not waited for.
        self._wanted = sum(
            line.state in (State.CREATING, State.ATTACHING, State.ATTACHED) for line in picture.lines
        )
        world = self._stage.world
        nodes, curve = len(world.kube.objects("", "nodes")), self._tracker.curve
        self._data = msgspec.json.encode(
            moment(self._title, picture, progress, away, nodes, world.ec2.calls, curve)
        )

    async def sample(self) -> None:
        """Until cancelled: EC2 itself, more often than a status is written."""
        ec2, loop = self._stage.world.ec2, asyncio.get_running_loop()
        while True:
            ours = ec2.interfaces(**{TAG_MANAGED_BY: CONTROLLER})
            attached = sum(i.attachment is not None and i.attachment.status == "attached" for i in ours)
            self._tracker.look(loop.time(), max(self._wanted, len(ours)), attached, ec2.calls)
            await asyncio.sleep(SAMPLE)

    async def page(self, request: web.Request) -> web.StreamResponse:
        self._check(request)
        return web.FileResponse(
            PAGE,
            headers={
                "Content-Type": "text/html; charset=utf-8",
                "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
                "script-src 'unsafe-inline'; connect-src 'self'; img-src data:",
            },
        )

    async def data(self, request: web.Request) -> web.StreamResponse:
        self._check(request)
        return web.Response(body=self._data, content_type="application/json")

    def _check(self, request: web.Request) -> None:
        """A name that somebody made point here is not us."""
        if request.host not in self._hosts:
            raise web.HTTPForbidden(text="the sandbox's page is at 127.0.0.1 alone\n")


@contextlib.asynccontextmanager
async def shown(stage: Stage, at: int, title: str) -> AsyncIterator[str]:
    """While the block lasts; yields the URL. OSError where the port cannot be had."""
    server = _Server(stage, title)
    app = web.Application()
    app.router.add_get("/", server.page)
    app.router.add_get("/data", server.data)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    client = KubeClient.connect(str(stage.kubeconfig))
    tasks: list[asyncio.Task[None]] = []
    try:
        await web.TCPSite(runner, LOOPBACK, at).start()
        bound: int = runner.addresses[0][1]
        server.listens_at(bound)
        works = (look(client, None, server.show), server.sample())
        tasks += [asyncio.create_task(work, name="web") for work in works]
        yield f"http://{LOOPBACK}:{bound}/"
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await client.close()
        await runner.cleanup()

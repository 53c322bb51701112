"""Controllers as processes of their own, which can be killed at any moment."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

# EC2's reads lag by at most this in these tests, scaled down from 35 s; everything else in proportion.
QUICK = (
    "--metrics-addr=127.0.0.1:0",
    "--read-lag=400ms",
    "--node-grace-period=500ms",
    "--label-grace=200ms",
    "--mass-removal-delay=1s",
    "--resync-period=1s",
    "--orphan-grace-period=1s",
)


class Zygote:
    """See zygote.py."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.faults.zygote",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()

    async def ask(self, request: dict[str, Any]) -> int:
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        async with self._turn:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            return int(await self._process.stdout.readline())


class Controller:
    """One running controller. `kill` is SIGKILL; after `ended` it is no more."""

    def __init__(self, zygote: Zygote, pid: int, log: Path) -> None:
        self.pid = pid
        self.log = log
        self._zygote = zygote
        self.frozen = False
        self._over = asyncio.Event()
        self._pidfd = os.pidfd_open(pid)
        asyncio.get_running_loop().add_reader(self._pidfd, self._exited)
        self.status: int | None = None

    @property
    def running(self) -> bool:
        return not self._over.is_set()

    def signal(self, number: signal.Signals) -> None:
        """Not reaped before `ended`, so the pid is still its own."""
        if self.running:
            os.kill(self.pid, number)
            if number in (signal.SIGSTOP, signal.SIGCONT):
                self.frozen = number is signal.SIGSTOP

    def kill(self) -> None:
        self.signal(signal.SIGKILL)

    async def ended(self, timeout: float = 20.0) -> int:
        """Its exit status; minus the signal's number when one ended it."""
        if self.status is None:
            async with asyncio.timeout(timeout):
                await self._over.wait()
            self.status = await self._zygote.ask({"wait": self.pid})
        return self.status

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGKILL if kind else signal.SIGTERM)
        await self.ended()

    def _exited(self) -> None:
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._over.set()


async def start(
    zygote: Zygote, environment: dict[str, str], log: Path, flags: Sequence[str] = (), mutant: str = ""
) -> Controller:
    request = {
        "start": [*QUICK, *flags],
        "environment": environment,
        "log": str(log),
        "mutant": mutant,
    }
    return Controller(zygote, await zygote.ask(request), log)


@asynccontextmanager
async def zygote() -> AsyncIterator[Zygote]:
    async with Zygote() as made:
        yield made

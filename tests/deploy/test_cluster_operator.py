"""What the tests of `make clustertest` run, such as `helm --wait`, does not outlive them."""

import asyncio
import contextlib
import os
from pathlib import Path

import pytest
from tests.cluster.operator import run


async def test_a_program_that_nobody_waits_for_any_more_is_ended(tmp_path: Path) -> None:
    started = tmp_path / "started"
    running = asyncio.create_task(
        run(
            "sh",
            "-c",
            'echo $$ >"$0.new" && mv "$0.new" "$0" && exec sleep 300',
            str(started),
            env=os.environ,
        )
    )
    async with asyncio.timeout(30):
        while not started.exists():  # noqa: ASYNC110  another process makes it
            await asyncio.sleep(0.02)
    pid = int(started.read_text())
    os.kill(pid, 0)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)

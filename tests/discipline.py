"""What no test may do, and no code under test: block an event loop, or leave tasks behind when its loop ends.

Either would pass by itself, and fail something else at a worse time. A plugin: `tests/conftest.py` loads it.
"""

import asyncio
import subprocess
from collections.abc import Iterator

import pytest
from blockbuster import BlockBuster, BlockBusterFunction

# Of what blocks, these. A small file on a disk may be read in a loop: kubeconfig, token, specification.
_BLOCKING = ("time.sleep", "socket.", "ssl.", "builtins.input")


class LeftPending(AssertionError):
    """Tasks that nobody awaited or cancelled before their loop ended."""


def _close_strictly(self: asyncio.Runner) -> None:
    try:
        left = [task for task in asyncio.all_tasks(self.get_loop()) if not task.done()]
    except RuntimeError:  # closed before
        left = []
    names = sorted(str(task.get_coro()) for task in left)
    _close(self)
    if names:
        raise LeftPending(f"tasks left pending at the end of their loop: {', '.join(names)}")


_close = asyncio.Runner.close


@pytest.fixture(autouse=True, scope="session")
def _nothing_is_left_pending() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio.Runner, "close", _close_strictly)
        yield


@pytest.fixture(autouse=True, scope="session")
def _nothing_blocks_a_loop() -> Iterator[None]:
    """In a loop whose stack has our code in it: raises blockbuster.BlockingError where it happens."""
    guard = BlockBuster("nodeeni")
    for name in [name for name in guard.functions if not name.startswith(_BLOCKING)]:
        del guard.functions[name]
    guard.functions["subprocess.Popen.wait"] = BlockBusterFunction(
        subprocess.Popen, "wait", scanned_modules="nodeeni"
    )
    for function in guard.functions.values():
        # Tests ask a real API server as they ask the sandbox's, which is in memory: there and then.
        function.can_block_in("hack/apiserver/server.py", {"_once", "wait_until"})
    guard.activate()
    yield
    guard.deactivate()

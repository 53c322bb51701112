"""The guards over all tests catch what they are there for."""

import asyncio
import subprocess
from pathlib import Path
from typing import Any

import pytest
from blockbuster import BlockingError
from tests.discipline import LeftPending

import nodeeni


def _of_ours(statement: str, **names: Any) -> dict[str, Any]:
    """A module that says it stands in the package, with one function, `do`, and these names."""
    place = str(Path(nodeeni.__file__).with_name("blocking.py"))
    scope: dict[str, Any] = dict(names)
    exec(compile(f"import subprocess, time\ndef do():\n    {statement}\n", place, "exec"), scope)
    return scope


async def test_our_code_that_blocks_a_loop_is_told_so() -> None:
    with pytest.raises(BlockingError):
        _of_ours("time.sleep(0)")["do"]()


async def test_our_code_that_waits_for_a_process_in_a_loop_is_told_so() -> None:
    child = await asyncio.to_thread(subprocess.Popen, ["true"])
    with pytest.raises(BlockingError):
        _of_ours("child.wait()", child=child)["do"]()
    assert await asyncio.to_thread(child.wait) == 0


@pytest.mark.parametrize("statement", ["time.sleep(0)", "subprocess.run(['true'])"])
def test_outside_a_loop_it_may(statement: str) -> None:
    _of_ours(statement)["do"]()


def test_a_task_that_nobody_ends_is_told_of_when_its_loop_ends() -> None:
    left: list[asyncio.Task[None]] = []

    async def leave() -> None:
        left.append(asyncio.create_task(asyncio.sleep(60)))

    with pytest.raises(LeftPending, match="sleep"):
        asyncio.run(leave())
    assert left[0].cancelled()

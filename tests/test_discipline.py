"""The guards over all tests catch what they are there for."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from blockbuster import BlockingError
from tests.discipline import LeftPending

import nodeeni


def _of_ours(statement: str) -> dict[str, Any]:
    """A module that says it stands in the package, with one function, `do`."""
    place = str(Path(nodeeni.__file__).with_name("blocking.py"))
    scope: dict[str, Any] = {}
    exec(compile(f"import subprocess, time\ndef do():\n    {statement}\n", place, "exec"), scope)
    return scope


@pytest.mark.parametrize("statement", ["time.sleep(0)", "subprocess.run(['true'])"])
async def test_our_code_that_blocks_a_loop_is_told_so(statement: str) -> None:
    with pytest.raises(BlockingError):
        _of_ours(statement)["do"]()


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

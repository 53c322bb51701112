"""Started by hand at a terminal: a machine that nobody said is a node is left alone; logs are for people."""

import asyncio
import contextlib
import os
import pty
import re
import sys
from pathlib import Path

import pytest
from tests.agent.situation import ROOT, Node, until
from tests.agent.test_physical_links import appear, sysfs_with_pci, up


@pytest.fixture
def machine(bare_node: Node) -> Node:
    """Somebody's own, with two links that a person may have put down with intent."""
    bare_node.kernel.add_primary()
    appear(bare_node)
    return bare_node


async def at_a_terminal(node: Node, directory: Path, *flags: str) -> tuple[int | None, str]:
    """What the ENI manager says there without an API server, and its exit status, None when it went on."""
    sysfs = sysfs_with_pci(directory / "sys", "eth0", "ens6", "ens7")
    here, its = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *("ip", "netns", "exec", node.kernel.name),
        *(sys.executable, "-m", "nodeeni", "--node-name=n", f"--sysfs={sysfs}", *flags),
        stdin=its,
        stdout=its,
        stderr=its,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "src"), "COMPONENT": "eni-manager"},
    )
    os.close(its)
    os.set_blocking(here, False)
    said = ""

    def has_begun() -> bool:
        nonlocal said
        with contextlib.suppress(OSError):  # nothing to read yet, or the other end is closed
            said += os.read(here, 65536).decode()
        return "has started" in said or process.returncode is not None

    try:
        await until(has_begun)
        has_begun()
        if process.returncode is not None:
            return process.returncode, said
        await until(lambda: up(node) == ["ens6", "ens7"])
        return None, said
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
        os.close(here)


async def test_with_nothing_given_it_refuses_and_says_why(machine: Node, tmp_path: Path) -> None:
    status, said = await at_a_terminal(machine, tmp_path)
    assert (status, said.count("\n")) == (2, 1)
    assert said.startswith(
        "nodeeni manager: started at a terminal with no kubeconfig, no service account and "
    )
    assert "it would only bring up the physical links of this machine; give --kubeconfig FILE" in said
    assert up(machine) == []


async def test_with_a_spec_file_it_works_and_logs_for_people(machine: Node, tmp_path: Path) -> None:
    status, said = await at_a_terminal(machine, tmp_path, f"--spec-file={tmp_path / 'spec'}")
    assert status is None
    line = r"^[\d:.]{12} info     agent\.app  the ENI manager has started  node=n\r$"
    assert re.search(line, said, re.MULTILINE), said

"""`make cluster` that is killed, and started again: what it left is cleaned up, by its own marks alone."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from hack.cluster.cluster import CACHE, MEMORY, RUN, why_not
from tests.cluster.operator import ROOT, timed, until

pytestmark = pytest.mark.asyncio(loop_scope="session")

COMMAND = (sys.executable, "-m", "hack.cluster", "--nodes", "1")
GUESTS = {"qemu-system-x86_64"}
CONTROL_PLANE = {"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"}
LAST_LINE = "Ctrl-C ends all of it"


@pytest.fixture
def strangers(tmp_path: Path) -> Iterator[Callable[[], bool]]:
    """What somebody else has here, alike in name: a QEMU in a network namespace of its own, and folders
    beside ours. Tells whether all of it stands."""
    machine = ("qemu-system-x86_64", "-nodefaults", "-display", "none", "-machine", "none")
    folders = [MEMORY.with_name("nodeeni-cluster-of-mine"), CACHE / "running", CACHE / "making"]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / "file").touch()
    process = subprocess.Popen(("unshare", "--net", "--", *machine), cwd=tmp_path)
    yield lambda: process.poll() is None and all((folder / "file").exists() for folder in folders)
    process.kill()
    process.wait()
    for folder in folders:
        (folder / "file").unlink()
        folder.rmdir()


@contextlib.asynccontextmanager
async def started(last_line: str = LAST_LINE) -> AsyncIterator[asyncio.subprocess.Process]:
    """`make cluster`, once it has said that."""
    process = await asyncio.create_subprocess_exec(
        *COMMAND, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    assert process.stdout is not None
    said = ""
    while last_line not in said:
        line = (await process.stdout.readline()).decode()
        assert line, said
        said += line
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def programs_of(pid: int) -> dict[int, str]:
    """The processes below that one, by pid: the name that each was started by."""
    found: dict[int, str] = {}
    for tasks in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, tasks.read_text().split()):
            found[child] = name_of(child)
            found |= programs_of(child)
    return found


def name_of(pid: int) -> str:
    try:
        return os.path.basename(Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode())
    except OSError:
        return ""


async def the_node_has_registered() -> bool:
    kubectl = ("kubectl", "--kubeconfig", str(RUN / "kubeconfig"), "get", "nodes", "-o", "name")
    process = await asyncio.create_subprocess_exec(*kubectl, stdout=asyncio.subprocess.PIPE)
    return (await process.communicate())[0].decode().split() == ["node/node-1"]


async def ended(programs: dict[int, str]) -> None:
    async def all_of_them() -> bool:
        return not any(name and name_of(pid) == name for pid, name in programs.items())

    await until(all_of_them, timeout=30)


@pytest.mark.parametrize("when", ["the control plane runs", LAST_LINE])
async def test_one_that_is_killed_is_cleaned_up_by_the_next(when: str, strangers: Callable[[], bool]) -> None:
    """The first time in the middle of its start."""
    if reason := why_not():
        pytest.skip(reason)
    async with started(when) as killed:
        first = programs_of(killed.pid)
        assert set(first.values()) >= CONTROL_PLANE
        assert when != LAST_LINE or set(first.values()) >= GUESTS
        killed.kill()
        await killed.wait()
    await ended(first)
    left = sorted(path.name for place in (RUN, MEMORY) for path in place.iterdir())
    assert left, "nothing to clean up"

    async with timed("make cluster, after one that was killed"), started() as second:
        running = programs_of(second.pid)
        assert set(running.values()) >= CONTROL_PLANE | GUESTS
        machines = [path.name for path in RUN.glob("nodeeni-machines-*")]
        assert len(machines) == 1, "the former one's guests' disks are there too"
        assert machines[0] not in left
        await until(the_node_has_registered)
        assert strangers()

        second.send_signal(signal.SIGINT)
        assert await second.wait() == 0
    await ended(running)
    assert [place for place in (RUN, MEMORY) if place.exists()] == []
    assert strangers()

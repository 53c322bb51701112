"""`make cluster` where there can be none: one line that says why, before anything is made."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hack.cluster.cluster import LOCK
from tests.deploy.conftest import ROOT

PROGRAMS = ("qemu-system-x86_64", "qemu-img", "mmdebstrap", "mkfs.ext4", "etcd", "buildah", "go", "openssl")

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="left out here: to others it says that it needs root")


@pytest.fixture
def machine(tmp_path: Path) -> dict[str, str]:
    """The environment of one that has every program, as far as looking for them goes."""
    for name in PROGRAMS:
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text("#!/bin/sh\nexit 1\n")
        program.chmod(0o755)
    cache = tmp_path / "cache"
    cache.mkdir()
    return {"PATH": str(tmp_path / "bin"), "XDG_CACHE_HOME": str(cache), "HOME": str(tmp_path)}


def refused(environment: dict[str, str], *before: str) -> str:
    done = subprocess.run(
        [*before, sys.executable, "-m", "hack.cluster"],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    return line


@as_root
@pytest.mark.parametrize(
    ("program", "package"),
    [("qemu-img", "qemu-utils"), ("mkfs.ext4", "e2fsprogs"), ("etcd", "etcd-server"), ("go", "golang-go")],
)
def test_a_program_that_is_missing_is_named_with_its_package(
    machine: dict[str, str], program: str, package: str
) -> None:
    Path(machine["PATH"], program).unlink()
    told = refused(machine)
    assert told.startswith(f"cluster: the program `{program}` is not installed (Debian: ")
    assert package in told
    assert os.listdir(machine["XDG_CACHE_HOME"]) == []


def test_a_user_whose_path_lacks_what_is_root_s(machine: dict[str, str]) -> None:
    """Debian's users have no sbin in theirs; that it needs root is what they have to know."""
    Path(machine["PATH"], "mkfs.ext4").unlink()
    assert refused(machine, *as_a_user()) == "cluster: making the image of a node needs root"
    assert os.listdir(machine["XDG_CACHE_HOME"]) == []


def as_a_user() -> tuple[str, ...]:
    """What a command is run by, for it to be another's than root's."""
    if os.geteuid() != 0:
        return ()
    unshare = shutil.which("unshare")
    assert unshare is not None
    return (unshare, "--map-user=1000")


@as_root
def test_a_disk_that_is_full(machine: dict[str, str]) -> None:
    """In a mount namespace of its own, which is gone with it."""
    unshare = shutil.which("unshare")
    assert unshare is not None
    cache = machine["XDG_CACHE_HOME"]
    script = f'/bin/mount -t tmpfs -o size=64m tmpfs "{cache}" && exec "$@"'
    told = refused(machine, unshare, "--mount", "/bin/sh", "-c", script, "sh")
    assert "MiB free, and a cluster takes 6144: free some, or set XDG_CACHE_HOME" in told


@as_root
def test_one_that_runs_already_made_from_another_cache(machine: dict[str, str]) -> None:
    """In a mount namespace of its own: the memory of clusters is the machine's, and one may run there."""
    programs = {name: shutil.which(name) for name in ("unshare", "flock")}
    assert all(programs.values())
    lock = f"/dev/shm/{LOCK.name}"
    script = f"""/bin/mount -t tmpfs -o size=2g tmpfs /dev/shm &&
        printf 4711 >{lock} && exec {programs["flock"]} {lock} "$@" """
    told = refused(machine, str(programs["unshare"]), "--mount", "/bin/sh", "-c", script, "sh")
    running = "a cluster runs on this machine already, as process 4711"
    assert told == f"cluster: {running}: end that one first (Ctrl-C, or `kill`)"

"""`make apitest` on a machine that lacks what it needs: one line says what to install."""

import contextlib
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.deploy.conftest import ROOT

NEEDED = ("bash", "env", "dirname", "awk", "cut", "cat", "sh")


@pytest.fixture
def bare(tmp_path: Path) -> dict[str, str]:
    """The environment of a machine with the most ordinary commands, and nothing built yet."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for command in NEEDED:
        found = shutil.which(command)
        assert found is not None
        (folder / command).symlink_to(found)
    return {"PATH": str(folder), "XDG_CACHE_HOME": str(tmp_path / "cache"), "HOME": str(tmp_path)}


def build(environment: dict[str, str], *arguments: str) -> tuple[int, str, str]:
    command = [str(ROOT / "hack" / "apiserver" / "build.sh"), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def program(environment: dict[str, str], name: str, text: str) -> Path:
    path = Path(environment["PATH"]) / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_without_go_one_line_says_what_to_install(bare: dict[str, str]) -> None:
    status, out, err = build(bare)
    assert (status, out) == (1, "")
    assert err == "no kube-apiserver and no Go: apt-get install golang-go, or set KUBEBUILDER_ASSETS\n"


def test_a_go_that_is_too_old_and_can_fetch_no_other_says_which_to_install(bare: dict[str, str]) -> None:
    program(bare, "go", 'case "$1" in env) echo linux;; *) exit 1;; esac')
    status, out, err = build(bare)
    assert (status, out) == (1, "")
    assert err.splitlines()[-1].startswith("no Go new enough and none to be had: install go1.")


def test_a_minor_that_is_not_pinned_is_refused_with_those_that_are(bare: dict[str, str]) -> None:
    bare["KUBERNETES"] = "1.33"
    assert build(bare) == (1, "", "KUBERNETES=1.33 is not pinned here: 1.34 1.35 1.36 1.37 are\n")


def test_a_minor_that_was_asked_for_is_not_taken_from_the_path(bare: dict[str, str]) -> None:
    program(bare, "kube-apiserver", "exit 0")
    bare["KUBERNETES"] = "1.36"
    status, out, err = build(bare)
    assert (status, out) == (1, "")
    assert err == "no kube-apiserver and no Go: apt-get install golang-go, or set KUBEBUILDER_ASSETS\n"


@pytest.mark.parametrize("by", ["PATH", "KUBEBUILDER_ASSETS"])
def test_one_that_is_there_is_taken(bare: dict[str, str], tmp_path: Path, by: str) -> None:
    there = program(bare, "kube-apiserver", "exit 0")
    if by == "KUBEBUILDER_ASSETS":
        there = there.rename(tmp_path / "kube-apiserver")
        bare[by] = str(tmp_path)
    assert build(bare) == (0, f"{there}\n", "")


@pytest.fixture
def builder(bare: dict[str, str]) -> dict[str, str]:
    """With what a build calls, and a Go that compiles at once."""
    for command in ("mkdir", "mv", "ln", "nice", "basename", "chmod", "flock", "sleep", "rm"):
        found = shutil.which(command)
        assert found is not None
        Path(bare["PATH"], command).symlink_to(found)
    program(bare, "go", COMPILER)
    return bare


COMPILER = 'while [ $# -gt 0 ]; do [ "$1" != -o ] || { echo >"$2"; chmod +x "$2"; }; shift; done'


def test_a_build_that_outlives_who_asked_for_it_is_waited_for(
    builder: dict[str, str], tmp_path: Path
) -> None:
    """kill -9 ends the script, and not the compiler."""
    told, finish = tmp_path / "told", tmp_path / "finish"
    slow = f"echo begins >>{told}; until [ -e {finish} ]; do sleep 0.05; done; {COMPILER}; echo ends >>{told}"
    program(builder, "go", f"[ $1 = build ] || exit 0; {slow}")
    command = [str(ROOT / "hack" / "apiserver" / "build.sh"), "--all"]
    with subprocess.Popen(command, env=builder, stderr=subprocess.DEVNULL) as killed:
        until(told.exists)
        killed.kill()
    with subprocess.Popen(command, env=builder, stdout=subprocess.PIPE, text=True) as second:
        until(lambda: waits_for_a_lock(second.pid))
        finish.touch()
        out, _ = second.communicate()
    assert Path(out.strip()).exists()
    assert told.read_text().split() == ["begins", "ends"] * 2


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def waits_for_a_lock(pid: int) -> bool:
    """Whether that is all it does."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    with contextlib.suppress(FileNotFoundError):  # a child has ended
        return [Path(f"/proc/{child}/comm").read_text() for child in children] == ["flock\n"]
    return False


def test_a_kubernetes_that_was_built_whole_is_the_api_server_too(builder: dict[str, str]) -> None:
    status, whole, _ = build(builder, "--all")
    assert status == 0
    status, alone, err = build(builder)
    assert (status, err) == (0, "")
    assert Path(alone.strip()).resolve() == Path(whole.strip())

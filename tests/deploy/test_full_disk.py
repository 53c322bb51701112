"""A disk that fills up while something is built on it: the last line says so, and the next run starts anew.

The programs that build are stand-ins, which write what they are asked for; one of them finds no space for it.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.disks import Disk, a_disk

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="left out here: a disk of a test's own needs root")

PROGRAMS = (
    *("go", "buildah", "mmdebstrap", "mkfs.ext4", "qemu-img", "qemu-system-x86_64"),
    *("systemctl", "etcd", "openssl"),
)
# `fails`, beside the disk, has words of the call that there is no space for.
STAND_IN = """\
#!/bin/sh
called="$(basename "$0") $*"
case $called in
"go build "*) while [ "$1" != -o ]; do shift; done; to=$2 ;;
"go "*) exit ;;
"buildah "*" push "*) to=${called##*docker-archive:}; to=${to%%:localhost*} ;;
"buildah "*) to=$2/layer; mkdir -p "$2" ;;
"qemu-img --version") echo "qemu-img version 1"; exit ;;
qemu-system*) echo "no machine here" >&2; exit 1 ;;
systemctl*) exit ;;
*.tar | *.ext4 | *.qcow2) to=${called##* } ;;
*) to=${called##* }/boot/vmlinuz-1; mkdir -p "${to%/*}"; echo >"${to%/*}/initrd.img-1" ;;
esac
fails=$XDG_CACHE_HOME/../fails
if [ -e "$fails" ] && [ "${called#*"$(cat "$fails")"}" != "$called" ]; then
  rm "$fails"
  mount -o remount,size=8m "$XDG_CACHE_HOME"
  dd if=/dev/zero of="$to" bs=1M count=32 || exit 1
fi
echo whole >"$to"
chmod +x "$to"
"""


def last_line(disk: Disk, *argv: str, without_space_for: str) -> str:
    """Of what the program says when it fails for that."""
    (disk.place.parent / "fails").write_text(without_space_for)
    done = disk.run(*argv)
    assert not (disk.place.parent / "fails").exists(), "nothing has asked for it"
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    return done.stderr.splitlines()[-1]


@pytest.fixture
def disk() -> Iterator[Disk]:
    with a_disk() as made:
        for name in PROGRAMS:
            (made.bin / name).write_text(STAND_IN)
            (made.bin / name).chmod(0o755)
        yield made


TOOLS = "nodeeni-tools"
PREPARE = (sys.executable, "-m", "hack.cluster", "--prepare")
MACHINE = "debian-12-none-i440fx-containerd-"
NO_MACHINE = " was not made: no machine here"


def test_of_an_api_server(disk: Disk) -> None:
    build = ("hack/apiserver/build.sh", "--all")
    told = last_line(disk, *build, without_space_for="go build")
    what, _, rest = told.partition(", and ")
    assert what.startswith("kubernetes v1.")
    assert what.endswith(" was not built (see above)")
    assert rest.startswith(f"{disk.place / TOOLS} has ")
    assert rest.endswith(" MiB free: free some, or set XDG_CACHE_HOME")
    assert disk.files() == set()
    disk.grow()
    assert disk.run(*build).returncode == 0


@pytest.mark.parametrize(
    "step", ["mmdebstrap", "debian:12-slim", "nodeeni:tree .", " push ", "go build", "pause:1"]
)
def test_of_the_image(disk: Disk, step: str) -> None:
    """What was whole before stays; buildah's own store is its own business."""
    build = ("hack/cluster/images.sh", str(disk.place))
    told = last_line(disk, *build, without_space_for=step)
    assert told.startswith(f"the image of this tree was not built (see above), and {disk.place} has ")
    assert told.endswith(" MiB free: free some, or set XDG_CACHE_HOME")
    assert disk.files() - {"store/layer"} <= {"base.tar"}
    disk.grow()
    done = disk.run(*build)
    assert done.returncode == 0, done.stderr
    made = Path(done.stdout.strip()).relative_to(disk.place)
    assert disk.files() - {"store/layer"} == {"base.tar", f"{made}/nodeeni.tar", f"{made}/pause.tar"}


@pytest.mark.parametrize(
    ("step", "what"),
    [
        ("go build -modfile", "hack/apiserver/build.sh has failed: kubernetes v1."),
        (
            " push ",
            "hack/cluster/images.sh has failed: the image of this tree was not built (see above), and ",
        ),
        ("--include=linux-image-amd64", "base-bookworm was not made: "),
        ("--include=containerd", MACHINE),
        ("mkfs.ext4", MACHINE),
        ("qemu-img create", MACHINE),
    ],
)
def test_of_a_cluster(disk: Disk, step: str, what: str) -> None:
    told = last_line(disk, *PREPARE, without_space_for=step)
    assert told.startswith(f"cluster: {what}")
    assert f"{disk.place / TOOLS}" in told
    assert " MiB free: free some, or set XDG_CACHE_HOME" in told
    assert [name for name in disk.files() if "making-" in name or ".new" in name or MACHINE in name] == []
    disk.grow()
    assert disk.run(*PREPARE).stderr.endswith(f"{NO_MACHINE}\n")  # as far as the stand-ins go


def test_which_left_no_word_of_what_runs_machines_here(disk: Disk) -> None:
    """The file was made, and there was no space for what is to stand in it."""
    machines = disk.place / TOOLS / "machines"
    disk.run("mkdir", str(machines))
    disk.run("touch", str(machines / "accelerator"))
    assert disk.run(*PREPARE).stderr.endswith(f"{NO_MACHINE}\n")

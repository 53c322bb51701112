"""The disk fills up while a machine of a new image boots: QEMU keeps it waiting for good, and we end it."""

import sys

import pytest
from tests.disks import a_disk

from nodeeni.sandbox.machines.images import cache

pytestmark = pytest.mark.timeout(900)


def test_of_an_image_that_is_being_booted() -> None:
    bases = list(cache().glob("base-bookworm-????????????"))
    with a_disk() as disk:
        machines = disk.place / "nodeeni-tools" / "machines"
        for base in bases:  # made by other tests, as a rule
            disk.run("mkdir", str(machines))
            assert disk.run("cp", "-a", str(base), str(machines)).returncode == 0
        done = disk.run(sys.executable, "-m", "tests.nodes.filling")
        assert done.returncode == 0, done.stderr
        told, seconds, made = done.stdout.splitlines()
        assert told.startswith(
            f"debian-12-none-i440fx was not made: {machines} has 0 MiB free: free some, or "
        )
        assert told.endswith("(the machine has gone: writing its disk: No space left on device)")
        assert float(seconds) < 30
        assert made.endswith(
            tuple(name.split("/")[2] for name in disk.files() if name.endswith("/disk.qcow2"))
        )
        assert [name for name in disk.files() if "/making-" in name] == []
        print(f"{seconds} s")

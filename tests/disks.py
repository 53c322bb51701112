"""A disk of a test's own, to be filled: a tmpfs in a mount namespace, gone with the test. As root."""

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.deploy.conftest import ROOT

LARGE = "7g"


class Disk:
    """Mounted at `place` for those who are in its namespace, as XDG_CACHE_HOME. Beside it, and not full:
    `bin`, whose programs come first."""

    def __init__(self, place: Path, process: subprocess.Popen[str]) -> None:
        self.place, self._process = place, process
        self.bin = place.parent / "bin"

    def run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        enter = ("nsenter", f"--target={self._process.pid}", "--mount", "--")
        path = f"{self.bin}:{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "XDG_CACHE_HOME": str(self.place)}
        environment.pop("KUBERNETES", None)
        return subprocess.run(
            [*enter, "sh", "-c", 'cd "$0" && exec "$@"', str(ROOT), *argv],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def grow(self) -> None:
        assert self.run("mount", "-o", f"remount,size={LARGE}", str(self.place)).returncode == 0

    def files(self) -> set[str]:
        """What is there, locks apart."""
        root = Path(f"/proc/{self._process.pid}/root{self.place}")
        return {
            str(file.relative_to(root))
            for file in root.rglob("*")
            if file.is_file() and not file.name.endswith("lock")
        }


@contextlib.contextmanager
def a_disk() -> Iterator[Disk]:
    """Its path is short: sockets of machines are below it, and their paths may not be long. The machine's
    shared memory is another there: a cluster may run in that."""
    mounts = f'mount -t tmpfs -o size={LARGE} tmpfs "$0" && mount -t tmpfs -o size=2g tmpfs /dev/shm'
    script = f'{mounts} && mkdir "$0/nodeeni-tools" && echo && exec cat'
    with tempfile.TemporaryDirectory(prefix="disk-") as folder:
        place = Path(folder, "cache")
        place.mkdir()
        command = ("unshare", "--mount", "sh", "-c", script, str(place))
        with subprocess.Popen(
            command,
            stdin=subprocess.PIPE,  # it ends with that, also where we are killed
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            disk = Disk(place, process)
            disk.bin.mkdir()
            yield disk

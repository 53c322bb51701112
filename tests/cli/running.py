"""The commands as people run them: processes with plain output, read to their end or line by line."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).parents[2]
NODEENI = (sys.executable, "-m", "nodeeni.cli.main")


def nodeeni(*arguments: str, timeout: float = 60.0) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*NODEENI, *arguments], capture_output=True, text=True, timeout=timeout, check=False
    )


def until(condition: Callable[[], Any], timeout: float = 30.0) -> None:
    """Wait until `condition()` is true. It is looked at often: what is awaited lies in other processes."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.1)


class Started:
    """A command that runs until it is told to end; `output` has what it has printed so far."""

    def __init__(self, *arguments: str, environment: dict[str, str], log: Path) -> None:
        self._log = log
        with log.open("w") as output:
            self.process = subprocess.Popen(
                [*NODEENI, *arguments], stdout=output, stderr=output, env=environment
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    @property
    def output(self) -> str:
        return self._log.read_text()

    def end(self, with_signal: signal.Signals = signal.SIGTERM) -> int:
        """The exit status."""
        self.process.send_signal(with_signal)
        return self.process.wait(timeout=20)


@contextmanager
def started(*arguments: str, log: Path, environment: dict[str, str] | None = None) -> Iterator[Started]:
    """`environment` comes on top of ours."""
    with Started(*arguments, environment={**os.environ, **(environment or {})}, log=log) as running:
        yield running


def children_of(pid: int) -> dict[str, int]:
    """Our own processes below `pid`: process id by what it is (`controller`, `manager`)."""
    found = {}
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((directory / "stat").read_text().rpartition(")")[2].split()[1])
            argv = (directory / "cmdline").read_bytes().decode().split("\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if parent == pid and "nodeeni.cli.main" in argv:
            found[argv[argv.index("nodeeni.cli.main") + 1]] = int(directory.name)
    return found

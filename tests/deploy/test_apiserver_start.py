"""A real API server that does not start: said once for all tests, and nothing of it is left running."""

import os
import subprocess
import sys
from pathlib import Path

from tests.deploy.conftest import ROOT

TWICE = """
from hack.apiserver.processes import StartError, the_server
for _ in range(2):
    try:
        the_server()
    except StartError as error:
        print(error)
"""


def program(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_a_start_that_fails_is_remembered_and_leaves_nothing(tmp_path: Path) -> None:
    started = tmp_path / "started"
    program(tmp_path / "etcd", f'echo "$$ $PWD" >>{started}; exec sleep 60')
    program(tmp_path / "refusing", 'echo "invalid argument of a newer version" >&2; exit 1')
    environment = {
        **os.environ,
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "NODEENI_APISERVER": str(tmp_path / "refusing"),
    }
    # Its parent lives on, as a run of tests does: what still runs afterwards was left behind.
    script = f"{TWICE}\nimport time\nprint('told', flush=True)\ntime.sleep(60)"
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        told = "".join(iter(process.stdout.readline, "told\n"))
        assert told.count("invalid argument of a newer version") == 2
        (only,) = started.read_text().splitlines()
        etcd, _, directory = only.partition(" ")
        assert not Path("/proc", etcd).exists()
        assert not Path(directory).exists()
        process.kill()

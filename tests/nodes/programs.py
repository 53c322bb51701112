"""Programs of others that are tried with the ENI manager, built once, in the versions of outside/go.mod."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from nodeeni.sandbox.machines.images import cache

_HERE = Path(__file__).with_name("outside")
HOST_DEVICE = "github.com/containernetworking/plugins/plugins/main/host-device"
SECCOMP = "./seccomp"


def program(package: str, module: Path = _HERE) -> Path:
    """Built statically, outside the tree, in the version that the module says. Skips the test without Go."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("the program `go` is not installed (Debian: golang-go)")
    made_from = [file.read_bytes() for file in (module / "go.sum", *module.glob("*/*.go"))]
    place = cache() / f"outside-{hashlib.sha256(b''.join(made_from)).hexdigest()[:12]}"
    built = place / package.rsplit("/", 1)[1]
    if not built.exists():
        place.mkdir(parents=True, exist_ok=True)
        argv = [go, "build", "-trimpath", "-ldflags=-s -w", "-o", f"{built}.new", package]
        environment = {**os.environ, "CGO_ENABLED": "0"}
        subprocess.run(["nice", *argv], cwd=module, env=environment, check=True)
        Path(f"{built}.new").rename(built)
    return built

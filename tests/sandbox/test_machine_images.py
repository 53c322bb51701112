"""Where images of machines are made: a process that was killed there leaves a gigabyte."""

import os
from pathlib import Path

import pytest

from nodeeni.sandbox.machines.images import Image, ImageError, built

PROGRAMS = {"mmdebstrap": "echo no mirror >&2; exit 1", "qemu-img": "echo qemu-img version 1"}

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="left out here: making an image needs root")


async def test_what_a_killed_process_left_of_an_image_goes_before_it_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in PROGRAMS.items():
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    machines = tmp_path / "nodeeni-tools" / "machines"
    of_another = machines / "making-base-trixie-k2j_1aab"
    for left in (machines / "making-base-bookworm-k2j_1aab", of_another):
        (left / "root" / "etc").mkdir(parents=True)
    with pytest.raises(ImageError, match="mmdebstrap: no mirror"):
        await built(Image(), lambda _text: None)
    assert list(machines.glob("making-*")) == [of_another]

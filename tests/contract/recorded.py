"""Answers of a real kube-apiserver, recorded, and the comparison with them."""

import os
from pathlib import Path
from typing import Any

import msgspec
from tests.contract.processes import real_is_wanted

RECORDINGS = Path(__file__).parent / "recordings"
RECORDING = bool(os.environ.get("NODEENI_RECORD")) and real_is_wanted()


def compared(name: str, answered: list[dict[str, Any]]) -> None:
    """Fails at the first answer that is not the recorded one. When recording, keeps these answers."""
    file = RECORDINGS / f"{name}.json"
    if RECORDING:
        RECORDINGS.mkdir(exist_ok=True)
        file.write_bytes(msgspec.json.format(msgspec.json.encode(answered), indent=1) + b"\n")
    recorded = msgspec.json.decode(file.read_bytes())
    assert [line["request"] for line in answered] == [line["request"] for line in recorded]
    for mine, theirs in zip(answered, recorded, strict=True):
        assert mine == theirs, mine["request"]

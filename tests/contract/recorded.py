"""Answers of a real kube-apiserver, recorded, and the comparison with them.

They are answers about the custom resources as they were defined then, so those definitions stand beside the
answers and are what the scenes install: a field that came later is no matter of theirs. What may not happen
unseen is that a recorded rule changes: `test_definitions_recorded.py`.
"""

import os
from pathlib import Path
from typing import Any

import msgspec
import yaml
from tests.contract.processes import real_is_wanted

from nodeeni.api.crd import manifests

RECORDINGS = Path(__file__).parent / "recordings"
DEFINITIONS = RECORDINGS / "definitions"
RECORDING = bool(os.environ.get("NODEENI_RECORD")) and real_is_wanted()


def definitions() -> dict[str, Any]:
    """File name → manifest of our CRDs as they were recorded; when recording, as they are now."""
    if RECORDING:
        DEFINITIONS.mkdir(parents=True, exist_ok=True)
        for name, manifest in manifests().items():
            (DEFINITIONS / name).write_text(yaml.safe_dump(manifest, sort_keys=False, width=110))
    return {path.name: yaml.safe_load(path.read_text()) for path in sorted(DEFINITIONS.iterdir())}


def schema_of(manifest: dict[str, Any]) -> dict[str, Any]:
    (version,) = manifest["spec"]["versions"]
    schema: dict[str, Any] = version["schema"]["openAPIV3Schema"]
    return schema


def recorded_fields() -> set[str]:
    """The fields of a NodeENI's spec that the recordings know."""
    manifest = next(m for m in definitions().values() if m["spec"]["names"]["kind"] == "NodeENI")
    return set(schema_of(manifest)["properties"]["spec"]["properties"])


def compared(name: str, answered: list[dict[str, Any]]) -> None:
    """Fails at the first answer that is not the recorded one. When recording, keeps these answers."""
    file = RECORDINGS / f"{name}.json"
    if RECORDING:
        RECORDINGS.mkdir(exist_ok=True)
        file.write_bytes(msgspec.json.format(msgspec.json.encode(answered), indent=1) + b"\n")
    recorded = msgspec.json.decode(file.read_bytes())
    assert [line["request"] for line in answered] == [line["request"] for line in recorded]
    for mine, theirs in zip(answered, recorded, strict=True):
        assert mine == theirs or _of_another_minor(mine) == _of_another_minor(theirs), mine["request"]


# What a newer kube-apiserver words otherwise than the recorded 1.34: a rule's refusal, and a label key's.
_WORDED_ANEW = (
    (r"Invalid value: \"object\": ", "Invalid value: "),
    ("a qualified name must", "a valid label key must"),
)


def _of_another_minor(line: dict[str, Any]) -> Any:
    """On a real API server alone: what the sandbox's says is compared word for word."""
    text = msgspec.json.encode(line).decode()
    for old, new in _WORDED_ANEW if real_is_wanted() else ():
        text = text.replace(old, new)
    return msgspec.json.decode(text)

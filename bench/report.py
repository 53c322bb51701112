"""Results for people and for machines: a table in the terminal, JSON, and docs/benchmarks.md."""

import platform
from collections.abc import Sequence
from pathlib import Path

import msgspec

from .result import Result


def show(result: Result) -> None:
    print(f"\n{result.title}   [{result.name}, {result.seconds} s, load {result.load}]")
    for name, value in result.figures.items():
        print(f"  {name:<28} {_text(value)}")
    for promise in result.promises:
        word = "kept  " if promise.kept else "BROKEN"
        print(f"  {word} {promise.what}: {promise.value:g}, promised {promise.how} {promise.limit:g}")


def _text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {count}" for key, count in value.items()) or "none"
    return f"{value}"


def write_json(results: Sequence[Result], path: str) -> None:
    whole = {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "results": [msgspec.to_builtins(result) for result in results],
    }
    Path(path).write_bytes(msgspec.json.format(msgspec.json.encode(whole), indent=1))

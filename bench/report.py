"""Results for people and for machines: a table in the terminal, JSON, and docs/benchmarks.md."""

import os
import platform
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench.plots import attached_over_time
from bench.result import Result

TEXT = Path(__file__).parent / "benchmarks.md.in"
PLOTTED = ("attach-50", "attach-1000")


class Run(msgspec.Struct):
    """All that one call of `python -m bench` measured."""

    day: str
    python: str
    machine: str
    cores: int
    results: list[Result]


def run_of(results: Sequence[Result]) -> Run:
    return Run(
        day=time.strftime("%Y-%m-%d"),
        python=platform.python_version(),
        machine=f"{platform.system()} {platform.machine()}",
        cores=os.cpu_count() or 0,
        results=list(results),
    )


def show(result: Result) -> None:
    print(f"\n{result.title}   [{result.name}, {result.seconds} s, load {result.load}]")
    for name, value in result.figures.items():
        print(f"  {name:<28} {_text(value)}")
    for promise in result.promises:
        word = "kept  " if promise.kept else "BROKEN"
        print(
            f"  {word} {promise.what}: {promise.value:g}, promised {promise.how} {promise.limit:g}",
            flush=True,
        )


def write_json(run: Run, path: str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_bytes(msgspec.json.encode(run) + b"\n")


def read_json(path: str) -> Run:
    return msgspec.json.decode(Path(path).read_bytes(), type=Run)


def write_docs(run: Run, directory: str) -> None:
    """`benchmarks.md` and its plots, from the text beside this file and the figures of one run."""
    folder = Path(directory)
    (folder / "benchmarks").mkdir(parents=True, exist_ok=True)
    for result in run.results:
        if result.name in PLOTTED and result.curve is not None:
            plot = attached_over_time(result.curve, f"ENIs attached: {result.title}")
            (folder / "benchmarks" / f"{result.name}.svg").write_text(plot)
    text = TEXT.read_text()
    for mark, part in (
        ("@MACHINE@", f"{run.day}, Python {run.python}, {run.machine}, {run.cores} cores"),
        ("@PROMISES@", _promises(run.results)),
        ("@FIGURES@", "\n".join(_figures(result) for result in run.results)),
    ):
        text = text.replace(mark, part)
    (folder / "benchmarks.md").write_text(text.rstrip() + "\n")


def _promises(results: Sequence[Result]) -> str:
    rows = ["| scenario | what | measured | promised | |", "|---|---|---|---|---|"]
    for result in results:
        for promise in result.promises:
            word = "kept" if promise.kept else "**broken**"
            promised = f"{promise.how} {promise.limit:g}"
            rows.append(f"| {result.name} | {promise.what} | {promise.value:g} | {promised} | {word} |")
    return "\n".join(rows)


def _figures(result: Result) -> str:
    rows = [f"### {result.title}", "", f"`{result.command}`: {result.seconds:g} s, load {result.load:g}", ""]
    rows += ["| | |", "|---|---|"]
    rows += [f"| {name} | {_text(value)} |" for name, value in result.figures.items()]
    return "\n".join([*rows, ""])


def _text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {count}" for key, count in value.items()) or "none"
    return f"{value}"

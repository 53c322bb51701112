"""Results for people and for machines: a table in the terminal, JSON, and docs/benchmarks.md.

The page is made from the JSON files beside its plots, one for each kind of run, so that each kind is measured
without the others.
"""

import os
import platform
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench import peers
from bench.plots import attached_over_time
from bench.result import Compared, Result

TEXT = Path(__file__).parent / "benchmarks.md.in"
PLOTTED = ("attach-50", "attach-1000")
SANDBOX_FILE, REAL_FILE, AGENT_FILE, GUEST_FILE = "figures.json", "real.json", "agent.json", "guest.json"


class Run(msgspec.Struct):
    """All that one call of `python -m bench` measured. `server`: the API server, if not the sandbox's."""

    day: str
    python: str
    machine: str
    cores: int
    results: list[Result]
    server: str = ""


def run_of(results: Sequence[Result], server: str = "") -> Run:
    day = time.strftime("%Y-%m-%d")
    for result in results:
        result.day, result.real_time = day, os.sched_getscheduler(0) in (os.SCHED_FIFO, os.SCHED_RR)
    return Run(
        day=day,
        python=platform.python_version(),
        machine=f"{platform.system()} {platform.machine()}",
        cores=os.cpu_count() or 0,
        results=list(results),
        server=server,
    )


def show(result: Result) -> None:
    print(f"\n{result.title}   [{result.name}, {result.seconds} s, load {result.load}]")
    for name, value in result.figures.items():
        print(f"  {name:<28} {_text(value)}")
    if result.compared:
        print(f"  {'':<28} {'before':>9} {'now':>9} {'ratio':>7}  of each pair")
    for each in result.compared:
        print(f"  {each.what:<28} {each.before:>9.4g} {each.now:>9.4g} {_ratio(each):>7}  {_ratios(each)}")
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


def write_docs(run: Run, directory: str, file: str | None = None) -> None:
    """This run's JSON file (`file`: if it is not the controller's), with what else was measured before; then
    `benchmarks.md` and its plots, from the text here and all runs' files."""
    folder = Path(directory) / "benchmarks"
    kept = folder / (file or (REAL_FILE if run.server else SANDBOX_FILE))
    write_json(_with_those_before(run, _of_file(kept)), str(kept))
    files = (SANDBOX_FILE, REAL_FILE, AGENT_FILE, GUEST_FILE)
    sandbox, real, agent, guest = (_of_file(folder / name) for name in files)
    for result in sandbox.results:
        if result.name in PLOTTED and result.curve is not None:
            plot = attached_over_time(result.curve, f"ENIs attached: {result.title}")
            (folder / f"{result.name}.svg").write_text(plot)
    text = TEXT.read_text()
    for mark, part in (
        ("@MACHINE@", _machine(sandbox)),
        ("@PROMISES@", _promises(sandbox.results)),
        ("@PEERS@", peers.table(sandbox.results)),
        ("@FIGURES@", "\n".join(_figures(result) for result in sandbox.results)),
        ("@REAL_MACHINE@", f"{real.server}; {_machine(real)}"),
        ("@REAL_PROMISES@", _promises(real.results)),
        ("@REAL_FIGURES@", "\n".join(_side_by_side(result, sandbox.results) for result in real.results)),
        ("@AGENT_MACHINE@", _machine(agent)),
        ("@AGENT_LOADS@", ", ".join(f"{result.load:g}" for result in agent.results) or "not measured"),
        ("@AGENT_PROMISES@", _promises(agent.results)),
        ("@AGENT_FIGURES@", _in_columns(agent.results)),
        ("@GUEST_MACHINE@", _machine(guest)),
        ("@GUEST_PROMISES@", _promises(guest.results)),
        ("@GUEST_FIGURES@", _in_columns(guest.results)),
    ):
        text = text.replace(mark, part)
    (folder.parent / "benchmarks.md").write_text(text.rstrip() + "\n")


def _with_those_before(run: Run, before: Run) -> Run:
    """Scenarios that this run did not measure stay, with the day on which they were. One may have several
    results: a guest has one for each kind of link."""
    results: list[Result] = []
    for name in dict.fromkeys(each.name for each in (*before.results, *run.results)):
        results += _named(name, run) or _named(name, before)
    return msgspec.structs.replace(run, results=results)


def _named(name: str, run: Run) -> list[Result]:
    return [each for each in run.results if each.name == name]


def _of_file(file: Path) -> Run:
    return read_json(str(file)) if file.exists() else Run("not measured", "", "", 0, [])


def _machine(run: Run) -> str:
    days = sorted({result.day or run.day for result in run.results})
    when = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}" if days else run.day
    return f"{when}, Python {run.python}, {run.machine}, {run.cores} cores" if run.results else run.day


def _promises(results: Sequence[Result]) -> str:
    rows = ["| scenario | what | measured | promised | |", "|---|---|---|---|---|"]
    for result in results:
        for promise in result.promises:
            word = "kept" if promise.kept else "**broken**"
            promised = f"{promise.how} {promise.limit:g}"
            rows.append(f"| {result.name} | {promise.what} | {promise.value:g} | {promised} | {word} |")
    return "\n".join(rows)


def _figures(result: Result) -> str:
    rows = list(_heading(result))
    if result.figures:
        rows += ["| | |", "|---|---|"]
    rows += [f"| {name} | {_text(value)} |" for name, value in result.figures.items()]
    if result.compared:
        between = [""] if result.figures else []
        rows += [*between, "| | before | now | ratio | of each pair |", "|---|---|---|---|---|"]
    for each in result.compared:
        values = f"{each.before:.4g} | {each.now:.4g} | {_ratio(each)} | {_ratios(each)}"
        rows.append(f"| {each.what} | {values} |")
    return "\n".join([*rows, ""])


def _ratio(each: Compared) -> str:
    return f"{each.ratio:.3g}" if each.ratios else ""


def _ratios(each: Compared) -> str:
    return ", ".join(f"{ratio:.3g}" for ratio in sorted(each.ratios))


def _side_by_side(result: Result, others: Sequence[Result]) -> str:
    """A real server's figures beside the sandbox's of the same scenario."""
    twin = next((other for other in others if other.name == result.name.removeprefix("real-")), None)
    beside = twin.figures if twin else {}
    rows = [*_heading(result), "| | kube-apiserver | sandbox |", "|---|---|---|"]
    for name, value in result.figures.items():
        rows.append(f"| {name} | {_text(value)} | {_text(beside[name]) if name in beside else ''} |")
    return "\n".join([*rows, ""])


def _in_columns(results: Sequence[Result]) -> str:
    """One column a result, for those that did the same."""
    names = dict.fromkeys(name for result in results for name in result.figures)
    rows = ["| | " + " | ".join(result.title for result in results) + " |", "|---" * (len(results) + 1) + "|"]
    for name in names:
        found = (_text(result.figures[name]) if name in result.figures else "" for result in results)
        rows.append(f"| {name} | {' | '.join(found)} |")
    return "\n".join(rows)


def _heading(result: Result) -> list[str]:
    measured = f"`{result.command}`: {result.seconds:g} s, load {result.load:g}, {result.day}"
    measured += ", at real-time priority (`chrt -f 1`)" if result.real_time else ""
    return [f"### {result.title}", "", measured, ""]


def _text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {count}" for key, count in value.items()) or "none"
    return f"{value}"

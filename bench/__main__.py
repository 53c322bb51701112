"""`python -m bench [SCENARIO ...]`: measures, prints, and fails when a promise is broken."""

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Sequence

from . import real, report
from .result import Result
from .scenarios import QUICK, REAL, SCENARIOS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=", ".join([*SCENARIOS, *REAL]))
    parser.add_argument("--quick", action="store_true", help=f"only {', '.join(QUICK)}")
    parser.add_argument("--real", action="store_true", help=f"on a real API server: {', '.join(REAL)}")
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    parser.add_argument(
        "--docs", metavar="DIRECTORY", help="write benchmarks.md, its plots and figures there"
    )
    parser.add_argument(
        "--from", metavar="FILE", dest="source", help="measure nothing: take the figures of FILE"
    )
    given = parser.parse_args()
    chosen = given.scenarios or list(QUICK if given.quick else REAL if given.real else SCENARIOS)
    unknown = [name for name in chosen if name not in SCENARIOS and name not in REAL]
    if unknown:
        parser.error(f"no scenario {', '.join(unknown)}: there are {', '.join([*SCENARIOS, *REAL])}")
    on_real = [name for name in chosen if name in REAL]
    if on_real and on_real != chosen:
        parser.error("scenarios on a real API server are measured apart from the others")
    if on_real and not given.source and (lacking := real.missing()):
        parser.error(lacking)
    run = report.read_json(given.source) if given.source else _measured(chosen)
    if given.json:
        report.write_json(run, given.json)
    if given.docs:
        report.write_docs(run, given.docs)
    return 0 if all(result.kept for result in run.results) else 1


def _measured(names: Sequence[str]) -> report.Run:
    results = [result for name in names for result in _measure(name)]
    return report.run_of(results, real.versions() if names[0] in REAL else "")


def _measure(name: str) -> Sequence[Result]:
    load, began = os.getloadavg()[0], time.monotonic()
    results = asyncio.run(REAL[name]()) if name in REAL else [asyncio.run(SCENARIOS[name]())]
    for result in results:
        result.load, result.seconds = round(load, 2), round(time.monotonic() - began, 1)
        report.show(result)
    return results


if __name__ == "__main__":
    sys.exit(main())

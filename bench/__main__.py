"""`python -m bench [SCENARIO ...]`: measures, prints, and fails when a promise is broken."""

import argparse
import asyncio
import os
import sys
import time

from . import report
from .result import Result
from .scenarios import QUICK, SCENARIOS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=", ".join(SCENARIOS))
    parser.add_argument("--quick", action="store_true", help=f"only {', '.join(QUICK)}")
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    parser.add_argument("--docs", metavar="DIRECTORY", help="write benchmarks.md and its plots there")
    parser.add_argument(
        "--from", metavar="FILE", dest="source", help="measure nothing: take the figures of FILE"
    )
    given = parser.parse_args()
    unknown = [name for name in given.scenarios if name not in SCENARIOS]
    if unknown:
        parser.error(f"no scenario {', '.join(unknown)}: there are {', '.join(SCENARIOS)}")
    chosen = given.scenarios or (QUICK if given.quick else list(SCENARIOS))
    if given.source:
        run = report.read_json(given.source)
    else:
        run = report.run_of([_measure(name) for name in chosen])
    if given.json:
        report.write_json(run, given.json)
    if given.docs:
        report.write_docs(run, given.docs)
    return 0 if all(result.kept for result in run.results) else 1


def _measure(name: str) -> Result:
    load, began = os.getloadavg()[0], time.monotonic()
    result = asyncio.run(SCENARIOS[name]())
    result.load, result.seconds = round(load, 2), round(time.monotonic() - began, 1)
    report.show(result)
    return result


if __name__ == "__main__":
    sys.exit(main())

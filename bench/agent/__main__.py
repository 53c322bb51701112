"""The node agent's promises, measured as root: `python -m bench.agent`; fails when one is broken.

Event to up (one link at a time; bursts of 30), memory with the watch open over TLS, wake-ups at rest, and
CPU for 10,000 foreign events; beside a pyroute2 twin, a 30 s poll, and what the kernel itself takes.
"""

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable

from bench.agent.contenders import CONTENDERS
from bench.result import Result

from bench import report


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.agent", description=__doc__)
    parser.add_argument("--rest", type=float, default=60, help="seconds to count wake-ups in (60)")
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    parser.add_argument("--docs", metavar="DIRECTORY", help="write benchmarks.md and the figures there")
    parser.add_argument(
        "--from", metavar="FILE", dest="source", help="measure nothing: take the figures of FILE"
    )
    given = parser.parse_args()
    if given.source:
        run = report.read_json(given.source)
    else:
        run = report.run_of([_measure(contender, given.rest) for contender in CONTENDERS])
    if given.json:
        report.write_json(run, given.json)
    if given.docs:
        report.write_docs(run, given.docs, report.AGENT_FILE)
    return 0 if all(result.kept for result in run.results) else 1


def _measure(contender: Callable[[float], Awaitable[Result]], rest: float) -> Result:
    async def measured() -> Result:
        return await contender(rest)

    load, began = os.getloadavg()[0], time.monotonic()
    result = asyncio.run(measured())
    result.load, result.seconds = round(load, 2), round(time.monotonic() - began, 1)
    report.show(result)
    return result


if __name__ == "__main__":
    sys.exit(main())

"""Starts real controller processes quickly: everything is imported once, each controller is a fork of that.

Run as a module; it reads one JSON request a line and answers each with one line:
{"start": [flags], "environment": {...}, "log": path, "mutant": name or ""} → pid
{"wait": pid} → exit status
A controller is a process of its own, which signals reach like any other: kill -9 leaves it no time.
"""

import json
import os
import sys
from typing import Any

from tests.faults.mutants import MUTANTS

from nodeeni.cli import controller
from nodeeni.ec2 import client


def main() -> None:
    client._models()
    for line in sys.stdin:
        request = json.loads(line)
        answer = _start(request) if "start" in request else _wait(request["wait"])
        print(answer, flush=True)


def _start(request: dict[str, Any]) -> int:
    pid = os.fork()
    if pid == 0:
        os._exit(_controller(request))
    return pid


def _wait(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _controller(request: dict[str, Any]) -> int:
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(number, target)
    os.environ.clear()
    os.environ.update(request["environment"])
    try:
        if request["mutant"]:
            MUTANTS[request["mutant"]]()
        return controller.main(request["start"])
    except BaseException as error:  # whatever it is, the parent's stack is not to be run on with
        print(f"the controller failed: {error!r}", flush=True)
        return 70


if __name__ == "__main__":
    main()

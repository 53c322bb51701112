"""Starts real controller processes quickly: everything is imported once, each controller is a fork of that.

Run as a module; it reads one JSON request a line and answers each with one line:
{"start": [flags], "environment": {...}, "log": path, "mutant": name or ""} → pid
{"wait": pid} → exit status
A controller is a process of its own, which signals reach like any other: kill -9 leaves it no time.
"""

import ctypes
import json
import os
import signal
import sys
from functools import partial
from typing import Any

from tests.faults.mutants import MUTANTS

from nodeeni.cli import controller
from nodeeni.controller import memory
from nodeeni.ec2 import lookups, sdk
from nodeeni.ec2.errors import ErrorClass, RetryRule
from nodeeni.plan import places, refusal, wanted

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def main() -> None:
    sdk.models()
    _scale_down()
    for line in sys.stdin:
        request = json.loads(line)
        answer = _start(request) if "start" in request else _wait(request["wait"])
        print(answer, flush=True)


def _scale_down() -> None:
    """What the controller waits for in minutes, it waits for in seconds here, like its --read-lag."""
    wanted.STOPPED_RETRY = places.INDEX_RETRY = memory.INDEX_TAKEN = refusal.UNRESOLVED_RETRY = 2.0
    lookups.Ages = partial(lookups.Ages, instances=5.0, negative=1.0)  # type: ignore[assignment,misc]
    ErrorClass.UNKNOWN_OUTCOME.retry = RetryRule(first=0.5, factor=2, most=3, jitter=0.5)
    ErrorClass.NOT_READY.retry = RetryRule(first=1, factor=1.5, most=3)
    ErrorClass.REJECTED.retry = RetryRule(first=1, factor=1.5, most=3)
    ErrorClass.INDEX_TAKEN.retry = RetryRule(first=1, factor=2, most=5)


def _start(request: dict[str, Any]) -> int:
    pid = os.fork()
    if pid == 0:
        os._exit(_controller(request))
    return pid


def _wait(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _controller(request: dict[str, Any]) -> int:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # a broken run leaves nobody
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

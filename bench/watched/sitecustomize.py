"""Python runs this at its start where `bench/watched` is in PYTHONPATH, in the controller of whichever build.

It counts how long each step of the event loop keeps all others waiting, in seconds of the thread's own CPU:
the machine's other work is not in it. At the end of the process the longest ones are a line of its log.
"""

import asyncio
import atexit
import json
import sys
import time

_KEPT = 20
_longest: list[float] = []
_run = asyncio.Handle._run


def _timed(handle: asyncio.Handle) -> None:
    began = time.thread_time()
    _run(handle)
    took = time.thread_time() - began
    if took > 0.005:
        _longest.append(round(took, 4))
        if len(_longest) > 10 * _KEPT:
            _longest.sort(reverse=True)
            del _longest[_KEPT:]


def _tell() -> None:
    longest = json.dumps(sorted(_longest, reverse=True)[:_KEPT])
    print(f"longest steps of the event loop: {longest}", file=sys.stderr, flush=True)


setattr(asyncio.Handle, "_run", _timed)  # noqa: B010  # a name of asyncio's own
atexit.register(_tell)

"""Python runs this at its start where `bench/watched` is in PYTHONPATH, in the controller of whichever build.

It counts how long each step of the event loop keeps all others waiting, in seconds of the thread's own CPU:
the machine's other work is not in it. At SIGUSR2, and at the end of the process, two lines of its log tell of
the longest ones, whose they were and how much of each went into the search for garbage, and of the CPU of
each kind of task.
"""

import asyncio
import atexit
import gc
import json
import signal
import sys
import time
from collections import Counter
from typing import Any

_KEPT = 20
_longest: list[tuple[float, str, float]] = []
_of_tasks: dict[str, float] = {}
_garbage = [0.0, 0.0]  # when the search for it began, and how long all searches took
_run = asyncio.Handle._run


def _timed(handle: asyncio.Handle) -> None:
    who, collecting, began = _who(handle), _garbage[1], time.thread_time()
    _run(handle)
    took = time.thread_time() - began
    _of_tasks[who] = _of_tasks.get(who, 0.0) + took
    if took > 0.005:
        _longest.append((round(took, 4), who, round(_garbage[1] - collecting, 4)))
        if len(_longest) > 10 * _KEPT:
            _longest.sort(reverse=True)
            del _longest[_KEPT:]


def _who(handle: Any) -> str:
    """The coroutine of the task that goes on, or the function that is called."""
    called = handle._callback
    owner = getattr(called, "__self__", None)
    ours = owner.get_coro() if isinstance(owner, asyncio.Task) else called
    return str(getattr(ours, "__qualname__", ours))


def _on_garbage(phase: str, _: dict[str, int]) -> None:
    if phase == "start":
        _garbage[0] = time.thread_time()
    else:
        _garbage[1] += time.thread_time() - _garbage[0]


def _tell(*_: object) -> None:
    longest = json.dumps(sorted(_longest, reverse=True)[:_KEPT])
    print(f"longest steps of the event loop: {longest}", file=sys.stderr, flush=True)
    most = {who: round(took, 4) for who, took in Counter(_of_tasks).most_common(_KEPT)}
    print(f"CPU of tasks: {json.dumps(most)}", file=sys.stderr, flush=True)


setattr(asyncio.Handle, "_run", _timed)  # noqa: B010  # a name of asyncio's own
gc.callbacks.append(_on_garbage)
signal.signal(signal.SIGUSR2, _tell)
atexit.register(_tell)

"""One file a scenario; each gives its figures as a `Result`."""

from collections.abc import Callable, Coroutine
from functools import partial

from bench.result import Result

from .attach import attach
from .large import restart, steady

SIZES = (10, 50, 100, 200, 500, 1000)

SCENARIOS: dict[str, Callable[[], Coroutine[None, None, Result]]] = {
    **{f"attach-{size}": partial(attach, size) for size in SIZES},
    "restart-5000": restart,
    "steady-5000": steady,
}
QUICK = ["attach-10", "attach-50"]

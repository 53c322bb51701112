"""One file a scenario; each gives its figures as a `Result`, or two where one cluster serves both."""

from collections.abc import Callable, Coroutine, Sequence
from functools import partial

from bench.result import Result

from . import on_real
from .attach import attach
from .crowded import filling, rival
from .huge import huge
from .large import restart, steady
from .launched import launch_time
from .lives import lives
from .removal import dying, object_gone, removal
from .reported import reported
from .scale_out import scale_out
from .several import several

SIZES = (10, 50, 100, 200, 500, 1000)

SCENARIOS: dict[str, Callable[[], Coroutine[None, None, Result]]] = {
    **{f"attach-{size}": partial(attach, size, runs=5 if size <= 50 else 1) for size in SIZES},
    "scale-out": scale_out,
    "launch-time-1000": launch_time,
    "several-200x3": several,
    "remove-10": object_gone,
    "remove-200": removal,
    "dying-200": dying,
    "lives-6000": lives,
    "rival-half": rival,
    "subnet-fills": filling,
    "restart-5000": restart,
    "steady-5000": steady,
    "status-5000": reported,
    **{f"large-{count}": partial(huge, count) for count in (5000, 10_000, 20_000)},
}
REAL: dict[str, Callable[[], Coroutine[None, None, Sequence[Result]]]] = {
    "real-attach-1000": partial(on_real.attach, 1000),
    "real-large-5000": on_real.large,
}
QUICK = ["attach-10", "attach-50", "attach-100", "subnet-fills", "dying-200"]

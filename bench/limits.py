"""What EC2 itself allows: the line that no controller can cross. Times are seconds."""

from collections.abc import Sequence
from typing import Any

from nodeeni.sandbox.ec2 import Delay, EC2Settings
from nodeeni.sandbox.ec2.settings import USUAL_REPLIES

READ_SECONDS = 0.15  # subnet and groups are asked for before an ENI is made
CREATE_SECONDS = 0.6  # a Create, from sent to answered
ATTACH_SECONDS = 1.0  # from the Attach's arrival to `attached`
DETACH_SECONDS = 2.0
DELETE_SECONDS = 0.3
BURST = 50.0  # Attach and Detach: source "Request throttling for the Amazon EC2 API"
REFILL = 5.0  # calls a second


def steady_settings(**changes: Any) -> EC2Settings:
    """EC2 that takes the same time for each call of a kind: the limit below is then one number.

    Reads, Modify, Attach, Detach and Delete are answered as late as is usual.
    """
    replies = {action: Delay(usual.seconds) for action, usual in USUAL_REPLIES.items()}
    replies |= {
        "CreateNetworkInterface": Delay(CREATE_SECONDS),
        "DeleteNetworkInterface": Delay(DELETE_SECONDS),
    }
    times = {"attaching": Delay(ATTACH_SECONDS), "detaching": Delay(DETACH_SECONDS)}
    return EC2Settings(replies=replies, reply=Delay(READ_SECONDS), **times | changes)


def attach_limit(count: int, share: float = 1.0) -> float:
    """T(N): from the order to the last of `count` ENIs attached, with `share` of the bucket."""
    waiting = max(0.0, count - BURST * share) / (REFILL * share)
    return CREATE_SECONDS + ATTACH_SECONDS + waiting


def attach_line(count: int, share: float = 1.0) -> list[float]:
    """When the n-th ENI can be attached at the earliest, n = 1 to `count`."""
    return [attach_limit(n, share) for n in range(1, count + 1)]


def attached_at(born: Sequence[float]) -> list[float]:
    """When the ENIs of nodes that come at these moments, in order, can be attached at the earliest: each
    after its own Create, and when EC2's bucket, full before, has a token for it."""
    tokens, filled_at, found = BURST, float("-inf"), []
    for came in born:
        now = max(came + CREATE_SECONDS, filled_at)
        if filled_at > float("-inf"):
            tokens = min(BURST, tokens + (now - filled_at) * REFILL)
        wait = max(0.0, (1 - tokens) / REFILL)
        tokens, filled_at = tokens + wait * REFILL - 1, now + wait
        found.append(now + wait + ATTACH_SECONDS)
    return found


def removal_limit(count: int) -> float:
    """From the order to the last of `count` attached ENIs deleted."""
    return DETACH_SECONDS + max(0.0, count - BURST) / REFILL + DELETE_SECONDS


def node_lines(nodes: int, each: int) -> tuple[float, float, float]:
    """The earliest first, median and last complete node, when nodes are completed one after another."""
    first, median, last = each, each * ((nodes + 1) // 2), each * nodes
    return attach_limit(first), attach_limit(median), attach_limit(last)


def median(values: Sequence[float]) -> float:
    """The upper one of two."""
    return sorted(values)[len(values) // 2]

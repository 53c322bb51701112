"""Acting: one change of one link, in one batch that ends with a look at the result."""

import errno
import logging
from collections.abc import Callable
from typing import NamedTuple

from nodeeni.agent.link_plan import Aspect, Change
from nodeeni.agent.links import Links, add_altname, look, set_mtu, set_up
from nodeeni.agent.netlink import Reply, Request, RequestSocket

log = logging.getLogger(__name__)


class Outcome(NamedTuple):
    """The kernel's reply to each aspect of `change`."""

    change: Change
    replies: list[Reply]


def act(change: Change, requests: RequestSocket, links: Links) -> Outcome | None:
    """Make the change and take the result into `links`. None: the link has gone, as its event will say."""
    batch = [_REQUESTS[aspect](change.ifindex, value) for aspect, value in change.aspects()]
    *replies, seen = requests.batch([*batch, look(change.ifindex)])
    if seen.error == errno.ENODEV:
        links.remove(change.ifindex)
        return None
    links.apply(seen.messages)
    return Outcome(change, replies)


def tell(outcome: Outcome, corrections: int) -> None:
    """One line for the change, and one for each part that the kernel refused."""
    change = outcome.change
    if corrections or not all(reply.error for reply in outcome.replies):
        log.info(
            "link put right" if corrections else "link configured",
            extra={"link": change.name, "change": str(change), "listed": change.listed},
        )
    for (aspect, value), reply in zip(change.aspects(), outcome.replies, strict=True):
        if reply.error:
            refused = {"link": change.name, "aspect": aspect.value, "value": value, "reason": reply.reason}
            log.warning("the kernel refused a change", extra=refused)


def _mtu(ifindex: int, value: str) -> Request:
    return set_mtu(ifindex, int(value))


def _up(ifindex: int, _value: str) -> Request:
    return set_up(ifindex)


_REQUESTS: dict[Aspect, Callable[[int, str], Request]] = {
    Aspect.MTU: _mtu,
    Aspect.ALTNAME: add_altname,
    Aspect.UP: _up,
}

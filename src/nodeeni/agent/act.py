"""Acting: one change of one link, in as few requests as can be.

Each request waits for the kernel's one lock over all links (rtnl), for which whoever makes the links in a
burst contends too: fewer requests are what makes a burst quick. So nothing is read back: what the kernel
acknowledged is taken into the table, and its events, which are on their way, have the last word.
"""

import errno
import logging
from typing import NamedTuple

from nodeeni.agent.link_plan import Aspect, Change
from nodeeni.agent.links import Link, Links, add_altname, configure, look
from nodeeni.agent.netlink import Reply, RequestSocket

log = logging.getLogger(__name__)


class Outcome(NamedTuple):
    """The kernel's reply to each aspect of `change`, in the order of `change.aspects()`."""

    change: Change
    replies: list[Reply]


def act(change: Change, requests: RequestSocket, links: Links) -> Outcome | None:
    """Make the change and take the result into `links`. None: the link has gone, as its event will say."""
    aspects = [aspect for aspect, _value in change.aspects()]
    replies = _request(change, requests)
    if any(reply.error == errno.ENODEV for reply in replies.values()):
        links.remove(change.ifindex)
        return None
    link = links.by_index.get(change.ifindex)
    if link is not None:
        links.put(_changed(link, change, {aspect for aspect in aspects if not replies[aspect].error}))
    return Outcome(change, [replies[aspect] for aspect in aspects])


def look_again(change: Change, requests: RequestSocket, links: Links) -> None:
    """Read one link anew, where the table may lag: between two events of one change."""
    (seen,) = requests.batch([look(change.ifindex)])
    if seen.error == errno.ENODEV:
        links.remove(change.ifindex)
    else:
        links.apply(seen.messages)


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


def _request(change: Change, requests: RequestSocket) -> dict[Aspect, Reply]:
    """The name first, so that the event that shows the link up shows it too."""
    named = [] if change.altname is None else [add_altname(change.ifindex, change.altname)]
    both = change.mtu is not None and change.up
    rest = [] if change.mtu is None and not change.up else [configure(change.ifindex, change.mtu, change.up)]
    replies = requests.batch([*named, *rest])
    found = {Aspect.ALTNAME: replies[0]} if named else {}
    if both and replies[-1].error:  # one of the two was refused, and which is not told
        apart = [configure(change.ifindex, change.mtu, False), configure(change.ifindex, None, True)]
        found[Aspect.MTU], found[Aspect.UP] = requests.batch(apart)
    elif rest:
        found[Aspect.MTU] = found[Aspect.UP] = replies[-1]
    return found


def _changed(link: Link, change: Change, done: set[Aspect]) -> Link:
    if Aspect.MTU in done and change.mtu is not None:
        link = link._replace(mtu=change.mtu)
    if Aspect.ALTNAME in done and change.altname is not None:
        link = link._replace(altnames=(*link.altnames, change.altname))
    return link._replace(up=link.up or Aspect.UP in done)

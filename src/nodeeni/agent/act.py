"""Acting: the changes of one plan, in as few requests as can be and in one datagram.

Each request waits for the kernel's one lock over all links (rtnl), for which whoever makes the links in a
burst contends too: fewer requests are what makes a burst quick. So nothing is read back: what the kernel
acknowledged is taken into the table, and its events, which are on their way, have the last word.
"""

import errno
import itertools
import logging
from collections.abc import Collection, Sequence
from typing import NamedTuple

from nodeeni.agent.departures import Passage
from nodeeni.agent.link_plan import Aspect, Change
from nodeeni.agent.links import Link, Links, add_altname, configure, look, remove_altname
from nodeeni.agent.netlink import Reply, Request, RequestSocket
from nodeeni.logs import Lasting

log = logging.getLogger(__name__)


class Outcome(NamedTuple):
    """The kernel's reply to each aspect of `change`, in the order of `change.aspects()`; None: the link has
    gone, as its event will say."""

    change: Change
    replies: list[Reply] | None


def act(changes: Sequence[Change], requests: RequestSocket, links: Links) -> list[Outcome]:
    """Make the changes and take the results into `links`. One outcome a change, in their order."""
    asked = [_requests(change) for change in changes]
    replies = iter(requests.batch(itertools.chain.from_iterable(asked)))
    answers = [list(itertools.islice(replies, len(parts))) for parts in asked]
    return [
        _outcome(change, answer, requests, links) for change, answer in zip(changes, answers, strict=True)
    ]


def look_again(ifindices: Collection[int], requests: RequestSocket, links: Links) -> dict[int, Link | None]:
    """Read these links anew, where the table may lag: between two events of one change. Returns those that
    changed, as `Links.apply` does."""
    changed: dict[int, Link | None] = {}
    replies = requests.batch(look(ifindex) for ifindex in ifindices)
    for ifindex, seen in zip(ifindices, replies, strict=True):
        if seen.error == errno.ENODEV:
            changed[ifindex] = links.remove(ifindex)
        else:
            changed |= links.apply(seen.messages)
    return changed


def tell(outcome: Outcome, corrections: int, refusals: Lasting) -> None:
    """One line for the change, and for what the kernel refused one a reason, on however many links."""
    change, replies = outcome
    if replies is None:
        return
    if corrections or not all(reply.error for reply in replies):
        log.info(
            "link put right" if corrections else "link configured",
            extra={"link": change.name, "change": str(change), "listed": change.listed},
        )
    for (aspect, value), reply in zip(change.aspects(), replies, strict=True):
        if reply.error:
            refusals.met(
                (aspect, reply.reason),
                "the kernel refused a change",
                link=change.name,
                aspect=aspect.value,
                value=value,
                reason=reply.reason,
            )


def tell_passage(passage: Passage) -> None:
    """One line for a link that left, or came back."""
    what = "link is back" if passage.back else "link left"
    log.info(what, extra={"link": passage.name, "mac": passage.mac, "reason": passage.reason})


def _requests(change: Change) -> list[Request]:
    """The names first, so that the event that shows the link up shows them too."""
    index = change.ifindex
    parts = [] if change.former is None else [remove_altname(index, change.former)]
    parts += [] if change.altname is None else [add_altname(index, change.altname)]
    return parts + ([configure(index, change.mtu, change.alias, change.up)] if _in_one(change) else [])


def _in_one(change: Change) -> list[Request]:
    """The aspects that one request sets together, each as a request of its own."""
    index = change.ifindex
    parts = [] if change.mtu is None else [configure(index, mtu=change.mtu)]
    parts += [] if change.alias is None else [configure(index, alias=change.alias)]
    return parts + ([configure(index, up=True)] if change.up else [])


def _outcome(change: Change, answer: list[Reply], requests: RequestSocket, links: Links) -> Outcome:
    if len(together := _in_one(change)) > 1:
        if answer[-1].error:  # one of them was refused, and which is not told
            answer = [*answer[:-1], *requests.batch(together)]
        else:
            answer = answer[:-1] + [answer[-1]] * len(together)
    if any(reply.error == errno.ENODEV for reply in answer):
        links.remove(change.ifindex)
        return Outcome(change, None)
    link = links.by_index.get(change.ifindex)
    if link is not None:
        done = [part for part, reply in zip(change.aspects(), answer, strict=True) if not reply.error]
        links.put(_changed(link, done))
    return Outcome(change, answer)


def _changed(link: Link, done: list[tuple[Aspect, str]]) -> Link:
    for aspect, value in done:
        match aspect:
            case Aspect.MTU:
                link = link._replace(mtu=int(value))
            case Aspect.ALIAS:
                link = link._replace(alias=value)
            case Aspect.UP:
                link = link._replace(up=True)
            case Aspect.ALTNAME:
                link = link._replace(altnames=(*link.altnames, value))
            case Aspect.FORMER:
                link = link._replace(altnames=tuple(name for name in link.altnames if name != value))
    return link

"""Wrong controllers, each with one guard taken out: what the fault suite has to catch, or it proves nothing.

A mutant changes the code of the process that it is applied in, before the controller starts there.
"""

import asyncio
import secrets
from collections.abc import Callable
from typing import Any

import msgspec

from nodeeni.api import names
from nodeeni.controller import finalizers, leadership
from nodeeni.controller.rows import Rows
from nodeeni.ec2.inventory import Inventory
from nodeeni.ec2.overlay import AttachmentWrite, Record
from nodeeni.kube.errors import LeaseLost
from nodeeni.plan import conditions, policy, report
from nodeeni.plan.tally import Tally


def random_token() -> None:
    """Each Create carries another client token."""
    names.client_token = lambda **_: secrets.token_hex(16)


def one_observation() -> None:
    """One read without an interface proves it gone, however young it is."""
    Record.missing = lambda self, began, lag, gap: True  # type: ignore[method-assign]


def no_overlay() -> None:
    """What EC2 shows is believed over what it has answered."""
    AttachmentWrite.apply = lambda self, view: view  # type: ignore[method-assign]


def no_finalizer() -> None:
    """Interfaces are made for NodeENIs that can vanish without telling."""
    policy.RULES = tuple(rule for rule in policy.RULES if rule is not policy._finalizer)
    finalizers.Finalizers._set = _nothing  # type: ignore[method-assign,assignment]


def hasty_finalizer() -> None:
    """The finalizer goes with the first look that finds nothing."""
    finalizers.PROOFS = 0
    take = leadership.Leadership.take

    async def settled_at_once(self: leadership.Leadership) -> None:
        await take(self)
        self.settled_at = 0.0

    leadership.Leadership.take = settled_at_once  # type: ignore[method-assign]


def no_fence() -> None:
    """The lease is not asked before a call, and its loss ends nothing for two seconds."""
    keep = leadership.Leadership.keep

    async def kept_on(self: leadership.Leadership) -> None:
        try:
            await keep(self)
        except LeaseLost:
            await asyncio.sleep(2.0)
            raise

    leadership.Leadership.may_act = lambda self: True  # type: ignore[method-assign]
    leadership.Leadership.keep = kept_on  # type: ignore[method-assign]


def everything_is_ours() -> None:
    """The cluster tag is not looked at: what looks like ours is taken for ours."""

    async def refresh(self: Inventory, *, uid: str | None = None) -> None:
        began = self._clock()
        found = [i async for page in self._pages({"tag-key": [names.TAG_NODEENI]}, []) for i in page]
        self.observe(found, began, uid=uid)
        self.last_refresh = self._clock()

    Inventory.refresh = refresh  # type: ignore[method-assign]
    Inventory._is_ours = lambda self, interface: True  # type: ignore[method-assign]


def counts_rows_only() -> None:
    """A status is the sum of what is there: a node that has nothing, for whatever reason, is none."""

    def of(self: Rows, uid: str) -> Tally:
        rows = self._tallies.get(uid) or Tally()
        return Tally({node: row for node, row in rows.items() if row.interface is not None})

    Rows.of = of  # type: ignore[method-assign]


def edits_are_done() -> None:
    """What an edit changes in place counts as done while it is still to be done."""
    count = conditions.standing

    def standing(*arguments: Any, **more: Any) -> conditions.Standing:
        return msgspec.structs.replace(count(*arguments, **more), updating=0, unseen=0)

    report.standing = standing  # type: ignore[attr-defined]


def nothing_is_missed() -> None:
    """An interface that reads do not show any more is told to be there."""
    Inventory._missed = lambda self, eni_id, began: None  # type: ignore[method-assign]


async def _nothing(*_: object) -> None:
    return None


MUTANTS: dict[str, Callable[[], None]] = {
    mutant.__name__: mutant
    for mutant in (
        random_token,
        one_observation,
        no_overlay,
        no_finalizer,
        hasty_finalizer,
        no_fence,
        everything_is_ours,
        counts_rows_only,
        edits_are_done,
        nothing_is_missed,
    )
}

LIARS = ("counts_rows_only", "edits_are_done", "nothing_is_missed")

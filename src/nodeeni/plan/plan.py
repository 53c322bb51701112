"""One plan: what one node has, is to have, and what is to be done about it now."""

import msgspec

from nodeeni.plan.actions import Action
from nodeeni.plan.observed import Observed
from nodeeni.plan.policy import Decision
from nodeeni.plan.refusal import Refusal
from nodeeni.plan.rows import Row


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One decision about one node, printable as it is.

    `rows` tell of each NodeENI that has or is to have an interface here, with what has to wait; `refusals` of
    those that cannot be had. `vanishing` are interfaces that an ending instance takes along.
    """

    observed: Observed
    decision: Decision
    rows: tuple[Row, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    vanishing: tuple[str, ...] = ()

    @property
    def actions(self) -> tuple[Action, ...]:
        """All that is asked for, now or later."""
        return (*self.decision.allowed, *(refused.action for refused in self.decision.refused))

    @property
    def outline(self) -> dict[str, list[str]]:
        """As `--v=5` shows it: what is done now, what waits, and what cannot be had."""
        return {
            "now": [action.text for action in self.decision.allowed],
            "later": [f"{refused.action.text} ({refused.why.message})" for refused in self.decision.refused],
            "refused": [f"{refusal.nodeeni}: {refusal.reason}" for refusal in self.refusals],
            "states": [f"{row.nodeeni}: {row.state.value}" for row in self.rows],
        }

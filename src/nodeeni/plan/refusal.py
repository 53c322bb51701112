"""Why something is not to be had, or not now: one carrier, from whoever finds it out to whoever reads it.

Found out by names that do not resolve, taken places, a policy, EC2's answers and links that are not as asked;
read in a NodeENI's rows and its condition Degraded, in events, in the log and in `nodeeni plan`.
"""

import math
from typing import Protocol

import msgspec

from nodeeni.api.reasons import EventReason, RowReason
from nodeeni.api.v1alpha1 import NodeENI

UNRESOLVED_RETRY = 60.0  # seconds


class _Concerned(Protocol):
    """A wanted interface, or an action."""

    @property
    def nodeeni(self) -> str: ...
    @property
    def uid(self) -> str: ...


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """`message` is for people and has the way out; `reason` is its word, None of a wait that no row tells of.

    `retry_after`: seconds until it is looked at again; infinite: an event brings it back. `event`: under what
    people are told, None where they are not to hear of it yet. `nodeeni` and `uid`: whom it concerns; empty:
    every NodeENI.
    """

    reason: RowReason | None = None
    message: str
    retry_after: float = math.inf
    event: EventReason | None = None
    nodeeni: str = ""
    uid: str = ""

    @classmethod
    def of(
        cls,
        concerned: _Concerned,
        reason: RowReason | None,
        message: str,
        retry_after: float,
        event: EventReason | None = EventReason.ENI_CREATION_FAILED,
    ) -> "Refusal":
        return cls(
            reason=reason,
            message=message,
            retry_after=retry_after,
            event=event,
            nodeeni=concerned.nodeeni,
            uid=concerned.uid,
        )


def unresolved(nodeeni: NodeENI, reason: RowReason, message: str) -> Refusal:
    """What the NodeENI asks for cannot be had on this node as things are."""
    return Refusal(
        reason=reason,
        message=message,
        retry_after=UNRESOLVED_RETRY,
        event=EventReason.ENI_CREATION_FAILED,
        nodeeni=nodeeni.metadata.name,
        uid=nodeeni.metadata.uid,
    )

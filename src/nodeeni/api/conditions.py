"""Conditions of a NodeENI, by Kubernetes' rules: a transition time changes only with the status."""

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from nodeeni.api.reasons import ConditionReason, ConditionType
from nodeeni.api.v1alpha1 import Condition

_OURS = frozenset(str(kind) for kind in ConditionType)
_STATUSES: dict[bool | None, Literal["True", "False", "Unknown"]] = {
    True: "True",
    False: "False",
    None: "Unknown",
}


def condition(kind: str, holds: bool | None, reason: str, message: str) -> Condition:
    """A condition without times: `carried_over` gives it those. `holds` is None where nobody knows yet."""
    return Condition(type=kind, status=_STATUSES[holds], reason=reason, message=message)


def carried_over(
    now: str, generation: int, wanted: Iterable[Condition], before: Sequence[Condition]
) -> list[Condition]:
    """The wanted conditions with the transition times of those before, where the status is the same.

    `now` is RFC 3339; the CRD's default has no time. Conditions of types that are not ours are kept as
    they stand; of ours, what is not wanted goes.
    """
    known = {entry.type: entry for entry in before}
    result = []
    for entry in wanted:
        old = known.pop(entry.type, None)
        same = old is not None and old.status == entry.status and old.reason != ConditionReason.PENDING
        since = old.last_transition_time if old is not None and same else now
        result.append(
            msgspec.structs.replace(entry, last_transition_time=since, observed_generation=generation)
        )
    return result + [entry for entry in known.values() if entry.type not in _OURS]


def with_those_of_others(ours: Iterable[Condition], found: Iterable[Condition]) -> list[Condition]:
    """Of our types those of `ours`, of others' types those that were found."""
    of_others = [entry for entry in found if entry.type not in _OURS]
    return [entry for entry in ours if entry.type in _OURS] + of_others

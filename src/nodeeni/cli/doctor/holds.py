"""Removals that the controller holds, or delays, as it says in the condition Degraded of their NodeENI."""

from collections.abc import Iterable, Iterator

from nodeeni.api.reasons import DEGRADED, RowReason
from nodeeni.api.v1alpha1 import NodeENI
from nodeeni.cli.findings import Finding, note, wrong

_MARKS = {RowReason.REMOVAL_HELD.value: wrong, RowReason.REMOVAL_DELAYED.value: note}


def findings(nodeenis: Iterable[NodeENI]) -> Iterator[Finding]:
    for nodeeni in nodeenis:
        for condition in nodeeni.status.conditions:
            if condition.type == DEGRADED and condition.reason in _MARKS:
                told = f"{condition.reason}: {condition.message}"
                yield _MARKS[condition.reason](f"NodeENI {nodeeni.metadata.name}", told)

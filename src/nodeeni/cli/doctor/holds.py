"""What the controller leaves alone until a person says so, as the condition Degraded of its NodeENI has it:
removals that are held or delayed, ENIs with another cluster's id, which may be that of whoever asks here, and
those of v1.x or of a launch that do not fit.
"""

from collections.abc import Iterable, Iterator

from nodeeni.api.reasons import DEGRADED, RowReason
from nodeeni.api.v1alpha1 import NodeENI
from nodeeni.cli.findings import Finding, note, wrong

_MARKS = {
    RowReason.REMOVAL_HELD.value: wrong,
    RowReason.REMOVAL_DELAYED.value: note,
    RowReason.OTHER_CLUSTER_ID.value: wrong,
    RowReason.NOT_ADOPTED.value: wrong,
}


def findings(nodeenis: Iterable[NodeENI]) -> Iterator[Finding]:
    for nodeeni in nodeenis:
        for condition in nodeeni.status.conditions:
            if condition.type == DEGRADED and condition.reason in _MARKS:
                told = f"{condition.reason}: {condition.message}"
                yield _MARKS[condition.reason](f"NodeENI {nodeeni.metadata.name}", told)

"""NodeENIs that are being deleted and do not go: which finalizer holds them, and what it waits for."""

import datetime
from collections.abc import Iterable, Iterator

from nodeeni.api.names import FINALIZER
from nodeeni.api.v1alpha1 import NodeENI
from nodeeni.cli import tables
from nodeeni.cli.findings import Finding, some, wrong

LONG = 300  # seconds: by then a detach that hangs has been forced, by default


def findings(nodeenis: Iterable[NodeENI], now: datetime.datetime) -> Iterator[Finding]:
    for nodeeni in nodeenis:
        since = nodeeni.metadata.deletion_timestamp or ""
        if (tables.seconds(since, now) or 0) > LONG:
            age = tables.age(since, now)
            yield wrong(
                f"NodeENI {nodeeni.metadata.name}", f"has been in deletion for {age}: {_held(nodeeni)}"
            )


def _held(nodeeni: NodeENI) -> str:
    name, finalizers = nodeeni.metadata.name, nodeeni.metadata.finalizers
    others = [finalizer for finalizer in finalizers if finalizer != FINALIZER]
    held = []
    if FINALIZER in finalizers:
        left = [entry.eni_id for entry in nodeeni.status.attachments if entry.eni_id]
        until = f"has removed {some(sorted(left))}" if left else "has seen that EC2 has no ENI of it"
        held.append(
            f"its finalizer {FINALIZER} waits until the controller {until}: is it running, and what does "
            f"`nodeeni status {name}` tell?"
        )
    if others:
        held.append(f"{', '.join(others)} is not ours: whoever set it has to take it off")
    return "; ".join(held)

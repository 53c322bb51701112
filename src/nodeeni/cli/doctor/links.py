"""What the ENI managers report of links that work, and should be known: names that came out wrong."""

from collections.abc import Iterable, Iterator

from nodeeni.api.v1alpha1 import ENINode
from nodeeni.cli.findings import Finding, note, some


def findings(eninodes: Iterable[ENINode]) -> Iterator[Finding]:
    """One for all: after an upgrade from a version that was too early it may be each node."""
    noted = [(node, link) for node in eninodes for link in node.status.interfaces if link.note]
    if noted:
        names = [f"{link.link_name} on {node.metadata.name}" for node, link in noted]
        _, first = noted[0]
        yield note("links", f"{some(sorted(names))}: {first.note}")

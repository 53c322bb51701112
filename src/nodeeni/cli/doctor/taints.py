"""Nodes that keep their startup taint, and with it pods away, since no NodeENI selects them."""

from collections.abc import Iterator

from nodeeni.cli.findings import Finding, counted, note, some
from nodeeni.controller.cluster import Cluster
from nodeeni.plan.desired import matches


def findings(cluster: Cluster, key: str | None) -> Iterator[Finding]:
    """`key` of the taint, None: there is none."""
    specs = [each.spec for each in cluster.nodeenis.store.values() if not each.metadata.deleting]
    kept = [
        name
        for name, node in cluster.nodes.store.items()
        if any(taint.key == key for taint in node.spec.taints)
        and not any(matches(spec, node.metadata.labels) for spec in specs)
    ]
    if key is not None and kept:
        first = min(kept)
        told = f"no NodeENI selects {counted(len(kept), 'node')} with the taint {key}, so it stays"
        way_out = f"label the nodes, or take it off: kubectl taint node {first} {key}-"
        yield note("startup taint", f"{some(sorted(kept))}: {told}: {way_out}")

"""A status of many nodes is large, and etcd keeps each version of it: it is written less often."""

import asyncio

from tests.kube.waiting import until

from nodeeni.api.core import Node
from nodeeni.api.meta import ObjectMeta
from nodeeni.controller.cluster import Cluster
from nodeeni.controller.reporter import Reporter
from nodeeni.controller.troubles import Troubles
from nodeeni.kube.client import KubeClient
from nodeeni.plan.rows import Row, State

from .conftest import LABELS, NAME, Stage


async def test_two_thousand_nodes_that_change_all_the_time_are_one_patch_in_four_seconds(
    stage: Stage,
) -> None:
    stage.apply()
    client = KubeClient.connect(stage.environment["KUBECONFIG"])
    cluster = Cluster(client)
    await cluster.nodeenis.read_once()
    uid = cluster.nodeenis.store[NAME].metadata.uid
    reporter = Reporter(client, cluster, Troubles(oldest=900.0), stalled_after=120.0)
    for number in range(2000):
        node = Node(metadata=ObjectMeta(name=f"n{number}", labels=LABELS))
        reporter.selection.node_changed(None, node)
        reporter.report(f"n{number}", [row(uid, f"n{number}", State.CREATING)])
    reporter.begin()
    running = asyncio.create_task(reporter.run())
    await until(lambda: stage.status().get("desired") == 2000)
    for number in range(60):
        reporter.report(f"n{number}", [row(uid, f"n{number}", State.ATTACHED)])
        await asyncio.sleep(0.05)
    await until(lambda: stage.status().get("attached") == 60)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await client.close()
    assert stage.kube.requests["patch", "nodeenis/status"] <= 3


def row(uid: str, node: str, state: State) -> Row:
    return Row(uid=uid, nodeeni=NAME, node=node, state=state)

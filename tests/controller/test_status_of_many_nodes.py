"""A status of many nodes is large, and etcd keeps each version of it: it is written less often."""

import asyncio
import gc

import pytest
from tests.kube.waiting import until

from nodeeni.api.core import Node
from nodeeni.api.meta import ObjectMeta
from nodeeni.api.v1alpha1 import AttachmentStatus, NodeENIStatus
from nodeeni.controller.cluster import Cluster
from nodeeni.controller.reporter import Reporter, window
from nodeeni.controller.troubles import Troubles
from nodeeni.ec2.types import Interface
from nodeeni.kube.client import KubeClient
from nodeeni.plan.report import ATTACHMENTS_LIMIT, MANY_MOVE, NEWS
from nodeeni.plan.rows import Row, State
from nodeeni.plan.tally import Tally

from .conftest import LABELS, NAME, Stage


async def applied(stage: Stage) -> tuple[KubeClient, Reporter, str]:
    """A NodeENI, its uid, and who reports on it."""
    stage.apply()
    client = KubeClient.connect(stage.environment["KUBECONFIG"])
    cluster = Cluster(client)
    await cluster.nodeenis.read_once()
    reporter = Reporter(client, cluster, Troubles(oldest=900.0), stalled_after=120.0)
    return client, reporter, cluster.nodeenis.store[NAME].metadata.uid


async def test_two_thousand_nodes_that_change_all_the_time_are_one_patch_in_four_seconds(
    stage: Stage,
) -> None:
    client, reporter, uid = await applied(stage)
    for number in range(2000):
        node = Node(metadata=ObjectMeta(name=f"n{number}", labels=LABELS))
        reporter.rows.selection.node_changed(None, node)
        reporter.rows.report(f"n{number}", [row(uid, f"n{number}", State.CREATING)])
    reporter.begin()
    running = asyncio.create_task(reporter.run())
    await until(lambda: stage.status().get("desired") == 2000)
    for number in range(60):
        reporter.rows.report(f"n{number}", [row(uid, f"n{number}", State.ATTACHED)])
        await asyncio.sleep(0.05)
    await until(lambda: stage.status().get("attached") == 60)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await client.close()
    assert stage.kube.requests["patch", "nodeenis/status"] <= 3


async def test_while_thousands_are_attached_each_write_lists_the_news_and_at_the_end_all_are_dated_as_before(
    stage: Stage,
) -> None:
    client, reporter, uid = await applied(stage)
    names = [f"n{number:04}" for number in range(ATTACHMENTS_LIMIT + 500)]
    for name in names:
        reporter.rows.selection.node_changed(None, Node(metadata=ObjectMeta(name=name, labels=LABELS)))
        reporter.rows.report(name, [row(uid, name, State.ATTACHED)])
    reporter.begin()
    await reporter.flush()
    dates = {entry["nodeID"]: entry["lastUpdated"] for entry in stage.status()["attachments"]}
    assert list(dates) == names[:ATTACHMENTS_LIMIT]
    await asyncio.sleep(1.0)  # a date has whole seconds

    moved = names[-MANY_MOVE - 2 :]
    for name in moved:
        reporter.rows.report(name, [row(uid, name, State.CREATING)])
    reporter.rows.report(names[7], [row(uid, names[7], State.DETACHING)])
    await reporter.flush()
    listed = [entry["nodeID"] for entry in stage.status()["attachments"]]
    assert (len(listed), names[7] in listed) == (NEWS, True)
    assert stage.status()["attached"] == len(names) - len(moved) - 1

    for name in [*moved, names[7]]:
        reporter.rows.report(name, [row(uid, name, State.ATTACHED)])
    await reporter.flush()
    await client.close()
    after = {entry["nodeID"]: entry["lastUpdated"] for entry in stage.status()["attachments"]}
    changed = {name for name, date in after.items() if date != dates.get(name)}
    assert (list(after), changed) == (list(dates), {names[7]})


async def test_of_nodeenis_whose_last_enis_are_gone_nothing_is_kept(stage: Stage) -> None:
    """As of orphans: plans tell of their rows when the NodeENI is gone, and clusters live for years."""
    client, reporter, _ = await applied(stage)
    before = tallies()
    for number in range(100):
        reporter.rows.report("n1", [row(f"gone-{number}", "n1", State.DELETING)])
    reporter.rows.report("n1", [])
    await client.close()
    assert tallies() - before == 0


def tallies() -> int:
    return sum(isinstance(each, Tally) for each in gc.get_objects())


@pytest.mark.parametrize(
    ("entries", "nodes", "seconds"), [(3, 3, 1), (2000, 2000, 4), (250, 5000, 2.5), (250, 20_000, 4)]
)
def test_the_more_is_written_the_later_comes_the_next(entries: int, nodes: int, seconds: float) -> None:
    attachments = [AttachmentStatus(node_id=f"n{number}") for number in range(entries)]
    assert window([NodeENIStatus(desired=nodes, attachments=attachments)]) == seconds


def row(uid: str, node: str, state: State) -> Row:
    interface = None
    if state is not State.CREATING:
        interface = Interface(id=f"eni-{node}", status="in-use", subnet_id="s", vpc_id="v", mac=f"02:{node}")
    return Row(uid=uid, nodeeni=NAME, node=node, state=state, interface=interface)

"""Events and metrics of clusters in which much happens at once: what matters is not lost among it."""

from collections import Counter

from nodeeni.sandbox.world import SUBNET

from .conftest import NAME, Stage
from .probe import Probe

NODES = 30  # more than the events of one kind that are written one by one
NOWHERE = "subnet-0123456789abcdef0"


def _counts(stage: Stage) -> Counter[tuple[str, str]]:
    """How often each type and reason was told of the NodeENI."""
    told: Counter[tuple[str, str]] = Counter()
    for event in stage.kube.objects("", "events"):
        if event["involvedObject"]["name"] == NAME:
            told[event["type"], event["reason"]] += event["count"]
    return told


async def test_a_bad_edit_is_told_of_although_many_nodes_were_attached(stage: Stage) -> None:
    nodes = [await stage.node() for _ in range(NODES)]
    stage.apply()
    async with stage.controller():
        await stage.until_attached(*nodes)
        stage.apply(subnetID=NOWHERE)
        await stage.until(lambda: _counts(stage)["Warning", "ENIUpdateFailed"] >= NODES)
    assert _counts(stage) == {
        ("Normal", "ENIAttached"): NODES,
        ("Warning", "ENIUpdateFailed"): NODES,
    }


async def test_a_nodeeni_born_wrong_tells_of_its_enis_when_it_is_put_right(stage: Stage) -> None:
    nodes = [await stage.node() for _ in range(NODES)]
    stage.apply(subnetID=NOWHERE)
    async with stage.controller():
        await stage.until(lambda: _counts(stage)["Warning", "ENICreationFailed"] >= NODES)
        stage.apply(subnetID=SUBNET)
        await stage.until_attached(*nodes)
        await stage.until(lambda: _counts(stage)["Normal", "ENIAttached"] >= NODES)
    assert _counts(stage) == {
        ("Normal", "ENIAttached"): NODES,
        ("Warning", "ENICreationFailed"): NODES,
    }


async def test_the_metrics_count_the_nodes_of_each_nodeeni_by_state(stage: Stage) -> None:
    good, bad, probe = await stage.node(), await stage.node("b"), Probe()
    stage.apply(subnetID=SUBNET)

    async def series() -> set[str]:
        _, text = await probe.get("/metrics")
        lines = [line for line in text.splitlines() if line.startswith("nodeeni_attachments{")]
        return {line for line in lines if not line.endswith(" 0.0")}

    async with stage.controller(probe.flag):
        await stage.until_attached(good)
        await stage.until(lambda: stage.row(bad).get("status") == "failed")
        assert await series() == {
            f'nodeeni_attachments{{nodeeni="{NAME}",state="attached"}} 1.0',
            f'nodeeni_attachments{{nodeeni="{NAME}",state="failed"}} 1.0',
        }
        stage.delete()
        await stage.until_deleted()
        await stage.until(lambda: stage.ec2.secondary_interfaces() == [])
        await probe.until(200)
        assert await series() == set()

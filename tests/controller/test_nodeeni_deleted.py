"""A NodeENI is deleted: the finalizer holds it until EC2 shows, twice, that nothing of it is left."""

import asyncio

import pytest

from nodeeni.api.names import TAG_UID
from nodeeni.sandbox.ec2.calls import OK

from .conftest import LABELS, NAME, Stage


async def test_everything_goes_and_then_the_object(stage: Stage) -> None:
    nodes = [await stage.node() for _ in range(3)]
    stage.apply()
    async with stage.controller():
        await stage.until_attached(*nodes)
        stage.delete()
        assert stage.world.nodeeni(NAME) is not None
        await stage.until_deleted()
        assert stage.ours() == []
        await stage.until(lambda: not stage.kube.objects("networking.k8s.aws", "eninodes"))


async def test_the_finalizer_stays_while_a_detach_hangs(stage: Stage) -> None:
    node = await stage.node()
    stage.apply()
    stage.ec2.faults.stick("DetachNetworkInterface")
    async with stage.controller("--force-detach-after=1s"):
        await stage.until_attached(node)
        stage.delete()
        await stage.until(lambda: stage.row(node).get("status") == "detaching")
        assert stage.has_finalizer()
        await stage.until_deleted()
    assert stage.ours() == []
    forced = [c.parameters.get("Force") for c in stage.ec2.calls.of("DetachNetworkInterface")]
    assert forced == ["false", "true"]


async def test_a_finalizer_that_is_refused_is_tried_again_in_good_time_or_after_an_edit(stage: Stage) -> None:
    """Where a right is missing, a try a second would be a line of log a second, for each NodeENI."""
    node = await stage.node()
    refused = stage.kube.faults.fail(403, verb="patch", resource="nodeenis", times=2)
    stage.apply()
    async with stage.controller():
        await stage.until(lambda: refused.served)
        await stage.stays(lambda: refused.served == 1, seconds=2.5)
        stage.apply(description="edited")
        await stage.until(lambda: refused.served == 2)
        stage.apply(description="edited again")
        await stage.until_attached(node)


async def test_one_that_never_matched_goes_at_once(stage: Stage) -> None:
    stage.apply()
    async with stage.controller():
        await stage.until(stage.has_finalizer)
        stage.delete()
        await stage.until_deleted()
    assert stage.calls() == {}


def _reads_at_the_end(stage: Stage) -> int:
    """How many times the NodeENI was read after its last ENI was deleted."""
    (last,) = stage.ec2.calls.of("DeleteNetworkInterface", OK)
    reads = [call for call in stage.ec2.calls.of("DescribeNetworkInterfaces", OK) if call.time > last.time]
    return sum(TAG_UID in str(call.parameters) for call in reads)


async def test_where_every_call_was_answered_the_two_reads_at_the_end_follow_one_another(
    stage: Stage,
) -> None:
    node = await stage.node()
    stage.apply()
    async with stage.controller("--read-lag=2s"):
        await stage.until_attached(node)
        await asyncio.sleep(2)  # from here on EC2 shows what a predecessor may have made
        stage.delete()
        await stage.until_deleted()
    assert (stage.ec2.secondary_interfaces(), _reads_at_the_end(stage)) == ([], 2)


async def test_where_a_create_had_no_answer_they_are_apart(stage: Stage) -> None:
    """And they count from when EC2's reads are sure to show what it made; those before come too early."""
    other = await stage.node(matching=False)
    async with stage.controller("--read-lag=2s"):
        await stage.until(lambda: stage.ec2.calls.of("DescribeInstances"))
        await asyncio.sleep(2)  # from here on EC2 shows what a predecessor may have made
        stage.world.label(other.name, **LABELS)
        stage.ec2.faults.drop("CreateNetworkInterface", "after")
        stage.apply()
        await stage.until(stage.ours)
        stage.delete()
        await stage.until_deleted()
    assert stage.ec2.secondary_interfaces() == []
    assert _reads_at_the_end(stage) > 2


async def test_deleted_while_no_controller_runs(stage: Stage) -> None:
    node = await stage.node()
    stage.apply()
    async with stage.controller():
        await stage.until_attached(node)
    stage.delete()
    assert stage.world.nodeeni(NAME) is not None
    async with stage.controller():
        await stage.until_deleted()
    assert stage.ec2.secondary_interfaces() == []


async def test_deleted_and_made_again_under_the_same_name(stage: Stage) -> None:
    node = await stage.node()
    stage.apply()
    async with stage.controller():
        await stage.until_attached(node)
        (first,) = stage.ours()
        stage.delete()
        await stage.until_deleted()
        stage.apply()
        await stage.until_attached(node)
    (second,) = stage.ours()
    assert second.id != first.id
    assert (
        second.tags["nodeeni.networking.k8s.aws/uid"] == stage.world.nodeeni(NAME)["metadata"]["uid"]  # type: ignore[index]
    )


async def test_one_that_is_gone_at_once_leaves_its_nodes_to_the_others(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    node = await stage.node()
    stage.apply("fails", subnetID="subnet-0123456789abcdef0")
    async with stage.controller():
        await stage.until(lambda: stage.row(node, "fails").get("status") == "failed")
        stage.delete("fails")
        finalizers = {"metadata": {"finalizers": None}}
        stage.kube.patch("networking.k8s.aws", "nodeenis", "fails", finalizers)  # by hand
        assert stage.world.nodeeni("fails") is None
        stage.apply()
        await stage.until_attached(node)
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []

"""A controller starts beside many nodes: each describe of their instances is full."""

from nodeeni.ec2.client import MOST_FILTER_VALUES
from nodeeni.sandbox.world import NODE_LABELS

from .conftest import Stage


async def test_six_hundred_nodes_that_take_long_to_plan_take_three_looks_at_instances(stage: Stage) -> None:
    count = 3 * MOST_FILTER_VALUES
    for _ in range(count):
        _, registration = stage.world.launch(labels=NODE_LABELS)
        stage.kube.create(registration)
    nodeenis = [f"of-no-subnet-{number}" for number in range(20)]
    for name in nodeenis:
        stage.apply(name, subnetID="subnet-00000000000000000")
    async with stage.controller():
        await stage.until(lambda: all(stage.status(name).get("failed") == count for name in nodeenis))
        assert stage.ec2.calls.by_action["DescribeInstances"] == 3

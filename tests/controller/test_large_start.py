"""A controller starts beside many nodes and NodeENIs: what it asks EC2 of them it asks in full describes."""

from nodeeni.ec2.client import MOST_FILTER_VALUES
from nodeeni.sandbox.world import NODE_LABELS

from .conftest import Stage


async def test_six_hundred_nodes_that_take_long_to_plan_take_three_looks_at_instances_and_one_at_subnets(
    stage: Stage,
) -> None:
    count = 3 * MOST_FILTER_VALUES
    for _ in range(count):
        _, registration = stage.world.launch(labels=NODE_LABELS)
        stage.kube.create(registration)
    nodeenis = [f"of-no-subnet-{number}" for number in range(20)]
    for number, name in enumerate(nodeenis):
        stage.apply(name, subnetID=f"subnet-000000000000000{number:02}")
    async with stage.controller():
        await stage.until(lambda: all(stage.status(name).get("failed") == count for name in nodeenis))
        described = {action: count for action, count in stage.ec2.calls.by_action.items() if count}
        del described["DescribeNetworkInterfaces"]
        assert described == {
            "DescribeInstances": 3,
            "DescribeSubnets": 1,
            "DescribeSecurityGroups": 1,
            "DescribeInstanceTypes": 1,
        }

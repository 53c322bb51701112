"""What operators do to a release whose nodes have ENIs: these stay the same, attachments and all."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from tests.cluster.operator import PATIENCE, Operator, timed

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session", autouse=True)
async def _nothing_changes_in_ec2(operator: Operator) -> AsyncIterator[None]:
    before, calls = operator.attached(), operator.changing_calls()
    yield
    assert (operator.attached(), operator.changing_calls()) == (before, calls)
    await operator.agree()


async def test_controllers_and_managers_are_restarted(operator: Operator) -> None:
    workloads = ("deployment/eni-controller", "daemonset/eni-manager")
    async with timed("rolling restart of both"):
        await operator.kubectl("rollout", "restart", *workloads)
        for workload in workloads:
            await operator.kubectl("rollout", "status", workload, f"--timeout={PATIENCE}")

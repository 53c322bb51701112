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


async def test_a_release_is_upgraded_and_rolled_back(operator: Operator) -> None:
    async with timed("helm upgrade --wait with another log level"):
        await operator.install("--set", "controller.settings.v=5")
    async with timed("helm rollback --wait"):
        await operator.rollback()


async def test_the_release_is_uninstalled_and_installed_again(operator: Operator) -> None:
    """The CRDs stay, and the NodeENI, and so the ENIs."""
    before = operator.attached()
    async with timed("helm uninstall --wait, with a NodeENI standing"):
        await operator.uninstall()
        await operator.kubectl("wait", "--for=delete", "pods", "--all", f"--timeout={PATIENCE}")
    assert operator.attached() == before
    async with timed("helm install --wait"):
        await operator.install()
    await operator.until_up(2)

"""What operators do to a release whose nodes have ENIs: these stay the same, attachments and all."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from tests.cluster.operator import PATIENCE, Failed, Operator, timed, until

from nodeeni.api.names import NAMESPACE

pytestmark = pytest.mark.asyncio(loop_scope="session")

IN_OURS = ("--namespace", NAMESPACE)


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


async def test_an_upgrade_to_an_image_that_nobody_has_is_taken_back(operator: Operator) -> None:
    """Both controllers go on meanwhile, and all but one of the ENI managers."""
    former = {pod["metadata"]["uid"] for pod in await operator.pods("eni-controller")}
    to_nobodys = ("--set", "image.tag=of-nobody", "--atomic", "--timeout", "120s")
    upgrade = asyncio.create_task(operator.install(*to_nobodys))

    async def is_told() -> bool:
        assert not upgrade.done(), upgrade.result()
        told = [await operator.waits_for(app) for app in ("eni-controller", "eni-manager")]
        return all(reasons and reasons <= {"ErrImagePull", "ImagePullBackOff"} for reasons in told)

    async with timed("helm upgrade --atomic to an image that nobody has, until pods say so"):
        await until(is_told)
    assert former < {pod["metadata"]["uid"] for pod in await operator.pods("eni-controller")}
    await operator.doctor()
    await operator.apply(mtu=1500)
    async with timed("until helm has taken it back"):
        with pytest.raises(Failed, match="release nodeeni failed, and has been rolled back") as told:
            await upgrade
    print(f"\nhelm says: {told.value}")
    assert former == {pod["metadata"]["uid"] for pod in await operator.pods("eni-controller")}
    await until(lambda: operator.every_link_has(mtu=1500))
    history = json.loads(await operator.run("helm", "history", "nodeeni", *IN_OURS, "-o", "json"))
    assert [release["status"] for release in history[-2:]] == ["failed", "deployed"]


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

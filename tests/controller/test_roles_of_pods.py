"""The controller has its role by a token that rotates: IRSA, by STS, and EKS Pod Identity, by its agent."""

from collections.abc import Callable
from pathlib import Path

import pytest

from nodeeni.sandbox.ec2.roles import AGENT_PATH

from .conftest import Stage

# Of the credentials. The SDK takes new ones ten minutes before these end, so it does so before each call.
LIFETIME = 300.0
Writes = Callable[[str], object]


@pytest.fixture(params=["IRSA", "Pod Identity"])
def kubelet(
    request: pytest.FixtureRequest, stage: Stage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Writes:
    """It writes the token; the variables are those that EKS sets in a pod."""
    file = tmp_path / "token"
    stage.ec2.roles.lifetime = LIFETIME
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
        stage.environment.pop(name)
    if request.param == "IRSA":
        variables = {
            "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/nodeeni",
            "AWS_WEB_IDENTITY_TOKEN_FILE": str(file),
            "AWS_STS_REGIONAL_ENDPOINTS": "regional",
        }
    else:
        variables = {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{stage.ec2.url}{AGENT_PATH}",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(file),
        }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
        stage.environment[name] = value
    return file.write_text


async def test_a_token_that_rotates_is_read_again(stage: Stage, kubelet: Writes) -> None:
    kubelet("first")
    stage.ec2.roles.trust("first")
    node = await stage.node()
    stage.apply()
    async with stage.controller():
        await stage.until_attached(node)
        stage.ec2.roles.trust("second", "first")  # the former one is good for a while yet
        kubelet("second")
        before = stage.ec2.roles.given["first"]
        second = await stage.node()
        await stage.until_attached(second)
        assert stage.ec2.roles.given["first"] <= before + 1  # one may have been on its way
        assert stage.ec2.roles.given["second"] > 0
        stage.delete()
        await stage.until_deleted()
    assert stage.ec2.secondary_interfaces() == []
    assert "WaitingForEC2" not in stage.reasons()


async def test_a_token_that_is_not_taken_is_told_until_one_is(stage: Stage, kubelet: Writes) -> None:
    """As where the cluster's identity provider, or the association, is not set up yet."""
    kubelet("first")
    node = await stage.node()
    stage.apply()
    async with stage.controller():
        await stage.until(lambda: stage.condition("Degraded").get("reason") == "CredentialsRefused")
        told = stage.condition("Degraded")["message"]
        assert "check the controller's AWS credentials" in told
        stage.ec2.roles.trust("first")
        await stage.until_attached(node)
        await stage.until(lambda: stage.condition("Degraded")["reason"] == "AsDesired")


async def test_credentials_that_come_later_are_found(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the instance's metadata does not answer yet."""
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    for name in names:
        monkeypatch.delenv(name)
    node = await stage.node()
    stage.apply()
    async with stage.controller():
        await stage.until(lambda: stage.condition("Degraded").get("reason") == "CredentialsRefused")
        assert "NoCredentialsError" in stage.condition("Degraded")["message"]
        for name in names:
            monkeypatch.setenv(name, stage.environment[name])
        await stage.until_attached(node)

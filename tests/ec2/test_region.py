"""Where the region comes from: what is said, else the instance metadata (version 2), else nowhere."""

import socket
from collections.abc import AsyncIterator

import pytest

from nodeeni.ec2.region import resolve_region
from nodeeni.sandbox.ec2.imds import Imds

from .conftest import Site


@pytest.fixture
async def metadata(site: Site) -> AsyncIterator[dict[str, str]]:
    """The environment of a process on an instance in us-west-2."""
    imds = Imds(site.ec2.account, site.ec2.add_instance(site.subnet).id)
    await imds.start()
    yield {"AWS_EC2_METADATA_SERVICE_ENDPOINT": imds.url + "/"}
    await imds.stop()


@pytest.mark.parametrize(
    ("flag", "environ", "region"),
    [
        ("eu-west-1", {"AWS_REGION": "eu-west-2", "AWS_DEFAULT_REGION": "eu-west-3"}, "eu-west-1"),
        (None, {"AWS_REGION": "eu-west-2", "AWS_DEFAULT_REGION": "eu-west-3"}, "eu-west-2"),
        ("", {"AWS_REGION": "", "AWS_DEFAULT_REGION": "eu-west-3"}, "eu-west-3"),
    ],
)
async def test_what_is_said_needs_no_metadata(flag: str | None, environ: dict[str, str], region: str) -> None:
    nowhere = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:9"}
    assert await resolve_region(flag, environ | nowhere) == region


async def test_the_instance_knows_its_region(metadata: dict[str, str]) -> None:
    assert await resolve_region(None, metadata) == "us-west-2"


async def test_metadata_that_is_disabled_is_not_asked(metadata: dict[str, str]) -> None:
    assert await resolve_region(None, metadata | {"AWS_EC2_METADATA_DISABLED": "TRUE"}) is None


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:9", "not a url"])
async def test_metadata_that_nobody_serves_says_nothing(endpoint: str) -> None:
    assert await resolve_region(None, {"AWS_EC2_METADATA_SERVICE_ENDPOINT": endpoint}) is None


async def test_metadata_that_never_answers_is_given_up_soon() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        environ = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://127.0.0.1:{port}"}
        assert await resolve_region(None, environ) is None

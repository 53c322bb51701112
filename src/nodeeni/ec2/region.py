"""Which region to work in, where neither flag nor environment says so: the instance metadata knows.

The process asks once at start, before any client exists. Instance metadata is asked by version 2 alone.
"""

from collections.abc import Mapping

import aiohttp

DEFAULT_REGION = "us-west-2"  # v1.1.0's, where nothing says which

_ENDPOINTS = {"ipv4": "http://169.254.169.254", "ipv6": "http://[fd00:ec2::254]"}
_TIMEOUT = 1.0  # seconds: the address answers in milliseconds or not at all (hop limit, no instance)
_TOKEN_SECONDS = "60"


async def resolve_region(flag: str | None, environ: Mapping[str, str]) -> str | None:
    """The region by flag, `AWS_REGION`, `AWS_DEFAULT_REGION`, instance metadata; None if none says.

    `AWS_EC2_METADATA_DISABLED`, `AWS_EC2_METADATA_SERVICE_ENDPOINT` and
    `AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE` mean what they mean to the AWS SDK.
    """
    named = flag or environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION")
    if named:
        return named
    if environ.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
        return None
    return await _metadata_region(_endpoint(environ))


def _endpoint(environ: Mapping[str, str]) -> str:
    mode = environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "ipv4").lower()
    given = environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT")
    return (given or _ENDPOINTS.get(mode, _ENDPOINTS["ipv4"])).rstrip("/")


async def _metadata_region(endpoint: str) -> str | None:
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT)
    try:
        async with aiohttp.ClientSession(timeout=timeout, raise_for_status=True) as session:
            lifetime = {"X-aws-ec2-metadata-token-ttl-seconds": _TOKEN_SECONDS}
            async with session.put(f"{endpoint}/latest/api/token", headers=lifetime) as answer:
                token = await answer.text()
            presented = {"X-aws-ec2-metadata-token": token}
            url = f"{endpoint}/latest/meta-data/placement/region"
            async with session.get(url, headers=presented) as answer:
                return (await answer.text()).strip() or None
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
        return None

"""What leaves for EC2, and how it is signed: botocore has less to do, and its request is the same."""

from typing import Any
from urllib.parse import urlencode

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import HTTPClientError
from yarl import URL

from nodeeni.ec2 import sdk
from nodeeni.ec2.errors import EC2Error

KEY_ID, SECRET = "AKIAIOSFODNN7EXAMPLE", "an-example"  # as the fixture `credentials` has them
OF_DESCRIBE = {"Filters": [{"Name": "tag:Name", "Values": ["a b", "ö&=/~"]}], "MaxResults": 5}


@pytest.mark.parametrize("text", ["", "eni-0a", "a_b.c~d-e", "a b", "100%", "a&b=c", "ö", "x\n", "/+"])
def test_a_form_is_encoded_as_the_standard_library_does_it(text: str) -> None:
    form = {"Action": text, f"Tag.1.{text}": 5, "DryRun": "true"}
    assert sdk.encoded(form) == urlencode(form).encode()


@pytest.mark.parametrize(
    ("region", "environment", "host"),
    [
        ("us-west-2", {}, "ec2.us-west-2.amazonaws.com"),
        ("cn-north-1", {}, "ec2.cn-north-1.amazonaws.com.cn"),
        ("us-gov-west-1", {"AWS_USE_FIPS_ENDPOINT": "true"}, "ec2.us-gov-west-1.amazonaws.com"),
        ("us-iso-east-1", {"AWS_USE_DUALSTACK_ENDPOINT": "true"}, "ec2.us-iso-east-1.api.aws.ic.gov"),
        ("us-west-2", {"AWS_ENDPOINT_URL_EC2": "http://localhost:4566"}, "localhost:4566"),
        ("us-west-2", {"AWS_ENDPOINT_URL_EC2": "https://[::1]:4566"}, "[::1]:4566"),
        (
            "us-west-2",
            {"AWS_ENDPOINT_URL_EC2": "https://VPCE-1.ec2.example.com:443"},
            "vpce-1.ec2.example.com",
        ),
    ],
)
async def test_each_call_goes_to_the_endpoint_of_awss_rules_with_a_signature_that_holds(
    monkeypatch: pytest.MonkeyPatch, region: str, environment: dict[str, str], host: str
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    sent: list[Any] = []

    def keep(request: Any, **_: Any) -> None:
        sent.append(request)
        raise HTTPClientError(error="kept, not sent")

    async with sdk.ec2(region, None, 1, 1.0, lambda: True) as client:
        client.meta.events.register("before-send.ec2", keep)
        for action in ("DescribeSubnets", "DescribeInstances"):
            with pytest.raises(EC2Error):
                await sdk.call(client, action, OF_DESCRIBE)
    assert [URL(request.url).host_port_subcomponent for request in sent] == [host] * 2  # as aiohttp sends it
    for request in sent:
        headers = {name: _text(value) for name, value in request.headers.items()}
        assert headers["Host"] == host
        assert headers["Authorization"] == _signature(request, headers, region)


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _signature(request: Any, headers: dict[str, str], region: str) -> str:
    """botocore's, of what is on the wire, where it finds the host by itself."""
    signer = SigV4Auth(Credentials(KEY_ID, SECRET), "ec2", region)
    added = ("Authorization", "Host", "Content-Length")
    named = {name: value for name, value in headers.items() if name not in added}
    again = AWSRequest(method=request.method, url=request.url, headers=named, data=request.body)
    again.context["timestamp"] = headers["X-Amz-Date"]
    canonical = signer.canonical_request(again)
    signature = signer.signature(signer.string_to_sign(again, canonical), again)
    signed = signer.signed_headers(signer.headers_to_sign(again))
    return f"AWS4-HMAC-SHA256 Credential={signer.scope(again)}, SignedHeaders={signed}, Signature={signature}"

"""The checks of `checks.py` on our simulator, on moto where it models the thing, and on AWS when asked to.

On AWS: `NODEENI_AWS_TESTS=1 NODEENI_AWS_INSTANCE=i-... pytest tests/contract/ec2 -s`, with credentials in the
environment. It makes at most 7 ENIs at a time in that instance's subnet, tagged `nodeeni-contract`, attaches
at most two of them to the instance, and removes them again. It changes nothing else.
"""

import asyncio
import itertools
import os
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from moto import mock_aws
from tests.contract.ec2.checks import CHECKS, Check
from tests.contract.ec2.site import TAG, Site

from nodeeni.sandbox.ec2 import EC2Server, EC2Settings, quick_settings

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:moto.*")

_CONFIG = Config(retries={"total_max_attempts": 1}, parameter_validation=False)
_numbers = itertools.count()
# How a check fails where a thing is not modelled; moto raises the third for an action that it does not have.
_LACKING = (AssertionError, KeyError, NotImplementedError, ClientError, pytest.fail.Exception)
_named = pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)


@_named
async def test_the_simulator_does_what_ec2_is_documented_to_do(check: Check) -> None:
    buckets = EC2Settings().buckets if check.name == "an_empty_bucket_throttles" else {}
    ec2 = EC2Server(settings=quick_settings(buckets=buckets))
    await ec2.start()
    vpc = ec2.add_vpc()
    subnet = ec2.add_subnet(vpc, "a", "10.0.0.0/16")
    client = boto3.Session("AKIASANDBOX", "sandbox", region_name="us-west-2").client(
        "ec2", endpoint_url=ec2.url, config=_CONFIG
    )
    site = Site(
        "sandbox",
        client,
        subnet.id,
        ec2.add_security_group(vpc, group_name="contract").id,
        ec2.add_instance(subnet).id,
        ec2.add_subnet(vpc, "b", "10.1.0.0/16").id,
        ec2.add_subnet(vpc, "a", "10.2.0.0/28").id,
    )
    try:
        await asyncio.to_thread(check.run, site)
    finally:
        client.close()
        await ec2.stop()


@pytest.fixture(scope="module")
def moto_vpc() -> Iterator[tuple[Any, str]]:
    """A client and a VPC for all checks: moto takes a second to begin afresh."""
    with mock_aws():
        client: Any = boto3.Session("moto", "moto", region_name="us-west-2").client("ec2", config=_CONFIG)
        yield client, client.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        client.close()


@pytest.fixture
def moto(moto_vpc: tuple[Any, str]) -> Site:
    client, vpc_id = moto_vpc
    number = next(_numbers)
    subnets = [
        client.create_subnet(VpcId=vpc_id, CidrBlock=cidr, AvailabilityZone=f"us-west-2{zone}")["Subnet"]
        for zone, cidr in (
            ("a", f"10.0.{number}.0/24"),
            ("b", f"10.0.{100 + number}.0/24"),
            ("a", f"10.0.{200 + number // 16}.{16 * (number % 16)}/28"),
        )
    ]
    first, other, small = [subnet["SubnetId"] for subnet in subnets]
    group = client.create_security_group(VpcId=vpc_id, GroupName=f"contract-{number}", Description="d")
    launched = client.run_instances(
        ImageId="ami-12c6146b", InstanceType="m5.large", SubnetId=first, MinCount=1, MaxCount=1
    )
    return Site("moto", client, first, group["GroupId"], launched["Instances"][0]["InstanceId"], other, small)


@pytest.mark.parametrize(
    "check",
    [check for check in CHECKS if check.name != "an_empty_bucket_throttles"],  # moto meters nothing, slowly
    ids=lambda check: check.name,
)
def test_moto_agrees_where_it_models_the_thing(moto: Site, check: Check) -> None:
    if "moto" not in check.lacks:
        check.run(moto)
        return
    with pytest.raises(_LACKING):
        check.run(moto)


@pytest.fixture(scope="module")
def aws() -> Iterator[Site]:
    instance_id = os.environ.get("NODEENI_AWS_INSTANCE", "")
    if not (os.environ.get("NODEENI_AWS_TESTS") == "1" and instance_id):
        pytest.skip("asks for NODEENI_AWS_TESTS=1 and NODEENI_AWS_INSTANCE")
    client: Any = boto3.Session().client("ec2")
    instance = client.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]
    taken = {i["Attachment"]["DeviceIndex"] for i in instance["NetworkInterfaces"]}
    index = min(set(range(1, 32)) - taken)
    print(
        f"\nAWS: makes ENIs tagged {TAG} in {instance['SubnetId']}, attaches them to {instance_id} from "
        f"device index {index} on, and removes them again"
    )
    group_id = instance["SecurityGroups"][0]["GroupId"]
    site = Site("aws", client, instance["SubnetId"], group_id, instance_id, index=index)
    yield site
    client.close()


@pytest.mark.timeout(600)
@_named
def test_aws_does_what_it_is_documented_to_do(aws: Site, check: Check) -> None:
    if not check.harmless:
        pytest.skip("not on an instance that was lent to us")
    try:
        check.run(aws)
    finally:
        aws.clean()

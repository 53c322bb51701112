"""The AWS command line against the simulator: the commands of v1.1.0's README, word for word."""

import asyncio
import json
import os
from typing import Any

import pytest
from tests.needs import program
from tests.sandbox.ec2.conftest import Cloud, eventually


@pytest.fixture(autouse=True)
def command_line() -> None:
    program("aws")


async def shell(cloud: Cloud, command: str, **variables: str) -> Any:
    environment = os.environ | variables
    environment |= {
        "AWS_ENDPOINT_URL": cloud.boto.url,
        "AWS_ACCESS_KEY_ID": "sandbox",
        "AWS_SECRET_ACCESS_KEY": "sandbox",
        "AWS_REGION": "us-west-2",
        "AWS_DEFAULT_REGION": "us-west-2",
        "AWS_PAGER": "",
    }
    process = await asyncio.create_subprocess_shell(
        command, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return json.loads(out) if out.strip() else None


async def test_the_readmes_commands(cloud: Cloud) -> None:
    eni_id, _ = await cloud.attached(2)
    primary = cloud.ec2.interfaces_of(cloud.instance.id)[0].id
    shown, seen = await asyncio.gather(
        shell(cloud, "aws ec2 describe-network-interfaces --network-interface-ids $ENI_ID", ENI_ID=eni_id),
        shell(
            cloud,
            "aws ec2 describe-instances --instance-ids $INSTANCE_ID "
            '--query "Reservations[*].Instances[*].NetworkInterfaces[*].'
            '[NetworkInterfaceId,Attachment.DeviceIndex,Status,SubnetId]"',
            INSTANCE_ID=cloud.instance.id,
        ),
    )
    await shell(cloud, f"aws ec2 terminate-instances --instance-ids {cloud.instance.id}")
    assert shown["NetworkInterfaces"][0]["NetworkInterfaceId"] == eni_id
    assert seen == [[[[primary, 0, "in-use", cloud.subnet.id], [eni_id, 2, "in-use", cloud.subnet.id]]]]
    await eventually(lambda: cloud.ec2.instance(cloud.instance.id).state == "terminated")

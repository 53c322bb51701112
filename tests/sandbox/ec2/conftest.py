"""A small simulated EC2 and boto3 as its judge: what a real client makes of it is what counts."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from nodeeni.sandbox.ec2 import EC2Server, EC2Settings, Instance, SecurityGroup, Subnet, Vpc, quick_settings

SESSION = boto3.Session("AKIASANDBOX", "sandbox", region_name="us-west-2")


@dataclass(frozen=True)
class Refusal:
    code: str
    message: str
    status: int


class Boto:
    """boto3 against one server, in threads, without retries and without checks of its own."""

    def __init__(self, url: str) -> None:
        config = Config(
            retries={"total_max_attempts": 1},
            read_timeout=5,
            max_pool_connections=50,
            parameter_validation=False,
        )
        self.client = SESSION.client("ec2", endpoint_url=url, config=config)
        self.url = url

    async def __call__(self, operation: str, **parameters: Any) -> dict[str, Any]:
        answer: dict[str, Any] = await asyncio.to_thread(getattr(self.client, operation), **parameters)
        answer.pop("ResponseMetadata", None)
        return answer

    async def refused(self, operation: str, **parameters: Any) -> Refusal:
        with pytest.raises(ClientError) as caught:
            await self(operation, **parameters)
        error = caught.value.response
        return Refusal(
            error["Error"]["Code"], error["Error"]["Message"], error["ResponseMetadata"]["HTTPStatusCode"]
        )


@dataclass
class Cloud:
    """One VPC with a subnet in zone a, a group, and a running m5.large (3 interfaces at most)."""

    ec2: EC2Server
    boto: Boto
    vpc: Vpc
    subnet: Subnet
    group: SecurityGroup
    instance: Instance

    async def create(self, **parameters: Any) -> str:
        defaults = {"SubnetId": self.subnet.id, "Groups": [self.group.id]}
        answer = await self.boto("create_network_interface", **(defaults | parameters))
        return str(answer["NetworkInterface"]["NetworkInterfaceId"])

    async def attach(self, eni_id: str, device_index: int = 1, **parameters: Any) -> str:
        defaults = {"InstanceId": self.instance.id, "DeviceIndex": device_index}
        answer = await self.boto(
            "attach_network_interface", NetworkInterfaceId=eni_id, **(defaults | parameters)
        )
        return str(answer["AttachmentId"])

    async def attached(self, device_index: int = 1) -> tuple[str, str]:
        """An interface attached and settled: its id and the attachment's."""
        eni_id = await self.create()
        attachment_id = await self.attach(eni_id, device_index)
        await eventually(lambda: self.phase(eni_id) == "attached")
        return eni_id, attachment_id

    def phase(self, eni_id: str) -> str:
        """The attachment's status, or the interface's own when there is none."""
        interface = self.ec2.interface(eni_id)
        return interface.attachment.status if interface.attachment else interface.status


MakeCloud = Callable[[EC2Settings], Awaitable[Cloud]]


@pytest.fixture
async def make_cloud() -> AsyncIterator[MakeCloud]:
    clouds: list[Cloud] = []

    async def make(settings: EC2Settings) -> Cloud:
        ec2 = EC2Server(settings=settings)
        await ec2.start()
        vpc = ec2.add_vpc()
        subnet = ec2.add_subnet(vpc, "a", "10.0.0.0/16", name="nodes-a")
        group = ec2.add_security_group(vpc, group_name="multus", name="multus-tag")
        clouds.append(Cloud(ec2, Boto(ec2.url), vpc, subnet, group, ec2.add_instance(subnet)))
        return clouds[-1]

    yield make
    for cloud in clouds:
        cloud.boto.client.close()
        await cloud.ec2.stop()


@pytest.fixture
async def cloud(make_cloud: MakeCloud) -> Cloud:
    return await make_cloud(quick_settings())


async def eventually(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition never came true"
        await asyncio.sleep(0.005)

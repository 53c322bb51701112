"""The real client against the sandbox's EC2, over the real protocol."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from nodeeni.api.names import interface_tags
from nodeeni.ec2.attributes import DESCRIPTION, GROUPS, InterfaceRequest
from nodeeni.ec2.client import EC2Client
from nodeeni.ec2.errors import EC2Error
from nodeeni.sandbox.ec2 import EC2Server, SecurityGroup, Subnet, Vpc, quick_settings

CLUSTER = "cluster-under-test"


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "an-example")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


class Site:
    """An EC2 with one VPC, a client of it, and the log of what the client reported."""

    def __init__(self, ec2: EC2Server) -> None:
        self.ec2 = ec2
        self.vpc: Vpc = ec2.add_vpc()
        self.subnet: Subnet = ec2.add_subnet(self.vpc, "a", "10.1.0.0/16", name="multus")
        self.group: SecurityGroup = ec2.add_security_group(self.vpc, group_name="multus-sg")
        self.reported: list[tuple[str, EC2Error | None]] = []
        self._client: EC2Client | None = None

    @property
    def client(self) -> EC2Client:
        assert self._client is not None
        return self._client

    @client.setter
    def client(self, client: EC2Client) -> None:
        self._client = client

    def report(self, action: str, seconds: float, error: EC2Error | None) -> None:
        assert seconds >= 0
        self.reported.append((action, error))

    def request(self, token: str, *, uid: str = "uid-1", node: str = "node-1") -> InterfaceRequest:
        return InterfaceRequest(
            subnet_id=self.subnet.id,
            values={GROUPS: (self.group.id,), DESCRIPTION: "made by a test"},
            tags=interface_tags(
                cluster_id=CLUSTER, nodeeni="multus", uid=uid, node=node, instance_id=f"i-of-{node}"
            ),
            client_token=token,
        )

    def count(self, action: str) -> int:
        return sum(called == action for called, _ in self.reported)


OpenSite = Callable[..., Awaitable[Site]]


@pytest.fixture
async def open_site() -> AsyncIterator[OpenSite]:
    """Opens a site whose EC2 has other settings than the quick ones; all are closed at the end."""
    sites: list[Callable[[], Awaitable[None]]] = []

    async def opener(**changes: object) -> Site:
        ec2 = EC2Server(settings=quick_settings(**changes))
        await ec2.start()
        site = Site(ec2)
        connection = EC2Client.connect("us-west-2", endpoint_url=ec2.url, on_call=site.report)
        site.client = await connection.__aenter__()

        async def close() -> None:
            await connection.__aexit__(None, None, None)
            await ec2.stop()

        sites.append(close)
        return site

    yield opener
    for close in reversed(sites):
        await close()


@pytest.fixture
async def site(open_site: OpenSite) -> Site:
    return await open_site()


async def eventually(condition: Callable[[], bool], within: float = 30.0) -> None:
    """Await a condition that other tasks bring about; fails after `within` seconds."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        await asyncio.sleep(0.005)

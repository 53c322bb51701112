"""The instance metadata service, judged by botocore's own clients of it."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from botocore.utils import InstanceMetadataFetcher, InstanceMetadataRegionFetcher
from tests.sandbox.ec2.conftest import Cloud

from nodeeni.sandbox.ec2 import Imds


@pytest.fixture
async def imds(cloud: Cloud) -> AsyncIterator[Imds]:
    service = cloud.ec2.imds(cloud.instance.id)
    await service.start()
    yield service
    await service.stop()


async def test_botocore_finds_region_and_credentials(imds: Imds) -> None:
    where = {"ec2_metadata_service_endpoint": imds.url}
    region = await asyncio.to_thread(InstanceMetadataRegionFetcher(config=where).retrieve_region)
    credentials = await asyncio.to_thread(InstanceMetadataFetcher(config=where).retrieve_iam_role_credentials)
    assert region == "us-west-2"
    assert credentials["role_name"] == "sandbox-node-role"


async def test_without_a_session_token_nothing_is_told(imds: Imds) -> None:
    async with aiohttp.ClientSession() as http:
        assert (await http.get(f"{imds.url}/latest/meta-data/instance-id")).status == 401
        assert (await http.put(f"{imds.url}/latest/api/token")).status == 400


async def test_an_instance_reads_who_it_is(cloud: Cloud, imds: Imds) -> None:
    eni_id, _ = await cloud.attached(2)
    mac = cloud.ec2.interface(eni_id).mac
    async with aiohttp.ClientSession() as http:
        ttl = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
        token = await (await http.put(f"{imds.url}/latest/api/token", headers=ttl)).text()
        header = {"X-aws-ec2-metadata-token": token}

        async def read(path: str) -> str:
            return await (await http.get(f"{imds.url}/latest/{path}", headers=header)).text()

        assert await read("meta-data/instance-id") == cloud.instance.id
        assert await read("meta-data/placement/availability-zone") == "us-west-2a"
        assert await read(f"meta-data/network/interfaces/macs/{mac}/device-number") == "2"
        assert (await read("meta-data/network/interfaces/macs/")).splitlines() == [
            f"{each.mac}/" for each in cloud.ec2.interfaces_of(cloud.instance.id)
        ]
        assert f'"instanceId": "{cloud.instance.id}"' in await read("dynamic/instance-identity/document")


async def test_cloud_init_asks_by_the_name_of_a_version(cloud: Cloud, imds: Imds) -> None:
    """As EC2 does: versions are listed at the top, and each is a door to the same data. No user data: 404."""
    async with aiohttp.ClientSession() as http:
        ttl = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
        token = await (await http.put(f"{imds.url}/latest/api/token", headers=ttl)).text()
        header = {"X-aws-ec2-metadata-token": token}
        versions = (await (await http.get(f"{imds.url}/", headers=header)).text()).splitlines()
        assert versions[-1] == "latest"
        assert {"2009-04-04", "2016-09-02", "2021-03-23"} <= set(versions)
        for version in versions:
            told = await http.get(f"{imds.url}/{version}/meta-data/instance-id", headers=header)
            assert await told.text() == cloud.instance.id
            assert (await http.get(f"{imds.url}/{version}/user-data", headers=header)).status == 404
        assert (await http.get(f"{imds.url}/2038-01-19/meta-data/", headers=header)).status == 404

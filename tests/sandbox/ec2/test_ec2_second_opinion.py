"""moto as a second opinion where it models the thing: the shape of answers, and the limits of real types."""

import asyncio
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws
from tests.sandbox.ec2.conftest import Cloud

from nodeeni.sandbox.ec2.instance_types import INSTANCE_TYPES, Queues

# Members that moto shows and EC2 does not for an interface without a public address, made by ourselves.
_MOTO_ONLY = {"Association", "RequesterId"}


def members(value: Any, path: str = "") -> Iterator[str]:
    """The paths of all members, list items merged."""
    if isinstance(value, dict):
        for name, member in value.items():
            inner = f"{path}.{name}" if path else name
            yield inner
            yield from members(member, inner)
    elif isinstance(value, list):
        for item in value:
            yield from members(item, f"{path}[]")


def play(client: Any, subnet_id: str, group_id: str, instance_id: str) -> dict[str, Any]:
    """One interface from create to attached, and what each describe shows of it."""
    tags = [{"ResourceType": "network-interface", "Tags": [{"Key": "k", "Value": "v"}]}]
    created = client.create_network_interface(
        SubnetId=subnet_id, Groups=[group_id], Description="d", TagSpecifications=tags
    )["NetworkInterface"]
    eni_id = created["NetworkInterfaceId"]
    attached = client.attach_network_interface(
        NetworkInterfaceId=eni_id, InstanceId=instance_id, DeviceIndex=1
    )
    shown = client.describe_network_interfaces(NetworkInterfaceIds=[eni_id])["NetworkInterfaces"]
    reservations = client.describe_instances(InstanceIds=[instance_id])["Reservations"]
    return {
        "created": created,
        "attached": {"AttachmentId": attached["AttachmentId"]},
        "shown": shown,
        "of instance": [each["Attachment"] for each in reservations[0]["Instances"][0]["NetworkInterfaces"]],
        "zones": [
            each["ZoneName"][:-1] for each in client.describe_availability_zones()["AvailabilityZones"]
        ],
    }


def moto_client() -> Any:
    """Of a session of its own: moto is seen only by sessions younger than its import."""
    return boto3.Session("sandbox", "sandbox", region_name="us-west-2").client("ec2")


def play_in_moto() -> dict[str, Any]:
    with mock_aws():
        client = moto_client()
        vpc_id = client.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnet_id = client.create_subnet(VpcId=vpc_id, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
        group_id = client.create_security_group(VpcId=vpc_id, GroupName="g", Description="g")["GroupId"]
        launched = client.run_instances(ImageId="ami-12c6146b", SubnetId=subnet_id, MinCount=1, MaxCount=1)
        instance_id = launched["Instances"][0]["InstanceId"]
        answers = play(client, subnet_id, group_id, instance_id)
        client.close()
        return answers


async def test_answers_have_the_members_that_motos_have(cloud: Cloud) -> None:
    theirs = await asyncio.to_thread(play_in_moto)
    ours = await asyncio.to_thread(
        play, cloud.boto.client, cloud.subnet.id, cloud.group.id, cloud.instance.id
    )
    missing = set(members(theirs)) - set(members(ours))
    assert {path.rpartition(".")[2] for path in missing} <= _MOTO_ONLY


def test_the_types_have_the_limits_that_motos_recording_has() -> None:
    with mock_aws():
        client = moto_client()
        names = [{"Name": "instance-type", "Values": sorted(INSTANCE_TYPES)}]
        answer = client.describe_instance_types(Filters=names)
        recorded = {each["InstanceType"]: each["NetworkInfo"] for each in answer["InstanceTypes"]}
        client.close()
    known = INSTANCE_TYPES.keys() & recorded.keys()
    assert len(known) >= 15
    for name in sorted(known):
        ours, theirs = INSTANCE_TYPES[name], recorded[name]
        cards = tuple(card["MaximumNetworkInterfaces"] for card in theirs["NetworkCards"])
        assert (name, ours.cards, ours.interface_limit, ours.addresses_per_interface) == (
            name,
            cards,
            theirs["MaximumNetworkInterfaces"],
            theirs["Ipv4AddressesPerInterface"],
        )
        tracked = theirs["ConnectionTrackingConfiguration"]
        assert (name, ours.tcp_established_timeout) == (name, tracked["DefaultTcpEstablishedTimeout"])
        flexible = theirs["FlexibleEnaQueuesSupport"] == "supported"
        assert (name, ours.ena_express, ours.queues is not None) == (
            name,
            theirs["EnaSrdSupported"],
            flexible,
        )
        if ours.queues is not None:
            (card, *_) = theirs["NetworkCards"]
            assert (name, ours.queues, ours.additional) == (
                name,
                Queues(
                    card["DefaultEnaQueueCountPerInterface"],
                    card["MaximumEnaQueueCountPerInterface"],
                    card["MaximumEnaQueueCount"],
                ),
                card["AdditionalFlexibleNetworkInterfaces"],
            )


pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:moto.*")

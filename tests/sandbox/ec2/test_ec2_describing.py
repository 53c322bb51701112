"""Describes: pages, filters, ids, reads that lag behind writes, and the time that thousands take."""

import asyncio
import time
from typing import Any

import pytest
from tests.sandbox.ec2.conftest import Cloud, MakeCloud, eventually

from nodeeni.sandbox.ec2 import quick_settings


async def ids_of(cloud: Cloud, **parameters: Any) -> list[str]:
    answer = await cloud.boto("describe_network_interfaces", **parameters)
    return [each["NetworkInterfaceId"] for each in answer["NetworkInterfaces"]]


async def test_pages_hold_everything_once_even_when_interfaces_go_in_between(cloud: Cloud) -> None:
    planted = sorted(cloud.ec2.plant_interface(cloud.subnet, tags={"k": "v"}).id for _ in range(12))
    filters = [{"Name": "tag:k", "Values": ["v"]}]
    seen: list[str] = []
    token: dict[str, str] = {}
    while True:
        answer = await cloud.boto("describe_network_interfaces", Filters=filters, MaxResults=5, **token)
        seen += [each["NetworkInterfaceId"] for each in answer["NetworkInterfaces"]]
        cloud.ec2.remove_interface(seen[-1])
        if "NextToken" not in answer:
            break
        token = {"NextToken": answer["NextToken"]}
    assert seen == planted


@pytest.mark.parametrize(
    ("parameters", "code", "words"),
    [
        ({"MaxResults": 4}, "InvalidParameterValue", "greater than 5"),
        ({"MaxResults": 1001}, "InvalidParameterValue", "less than or equal to 1000"),
        ({"NextToken": "nonsense"}, "InvalidParameterValue", "pagination token"),
        ({"NetworkInterfaceIds": ["eni-00000001"], "MaxResults": 5}, "InvalidParameterCombination", "ids"),
        ({"NetworkInterfaceIds": ["eni-00000001"]}, "InvalidNetworkInterfaceID.NotFound", "eni-00000001"),
        ({"Filters": [{"Name": "colour", "Values": ["x"]}]}, "InvalidParameterValue", "'colour' is invalid"),
        (
            {"Filters": [{"Name": "subnet-id", "Values": [str(n) for n in range(201)]}]},
            "FilterLimitExceeded",
            "200",
        ),
    ],
)
async def test_a_wrong_describe_is_refused(
    cloud: Cloud, parameters: dict[str, Any], code: str, words: str
) -> None:
    refusal = await cloud.boto.refused("describe_network_interfaces", **parameters)
    assert refusal.code == code
    assert words in refusal.message


async def test_one_id_that_does_not_exist_fails_the_whole_call_and_a_filter_does_not(cloud: Cloud) -> None:
    eni_id = await cloud.create()
    both = [eni_id, "eni-00000001"]
    refusal = await cloud.boto.refused("describe_network_interfaces", NetworkInterfaceIds=both)
    assert refusal.code == "InvalidNetworkInterfaceID.NotFound"
    assert await ids_of(cloud, Filters=[{"Name": "network-interface-id", "Values": both}]) == [eni_id]


async def test_a_token_belongs_to_its_filters(cloud: Cloud) -> None:
    for _ in range(6):
        cloud.ec2.plant_interface(cloud.subnet)
    first = await cloud.boto("describe_network_interfaces", MaxResults=5)
    refusal = await cloud.boto.refused(
        "describe_network_interfaces",
        MaxResults=5,
        NextToken=first["NextToken"],
        Filters=[{"Name": "status", "Values": ["available"]}],
    )
    assert refusal.code == "InvalidParameterValue"


async def test_each_filter_finds_the_interface_and_spares_another(cloud: Cloud) -> None:
    other_subnet = cloud.ec2.add_subnet(cloud.vpc, "b", "10.3.0.0/16")
    wanted = cloud.ec2.plant_interface(
        cloud.subnet,
        tags={"Name": "nodeeni-x"},
        group_ids=[cloud.group.id],
        instance=cloud.instance,
        device_index=2,
        description="Multus [a*b]",
        delete_on_termination=False,
    )
    attachment = wanted.attachment
    assert attachment is not None
    other = cloud.ec2.plant_interface(other_subnet)
    values = {
        "attachment.attachment-id": attachment.id,
        "attachment.delete-on-termination": "false",
        "attachment.device-index": "2",
        "attachment.instance-id": cloud.instance.id,
        "attachment.status": "attached",
        "availability-zone": "us-west-2a",
        "description": r"Multus [a\*b]",
        "group-id": cloud.group.id,
        "group-name": "mult?s",
        "mac-address": wanted.mac,
        "private-dns-name": f"ip-{wanted.private_ips[0].replace('.', '-')}.us-west-2.compute.internal",
        "private-ip-address": wanted.private_ips[0],
        "status": "in-use",
        "subnet-id": cloud.subnet.id,
        "tag-key": "Name",
        "tag:Name": "nodeeni-*",
    }
    for name, value in values.items():
        found = await ids_of(cloud, Filters=[{"Name": name, "Values": ["nothing", value]}])
        assert wanted.id in found, name
        assert other.id not in found, name
    assert await ids_of(cloud, Filters=[{"Name": name, "Values": [values[name]]} for name in values]) == [
        wanted.id
    ]


async def test_a_large_account_refuses_to_give_everything_at_once(make_cloud: MakeCloud) -> None:
    cloud = await make_cloud(quick_settings(unpaginated_limit=3))
    for _ in range(3):
        cloud.ec2.plant_interface(cloud.subnet)
    refusal = await cloud.boto.refused("describe_network_interfaces")
    assert refusal.code == "OperationNotPermitted"
    assert len(await ids_of(cloud, MaxResults=1000)) == 4


async def test_reads_lag_behind_writes(make_cloud: MakeCloud) -> None:
    cloud = await make_cloud(quick_settings(stale_reads=1.0))
    await asyncio.sleep(1.0)  # until the instance itself is seen
    eni_id = await cloud.create()
    refusal = await cloud.boto.refused("describe_network_interfaces", NetworkInterfaceIds=[eni_id])
    assert refusal.code == "InvalidNetworkInterfaceID.NotFound"
    await cloud.attach(eni_id)
    shown = (await cloud.boto("describe_instances"))["Reservations"][0]["Instances"][0]
    assert [each["Attachment"]["DeviceIndex"] for each in shown["NetworkInterfaces"]] == [0]

    async def indices() -> list[int]:
        shown = (await cloud.boto("describe_instances"))["Reservations"][0]["Instances"][0]
        return [each["Attachment"]["DeviceIndex"] for each in shown["NetworkInterfaces"]]

    deadline = time.monotonic() + 30
    while await indices() != [0, 1]:
        assert time.monotonic() < deadline
    assert await ids_of(cloud, Filters=[{"Name": "network-interface-id", "Values": [eni_id]}]) == [eni_id]


async def test_the_readmes_look_at_an_instance(cloud: Cloud) -> None:
    eni_id, _ = await cloud.attached(2)
    shown = await cloud.boto("describe_instances", InstanceIds=[cloud.instance.id])
    interfaces = shown["Reservations"][0]["Instances"][0]["NetworkInterfaces"]
    primary = cloud.ec2.interfaces_of(cloud.instance.id)[0].id
    assert [
        (each["NetworkInterfaceId"], each["Attachment"]["DeviceIndex"], each["Status"]) for each in interfaces
    ] == [(primary, 0, "in-use"), (eni_id, 2, "in-use")]
    none = await cloud.boto.refused("describe_instances", InstanceIds=["i-00000001"])
    assert none.code == "InvalidInstanceID.NotFound"
    by_interface = [{"Name": "network-interface.network-interface-id", "Values": [eni_id]}]
    found = await cloud.boto("describe_instances", Filters=by_interface)
    assert found["Reservations"][0]["Instances"][0]["InstanceId"] == cloud.instance.id


async def test_places_are_described_by_name_tag_and_zone(cloud: Cloud) -> None:
    subnets = await cloud.boto("describe_subnets", Filters=[{"Name": "tag:Name", "Values": ["nodes-a"]}])
    assert [
        (each["SubnetId"], each["AvailabilityZone"], each["CidrBlock"], each["VpcId"])
        for each in subnets["Subnets"]
    ] == [(cloud.subnet.id, "us-west-2a", "10.0.0.0/16", cloud.vpc.id)]
    for name, value in {"group-name": "multus", "tag:Name": "multus-tag", "vpc-id": cloud.vpc.id}.items():
        groups = await cloud.boto("describe_security_groups", Filters=[{"Name": name, "Values": [value]}])
        assert cloud.group.id in [each["GroupId"] for each in groups["SecurityGroups"]]
    missing = await cloud.boto.refused("describe_security_groups", GroupIds=["sg-00000001"])
    assert missing.code == "InvalidGroup.NotFound"
    zones = await cloud.boto("describe_availability_zones")
    assert [each["ZoneName"] for each in zones["AvailabilityZones"]] == ["us-west-2a"]
    vpcs = await cloud.boto("describe_vpcs", VpcIds=[cloud.vpc.id])
    assert vpcs["Vpcs"][0]["CidrBlock"] == "10.0.0.0/8"


async def test_instance_types_tell_their_cards(cloud: Cloud) -> None:
    answer = await cloud.boto("describe_instance_types", InstanceTypes=["m5.large", "c6in.32xlarge"])
    limits = {
        each["InstanceType"]: (
            each["NetworkInfo"]["MaximumNetworkInterfaces"],
            [card["MaximumNetworkInterfaces"] for card in each["NetworkInfo"]["NetworkCards"]],
        )
        for each in answer["InstanceTypes"]
    }
    assert limits == {"m5.large": (3, [3]), "c6in.32xlarge": (16, [8, 8])}
    refusal = await cloud.boto.refused("describe_instance_types", InstanceTypes=["x9.huge"])
    assert refusal.code == "InvalidInstanceType"


async def test_instances_are_launched_stopped_and_started(cloud: Cloud) -> None:
    answer = await cloud.boto(
        "run_instances",
        ImageId="ami-0123456789abcdef0",
        InstanceType="m7i.large",
        MinCount=1,
        MaxCount=1,
        SubnetId=cloud.subnet.id,
    )
    instance_id = answer["Instances"][0]["InstanceId"]
    assert answer["Instances"][0]["State"]["Name"] == "pending"
    await eventually(lambda: cloud.ec2.instance(instance_id).state == "running")
    stopping = await cloud.boto("stop_instances", InstanceIds=[instance_id])
    assert stopping["StoppingInstances"] == [
        {
            "InstanceId": instance_id,
            "PreviousState": {"Code": 16, "Name": "running"},
            "CurrentState": {"Code": 64, "Name": "stopping"},
        }
    ]
    await eventually(lambda: cloud.ec2.instance(instance_id).state == "stopped")
    await cloud.attach(await cloud.create(), 1, InstanceId=instance_id)
    assert [each.attachment and each.attachment.status for each in cloud.ec2.interfaces_of(instance_id)] == [
        "attached",
        "attached",
    ]
    await cloud.boto("start_instances", InstanceIds=[instance_id])
    await eventually(lambda: cloud.ec2.instance(instance_id).state == "running")


async def test_five_thousand_interfaces_are_read_in_pages(cloud: Cloud) -> None:
    for _ in range(5000):
        cloud.ec2.plant_interface(cloud.subnet, tags={"owner": "us"}, group_ids=[cloud.group.id])
    filters = [{"Name": "tag:owner", "Values": ["us"]}]
    token: dict[str, str] = {}
    pages = 0
    while pages == 0 or token:
        answer = await cloud.boto("describe_network_interfaces", Filters=filters, MaxResults=200, **token)
        pages += 1
        token = {"NextToken": answer["NextToken"]} if "NextToken" in answer else {}
    assert pages == 25

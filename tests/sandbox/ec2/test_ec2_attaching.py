"""Attach, detach and modify: phases, limits and conflicts as EC2 words them."""

from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
from tests.sandbox.ec2.conftest import Cloud, MakeCloud, Refusal, eventually

from nodeeni.sandbox.ec2 import Delay, quick_settings


async def test_attaching_then_attached_then_detaching_then_available(cloud: Cloud) -> None:
    eni_id = await cloud.create()
    attachment_id = await cloud.attach(eni_id, 2)
    assert cloud.phase(eni_id) == "attaching"
    await eventually(lambda: cloud.phase(eni_id) == "attached")
    shown = (await cloud.boto("describe_network_interfaces", NetworkInterfaceIds=[eni_id]))[
        "NetworkInterfaces"
    ][0]
    when = shown["Attachment"].pop("AttachTime")
    assert when.tzinfo is not None
    assert shown["Status"] == "in-use"
    assert shown["Attachment"] == {
        "AttachmentId": attachment_id,
        "InstanceId": cloud.instance.id,
        "InstanceOwnerId": "123456789012",
        "DeviceIndex": 2,
        "NetworkCardIndex": 0,
        "Status": "attached",
        "DeleteOnTermination": False,
    }
    await cloud.boto("detach_network_interface", AttachmentId=attachment_id)
    assert cloud.phase(eni_id) == "detaching"
    await eventually(lambda: cloud.phase(eni_id) == "available")
    refusal = await cloud.boto.refused("detach_network_interface", AttachmentId=attachment_id)
    assert refusal.code == "InvalidAttachmentID.NotFound"


async def test_attached_comes_one_delay_after_the_request_not_after_the_answer(make_cloud: MakeCloud) -> None:
    slow = {"AttachNetworkInterface": Delay(0.3)}
    cloud = await make_cloud(quick_settings(replies=slow, attaching=Delay(0.1)))
    eni_id = await cloud.create()
    await cloud.attach(eni_id)
    assert cloud.phase(eni_id) == "attached"


async def test_a_taken_index_is_refused(cloud: Cloud) -> None:
    await cloud.attached(1)
    other = await cloud.create()
    assert await cloud.boto.refused(
        "attach_network_interface", NetworkInterfaceId=other, InstanceId=cloud.instance.id, DeviceIndex=1
    ) == Refusal(
        "InvalidParameterValue",
        f"Instance '{cloud.instance.id}' already has an interface attached at device index '1'.",
        400,
    )
    assert cloud.phase(other) == "available"


async def test_an_attached_interface_is_in_use(cloud: Cloud) -> None:
    eni_id, _ = await cloud.attached(1)
    assert await cloud.boto.refused(
        "attach_network_interface", NetworkInterfaceId=eni_id, InstanceId=cloud.instance.id, DeviceIndex=2
    ) == Refusal("InvalidNetworkInterface.InUse", f"Interface: [{eni_id}] in use.", 400)
    assert await cloud.boto.refused("delete_network_interface", NetworkInterfaceId=eni_id) == Refusal(
        "InvalidParameterValue", f"Network interface '{eni_id}' is currently in use.", 400
    )


async def test_an_instance_full_of_interfaces_refuses(cloud: Cloud) -> None:
    await cloud.attached(1)
    cloud.ec2.vpc_cni_interface(cloud.instance, 3)
    other = await cloud.create()
    assert await cloud.boto.refused(
        "attach_network_interface", NetworkInterfaceId=other, InstanceId=cloud.instance.id, DeviceIndex=2
    ) == Refusal("AttachmentLimitExceeded", "Interface count 4 exceeds the limit for m5.large", 400)


async def test_each_network_card_has_its_own_indices_and_limit(cloud: Cloud) -> None:
    big = cloud.ec2.add_instance(cloud.subnet, "p5.48xlarge")
    await cloud.attach(await cloud.create(), 1, InstanceId=big.id, NetworkCardIndex=0)
    await cloud.attach(await cloud.create(), 1, InstanceId=big.id, NetworkCardIndex=1)
    other = await cloud.create()
    asked = {"NetworkInterfaceId": other, "InstanceId": big.id}
    full = await cloud.boto.refused("attach_network_interface", **asked, DeviceIndex=2, NetworkCardIndex=0)
    absent = await cloud.boto.refused("attach_network_interface", **asked, DeviceIndex=1, NetworkCardIndex=32)
    assert (full.code, absent.code) == ("AttachmentLimitExceeded", "InvalidParameterValue")


async def test_another_zone_is_refused(cloud: Cloud) -> None:
    other = await cloud.create(SubnetId=cloud.ec2.add_subnet(cloud.vpc, "b", "10.2.0.0/16").id)
    refusal = await cloud.boto.refused(
        "attach_network_interface", NetworkInterfaceId=other, InstanceId=cloud.instance.id, DeviceIndex=1
    )
    assert refusal.code == "InvalidParameterCombination"
    assert "not in the same availability zone" in refusal.message


async def test_an_instance_on_its_way_is_in_an_incorrect_state(make_cloud: MakeCloud) -> None:
    cloud = await make_cloud(quick_settings(terminating=Delay(30)))
    eni_id = await cloud.create()
    await cloud.boto("terminate_instances", InstanceIds=[cloud.instance.id])
    refusal = await cloud.boto.refused(
        "attach_network_interface", NetworkInterfaceId=eni_id, InstanceId=cloud.instance.id, DeviceIndex=1
    )
    assert refusal.code == "IncorrectState"
    assert "is not 'running'" in refusal.message


async def test_the_primary_interface_stays(cloud: Cloud) -> None:
    primary = cloud.ec2.interfaces_of(cloud.instance.id)[0].attachment
    assert primary is not None
    assert await cloud.boto.refused("detach_network_interface", AttachmentId=primary.id) == Refusal(
        "OperationNotPermitted",
        "The network interface at device index 0 and networkCard index 0 cannot be detached.",
        400,
    )


async def test_a_stuck_attach_ends_by_force_alone(cloud: Cloud) -> None:
    cloud.ec2.faults.stick("AttachNetworkInterface")
    eni_id = await cloud.create()
    attachment_id = await cloud.attach(eni_id)
    refusal = await cloud.boto.refused("detach_network_interface", AttachmentId=attachment_id)
    assert (refusal.code, cloud.phase(eni_id)) == ("IncorrectState", "attaching")
    await cloud.boto("detach_network_interface", AttachmentId=attachment_id, Force=True)
    await eventually(lambda: cloud.phase(eni_id) == "available")


async def test_a_stuck_detach_ends_by_force_and_may_cost_the_index(make_cloud: MakeCloud) -> None:
    cloud = await make_cloud(quick_settings(force_burns_index=True))
    eni_id, attachment_id = await cloud.attached(1)
    cloud.ec2.faults.stick("DetachNetworkInterface")
    await cloud.boto("detach_network_interface", AttachmentId=attachment_id)
    await cloud.boto("detach_network_interface", AttachmentId=attachment_id)
    assert cloud.phase(eni_id) == "detaching"
    await cloud.boto("detach_network_interface", AttachmentId=attachment_id, Force=True)
    await eventually(lambda: cloud.phase(eni_id) == "available")
    refusal = await cloud.boto.refused(
        "attach_network_interface", NetworkInterfaceId=eni_id, InstanceId=cloud.instance.id, DeviceIndex=1
    )
    assert "already has an interface attached at device index '1'" in refusal.message


async def test_termination_deletes_what_is_marked_and_frees_the_rest(cloud: Cloud) -> None:
    marked, attachment_id = await cloud.attached(1)
    kept, _ = await cloud.attached(2)
    await cloud.boto(
        "modify_network_interface_attribute",
        NetworkInterfaceId=marked,
        Attachment={"AttachmentId": attachment_id, "DeleteOnTermination": True},
    )
    await cloud.boto("terminate_instances", InstanceIds=[cloud.instance.id])
    await eventually(lambda: cloud.ec2.instance(cloud.instance.id).state == "terminated")
    assert [(each.id, each.status) for each in cloud.ec2.interfaces()] == [(kept, "available")]


async def test_what_of_an_attribute_is_not_simulated_is_refused_not_ignored(cloud: Cloud) -> None:
    eni_id = await cloud.create()
    attached = {"Attachment.AttachmentId": await cloud.attach(eni_id)}
    call = {"Action": "ModifyNetworkInterfaceAttribute", "NetworkInterfaceId": eni_id}
    signed = "AWS4-HMAC-SHA256 Credential=KEY/20260101/us-west-2/ec2/aws4_request, Signature=0"
    dated = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    headers = {"Authorization": signed, "X-Amz-Date": dated}
    async with aiohttp.ClientSession(headers=headers) as http:
        for sent, code in (
            ({"AssociatePublicIpAddress": "true"}, "UnknownParameter"),
            ({**attached, "Attachment.DeleteOnTermination": "true", "Attachment.X": "1"}, "UnknownParameter"),
            ({"Description.Value": "new", "Description.X": "1"}, "UnknownParameter"),
            (attached, "MissingParameter"),
        ):
            answer = await http.post(cloud.boto.url, data={**call, **sent})
            assert f"<Code>{code}</Code>" in await answer.text()
    now = cloud.ec2.interface(eni_id)
    assert now.attachment is not None
    assert (now.description, now.attachment.delete_on_termination) == ("", False)


async def test_attributes_change_one_at_a_time(cloud: Cloud) -> None:
    eni_id = await cloud.create()
    other = cloud.ec2.add_security_group(cloud.vpc, group_name="other")
    changes: list[dict[str, Any]] = [
        {"Description": {"Value": "new"}},
        {"SourceDestCheck": {"Value": False}},
        {"Groups": [other.id]},
    ]
    for change in changes:
        await cloud.boto("modify_network_interface_attribute", NetworkInterfaceId=eni_id, **change)
    now = cloud.ec2.interface(eni_id)
    assert (now.description, now.source_dest_check, now.group_ids) == ("new", False, (other.id,))
    refusal = await cloud.boto.refused(
        "modify_network_interface_attribute", NetworkInterfaceId=eni_id, **changes[0], **changes[1]
    )
    assert refusal.code == "InvalidParameterCombination"
    shown = await cloud.boto(
        "describe_network_interface_attribute", NetworkInterfaceId=eni_id, Attribute="groupSet"
    )
    assert shown == {
        "NetworkInterfaceId": eni_id,
        "Groups": [{"GroupId": other.id, "GroupName": "other"}],
    }


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"InstanceId": "i-00000001"}, "InvalidInstanceID.NotFound"),
        ({"InstanceId": "node-1"}, "InvalidInstanceID.Malformed"),
        ({"NetworkInterfaceId": "eni-00000001"}, "InvalidNetworkInterfaceID.NotFound"),
        ({"DeviceIndex": 64}, "InvalidParameterValue"),
    ],
)
async def test_a_wrong_attach_is_refused(cloud: Cloud, parameters: dict[str, Any], code: str) -> None:
    eni_id = await cloud.create()
    asked = {"NetworkInterfaceId": eni_id, "InstanceId": cloud.instance.id, "DeviceIndex": 1} | parameters
    refusal = await cloud.boto.refused("attach_network_interface", **asked)
    assert (refusal.code, cloud.phase(eni_id)) == (code, "available")

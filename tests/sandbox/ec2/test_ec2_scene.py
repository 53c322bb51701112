"""What others made: interfaces planted before the program under test looks."""

from tests.sandbox.ec2.conftest import Cloud, MakeCloud, eventually

from nodeeni.sandbox.ec2 import quick_settings

# As v1.1.0 left one, in the form of the upgrade recordings.
RECORDED = {
    "networkInterfaceId": "eni-142b38755cd37880e",
    "subnetId": "subnet-00000000000000000",
    "description": "Multus ENI",
    "groups": ["sg-00000000000000001"],
    "tags": {"NodeENI": "multus-eni-config", "Node": "n1", "node.k8s.amazonaws.com/no_manage": "true"},
    "status": "in-use",
    "attachment": {
        "attachmentId": "eni-attach-502f4b342742a8063",
        "instanceId": "i-5626467ba04a10547",
        "deviceIndex": 2,
        "networkCardIndex": 0,
        "deleteOnTermination": True,
    },
}


async def test_a_recorded_interface_stands_with_its_ids_and_works(cloud: Cloud) -> None:
    subnet = cloud.ec2.add_subnet(cloud.vpc, "a", "10.5.0.0/16", id="subnet-00000000000000000")
    cloud.ec2.add_security_group(cloud.vpc, id="sg-00000000000000001")
    instance = cloud.ec2.add_instance(subnet, id="i-5626467ba04a10547")
    cloud.ec2.plant_recorded(RECORDED, subnet, instance)
    answer = await cloud.boto(
        "describe_network_interfaces", Filters=[{"Name": "tag:NodeENI", "Values": ["multus-eni-config"]}]
    )
    (shown,) = answer["NetworkInterfaces"]
    shown["Attachment"].pop("AttachTime")
    assert {tag["Key"]: tag["Value"] for tag in shown["TagSet"]} == RECORDED["tags"]
    assert (shown["NetworkInterfaceId"], shown["Status"]) == ("eni-142b38755cd37880e", "in-use")
    assert shown["Attachment"] == {
        "AttachmentId": "eni-attach-502f4b342742a8063",
        "InstanceId": "i-5626467ba04a10547",
        "InstanceOwnerId": "123456789012",
        "DeviceIndex": 2,
        "NetworkCardIndex": 0,
        "DeleteOnTermination": True,
        "Status": "attached",
    }
    await cloud.boto("detach_network_interface", AttachmentId="eni-attach-502f4b342742a8063")
    await eventually(lambda: cloud.phase("eni-142b38755cd37880e") == "available")


async def test_an_interface_just_created_may_not_be_found_by_an_attach(make_cloud: MakeCloud) -> None:
    cloud = await make_cloud(quick_settings(stale_reads=0.3, stale_lookups=True))
    eni_id = await cloud.create()
    asked = {"NetworkInterfaceId": eni_id, "InstanceId": cloud.instance.id, "DeviceIndex": 1}
    refusal = await cloud.boto.refused("attach_network_interface", **asked)
    assert refusal.code == "InvalidNetworkInterfaceID.NotFound"
    await eventually(lambda: cloud.ec2.account.interfaces.seen(eni_id) is not None)
    await cloud.boto("attach_network_interface", **asked)


async def test_a_cni_takes_an_index_and_somebody_deletes_an_interface(cloud: Cloud) -> None:
    taken = cloud.ec2.vpc_cni_interface(cloud.instance, 1)
    eni_id = await cloud.create()
    asked = {"NetworkInterfaceId": eni_id, "InstanceId": cloud.instance.id, "DeviceIndex": 1}
    refusal = await cloud.boto.refused("attach_network_interface", **asked)
    assert "already has an interface attached at device index '1'" in refusal.message
    cloud.ec2.remove_interface(taken.id)
    await cloud.boto("attach_network_interface", **asked)

"""The models that were cut down, beside botocore's whole ones: the same is sent, and the same is read."""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.parsers import create_parser
from botocore.serialize import create_serializer

from nodeeni.ec2.models import cut_loader
from nodeeni.ec2.sdk import ACTIONS
from nodeeni.ec2.types import READ, read_instance, read_interface

ANSWER = """<?xml version="1.0" encoding="UTF-8"?>
<DescribeNetworkInterfacesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">
  <networkInterfaceSet><item>
    <networkInterfaceId>eni-0a</networkInterfaceId><subnetId>subnet-0a</subnetId><vpcId>vpc-0a</vpcId>
    <availabilityZone>us-west-2a</availabilityZone><description>one</description><ownerId>1</ownerId>
    <requesterManaged>false</requesterManaged><status>in-use</status><macAddress>02:00:00:00:00:01</macAddress>
    <privateIpAddress>10.0.0.4</privateIpAddress><sourceDestCheck>false</sourceDestCheck>
    <groupSet><item><groupId>sg-0a</groupId><groupName>a</groupName></item></groupSet>
    <attachment><attachmentId>eni-attach-0a</attachmentId><instanceId>i-0a</instanceId>
      <deviceIndex>2</deviceIndex><networkCardIndex>1</networkCardIndex><status>attached</status>
      <attachTime>2026-01-01T00:00:00.000Z</attachTime><deleteOnTermination>true</deleteOnTermination>
    </attachment>
    <tagSet><item><key>Name</key><value>x</value></item></tagSet>
    <privateIpAddressesSet>
      <item><privateIpAddress>10.0.0.5</privateIpAddress><primary>false</primary></item>
      <item><privateIpAddress>10.0.0.4</privateIpAddress><primary>true</primary></item>
    </privateIpAddressesSet>
  </item></networkInterfaceSet><nextToken>more</nextToken>
</DescribeNetworkInterfacesResponse>"""

REQUESTS: Mapping[str, dict[str, Any]] = {
    "CreateNetworkInterface": {
        "SubnetId": "subnet-0a",
        "Groups": ["sg-0a", "sg-0b"],
        "Description": "one",
        "ClientToken": "token",
        "TagSpecifications": [
            {"ResourceType": "network-interface", "Tags": [{"Key": "Name", "Value": "x"}]},
        ],
    },
    "AttachNetworkInterface": {
        "NetworkInterfaceId": "eni-0a",
        "InstanceId": "i-0a",
        "DeviceIndex": 2,
        "NetworkCardIndex": 1,
    },
    "ModifyNetworkInterfaceAttribute": {
        "NetworkInterfaceId": "eni-0a",
        "Attachment": {"AttachmentId": "eni-attach-0a", "DeleteOnTermination": True},
    },
    "DescribeInstances": {
        "Filters": [{"Name": "instance-id", "Values": ["i-0a", "i-0b"]}],
        "MaxResults": 200,
        "NextToken": "more",
    },
}


def model(loader: Loader) -> ServiceModel:
    return ServiceModel(loader.load_service_model("ec2", "service-2"), "ec2")


@pytest.fixture(scope="module")
def whole() -> ServiceModel:
    return model(Loader())


@pytest.fixture(scope="module")
def cut() -> ServiceModel:
    return model(cut_loader(ACTIONS, READ))


def test_it_knows_our_actions_and_no_others(cut: ServiceModel) -> None:
    assert sorted(cut.operation_names) == sorted(ACTIONS)


def test_what_is_read_is_named_as_ec2_names_it(whole: ServiceModel, cut: ServiceModel) -> None:
    """A shape that no answer has would be cut from nothing, and its fields never be read."""
    assert READ.keys() <= set(cut.shape_names)
    for name, fields in READ.items():
        assert set(cut.shape_for(name).members) == fields
        assert fields <= set(whole.shape_for(name).members)


@pytest.mark.parametrize("action", REQUESTS)
def test_the_same_is_sent(action: str, whole: ServiceModel, cut: ServiceModel) -> None:
    sent = [
        create_serializer(one.metadata["protocol"], False).serialize_to_request(
            REQUESTS[action], one.operation_model(action)
        )
        for one in (whole, cut)
    ]
    assert sent[0] == sent[1]


def test_the_same_is_read_though_less_is_parsed(whole: ServiceModel, cut: ServiceModel) -> None:
    parsed = []
    for one in (whole, cut):
        shape = one.operation_model("DescribeNetworkInterfaces").output_shape
        answer = {"status_code": 200, "headers": {}, "body": ANSWER.encode()}
        parsed.append(create_parser(one.metadata["protocol"]).parse(answer, shape))
    whole_item, cut_item = (answer["NetworkInterfaces"][0] for answer in parsed)
    assert read_interface(cut_item) == read_interface(whole_item)
    assert parsed[1]["NextToken"] == "more"
    assert "AttachTime" in whole_item["Attachment"]
    assert "AttachTime" not in cut_item["Attachment"]


def test_endpoints_of_other_partitions_are_still_known() -> None:
    loader = cut_loader(ACTIONS, READ)
    partitions = {p["partition"]: p for p in loader.load_data("endpoints")["partitions"]}
    assert {"aws", "aws-cn", "aws-us-gov"} <= partitions.keys()
    assert set(partitions["aws"]["services"]) == {"ec2", "sts", "servicequotas"}
    whole = {p["partition"]: p for p in Loader().load_data("endpoints")["partitions"]}
    assert partitions["aws-cn"]["services"]["ec2"] == whole["aws-cn"]["services"]["ec2"]


def test_models_of_other_services_are_whole() -> None:
    assert "GetCallerIdentity" in cut_loader((), {}).load_service_model("sts", "service-2")["operations"]


SHOWN = {
    "NetworkInterfaceId": "eni-0a",
    "Status": "available",
    "SubnetId": "subnet-0a",
    "VpcId": "vpc-0a",
    "AvailabilityZone": "us-west-2a",
    "MacAddress": "02:00:00:00:00:01",
}
INSTANCE = {
    "InstanceId": "i-0a",
    "InstanceType": "m5.large",
    "State": {"Name": "running"},
    "Placement": {"AvailabilityZone": "us-west-2a"},
}


@pytest.mark.parametrize(
    "attachment",
    [
        {},
        {"InstanceOwnerId": "amazon-elb", "Status": "attached"},
        {"AttachmentId": "ela-attach-0a", "DeviceIndex": 1},
        {"InstanceId": "i-0a", "Status": "detached"},
    ],
)
def test_of_what_hangs_on_no_instance_nothing_more_is_asked(attachment: dict[str, Any]) -> None:
    assert read_interface({**SHOWN, "Attachment": attachment}).attachment is None
    slots = [{"NetworkInterfaceId": "eni-0a", "Attachment": {}}, {"NetworkInterfaceId": "eni-0b"}]
    instance = read_instance({**INSTANCE, "NetworkInterfaces": slots})
    assert instance.slots == ()


@pytest.mark.parametrize("missing", ["AttachmentId", "DeviceIndex", "Status"])
def test_an_attachment_to_an_instance_is_read_whole_or_not_at_all(missing: str) -> None:
    whole = {"InstanceId": "i-0a", "AttachmentId": "eni-attach-0a", "DeviceIndex": 1, "Status": "attached"}
    lacking = {name: value for name, value in whole.items() if name != missing}
    with pytest.raises(msgspec.ValidationError, match="i-0a lacks"):
        read_interface({**SHOWN, "Attachment": lacking})

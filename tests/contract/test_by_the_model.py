"""The judge of requests by EC2's own model tells what is wrong with one."""

import pytest
from tests.contract import by_the_model

from nodeeni.sandbox.ec2.calls import Call

CREATE = {
    "SubnetId": "subnet-1",
    "SecurityGroupId.1": "sg-1",
    "ConnectionTrackingSpecification.TcpEstablishedTimeout": "600",
    "TagSpecification.1.ResourceType": "network-interface",
    "TagSpecification.1.Tag.2.Key": "a",
}
ATTACH = {
    "NetworkInterfaceId": "eni-1",
    "InstanceId": "i-1",
    "DeviceIndex": "1",
    "EnaSrdSpecification.EnaSrdUdpSpecification.EnaSrdUdpEnabled": "true",
}


def call(action: str, parameters: dict[str, str]) -> Call:
    return Call(action, 0.0, 0.0, "id", "ok", parameters)


def test_what_ec2_knows_passes() -> None:
    seen = [call("CreateNetworkInterface", CREATE), call("AttachNetworkInterface", ATTACH)]
    assert by_the_model.unknown([*seen, call("GetCallerIdentity", {})]) == []


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"Subnet": "subnet-1"}, "CreateNetworkInterface knows no Subnet"),
        (
            {"ConnectionTrackingSpecification.TcpTimeout": "1"},
            "CreateNetworkInterface knows no ConnectionTrackingSpecification.TcpTimeout",
        ),
        ({"SecurityGroupId": "sg-1"}, "CreateNetworkInterface knows no SecurityGroupId"),
        ({"Ipv6AddressCount": "two"}, "CreateNetworkInterface: Ipv6AddressCount='two' is no integer"),
        (
            {"TagSpecification.1.ResourceType": "eni"},
            "CreateNetworkInterface: TagSpecification.1.ResourceType='eni' is no string",
        ),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_it_does_not_know_is_told(parameters: dict[str, str], told: str) -> None:
    (text,) = by_the_model.unknown([call("CreateNetworkInterface", {**CREATE, **parameters})])
    assert text.startswith(told)


def test_what_it_requires_is_missed() -> None:
    found = by_the_model.unknown([call("AttachNetworkInterface", {"InstanceId": "i-1"})])
    assert sorted(found) == [
        f"AttachNetworkInterface lacks {name}" for name in ("DeviceIndex", "NetworkInterfaceId")
    ]

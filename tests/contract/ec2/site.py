"""A place in some EC2 where checks can be made: a subnet, a group, a running instance, and a client of it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError

TAG = "nodeeni-contract"
ABSENT_ENI, ABSENT_SUBNET, ABSENT_GROUP = (
    "eni-0abcabcabcabcabca",
    "subnet-0abcabcabcabcabca",
    "sg-0abcabcabcabcabca",
)
ABSENT_INSTANCE, ABSENT_ATTACHMENT = "i-0abcabcabcabcabca", "eni-attach-0abcabcabcabcabca"


@dataclass
class Site:
    """`side` is sandbox, moto or aws. `clean` removes what checks made; nothing else is ever touched."""

    side: str
    client: Any  # boto3's
    subnet_id: str
    group_id: str
    instance_id: str
    other_zone_subnet_id: str = ""
    small_subnet_id: str = ""
    index: int = 1  # a device index of the instance that is free
    made: list[str] = field(default_factory=list)

    def create(self, **changes: Any) -> str:
        return str(self.created(**changes)["NetworkInterfaceId"])

    def created(self, **changes: Any) -> dict[str, Any]:
        """The interface as the Create answer shows it."""
        tags = [{"Key": TAG, "Value": "check"}, *changes.pop("Tags", [])]
        parameters = {
            "SubnetId": self.subnet_id,
            "Groups": [self.group_id],
            "TagSpecifications": [{"ResourceType": "network-interface", "Tags": tags}],
            **changes,
        }
        interface: dict[str, Any] = self.client.create_network_interface(**parameters)["NetworkInterface"]
        self.made.append(interface["NetworkInterfaceId"])
        self.until(lambda: self.shown(interface["NetworkInterfaceId"]) is not None)
        return interface

    def attach(self, eni_id: str, index: int | None = None, **changes: Any) -> str:
        """The attachment, once it is attached."""
        asked = {
            "NetworkInterfaceId": eni_id,
            "InstanceId": self.instance_id,
            "DeviceIndex": index or self.index,
        }
        attachment_id = str(self.client.attach_network_interface(**{**asked, **changes})["AttachmentId"])
        self.until(lambda: self.phase(eni_id) == "attached")
        return attachment_id

    def detach(self, eni_id: str, attachment_id: str) -> None:
        self.client.detach_network_interface(AttachmentId=attachment_id)
        self.until(lambda: self.phase(eni_id) == "available")

    def shown(self, eni_id: str) -> dict[str, Any] | None:
        filters = [{"Name": "network-interface-id", "Values": [eni_id]}]
        found = self.client.describe_network_interfaces(Filters=filters)["NetworkInterfaces"]
        return dict(found[0]) if found else None

    def phase(self, eni_id: str) -> str:
        """The attachment's status, or the interface's own when there is none; "" when it is gone."""
        interface = self.shown(eni_id) or {}
        return str(interface.get("Attachment", {}).get("Status") or interface.get("Status", ""))

    def refused(self, operation: str, **parameters: Any) -> tuple[str, str]:
        """The code and the message with which a call is refused."""
        with pytest.raises(ClientError) as caught:
            getattr(self.client, operation)(**parameters)
        error = caught.value.response["Error"]
        return error["Code"], error["Message"]

    def until(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + {"aws": 120.0, "moto": 0.2}.get(self.side, 10.0)
        while not holds():
            assert time.monotonic() < deadline, "it did not come to that"
            time.sleep(1.0 if self.side == "aws" else 0.01)

    def clean(self) -> None:
        for eni_id in self.made:
            interface = self.shown(eni_id)
            if interface and interface.get("Attachment"):
                self.detach(eni_id, interface["Attachment"]["AttachmentId"])
            if interface:
                self.client.delete_network_interface(NetworkInterfaceId=eni_id)
        self.made.clear()

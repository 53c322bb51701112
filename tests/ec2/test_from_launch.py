"""Which interfaces an instance has had since its launch, by EC2's times."""

from typing import Any

import pytest

from nodeeni.ec2.types import read_instance

LAUNCH = "2026-11-28T10:00:00.000Z"


def instance(second: str, *, primary: str = LAUNCH, launch: str = LAUNCH) -> dict[str, Any]:
    """As botocore has it: one attached at `second` beside the primary one. Empty: EC2 does not tell."""

    def attached(index: int, at: str) -> dict[str, Any]:
        told = {"DeviceIndex": index, "Status": "attached", **({"AttachTime": at} if at else {})}
        return {"NetworkInterfaceId": f"eni-{index}", "Attachment": told}

    return {
        "InstanceId": "i-1",
        "InstanceType": "m5.large",
        "State": {"Name": "running"},
        "Placement": {"AvailabilityZone": "us-west-2a"},
        **({"LaunchTime": launch} if launch else {}),
        "NetworkInterfaces": [attached(1, second), attached(0, primary)],
    }


@pytest.mark.parametrize(
    ("told", "from_launch"),
    [
        (instance(LAUNCH), True),
        (instance("2026-11-28T10:01:00.000Z"), True),
        (instance("2026-11-28T10:00:00+00:00"), True),
        (instance("2026-11-28T10:01:01.000Z"), False),
        # Stopped and started since: EC2 tells the last start as the launch.
        (instance(LAUNCH, launch="2026-11-29T08:00:00.000Z"), True),
        (instance("2026-11-29T08:00:10.000Z", launch="2026-11-29T08:00:00.000Z"), False),
        # Without the primary's time, the instance's own.
        (instance(LAUNCH, primary=""), True),
        (instance("2026-11-28T10:01:01.000Z", primary=""), False),
        (instance("2026-11-28T09:58:59.000Z", primary=""), False),
        # What is not told proves nothing.
        (instance(""), False),
        (instance(LAUNCH, primary="", launch=""), False),
        (instance("yesterday"), False),
        (instance("2026-11-28T10:00:00"), False),
    ],
)
def test_within_60_s_of_the_launch(told: dict[str, Any], from_launch: bool) -> None:
    slots = {slot.eni_id: slot for slot in read_instance(told).slots}
    assert slots["eni-1"].from_launch is from_launch

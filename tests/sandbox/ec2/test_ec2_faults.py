"""What goes wrong on request, what is metered, and who is let in."""

import asyncio
import time
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import pytest
from botocore.config import Config
from botocore.exceptions import ConnectionClosedError, ReadTimeoutError
from botocore.parsers import ResponseParserError
from tests.sandbox.ec2.conftest import SESSION, Cloud, MakeCloud, Refusal, eventually

from nodeeni.sandbox.ec2 import Fault, quick_settings
from nodeeni.sandbox.ec2.denials import DENIALS, Denied


def turned(cloud: Cloud) -> list[float]:
    """The clock of the faults, in seconds, which stands until the test turns it."""
    clock = [0.0]
    cloud.ec2.faults.now = lambda: clock[0]
    return clock


async def test_an_error_comes_as_often_as_asked_and_for_matching_calls_only(cloud: Cloud) -> None:
    one, two = await cloud.create(), await cloud.create()
    cloud.ec2.faults.error("DeleteNetworkInterface", "InternalError", times=2, NetworkInterfaceId=one)
    await cloud.boto("delete_network_interface", NetworkInterfaceId=two)
    for _ in range(2):
        refusal = await cloud.boto.refused("delete_network_interface", NetworkInterfaceId=one)
        assert refusal == Refusal("InternalError", "An internal error has occurred", 500)
    await cloud.boto("delete_network_interface", NetworkInterfaceId=one)
    assert cloud.ec2.faults.pending() == []


async def test_an_error_after_the_work_leaves_the_work_done(cloud: Cloud) -> None:
    cloud.ec2.faults.error("CreateNetworkInterface", "Unavailable", phase="after")
    refusal = await cloud.boto.refused("create_network_interface", SubnetId=cloud.subnet.id, ClientToken="t")
    (made,) = cloud.ec2.secondary_interfaces()
    assert (refusal.code, refusal.status) == ("Unavailable", 503)
    again = await cloud.boto("create_network_interface", SubnetId=cloud.subnet.id, ClientToken="t")
    assert again["NetworkInterface"]["NetworkInterfaceId"] == made.id


@pytest.mark.parametrize(("phase", "made"), [("before", 0), ("after", 1)])
async def test_a_connection_is_cut(cloud: Cloud, phase: Any, made: int) -> None:
    cloud.ec2.faults.drop("CreateNetworkInterface", phase)
    with pytest.raises(ConnectionClosedError):
        await cloud.create()
    assert len(cloud.ec2.secondary_interfaces()) == made
    assert [call.code for call in cloud.ec2.calls] == ["dropped"]


async def test_a_call_hangs(cloud: Cloud) -> None:
    cloud.ec2.faults.hang("DescribeVpcs")
    impatient = SESSION.client(
        "ec2",
        endpoint_url=cloud.boto.url,
        config=Config(read_timeout=0.1, retries={"total_max_attempts": 1}),
    )
    with pytest.raises(ReadTimeoutError):
        await asyncio.to_thread(impatient.describe_vpcs)
    impatient.close()
    await eventually(lambda: [call.code for call in cloud.ec2.calls] == ["abandoned"])


async def test_a_delay_and_an_answer_that_is_not_xml(cloud: Cloud) -> None:
    cloud.ec2.faults.delay("DescribeVpcs", 0.2)
    cloud.ec2.faults.answer("DescribeSubnets", 200, "<html>proxy")
    begun = time.monotonic()
    await cloud.boto("describe_vpcs")
    assert time.monotonic() - begun >= 0.2
    with pytest.raises(ResponseParserError):
        await cloud.boto("describe_subnets")


async def test_other_processes_ask_for_faults_and_read_the_calls(cloud: Cloud) -> None:
    control = f"{cloud.boto.url}/_sandbox"
    async with aiohttp.ClientSession() as http:
        asked = {"action": "CreateNetworkInterface", "code": "InsufficientFreeAddressesInSubnet"}
        assert (await http.post(f"{control}/faults", json=asked)).status == 200
        assert (await http.post(f"{control}/faults", json={"acton": "x"})).status == 400
        pending = await (await http.get(f"{control}/faults")).json()
        refusal = await cloud.boto.refused("create_network_interface", SubnetId=cloud.subnet.id)
        eni_id = await cloud.create()
        calls = await (await http.get(f"{control}/calls")).json()
        shown = await (await http.get(f"{control}/interfaces")).json()
    assert pending == [asked]
    assert refusal.code == "InsufficientFreeAddressesInSubnet"
    assert calls["counts"] == {"CreateNetworkInterface": {"InsufficientFreeAddressesInSubnet": 1, "ok": 1}}
    assert eni_id in [each["id"] for each in shown]


async def test_a_fault_without_end_lasts_until_cleared(cloud: Cloud) -> None:
    cloud.ec2.faults.add(Fault(action="*", code="UnauthorizedOperation", times=None))
    for _ in range(3):
        assert (await cloud.boto.refused("describe_vpcs")).status == 403
    cloud.ec2.faults.clear()
    await cloud.boto("describe_vpcs")


async def test_reads_fail_for_a_while_and_writes_go_on(cloud: Cloud) -> None:
    clock = turned(cloud)
    cloud.ec2.faults.add(Fault(action="Describe*", code="RequestLimitExceeded", times=None, lasts=40))
    assert (await cloud.boto.refused("describe_vpcs")).code == "RequestLimitExceeded"
    await cloud.create()
    clock[0] += 39.9
    assert (await cloud.boto.refused("describe_subnets")).status == 503
    clock[0] += 0.1
    await cloud.boto("describe_vpcs")
    assert cloud.ec2.faults.pending() == []


async def test_a_fault_begins_later(cloud: Cloud) -> None:
    clock = turned(cloud)
    cloud.ec2.faults.add(Fault(action="DescribeVpcs", code="Unavailable", times=None, begins=40))
    clock[0] += 39.9
    await cloud.boto("describe_vpcs")
    clock[0] += 0.1
    assert (await cloud.boto.refused("describe_vpcs")).code == "Unavailable"


@pytest.mark.parametrize("denied", DENIALS)
async def test_any_action_is_denied_in_the_words_of_any_policy(cloud: Cloud, denied: Denied) -> None:
    """EC2's own first sentence, then IAM's, then for calls on resources the encoded one."""
    cloud.ec2.faults.add(Fault(action="*", denied=denied, times=None))
    read = await cloud.boto.refused("describe_subnets")
    write = await cloud.boto.refused(
        "delete_network_interface", NetworkInterfaceId=cloud.ec2.interfaces()[0].id
    )
    assert (read.code, read.status, write.code) == ("UnauthorizedOperation", 403, "UnauthorizedOperation")
    assert read.message.startswith("You are not authorized to perform this operation. ")
    assert "Encoded authorization failure message: " in write.message
    if denied == "encoded alone":
        assert "is not authorized to perform" not in read.message + write.message
        return
    of = denied.removeprefix("no ").partition(",")[0]
    words = f"because no {of} allows the" if denied.startswith("no ") else f"with an explicit deny in a {of}"
    assert "is not authorized to perform: ec2:DescribeSubnets on resource: * " in read.message
    assert (
        "ec2:DeleteNetworkInterface on resource: arn:aws:ec2:us-west-2:123456789012:network" in write.message
    )
    for message in (read.message, write.message):
        assert words in message.replace("in an i", "in a i")
    assert len(cloud.ec2.interfaces()) == 1


async def test_attach_is_metered_at_its_documented_bucket(make_cloud: MakeCloud) -> None:
    # Its refill is next to none, or a busy machine would not be done before it counts.
    cloud = await make_cloud(quick_settings(buckets={"AttachNetworkInterface": (50, 0.001)}))
    asked = {"NetworkInterfaceId": "eni-00000001", "InstanceId": cloud.instance.id, "DeviceIndex": 1}
    refusals = await asyncio.gather(
        *(cloud.boto.refused("attach_network_interface", **asked) for _ in range(60))
    )
    throttled = [each for each in refusals if each.code == "RequestLimitExceeded"]
    assert len(throttled) == 10
    assert throttled[0] == Refusal("RequestLimitExceeded", "Request limit exceeded.", 503)
    assert cloud.ec2.calls.throttled == len(throttled)


async def test_a_describe_of_everything_has_a_smaller_bucket_of_its_own(make_cloud: MakeCloud) -> None:
    cloud = await make_cloud(quick_settings(buckets={}, bucket_scale=0.04))  # 4 filtered, 2 not
    for _ in range(2):
        await cloud.boto("describe_vpcs")
    assert (await cloud.boto.refused("describe_vpcs")).code == "RequestLimitExceeded"
    for _ in range(3):
        await cloud.boto("describe_vpcs", MaxResults=5)


async def test_a_rival_spends_from_the_same_bucket(make_cloud: MakeCloud) -> None:
    cloud = await make_cloud(quick_settings(buckets={"DescribeVpcs": (5, 0.01)}))
    rival = cloud.ec2.rival("DescribeVpcs", 200)
    await eventually(lambda: rival.throttled > 0)
    assert (await cloud.boto.refused("describe_vpcs", MaxResults=5)).code == "RequestLimitExceeded"
    await rival.stop()


async def test_unsigned_calls_and_calls_for_another_region_are_refused(cloud: Cloud) -> None:
    async with aiohttp.ClientSession() as http:
        answer = await http.post(cloud.boto.url, data={"Action": "DescribeVpcs", "Version": "2016-11-15"})
        assert answer.status == 403
        assert "<Code>MissingAuthenticationToken</Code>" in await answer.text()
    elsewhere = SESSION.client("ec2", region_name="eu-west-1", endpoint_url=cloud.boto.url)
    with pytest.raises(elsewhere.exceptions.ClientError, match=r"AuthFailure.*'eu-west-1'"):
        await asyncio.to_thread(elsewhere.describe_vpcs)
    elsewhere.close()


@pytest.mark.parametrize(
    ("ahead", "ec2", "sts"),
    [
        (290, None, None),
        (-290, None, None),
        (310, Refusal("RequestExpired", "Request has expired.", 400), "Signature expired"),
        (
            -310,
            Refusal("AuthFailure", "AWS was not able to validate the provided access credentials", 401),
            "Signature not yet current",
        ),
    ],
)
async def test_a_signature_is_taken_for_five_minutes_before_and_after(
    cloud: Cloud, ahead: float, ec2: Refusal | None, sts: str | None
) -> None:
    cloud.ec2.clock.ahead = ahead
    identity = SESSION.client("sts", endpoint_url=cloud.boto.url)
    if ec2 is None:
        await cloud.boto("describe_vpcs")
        await asyncio.to_thread(identity.get_caller_identity)
    else:
        assert await cloud.boto.refused("describe_vpcs") == ec2
        with pytest.raises(identity.exceptions.ClientError, match=sts):
            await asyncio.to_thread(identity.get_caller_identity)
    identity.close()


async def test_each_answer_has_a_date(cloud: Cloud) -> None:
    cloud.ec2.clock.ahead = 3600
    async with aiohttp.ClientSession() as http:
        answer = await http.post(cloud.boto.url, data={"Action": "DescribeVpcs"})
    told = parsedate_to_datetime(answer.headers["Date"]).timestamp()
    assert told == pytest.approx(time.time() + 3600, abs=5)


async def test_the_caller_has_an_identity(cloud: Cloud) -> None:
    sts = SESSION.client("sts", endpoint_url=cloud.boto.url)
    identity = await asyncio.to_thread(sts.get_caller_identity)
    sts.close()
    assert identity["Account"] == "123456789012"


async def test_an_action_that_is_not_simulated_is_refused(cloud: Cloud) -> None:
    assert (await cloud.boto.refused("describe_volumes")).code == "InvalidAction"

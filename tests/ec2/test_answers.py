"""Answers decoded by our tables, beside botocore's own parser: the same comes out, or botocore reads it."""

import asyncio
from typing import Any

import pytest
from botocore.model import ServiceModel
from botocore.parsers import ResponseParserError, create_parser

from nodeeni.ec2.answers import Answers
from nodeeni.ec2.models import cut_loader
from nodeeni.ec2.sdk import ACTIONS
from nodeeni.ec2.types import READ

from .test_models import ANSWER

INSTANCE = """<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">
  <requestId>id</requestId><reservationSet><item><instancesSet><item>
    <instanceId>i-0a</instanceId><instanceType>m5.large</instanceType>
    <instanceState><code>16</code><name>running</name></instanceState>
    <placement><availabilityZone>us-west-2a</availabilityZone><tenancy>default</tenancy></placement>
    <networkInterfaceSet/>
    <blockDeviceMapping><item><deviceName>/dev/xvda</deviceName></item></blockDeviceMapping>
    <cpuOptions><coreCount>2</coreCount><threadsPerCore>2</threadsPerCore></cpuOptions>
  </item></instancesSet></item><item/></reservationSet></DescribeInstancesResponse>"""
NAMESPACE = ' xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"'
ID = "<requestId>id</requestId>"
INTERFACES = "DescribeNetworkInterfaces"
ITEM = ANSWER[ANSWER.index("<item>") : ANSWER.index("</networkInterfaceSet>")]
ANSWERS = {
    "interfaces": (INTERFACES, ANSWER),
    "more than comes at once": (INTERFACES, ANSWER.replace(ITEM, ITEM * 300)),
    "as many instances": (
        "DescribeInstances",
        INSTANCE.replace("<reservationSet>", "<reservationSet>" + "<item/>" * 30_000),
    ),
    "an id to be escaped": (
        INTERFACES,
        ANSWER.replace("<nextToken>", "<requestId>a&amp;b</requestId><nextToken>"),
    ),
    "without a namespace": (INTERFACES, ANSWER.replace(NAMESPACE, "")),
    "with a prefix": (
        "DescribeInstances",
        INSTANCE.replace("<", "<e:").replace("<e:/", "</e:").replace("xmlns=", "xmlns:e="),
    ),
    "instances": ("DescribeInstances", INSTANCE),
    "nothing": ("DescribeSubnets", f"<DescribeSubnetsResponse>{ID}<subnetSet/></DescribeSubnetsResponse>"),
    "no text": (INTERFACES, ANSWER.replace("one</description>", "</description>")),
    "no answer of EC2": ("DescribeSubnets", "<html><body>busy</body></html>"),
    "an answer with nothing to read": ("DeleteNetworkInterface", f"<a>{ID}<return>true</return></a>"),
}


@pytest.fixture(scope="module")
def model() -> ServiceModel:
    return ServiceModel(cut_loader(ACTIONS, READ).load_service_model("ec2", "service-2"), "ec2")


def parsed(model: ServiceModel, action: str, body: str, status: int, early: bool) -> Any:
    """As botocore's client has an answer parsed."""
    operation = model.operation_model(action)
    response = {"status_code": status, "headers": {}, "body": body.encode()}
    decoded: dict[str, Any] = {}
    if early:
        asyncio.run(Answers().decode(operation, response, decoded))
    answer = create_parser("ec2").parse(response, operation.output_shape)
    return answer | decoded


@pytest.mark.parametrize("name", ANSWERS)
def test_the_same_is_read(name: str, model: ServiceModel) -> None:
    action, body = ANSWERS[name]
    answers = [parsed(model, action, body, 200, early) for early in (True, False)]
    assert answers[0] == answers[1]


def test_what_is_read_early_is_not_read_again(model: ServiceModel) -> None:
    response = {"status_code": 200, "headers": {}, "body": INSTANCE.encode()}
    decoded: dict[str, Any] = {}
    asyncio.run(Answers().decode(model.operation_model("DescribeInstances"), response, decoded))
    assert decoded["Reservations"][0]["Instances"][0]["CpuOptions"] == {"CoreCount": 2, "ThreadsPerCore": 2}
    assert response["body"] == b"<answer><requestId>id</requestId></answer>"


@pytest.mark.parametrize("action", sorted(ACTIONS))
def test_every_answer_that_has_something_to_read_has_tables(action: str, model: ServiceModel) -> None:
    operation = model.operation_model(action)
    response: dict[str, Any] = {
        "status_code": 200,
        "headers": {},
        "body": b"<a><requestId>id</requestId><other/></a>",
    }
    asyncio.run(Answers().decode(operation, response, {}))
    assert (b"other" not in response["body"]) == (operation.output_shape is not None)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (ANSWER.replace(">2</deviceIndex>", "/>", 1), 200),
        (ANSWER.replace(">2</deviceIndex>", ">two</deviceIndex>"), 200),
        (ANSWER[:-10], 200),
        (ANSWER.replace(ITEM, ITEM * 300 + "</item>"), 200),
        ("", 200),
    ],
)
def test_what_cannot_be_read_is_refused_by_botocore(body: str, status: int, model: ServiceModel) -> None:
    refused = []
    for early in (True, False):
        with pytest.raises((ResponseParserError, ValueError)) as raised:
            parsed(model, "DescribeNetworkInterfaces", body, status, early)
        refused.append((raised.type, str(raised.value)))
    assert refused[0] == refused[1]


def test_errors_are_botocores(model: ServiceModel) -> None:
    error = "<Error><Code>Busy</Code><Message>m</Message></Error>"
    body = f"<Response><Errors>{error}</Errors><RequestID>1</RequestID></Response>"
    answers = [parsed(model, "DescribeSubnets", body, 400, early) for early in (True, False)]
    assert answers[0] == answers[1]
    assert answers[0]["Error"] == {"Code": "Busy", "Message": "m"}

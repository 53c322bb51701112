"""The IAM policies: what the controller calls and no more, the same in every form."""

import json
from typing import Any

import pytest
import yaml
from tests.deploy.conftest import ROOT

from nodeeni.api.names import (
    ADOPTED_AT_LAUNCH,
    CONTROLLER,
    TAG_ADOPTION,
    TAG_CLUSTER,
    TAG_MANAGED_BY,
    TAG_NO_MANAGE,
)
from nodeeni.controller.permissions import EC2_READS
from nodeeni.ec2.types import Action

IAM = ROOT / "deploy" / "iam"
CALLED = {f"ec2:{action}" for action in (*EC2_READS, *Action)}
V1_1_0 = {
    f"ec2:{action}"
    for action in (
        *("CreateNetworkInterface", "DeleteNetworkInterface", "DescribeNetworkInterfaces", "DescribeSubnets"),
        *("AttachNetworkInterface", "DetachNetworkInterface", "ModifyNetworkInterfaceAttribute"),
    )
}
Statement = dict[str, Any]


def statements(name: str) -> list[Statement]:
    return list(json.loads((IAM / name).read_text())["Statement"])


def actions(statement: Statement) -> set[str]:
    named = statement["Action"]
    return {named} if isinstance(named, str) else set(named)


@pytest.mark.parametrize("name", ["policy.json", "policy-plain.json"])
def test_every_call_is_granted_and_no_other(name: str) -> None:
    assert set().union(*map(actions, statements(name))) == CALLED


def test_the_plain_one_is_v1_1_0s_list_and_what_that_lacked() -> None:
    (statement,) = statements("policy-plain.json")
    assert actions(statement) - V1_1_0 == {
        *("ec2:CreateTags", "ec2:DeleteTags"),
        *("ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses"),
        *("ec2:AssignIpv6Addresses", "ec2:UnassignIpv6Addresses"),
        *("ec2:DescribeInstances", "ec2:DescribeInstanceTypes", "ec2:DescribeSecurityGroups"),
        "ec2:GetSecurityGroupsForVpc",
    }


def test_interfaces_are_changed_only_where_the_tag_says_that_they_are_managed() -> None:
    """The tag that v1.x gave as well, so that its interfaces can be adopted; and what came with a launch is
    tagged only where the launch template says so, and no controller has it.
    """
    on_interfaces = [s for s in statements("policy.json") if "network-interface" in str(s["Resource"])]
    wanted = {"StringEquals": {f"aws:ResourceTag/{TAG_MANAGED_BY}": CONTROLLER}}
    for statement in on_interfaces:
        changing = actions(statement) - {"ec2:CreateNetworkInterface"}
        at_creation = statement["Condition"] == {
            "StringEquals": {"ec2:CreateAction": "CreateNetworkInterface"}
        }
        if changing and not at_creation and statement["Sid"] != "AdoptWhatCameWithTheLaunch":
            assert statement["Condition"] == wanted
    (adopted,) = [s for s in on_interfaces if s["Sid"] == "AdoptWhatCameWithTheLaunch"]
    assert actions(adopted) == {"ec2:CreateTags"}
    assert adopted["Condition"] == {
        "StringEquals": {
            f"aws:ResourceTag/{TAG_NO_MANAGE}": "true",
            f"aws:RequestTag/{TAG_ADOPTION}": ADOPTED_AT_LAUNCH,
        },
        "Null": {f"aws:ResourceTag/{tag}": "true" for tag in (TAG_MANAGED_BY, TAG_CLUSTER)},
    }
    (created,) = [s for s in on_interfaces if actions(s) == {"ec2:CreateNetworkInterface"}]
    assert created["Condition"] == {"StringEquals": {f"aws:RequestTag/{TAG_MANAGED_BY}": CONTROLLER}}


@pytest.mark.parametrize("name", ["irsa.yaml", "pod-identity.yaml"])
def test_the_cloudformation_roles_carry_the_same_policy(name: str) -> None:
    text = (IAM / "cloudformation" / name).read_text().replace("${AWS::Partition}", "aws")
    for tag in ("!Sub ", "!Ref ", "!GetAtt "):
        text = text.replace(tag, "")
    (policy,) = yaml.safe_load(text)["Resources"]["Role"]["Properties"]["Policies"]
    assert policy["PolicyDocument"] == json.loads((IAM / "policy.json").read_text())

"""What IAM says of a refusal, in each of its wordings as the simulator has them, and what we make of it."""

import pytest

from nodeeni.ec2.errors import EC2Error
from nodeeni.sandbox.ec2.denials import DENIALS, Denied, denial

ACTION, ENI = "ec2:AttachNetworkInterface", "arn:aws:ec2:us-east-1:123456789012:network-interface/eni-1"
GRANT = f"IAM refuses: grant {ACTION} to the controller's role"


def refused(denied: Denied, arn: str = ENI) -> EC2Error:
    told = denial(denied, "123456789012", ACTION, arn)
    return EC2Error("AttachNetworkInterface", told.code, told.message, status=403)


@pytest.mark.parametrize("denied", DENIALS)
def test_each_wording_is_read(denied: Denied) -> None:
    read = refused(denied).denial
    assert read is not None
    alone = denied == "encoded alone"
    policy = "" if alone else denied.removeprefix("no ").partition(",")[0]
    explicit = not alone and not denied.startswith("no ")
    assert (read.permission, read.policy, read.explicit) == (ACTION, policy, explicit)
    assert read.resource == ("" if alone else ENI)
    assert read.policy_arn.endswith("/p-2kgnabcd") == (denied == "service control policy, with its ARN")
    assert read.encoded in refused(denied).message
    assert len(read.encoded) > 300
    assert read.decoding.endswith(read.encoded)


NO_ENDPOINT = f"IAM refuses {ACTION} on {ENI}: no VPC endpoint policy allows it; a grant does not help: "
BOUNDARY = (
    f"IAM refuses {ACTION} on {ENI}: an explicit deny in the permissions boundary; a grant does not help: "
)
SCP = "arn:aws:organizations::987654321098:policy/o-qv5af4abcd/service_control_policy/p-2kgnabcd"
BY_SCP = f"IAM refuses {ACTION} on {ENI}: an explicit deny in the service control policy {SCP}; a grant "
ASK = "; where it has that, nodeeni doctor --denials tells how to see which policy denies"


@pytest.mark.parametrize(
    ("denied", "words"),
    [
        ("no identity-based policy", GRANT),
        ("encoded alone", GRANT + ASK),
        ("no VPC endpoint policy", NO_ENDPOINT + "have it allowed there"),
        ("permissions boundary", BOUNDARY + "have that policy changed"),
        ("service control policy, with its ARN", BY_SCP + "does not help: have that policy changed"),
    ],
)
def test_people_are_told_what_helps(denied: Denied, words: str) -> None:
    assert refused(denied).explanation == words


def test_a_read_that_is_refused_on_no_resource_names_none() -> None:
    read = refused("service control policy", "*").denial
    assert read is not None
    assert (read.resource, read.encoded, read.decoding) == ("", "", "")

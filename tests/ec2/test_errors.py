"""The one table from EC2's error codes to classes, and the retry rule of each class."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeeni.ec2.errors import EC2Error, ErrorClass, classify

TABLE = [
    ("RequestLimitExceeded", "Request limit exceeded.", "throttled"),
    ("Throttling", "Rate exceeded", "throttled"),
    ("ThrottlingException", "Rate exceeded", "throttled"),
    ("InvalidNetworkInterfaceID.NotFound", "The networkInterface ID 'eni-1' does not exist", "gone"),
    ("InvalidInstanceID.NotFound", "The instance ID 'i-1' does not exist", "gone"),
    ("InvalidAttachmentID.NotFound", "The attachment 'eni-attach-1' does not exist", "gone"),
    ("InvalidNetworkInterface.InUse", "Interface: [eni-1] in use.", "in-use"),
    ("InvalidParameterValue", "Network interface 'eni-1' is currently in use.", "in-use"),
    (
        "InvalidParameterValue",
        "Instance 'i-1' already has an interface attached at device index '2'.",
        "index-taken",
    ),
    ("InvalidParameterValue", "Value (bogus) for parameter x is invalid.", "bad-reference"),
    ("AttachmentLimitExceeded", "Interface count 4 exceeds the limit for m5.large", "full"),
    ("InsufficientFreeAddressesInSubnet", "The specified subnet does not have enough", "no-addresses"),
    ("NetworkInterfaceLimitExceeded", "The maximum number of network interfaces", "quota"),
    ("SomeOtherLimitExceeded", "", "quota"),
    ("SecurityGroupsPerInterfaceLimitExceeded", "", "bad-reference"),
    ("InvalidSubnetID.NotFound", "The subnet ID 'subnet-1' does not exist", "bad-reference"),
    ("InvalidGroup.NotFound", "The security group 'sg-1' does not exist", "bad-reference"),
    ("InvalidSecurityGroupID.NotFound", "", "bad-reference"),
    ("InvalidSubnetID.Malformed", "", "bad-reference"),
    ("InvalidParameterCombination", "You may not attach ... same availability zone", "bad-reference"),
    ("IncorrectState", "Instance 'i-1' is not 'running'.", "not-ready"),
    ("InvalidParameterValue", "Instance 'i-1' is not 'running'", "not-ready"),
    ("RequestLimitExceeded", "Instance 'i-1' is not 'running'", "throttled"),
    ("AttachmentLimitExceeded", "Instance 'i-1' is not 'running'", "full"),
    ("TagLimitExceeded", "Instance 'i-1' is not 'running'", "bad-reference"),
    ("IncorrectInstanceState", "", "not-ready"),
    ("OperationNotPermitted", "You cannot detach the primary network interface", "refused"),
    ("UnsupportedOperation", "", "refused"),
    ("UnauthorizedOperation", "You are not authorized to perform this operation.", "denied"),
    ("AuthFailure", "AWS was not able to validate the provided access credentials", "credentials"),
    ("RequestExpired", "Request has expired.", "credentials"),
    ("NoCredentialsError", "Unable to locate credentials", "credentials"),
    ("IdempotentParameterMismatch", "", "token-mismatch"),
    ("InternalError", "An internal error has occurred", "unknown-outcome"),
    ("Unavailable", "", "unknown-outcome"),
    ("InvalidNextToken", "The token is invalid", "unknown-outcome"),
    ("503", "Service Unavailable", "unknown-outcome"),
    ("ReadTimeoutError", "", "unknown-outcome"),
    ("EndpointConnectionError", "", "unknown-outcome"),
    ("ConnectionClosedError", "", "unknown-outcome"),
]


@pytest.mark.parametrize(("code", "message", "error_class"), TABLE)
def test_each_code_has_its_class(code: str, message: str, error_class: str) -> None:
    error = EC2Error("AttachNetworkInterface", code, message)
    assert (error.error_class, error.known) == (error_class, True)


def test_every_class_is_reached_by_some_code() -> None:
    assert {error_class for _, _, error_class in TABLE} == set(ErrorClass)


def test_an_unknown_code_is_an_unknown_outcome_and_says_that_it_is_unknown() -> None:
    error = EC2Error("AttachNetworkInterface", "NewlyInvented.Code", "whatever")
    assert (classify("NewlyInvented.Code"), error.error_class, error.known) == (
        None,
        ErrorClass.UNKNOWN_OUTCOME,
        False,
    )


@pytest.mark.parametrize(
    ("code", "message", "permission"),
    [
        ("UnauthorizedOperation", "You are not authorized.", "ec2:CreateNetworkInterface"),
        ("UnauthorizedOperation", "x is not authorized to perform: ec2:CreateTags on y", "ec2:CreateTags"),
        ("NoCredentialsError", "Unable to locate credentials", None),
        ("AuthFailure", "Credential should be scoped to a valid region", None),
        ("RequestLimitExceeded", "", None),
    ],
)
def test_a_denied_call_names_the_iam_action_to_grant(code: str, message: str, permission: str | None) -> None:
    assert EC2Error("CreateNetworkInterface", code, message).permission == permission


@pytest.mark.parametrize("code", ["RequestExpired", "AuthFailure", "SignatureDoesNotMatch"])
@pytest.mark.parametrize(("ahead", "words"), [(610, "10 min ahead of EC2's"), (-3600, "60 min behind EC2's")])
def test_credentials_that_are_refused_for_the_clock_name_the_clock(
    code: str, ahead: float, words: str
) -> None:
    error = EC2Error("DescribeSubnets", code, "No.", clock_ahead=ahead)
    assert error.reason == "ClockWrong"
    assert f"this machine's clock is {words}" in error.explanation
    assert f"(DescribeSubnets failed with {code}: No.)" in error.explanation
    right = EC2Error("DescribeSubnets", code, "No.", clock_ahead=2)
    assert (right.reason, "clock" in right.explanation) == ("CredentialsRefused", False)


def test_a_wrong_clock_is_no_matter_where_ec2_takes_the_signature() -> None:
    error = EC2Error("CreateNetworkInterface", "UnauthorizedOperation", "No.", clock_ahead=610)
    assert (error.reason, "clock" in error.explanation) == ("NotAuthorized", False)


@given(st.sampled_from(ErrorClass), st.integers(0, 10_000), st.floats(0, 1, exclude_max=True))
def test_delays_grow_to_their_most_and_never_leave_their_bounds(
    error_class: ErrorClass, attempt: int, rand: float
) -> None:
    rule = error_class.retry
    delay = rule.delay(attempt, rand)
    assert rule.first * (1 - rule.jitter) <= delay <= rule.most * (1 + rule.jitter)
    assert rule.delay(attempt, 0.5) <= rule.delay(attempt + 1, 0.5)

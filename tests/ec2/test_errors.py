"""The one table from EC2's error codes to classes, and the retry rule of each class."""

import pytest
from botocore.retries import standard
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
    ("EC2ThrottledException", "", "throttled"),
    ("RequestThrottled", "", "throttled"),
    ("BandwidthLimitExceeded", "", "throttled"),
    ("FilterLimitExceeded", "", "bad-reference"),
    ("InvalidInterface.IpAddressLimitExceeded", "", "bad-reference"),
    ("InvalidInstanceID", "There are multiple interfaces attached", "bad-reference"),
    ("InvalidInstanceID", "The instance i-1 is not 'running'", "not-ready"),
    ("InsufficientCidrBlocks", "", "no-block"),
    ("DependencyViolation", "resource has a dependent object", "not-ready"),
    ("ConcurrentTagAccess", "", "not-ready"),
    ("InvalidClientTokenId", "", "credentials"),
    ("ExpiredTokenException", "", "credentials"),
    ("TagPolicyViolation", "The tag policy does not allow the specified value", "rejected"),
    ("ConnectionClosedError", "", "unknown-outcome"),
]


@pytest.mark.parametrize(("code", "message", "error_class"), TABLE)
def test_each_code_has_its_class(code: str, message: str, error_class: str) -> None:
    error = EC2Error("AttachNetworkInterface", code, message)
    assert (error.error_class, error.known) == (error_class, True)


def test_every_class_is_reached_by_some_code() -> None:
    assert {error_class for _, _, error_class in TABLE} == set(ErrorClass)


# What EC2's page of error codes has for the actions that we call, beside those above.
DOCUMENTED = (
    "AuthFailure Blocked IdempotentParameterMismatch IncompleteSignature InvalidAction InvalidCharacter "
    "InvalidClientTokenId InvalidPaginationToken InvalidParameter InvalidParameterCombination "
    "InvalidParameterValue InvalidQueryParameter MalformedQueryString MissingAction "
    "MissingAuthenticationToken MissingParameter OptInRequired PendingVerification RequestExpired "
    "UnauthorizedOperation UnknownParameter UnsupportedInstanceAttribute UnsupportedOperation "
    "UnsupportedProtocol ValidationError AttachmentLimitExceeded ConcurrentTagAccess "
    "DependencyViolation FilterLimitExceeded IncorrectInstanceState IncorrectState "
    "InsufficientCidrBlocks InsufficientFreeAddressesInSubnet InvalidAttachment.NotFound "
    "InvalidAttachmentID.NotFound InvalidFilter InvalidGroup.NotFound InvalidGroupId.Malformed "
    "InvalidID InvalidInput InvalidInstanceAttributeValue InvalidInstanceID InvalidInstanceID.Malformed "
    "InvalidInstanceID.NotFound InvalidInterface.IpAddressLimitExceeded InvalidIPAddress.InUse "
    "InvalidMaxResults InvalidNetworkInterface.InUse InvalidNetworkInterface.NotFound "
    "InvalidNetworkInterfaceAttachmentId.Malformed InvalidNetworkInterfaceID.NotFound "
    "InvalidNetworkInterfaceId.Malformed InvalidNextToken InvalidSecurity.RequestHasExpired "
    "InvalidSecurityGroupID.NotFound InvalidState InvalidSubnet InvalidSubnet.Conflict "
    "InvalidSubnetID.NotFound InvalidTagKey.Malformed InvalidVpcID.NotFound InvalidZone.NotFound "
    "NetworkInterfaceLimitExceeded NetworkInterfaceNotFoundException NetworkInterfaceNotSupported "
    "OperationNotPermitted PrivateIpAddressLimitExceeded RequestLimitExceeded "
    "RequestResourceCountExceeded ResourceCountExceeded ResourceLimitExceeded "
    "SecurityGroupsPerInstanceLimitExceeded SecurityGroupsPerInterfaceLimitExceeded TagLimitExceeded "
    "TagPolicyViolation Unsupported UnsupportedTenancy VPCIdNotSpecified ZonesMismatched InternalError "
    "InternalFailure ServiceUnavailable Unavailable "
)


@pytest.mark.parametrize("code", DOCUMENTED.split())
def test_every_documented_code_of_our_actions_is_known(code: str) -> None:
    assert classify(code) is not None


def test_what_botocore_takes_for_a_throttle_is_one_here_and_what_it_repeats_is_repeated() -> None:
    throttles = standard.ThrottledRetryableChecker._THROTTLED_ERROR_CODES
    assert {code: classify(code) for code in throttles} == dict.fromkeys(throttles, ErrorClass.THROTTLED)
    transient = standard.TransientRetryableChecker
    for code in transient._TRANSIENT_ERROR_CODES:
        assert classify(code) in (ErrorClass.THROTTLED, ErrorClass.UNKNOWN_OUTCOME)
    for status in transient._TRANSIENT_STATUS_CODES:
        assert classify(str(status)) is ErrorClass.UNKNOWN_OUTCOME


@pytest.mark.parametrize(
    ("status", "code", "error_class"),
    [
        (0, "NewlyInvented.Code", ErrorClass.UNKNOWN_OUTCOME),
        (500, "NewlyInvented.Code", ErrorClass.UNKNOWN_OUTCOME),
        (503, "InvalidWeather", ErrorClass.UNKNOWN_OUTCOME),
        (400, "NewlyInvented.Code", ErrorClass.REJECTED),
        (403, "403", ErrorClass.REJECTED),
        (400, "InvalidWeather", ErrorClass.BAD_REFERENCE),
        (400, "InvalidWeather.NotFound", ErrorClass.BAD_REFERENCE),
    ],
)
def test_the_status_tells_whether_a_code_that_nobody_knows_was_refused(
    status: int, code: str, error_class: ErrorClass
) -> None:
    error = EC2Error("AttachNetworkInterface", code, "whatever", status=status)
    assert (classify(code), error.error_class, error.known) == (None, error_class, False)
    assert f"{code}: whatever" in error.explanation


def test_what_ec2_says_at_length_is_cut_for_people_and_whole_in_the_error() -> None:
    error = EC2Error("CreateNetworkInterface", "TagPolicyViolation", "word " * 1000, status=400)
    assert len(error.explanation) < 450
    assert str(error).count("word") == 1000


def test_the_same_cause_is_met_on_another_node() -> None:
    said = "Instance '%s' may not be attached at device index '%d'. Encoded authorization failure message: %s"
    one = EC2Error("AttachNetworkInterface", "Odd", said % ("i-0123456789abcdef0", 1, "abc"))
    other = EC2Error("AttachNetworkInterface", "Odd", said % ("i-1123456789abcdef0", 2, "xyz"))
    assert one.cause == other.cause
    assert one.cause != EC2Error("AttachNetworkInterface", "Odd", "Something else.").cause


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
    denial = EC2Error("CreateNetworkInterface", code, message).denial
    assert (denial.permission if denial else None) == permission


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

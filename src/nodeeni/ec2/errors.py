"""What EC2 refuses, as types: one row for each class of error says all that is known of it.

`client` raises nothing but `EC2Error`; everything above it branches on `error_class`. Message text is
read in this file, where EC2 shares one code between different refusals, and in `denials` alone.
Source of the codes: "Error codes for the Amazon EC2 API" and the service's own messages.
"""

import re
from enum import StrEnum
from typing import Self

import msgspec

from nodeeni.api.reasons import Mender, RowReason
from nodeeni.ec2 import denials
from nodeeni.ec2.denials import Denial


class RetryRule(msgspec.Struct, frozen=True):
    """When to try again: `first` seconds, growing by `factor` a try, `most` seconds at most.

    `jitter` is the share of the delay that is drawn at random around it, so that the many that failed
    together do not come back together.
    """

    first: float
    factor: float
    most: float
    jitter: float = 0.25

    def delay(self, attempt: int, rand: float) -> float:
        """Seconds before the try that follows failure number `attempt` (0 is the first failure).

        `rand` is in [0, 1).
        """
        grown = self.first * self.factor ** min(attempt, 64)
        return min(grown, self.most) * (1 + self.jitter * (2 * rand - 1))


AT_ONCE, AFTER_SOME = 1, 4  # failed attempts: what passes by itself is told when it does not


class _Row(msgspec.Struct, frozen=True, kw_only=True):
    """`codes` are EC2's, with blanks between; `family` is an expression for those of no other class;
    `said` are codes that mean this class where the message has this in it: an expression each.
    `unheard` is an expression for codes that nobody knows, where EC2 answered that it refuses (HTTP 4xx).
    """

    word: str
    codes: str = ""
    family: str = ""
    said: tuple[tuple[str, str], ...] = ()
    unheard: str = ""
    retry: RetryRule
    reason: RowReason = RowReason.EC2_ERROR
    way_out: str = ""
    way_out_standing: str = ""
    reported_after: int = AFTER_SOME
    look_again: bool = False


class ErrorClass(StrEnum):
    """How a refusal is handled: a row each.

    `retry`: when the same call is made again. `reason`: what people read of it, and who can mend it;
    `way_out` ends the message, or `way_out_standing` where the call was on an ENI that keeps its subnet.
    `reported_after`: so many failed attempts until people are told.
    `look_again`: it was not known how things stand, so EC2 is asked for the interface before the next try.
    """

    codes: frozenset[str]
    family: re.Pattern[str]
    said: tuple[tuple[re.Pattern[str], re.Pattern[str]], ...]
    unheard: re.Pattern[str]
    retry: RetryRule
    reason: RowReason
    way_out: str
    way_out_standing: str
    reported_after: int
    look_again: bool

    def __new__(cls, row: _Row) -> Self:
        member = str.__new__(cls, row.word)
        member._value_ = row.word
        member.codes = frozenset(row.codes.split())
        member.family = re.compile(row.family or r"(?!)")
        member.unheard = re.compile(row.unheard or r"(?!)")
        member.said = tuple((re.compile(code), re.compile(message)) for code, message in row.said)
        member.retry, member.reason, member.way_out = row.retry, row.reason, row.way_out
        member.way_out_standing = row.way_out_standing or row.way_out
        member.reported_after, member.look_again = row.reported_after, row.look_again
        return member

    @property
    def mender(self) -> Mender:
        return self.reason.mender

    # Our bucket, or another program's share of it, is empty.
    THROTTLED = _Row(
        word="throttled",
        codes="RequestLimitExceeded TooManyRequestsException SlowDown EC2ThrottledException "
        "ThrottledException RequestThrottled RequestThrottledException BandwidthLimitExceeded "
        "LimitExceededException ProvisionedThroughputExceededException "
        "TransactionInProgressException PriorRequestNotComplete 429",
        family=r"Throttling\w*",
        retry=RetryRule(first=0.5, factor=2, most=15, jitter=0.5),
        reason=RowReason.THROTTLED,
    )
    # What the call names does not exist, or is not visible yet.
    GONE = _Row(
        word="gone",
        codes="InvalidNetworkInterfaceID.NotFound InvalidInstanceID.NotFound InvalidAttachmentID.NotFound "
        "InvalidAttachment.NotFound InvalidNetworkInterface.NotFound NetworkInterfaceNotFoundException",
        retry=RetryRule(first=1, factor=2, most=10),
        look_again=True,
    )
    # The interface is attached.
    IN_USE = _Row(
        word="in-use",
        codes="InvalidNetworkInterface.InUse",
        said=((r"InvalidParameterValue", r"currently in use"),),
        retry=RetryRule(first=1.5, factor=1.5, most=15, jitter=0.33),
        look_again=True,
    )
    # The device index of that instance is occupied.
    INDEX_TAKEN = _Row(
        word="index-taken",
        said=((r"InvalidParameterValue", r"already has an interface attached at device"),),
        retry=RetryRule(first=5, factor=2, most=300),
        reason=RowReason.DEVICE_INDEX_TAKEN,
        way_out="another program took it: set spec.deviceIndex to a free one, or spec.deviceIndexPolicy to "
        "NextFree",
        reported_after=AT_ONCE,
    )
    # The instance type allows no further interface.
    FULL = _Row(
        word="full",
        codes="AttachmentLimitExceeded",
        retry=RetryRule(first=300, factor=1, most=300),
        reason=RowReason.INSTANCE_FULL,
        reported_after=AT_ONCE,
    )
    # The subnet has no free address.
    NO_ADDRESSES = _Row(
        word="no-addresses",
        codes="InsufficientFreeAddressesInSubnet",
        retry=RetryRule(first=5, factor=2, most=300),
        reason=RowReason.SUBNET_FULL,
        way_out="no free address is left: add a subnet of this zone to spec.subnetIDs, or free addresses",
        way_out_standing="too few free addresses are left in the ENI's subnet: free some, or lower the count",
        reported_after=AT_ONCE,
    )
    # The subnet may have free addresses, and has no free block in one piece for a prefix.
    NO_BLOCK = _Row(
        word="no-block",
        codes="InsufficientCidrBlocks",
        retry=RetryRule(first=5, factor=2, most=300),
        reason=RowReason.NO_FREE_PREFIX,
        way_out="no free block for a prefix is left in one piece: add another subnet of this zone to "
        "spec.subnetIDs, or keep blocks for prefixes: aws ec2 create-subnet-cidr-reservation "
        "--reservation-type prefix --subnet-id ... --cidr ...",
        way_out_standing="too few free blocks for prefixes are left in the ENI's subnet: lower the count, or "
        "keep blocks there: aws ec2 create-subnet-cidr-reservation --reservation-type prefix --subnet-id ... "
        "--cidr ...",
        reported_after=AT_ONCE,
    )
    # A limit of the region or the account.
    QUOTA = _Row(
        word="quota",
        codes="InsufficientCapacity ResourceCountExceeded",
        family=r"\w*LimitExceeded",
        retry=RetryRule(first=60, factor=1, most=60, jitter=0.1),
        reason=RowReason.QUOTA_EXCEEDED,
        way_out="ask AWS for a higher quota of network interfaces in this region",
        reported_after=AT_ONCE,
    )
    # The call names a subnet, group or value that cannot be right, or asks too much of one object.
    BAD_REFERENCE = _Row(
        word="bad-reference",
        codes="InvalidSubnetID.NotFound InvalidGroup.NotFound InvalidSecurityGroupID.NotFound "
        "SecurityGroupsPerInterfaceLimitExceeded SecurityGroupsPerInstanceLimitExceeded TagLimitExceeded "
        "PrivateIpAddressLimitExceeded InvalidInterface.IpAddressLimitExceeded RequestResourceCountExceeded "
        "FilterLimitExceeded InvalidParameter InvalidParameterValue InvalidParameterCombination "
        "InvalidParameterDependency MissingParameter UnknownParameter ParamValidationError ValidationError "
        "InvalidInstanceID InvalidInstanceAttributeValue InvalidIPAddress.InUse InvalidAddress.InUse "
        "InvalidSubnet InvalidSubnet.Conflict InvalidVpcID.NotFound InvalidGroupId InvalidID InvalidInput "
        "InvalidFilter InvalidMaxResults InvalidCharacter InvalidQueryParameter InvalidZone.NotFound "
        "InvalidAvailabilityZone ZonesMismatched VPCIdNotSpecified MalformedQueryString",
        family=r"\w+\.Malformed",
        unheard=r"(Invalid|Missing|Malformed|Unknown)\w*(\.\w+)*|\w+\.NotFound",
        retry=RetryRule(first=60, factor=1.7, most=300),
        reason=RowReason.INVALID_REFERENCE,
        way_out="correct what the NodeENI names",
        reported_after=AT_ONCE,
    )
    # The instance is not running, or something else is still under way. LeaseLost is our own, for a call
    # that was not sent.
    NOT_READY = _Row(
        word="not-ready",
        codes="IncorrectState IncorrectInstanceState InvalidState InvalidInstanceState DependencyViolation "
        "ConcurrentTagAccess LeaseLost",
        said=(
            (
                r"InvalidParameter(Value|Combination)|InvalidInstanceID|UnsupportedOperation",
                r"is not 'running'",
            ),
        ),
        retry=RetryRule(first=5, factor=1.5, most=30),
        look_again=True,
    )
    # Who calls, or when, is not taken: no call is, whatever it asks for. Codes that end in `Error` are
    # botocore's own exceptions, as of UNKNOWN_OUTCOME.
    CREDENTIALS = _Row(
        word="credentials",
        codes="AuthFailure RequestExpired OptInRequired InvalidClientTokenId UnrecognizedClientException "
        "MissingAuthenticationToken SignatureDoesNotMatch IncompleteSignature InvalidSignatureException "
        "InvalidSecurity.RequestHasExpired RequestTimeTooSkewed RequestInTheFuture NotSignedUp Blocked "
        "PendingVerification NoCredentialsError "
        "PartialCredentialsError CredentialRetrievalError NoAuthTokenError TokenRetrievalError "
        "ProfileNotFound UnauthorizedSSOTokenError",
        family=r"ExpiredToken\w*|SSO\w*Error",
        retry=RetryRule(first=1, factor=2, most=300),
        reason=RowReason.CREDENTIALS_REFUSED,
        way_out="check the controller's AWS credentials, their role and --aws-region",
        reported_after=AT_ONCE,
    )
    # IAM.
    DENIED = _Row(
        word="denied",
        codes="UnauthorizedOperation",
        family=r"AccessDenied\w*",
        retry=RetryRule(first=5, factor=2, most=300),
        reason=RowReason.NOT_AUTHORIZED,
        reported_after=AT_ONCE,
    )
    # The work may have been done. InvalidNextToken is of a list that took too long: begun anew soon. A code
    # that nobody knows is one of these, unless EC2 answered that it refuses.
    UNKNOWN_OUTCOME = _Row(
        word="unknown-outcome",
        codes="InternalError InternalFailure Unavailable ServiceUnavailable InternalServerError "
        "InvalidNextToken InvalidPaginationToken RequestTimeout RequestTimeoutException 408 "
        "ConnectionClosedError HTTPClientError SSLError ResponseStreamingError ResponseParserError "
        "IncompleteReadError MalformedAnswer ClientPayloadError",
        family=r"5\d\d|\w*ConnectionError|\w*TimeoutError|Client\w*Error|Server\w*Error",
        retry=RetryRule(first=0.5, factor=2, most=30, jitter=0.5),
        look_again=True,
    )
    # The client token was used before with other parameters.
    TOKEN_MISMATCH = _Row(
        word="token-mismatch",
        codes="IdempotentParameterMismatch",
        retry=RetryRule(first=1, factor=2, most=60),
    )
    # EC2 will never do this: primary interface, managed instance.
    REFUSED = _Row(
        word="refused",
        codes="OperationNotPermitted UnsupportedOperation Unsupported NetworkInterfaceNotSupported "
        "UnsupportedInstanceAttribute UnsupportedTenancy",
        retry=RetryRule(first=600, factor=2, most=3600),
        reason=RowReason.NOT_PERMITTED,
        way_out="EC2 does not permit it on this instance (a primary interface, or EKS Auto Mode)",
        reported_after=AT_ONCE,
    )
    # EC2 said no, for a reason that is not ours to know: a tag policy of the organization, a new rule.
    REJECTED = _Row(
        word="rejected",
        codes="TagPolicyViolation InvalidAction MissingAction UnsupportedProtocol",
        unheard=r".*",
        retry=RetryRule(first=60, factor=2, most=600),
        reason=RowReason.REJECTED_BY_EC2,
        way_out="nothing was done: see to what EC2 says",
        reported_after=AT_ONCE,
    )


_BY_CODE = {code: error_class for error_class in ErrorClass for code in error_class.codes}

_MOST_WORDS = 300  # characters of EC2's in a row, an event, a condition; the log has them whole
_OF_ONE_THING = re.compile(r"\b[a-z]+-(attach-)?[0-9a-f]{8,}\b|\d+(\.\d+)*")  # ids, numbers, addresses

# Seconds. EC2 takes a signature for 5 minutes before and after; less what an answer's way may take.
_CLOCK_TAKEN = 290.0


def classify(code: str, message: str = "") -> ErrorClass | None:
    """The class of an EC2 error, None for a code that no class has.

    What the message says counts more than the code alone, and a code that is listed more than a family.
    """
    for error_class in ErrorClass:
        if any(of.fullmatch(code) and text.search(message) for of, text in error_class.said):
            return error_class
    if code in _BY_CODE:
        return _BY_CODE[code]
    return next((error_class for error_class in ErrorClass if error_class.family.fullmatch(code)), None)


def _class_of(code: str, message: str, status: int) -> ErrorClass:
    """Also for a code that nobody knows: HTTP's status tells whether EC2 refused, or may have done it."""
    found = classify(code, message)
    if found is None and 400 <= status < 500:
        found = next((error_class for error_class in ErrorClass if error_class.unheard.fullmatch(code)), None)
    return found or ErrorClass.UNKNOWN_OUTCOME


class EC2Error(Exception):
    """A call that EC2 refused or whose outcome is not known. The only exception of `client`.

    `action` is the API name (`AttachNetworkInterface`), `code` EC2's code, or the name of botocore's
    exception where no answer came; that exception is chained as the cause. `status` is HTTP's, 0 without an
    answer, and `request_id` what AWS Support asks for. `known` is false for a code that no class has; it is
    counted. `clock_ahead`: seconds that our clock is ahead of the Date of the answer, 0 where there was none.
    """

    def __init__(
        self,
        action: str,
        code: str,
        message: str = "",
        clock_ahead: float = 0.0,
        *,
        status: int = 0,
        request_id: str = "",
    ) -> None:
        super().__init__(f"{action}: {code}: {message}" if message else f"{action}: {code}")
        self.action = action
        self.code = code
        self.message = message
        self.clock_ahead = clock_ahead
        self.status = status
        self.request_id = request_id
        self.known = classify(code, message) is not None
        self.error_class = _class_of(code, message, status)

    @property
    def denial(self) -> Denial | None:
        """What IAM says of its refusal; None where IAM is not what refused."""
        return denials.read(self.message, self.action) if self.error_class is ErrorClass.DENIED else None

    @property
    def told(self) -> str:
        """As the log has it: EC2's own words, whole."""
        lost = self.error_class is ErrorClass.UNKNOWN_OUTCOME
        what = "not known whether EC2 did" if lost else "EC2 refused"
        return f"{what} {self}{'' if self.known else ', a code that is not known here'}"

    @property
    def cause(self) -> tuple[str, str, str]:
        """Action, code, and EC2's words without the ids and numbers of one case: the same for all that fail
        for the same.
        """
        return self.action, self.code, _OF_ONE_THING.sub("#", denials.without_encoded(self.message))

    @property
    def reason(self) -> RowReason:
        """What people read of it: that of its class, but for a refusal that comes of our clock."""
        wrong = self.error_class is ErrorClass.CREDENTIALS and abs(self.clock_ahead) > _CLOCK_TAKEN
        return RowReason.CLOCK_WRONG if wrong else self.error_class.reason

    @property
    def explanation(self) -> str:
        """What went wrong with the call, in plain words with the way out."""
        if (denial := self.denial) is not None:
            return denial.explanation
        what = f"{self.action} failed with {self.code}: {_cut(self.message)}".rstrip(": ")
        if self.reason is RowReason.CLOCK_WRONG:
            off = f"{abs(self.clock_ahead) / 60:.0f} min {'ahead of' if self.clock_ahead > 0 else 'behind'}"
            return (
                f"this machine's clock is {off} EC2's, and at more than 5 min EC2 takes no signature: set "
                f"the clock of the controller's node ({what})"
            )
        of_class = self.error_class
        way_out = of_class.way_out_standing if self.action.startswith("Assign") else of_class.way_out
        return f"{what.removesuffix('.')}; {way_out}" if way_out else what

    def again(self, action: str) -> Self:
        """The same, for a call of `action` that is not made, since it would meet the same."""
        return type(self)(
            action,
            self.code,
            self.message,
            self.clock_ahead,
            status=self.status,
            request_id=self.request_id,
        )

    def delay(self, attempt: int, rand: float) -> float:
        """Seconds before the next try, by the rule of this error's class."""
        return self.error_class.retry.delay(attempt, rand)


def _cut(words: str) -> str:
    return words if len(words) <= _MOST_WORDS else f"{words[: _MOST_WORDS - 3].rstrip()}..."


class UnusableSettings(EC2Error):
    """The SDK cannot use its own settings: no client can be made, whatever the calls."""

    @property
    def explanation(self) -> str:
        return (
            f"the AWS SDK cannot use its settings: {self.message}; see AWS_PROFILE, AWS_CONFIG_FILE, "
            "AWS_ENDPOINT_URL and --aws-region"
        )

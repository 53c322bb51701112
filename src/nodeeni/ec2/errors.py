"""What EC2 refuses, as types: one table from error code to class, one retry rule for each class.

`client` raises nothing but `EC2Error`; everything above it branches on `error_class`. Message text is
read in this file alone, where EC2 shares one code between different refusals.
Source of the codes: "Error codes for the Amazon EC2 API" and the service's own messages.
"""

import re
from enum import StrEnum
from typing import NamedTuple

import msgspec


class ErrorClass(StrEnum):
    """How a refusal is to be handled."""

    THROTTLED = "throttled"  # our bucket, or another program's share of it, is empty
    GONE = "gone"  # what the call names does not exist, or is not visible yet
    IN_USE = "in-use"  # the interface is attached
    INDEX_TAKEN = "index-taken"  # the device index of that instance is occupied
    FULL = "full"  # the instance type allows no further interface
    NO_ADDRESSES = "no-addresses"  # the subnet has no free address
    QUOTA = "quota"  # a limit of the region or the account
    BAD_REFERENCE = "bad-reference"  # the call names a subnet, group or value that cannot be right
    NOT_READY = "not-ready"  # the instance is not running
    DENIED = "denied"  # credentials or IAM
    UNKNOWN_OUTCOME = "unknown-outcome"  # the work may have been done
    TOKEN_MISMATCH = "token-mismatch"  # client token used before with other parameters
    REFUSED = "refused"  # EC2 will never do this: primary interface, managed instance


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


RETRY: dict[ErrorClass, RetryRule] = {
    ErrorClass.THROTTLED: RetryRule(first=0.5, factor=2, most=15, jitter=0.5),
    ErrorClass.GONE: RetryRule(first=1, factor=2, most=10),
    ErrorClass.IN_USE: RetryRule(first=1.5, factor=1.5, most=15, jitter=0.33),
    ErrorClass.INDEX_TAKEN: RetryRule(first=5, factor=2, most=300),
    ErrorClass.FULL: RetryRule(first=300, factor=1, most=300),
    ErrorClass.NO_ADDRESSES: RetryRule(first=5, factor=2, most=300),
    ErrorClass.QUOTA: RetryRule(first=60, factor=1, most=60, jitter=0.1),
    ErrorClass.BAD_REFERENCE: RetryRule(first=60, factor=1.7, most=300),
    ErrorClass.NOT_READY: RetryRule(first=5, factor=1.5, most=30),
    ErrorClass.DENIED: RetryRule(first=300, factor=1, most=300),
    ErrorClass.UNKNOWN_OUTCOME: RetryRule(first=0.5, factor=2, most=30, jitter=0.5),
    ErrorClass.TOKEN_MISMATCH: RetryRule(first=1, factor=2, most=60),
    ErrorClass.REFUSED: RetryRule(first=600, factor=2, most=3600),
}


class _Row(NamedTuple):
    """`code` matches the whole code, `message` any part of the message."""

    error_class: ErrorClass
    code: re.Pattern[str]
    message: re.Pattern[str] | None = None


def _row(error_class: ErrorClass, code: str, message: str | None = None) -> _Row:
    return _Row(error_class, re.compile(code), re.compile(message) if message else None)


# The first row that matches decides: rows that read the message stand before those of the bare code,
# and the wildcard of quotas stands last. The last rows of `denied` and `unknown-outcome` name botocore's
# own exceptions, which carry no code of EC2.
_TABLE: tuple[_Row, ...] = (
    _row(ErrorClass.THROTTLED, r"RequestLimitExceeded|Throttling\w*|TooManyRequestsException|SlowDown"),
    _row(ErrorClass.INDEX_TAKEN, r"InvalidParameterValue", r"already has an interface attached at device"),
    _row(ErrorClass.IN_USE, r"InvalidParameterValue", r"currently in use"),
    _row(ErrorClass.IN_USE, r"InvalidNetworkInterface\.InUse"),
    _row(ErrorClass.FULL, r"AttachmentLimitExceeded"),
    _row(ErrorClass.NO_ADDRESSES, r"InsufficientFreeAddressesInSubnet"),
    _row(
        ErrorClass.GONE,
        r"InvalidNetworkInterfaceID\.NotFound|InvalidInstanceID\.NotFound|InvalidAttachmentID\.NotFound",
    ),
    _row(
        ErrorClass.BAD_REFERENCE,
        r"InvalidSubnetID\.NotFound|InvalidGroup\.NotFound|InvalidSecurityGroupID\.NotFound|\w+\.Malformed",
    ),
    # Limits of one object, not of the region: what the NodeENI asks for cannot be.
    _row(
        ErrorClass.BAD_REFERENCE,
        r"(SecurityGroupsPer(Interface|Instance)|Tag|PrivateIpAddress)LimitExceeded",
    ),
    _row(ErrorClass.NOT_READY, r"\w+", r"is not 'running'"),
    _row(ErrorClass.NOT_READY, r"IncorrectState|IncorrectInstanceState"),
    _row(ErrorClass.NOT_READY, r"LeaseLost"),  # our own, for a call that was not sent
    _row(ErrorClass.REFUSED, r"OperationNotPermitted|UnsupportedOperation"),
    _row(ErrorClass.TOKEN_MISMATCH, r"IdempotentParameterMismatch"),
    _row(
        ErrorClass.BAD_REFERENCE,
        r"InvalidParameter(Value|Combination)?|MissingParameter|UnknownParameter|ParamValidationError",
    ),
    _row(
        ErrorClass.DENIED,
        r"UnauthorizedOperation|AuthFailure|AccessDenied\w*|ExpiredToken\w*|RequestExpired|OptInRequired"
        r"|InvalidClientTokenId|UnrecognizedClientException|MissingAuthenticationToken|SignatureDoesNotMatch"
        r"|Blocked|PendingVerification",
    ),
    _row(
        ErrorClass.DENIED,
        r"NoCredentialsError|PartialCredentialsError|CredentialRetrievalError|NoAuthTokenError"
        r"|TokenRetrievalError|ProfileNotFound|SSO\w*Error|UnauthorizedSSOTokenError",
    ),
    _row(ErrorClass.QUOTA, r"\w*LimitExceeded|InsufficientCapacity|ResourceCountExceeded"),
    _row(ErrorClass.UNKNOWN_OUTCOME, r"InvalidNextToken"),  # of a list that took too long: begun anew soon
    _row(ErrorClass.UNKNOWN_OUTCOME, r"InternalError|InternalFailure|Unavailable|ServiceUnavailable|5\d\d"),
    _row(
        ErrorClass.UNKNOWN_OUTCOME,
        r"\w*ConnectionError|\w*TimeoutError|ConnectionClosedError|HTTPClientError|SSLError"
        r"|ResponseStreamingError|ResponseParserError|IncompleteReadError|MalformedAnswer"
        r"|ClientPayloadError|Client\w*Error|Server\w*Error",
    ),
)

_PERMISSION = re.compile(r"not authorized to perform: (\w+:\w+)")
# Refused by IAM, as against credentials that are missing, expired, malformed or of another region (which is
# AuthFailure).
_IAM_CODES = frozenset({"UnauthorizedOperation", "AccessDenied", "AccessDeniedException"})


def classify(code: str, message: str = "") -> ErrorClass | None:
    """The class of an EC2 error, None for a code that the table does not know."""
    for row in _TABLE:
        if row.code.fullmatch(code) and (row.message is None or row.message.search(message)):
            return row.error_class
    return None


class EC2Error(Exception):
    """A call that EC2 refused or whose outcome is not known. The only exception of `client`.

    `action` is the API name (`AttachNetworkInterface`), `code` EC2's code, or the name of botocore's
    exception where no answer came; that exception is chained as the cause. `known` is false for a code
    that the table does not know, which is handled as an unknown outcome and counted.
    """

    def __init__(self, action: str, code: str, message: str = "") -> None:
        super().__init__(f"{action}: {code}: {message}" if message else f"{action}: {code}")
        found = classify(code, message)
        self.action = action
        self.code = code
        self.message = message
        self.known = found is not None
        self.error_class = found or ErrorClass.UNKNOWN_OUTCOME

    @property
    def permission(self) -> str | None:
        """The IAM action to grant (`ec2:CreateNetworkInterface`); None where IAM is not what refused.

        A Create with tags can be refused for want of `ec2:CreateTags`: EC2's message names it.
        """
        if self.error_class is not ErrorClass.DENIED or self.code not in _IAM_CODES:
            return None
        named = _PERMISSION.search(self.message)
        return named.group(1) if named else f"ec2:{self.action}"

    def delay(self, attempt: int, rand: float) -> float:
        """Seconds before the next try, by the rule of this error's class."""
        return RETRY[self.error_class].delay(attempt, rand)

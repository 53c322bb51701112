"""EC2's errors, in EC2's words: the one place of the simulator where codes and messages are written.

`REFUSALS` gives status and a default message by code, so that a fault asked for by code alone answers as
the real service would.
"""

from collections.abc import Iterable

REFUSALS: dict[str, tuple[int, str]] = {
    "AttachmentLimitExceeded": (400, "Interface count exceeds the limit of the instance type"),
    "AuthFailure": (401, "AWS was not able to validate the provided access credentials"),
    "DryRunOperation": (412, "Request would have succeeded, but DryRun flag is set."),
    "IncorrectState": (400, "The resource is in an incorrect state for the request."),
    "InsufficientFreeAddressesInSubnet": (
        400,
        "The specified subnet does not have enough free addresses to satisfy the request.",
    ),
    "InsufficientCidrBlocks": (
        400,
        "The specified subnet does not have enough free cidr blocks to satisfy the request.",
    ),
    "InternalError": (500, "An internal error has occurred"),
    "InternalFailure": (500, "An internal failure has occurred"),
    "MissingAuthenticationToken": (403, "Request is missing Authentication Token"),
    "NetworkInterfaceLimitExceeded": (400, "The maximum number of network interfaces has been reached."),
    "OperationNotPermitted": (400, "You are not allowed to manage this attachment."),
    "RequestExpired": (400, "Request has expired."),
    "RequestLimitExceeded": (503, "Request limit exceeded."),
    "ServiceUnavailable": (503, "The service is unavailable. Please try again shortly."),
    "Throttling": (400, "Rate exceeded"),
    "UnauthorizedOperation": (403, "You are not authorized to perform this operation."),
    "Unavailable": (503, "The service is unavailable. Please try again shortly."),
}

# Noun of "The NOUN ID 'x' does not exist", by the code's stem.
_NOUNS = {
    "InvalidNetworkInterfaceID": "networkInterface",
    "InvalidSubnetID": "subnet",
    "InvalidSecurityGroupID": "securityGroup",
    "InvalidInstanceID": "instance",
    "InvalidAttachmentID": "attachment",
    "InvalidVpcID": "vpc",
    "InvalidID": "resource",
}


class EC2Error(Exception):
    """A refusal as the client sees it: `code`, `message`, HTTP `status`."""

    def __init__(self, code: str, message: str = "", status: int = 0) -> None:
        default_status, default_message = REFUSALS.get(code, (400, "The request was refused."))
        self.code = code
        self.message = message or default_message
        self.status = status or default_status
        super().__init__(f"{code}: {self.message}")


def not_found(stem: str, ids: str | Iterable[str]) -> EC2Error:
    """`stem` is the code without `.NotFound`; several ids give EC2's plural sentence."""
    missing = [ids] if isinstance(ids, str) else list(ids)
    noun = _NOUNS[stem]
    if len(missing) == 1:
        return EC2Error(f"{stem}.NotFound", f"The {noun} ID '{missing[0]}' does not exist")
    return EC2Error(f"{stem}.NotFound", f"The {noun} IDs '{', '.join(missing)}' do not exist")


def malformed(stem: str, value: str, prefix: str) -> EC2Error:
    return EC2Error(f"{stem}.Malformed", f'Invalid id: "{value}" (expecting "{prefix}-...")')


def missing_parameter(name: str) -> EC2Error:
    return EC2Error("MissingParameter", f"The request must contain the parameter {_lower_first(name)}")


def invalid_value(value: object, name: str, reason: str = "") -> EC2Error:
    sentence = f"Value ({value}) for parameter {_lower_first(name)} is invalid."
    return EC2Error("InvalidParameterValue", f"{sentence} {reason}".strip())


def _lower_first(name: str) -> str:
    return name[:1].lower() + name[1:]

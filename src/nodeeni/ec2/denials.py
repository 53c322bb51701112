"""What AWS says when IAM refuses a call, read once: which policy, by a deny or by no allow, on what.

Source: IAM User Guide, "Troubleshoot access denied error messages". Only `errors` asks here.
"""

import re

import msgspec

_PERMISSION = re.compile(r"not authorized to perform: (\w+:\w+)")
_RESOURCE = re.compile(r"on resource: (arn:\S+)")
_KINDS = (
    r"(identity-based policy|resource-based policy|permissions boundary|session policy"
    r"|service control policy|resource control policy|VPC endpoint policy)"
)
_NOT_ALLOWED = re.compile(rf"because no {_KINDS} allows")
_EXPLICIT_DENY = re.compile(rf"with an explicit deny in an? {_KINDS}(?:: (arn:[^\s,;]+))?")
_ENCODED = re.compile(r"\s*Encoded authorization failure message: (\S+)")


class Denial(msgspec.Struct, frozen=True, kw_only=True):
    """`permission` is the IAM action (`ec2:CreateNetworkInterface`); `resource` the ARN it is refused on.

    `policy` is the kind of policy that decided, `explicit` whether by a deny, `policy_arn` which one.
    `encoded` is what `sts decode-authorization-message` opens. Each is empty where the message has none.
    """

    permission: str
    resource: str = ""
    policy: str = ""
    explicit: bool = False
    policy_arn: str = ""
    encoded: str = ""

    @property
    def grantable(self) -> bool:
        """Whether a grant to the role is the way out, as far as is told."""
        return not self.explicit and self.policy in ("", "identity-based policy")

    @property
    def explanation(self) -> str:
        on = f" on {self.resource}" if self.resource else ""
        if self.explicit:
            which = f"{self.policy} {self.policy_arn}" if self.policy_arn else self.policy
            return (
                f"IAM refuses {self.permission}{on}: an explicit deny in the {which}; a grant does not help: "
                "have that policy changed"
            )
        if not self.grantable:
            return (
                f"IAM refuses {self.permission}{on}: no {self.policy} allows it; a grant does not help: "
                "have it allowed there"
            )
        grant = f"IAM refuses: grant {self.permission} to the controller's role"
        if self.encoded and not self.policy:
            return (
                f"{grant}; where it has that, nodeeni doctor --denials tells how to see which policy denies"
            )
        return grant

    @property
    def decoding(self) -> str:
        """The command that opens `encoded`; empty where there is nothing to open."""
        if not self.encoded:
            return ""
        return (
            "aws sts decode-authorization-message --query DecodedMessage --output text "
            f"--encoded-message {self.encoded}"
        )


def read(message: str, action: str) -> Denial:
    """Of a message of any wording. `action` is the call that was refused: a Create with tags can be refused
    for want of `ec2:CreateTags`, and only the message tells.
    """
    permission, resource = _PERMISSION.search(message), _RESOURCE.search(message)
    denied, missing = _EXPLICIT_DENY.search(message), _NOT_ALLOWED.search(message)
    decided = denied or missing
    encoded = _ENCODED.search(message)
    return Denial(
        permission=permission.group(1) if permission else f"ec2:{action}",
        resource=resource.group(1).rstrip(".") if resource else "",
        policy=decided.group(1) if decided else "",
        explicit=denied is not None,
        policy_arn=(denied.group(2) or "").rstrip(".") if denied else "",
        encoded=encoded.group(1) if encoded else "",
    )


def without_encoded(message: str) -> str:
    return _ENCODED.sub("", message)

"""How AWS words a refusal by IAM: a sentence for each kind of policy, and the forms around it.

Source: IAM User Guide, "Troubleshoot access denied error messages"; EC2's own first and last sentence are
those of its answers.
"""

from typing import Literal

from .errors import EC2Error

Denied = Literal[
    "no identity-based policy",
    "no permissions boundary",
    "no session policy",
    "no service control policy",
    "no resource control policy",
    "no VPC endpoint policy",
    "identity-based policy",
    "permissions boundary",
    "session policy",
    "service control policy",
    "service control policy, with its ARN",
    "resource control policy",
    "VPC endpoint policy",
    "encoded alone",
]
_SCP_ARN = "arn:aws:organizations::987654321098:policy/o-qv5af4abcd/service_control_policy/p-2kgnabcd"

# What EC2 says after "is not authorized to perform: ACTION on resource: ARN"; None: it says not even that.
DENIALS: dict[Denied, str | None] = {
    "no identity-based policy": "because no identity-based policy allows the {action} action",
    "no permissions boundary": "because no permissions boundary allows the {action} action",
    "no session policy": "because no session policy allows the {action} action",
    "no service control policy": "because no service control policy allows the {action} action",
    "no resource control policy": "because no resource control policy allows the {action} action",
    "no VPC endpoint policy": "because no VPC endpoint policy allows the {action} action",
    "identity-based policy": "with an explicit deny in an identity-based policy",
    "permissions boundary": "with an explicit deny in a permissions boundary",
    "session policy": "with an explicit deny in a session policy",
    "service control policy": "with an explicit deny in a service control policy",
    "service control policy, with its ARN": f"with an explicit deny in a service control policy: {_SCP_ARN}",
    "resource control policy": "with an explicit deny in a resource control policy",
    "VPC endpoint policy": "with an explicit deny in a VPC endpoint policy",
    "encoded alone": None,
}
# What `sts decode-authorization-message` would open; for calls on resources EC2 adds one.
_ENCODED = "Encoded authorization failure message: " + "4wRRk7nZqkCM8cX0xhXoI1wB6rFqT3pN9sYb-VdJ_uG5Le2A" * 8


def denial(denied: Denied, account: str, action: str, arn: str) -> EC2Error:
    """`action` is `ec2:DescribeSubnets`; `arn` is `*` where the action concerns no resource."""
    said = ["You are not authorized to perform this operation."]
    reason = DENIALS[denied]
    if reason is not None:
        said.append(
            f"User: arn:aws:iam::{account}:user/sandbox is not authorized to perform: {action} on resource: "
            f"{arn} {reason.format(action=action)}" + ("" if arn == "*" else ".")
        )
    if reason is None or arn != "*":
        said.append(_ENCODED)
    return EC2Error("UnauthorizedOperation", " ".join(said))

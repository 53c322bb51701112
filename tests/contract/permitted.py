"""IAM in the tests: the controller signs with a key that may do what the policy that we ship permits."""

from collections.abc import Mapping
from pathlib import Path

from nodeeni.sandbox.ec2 import EC2Server, Policy

POLICY = Path(__file__).parents[2] / "deploy" / "iam" / "policy.json"


def limit(ec2: EC2Server, environment: Mapping[str, str]) -> Policy:
    """Who uses this environment is held to the shipped policy, which keeps what it was asked."""
    policy = ec2.policies[environment["AWS_ACCESS_KEY_ID"]] = Policy.read(POLICY.read_bytes())
    return policy


def denied(policy: Policy) -> list[str]:
    return [
        f"{q.action} on {q.arn} with {dict(q.keys)}" for q, allowed in policy.asked.items() if not allowed
    ]

"""What a field of the custom resources carries beside its type: description, rules, and its name in JSON."""

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Meta

ACRONYMS = {"id": "ID", "ids": "IDs", "cidr": "CIDR", "ip": "IP", "pci": "PCI", "dpdk": "DPDK", "eni": "ENI"}
ACRONYMS |= {"ips": "IPs", "ipv4": "IPv4", "ipv6": "IPv6"}


def camel_case(field: str) -> str:
    """`private_ip_address` → `privateIPAddress`: camel case with the acronyms of Kubernetes and EC2."""
    first, *rest = field.split("_")
    return first + "".join(ACRONYMS.get(word, word.capitalize()) for word in rest)


def schema(description: str, **rules: Any) -> Meta:
    """A field's description and its rules, as they stand in the CRD."""
    return Meta(description=description, extra_json_schema=rules)


class Rule(msgspec.Struct, frozen=True):
    """A CEL rule of the object that carries it. `field` is the path that a refusal names. In `message`,
    `{type}` stands for what that field of the object holds, which the API server does not tell by itself: a
    text with a `maxLength`, for the message of a number has no bound to the API server, which refuses that.

    `holds` is the same rule in Python, of the decoded object: our image has no interpreter of CEL, and
    `nodeeni plan -f` refuses what the API server would. The tests hold both against the same specs.
    """

    rule: str
    message: str
    field: str
    holds: Callable[[Any], bool]

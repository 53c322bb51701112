"""The fields of a NodeENI that EC2 holds, one line each: two values, and what each step costs.

`test_fields.py` plays each of them: created with the first value, edited to the second, taken out again, and
killed between each two of the calls.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nodeeni.sandbox.world import SECURITY_GROUP, SUBNET

Spec = dict[str, Any]  # fields of the spec; None takes one out
Calls = Mapping[str, int]

CREATE, ATTACH, MODIFY = "CreateNetworkInterface", "AttachNetworkInterface", "ModifyNetworkInterfaceAttribute"
DETACH, DELETE = "DetachNetworkInterface", "DeleteNetworkInterface"
ASSIGN, UNASSIGN = "AssignPrivateIpAddresses", "UnassignPrivateIpAddresses"
ASSIGN_IPV6, UNASSIGN_IPV6 = "AssignIpv6Addresses", "UnassignIpv6Addresses"
TAG, UNTAG = "CreateTags", "DeleteTags"
# With DeleteOnTermination, which is the Modify.
MADE: Calls = {CREATE: 1, ATTACH: 1, MODIFY: 1}
ONE: Calls = {MODIFY: 1}
MOVED: Calls = {DETACH: 1, ATTACH: 1, MODIFY: 1}
ANEW: Calls = {DETACH: 1, DELETE: 1, CREATE: 1, ATTACH: 1, MODIFY: 1}

SECOND_GROUP = "sg-00000000000000002"
SECOND_SUBNET = "subnet-00000000000000002"
DUAL_STACK = "subnet-00000000000000006"


@dataclass(frozen=True)
class Field:
    """`first` and `second` are values, `without` what stands instead of them when they are taken out."""

    name: str
    first: Spec
    second: Spec
    without: Spec
    made: Calls = field(default_factory=lambda: MADE)
    edited: Calls = field(default_factory=lambda: ONE)
    removed: Calls = field(default_factory=lambda: ONE)
    type: str = "m5.4xlarge"
    # The steps in which it is: those that make a call. What goes along with the create alone is so in the
    # last line, for all such fields at once.
    killed: tuple[str, ...] = ("made", "edited", "removed")


def _simple(name: str, first: Any, second: Any, without: Any = None, **more: Any) -> Field:
    return Field(name, {name: first}, {name: second}, {name: without}, **more)


def _ipv6(name: str, first: Any, second: Any, **more: Any) -> Field:
    return Field(name, {name: first, "subnetID": DUAL_STACK}, {name: second}, {name: None}, **more)


FIELDS: tuple[Field, ...] = (
    _simple("subnetID", SUBNET, SECOND_SUBNET, SUBNET, edited=ANEW, removed=ANEW, killed=("edited",)),
    _simple("securityGroupIDs", [SECURITY_GROUP], [SECOND_GROUP], [SECURITY_GROUP], killed=("edited",)),
    _simple("deviceIndex", 3, 4, edited=MOVED, removed=MOVED, killed=("edited",)),
    _simple(
        "deleteOnTermination",
        False,
        True,
        made={CREATE: 1, ATTACH: 1},
        removed={},
        killed=("made", "edited"),
    ),
    _simple("description", "one", "another", killed=("edited", "removed")),
    _simple(
        "sourceDestCheck",
        False,
        True,
        made={CREATE: 1, ATTACH: 1, MODIFY: 2},
        removed={},
        killed=("made", "edited"),
    ),
    _simple(
        "tags", {"a": "1"}, {"a": "2"}, edited={TAG: 1}, removed={UNTAG: 1}, killed=("edited", "removed")
    ),
    _simple(
        "connectionTracking",
        {"tcpEstablishedTimeout": 600, "udpStreamTimeout": 60},
        {"tcpEstablishedTimeout": 3600, "udpTimeout": 60},
    ),
    Field(
        "connectionTracking of a type with short timeouts",
        {"connectionTracking": {"tcpEstablishedTimeout": 432000}},
        {"connectionTracking": {"tcpEstablishedTimeout": 350}},
        {"connectionTracking": None},
        removed={},
        killed=("edited",),
        type="m8i.xlarge",
    ),
    _simple("enaExpress", {"enabled": True}, {"enabled": True, "udp": True}, type="c6in.16xlarge"),
    # EC2 changes it on a stopped instance alone: tests/controller/test_ena.py.
    _simple("enaQueueCount", 8, 8, edited={}, removed={}, killed=("made",), type="c6in.16xlarge"),
    # What is taken out of these stays as it is.
    _simple("secondaryPrivateIPCount", 2, 4, edited={ASSIGN: 1}, removed={}, killed=("edited",)),
    _simple("ipv4PrefixCount", 2, 1, edited={UNASSIGN: 1}, removed={}, killed=("made", "edited")),
    # Files on the nodes, which no call is about; one prefix comes with the ENI.
    _simple("podNetwork", {"name": "one"}, {"name": "two", "mode": "L3"}, edited={}, removed={}, killed=()),
    Field(
        "podNetwork of an ENI that stands",
        {"description": "one"},
        {"podNetwork": {"name": "pods"}},
        {"podNetwork": None},
        edited={ASSIGN: 1},
        removed={},
        killed=("edited",),
    ),
    _ipv6("ipv6AddressCount", 2, 0, edited={UNASSIGN_IPV6: 1}, removed={}, killed=("edited",)),
    _ipv6("ipv6PrefixCount", 1, 2, edited={ASSIGN_IPV6: 1}, removed={}, killed=("made", "edited")),
    Field(
        "enablePrimaryIPv6",
        {"subnetID": DUAL_STACK, "ipv6AddressCount": 1, "enablePrimaryIPv6": False},
        {"enablePrimaryIPv6": True},
        {"enablePrimaryIPv6": None},
        removed={},
        killed=("edited",),
    ),
    Field(
        "enablePrimaryIPv6, which EC2 does not take back",
        {"subnetID": DUAL_STACK, "ipv6AddressCount": 1, "enablePrimaryIPv6": True},
        {"enablePrimaryIPv6": False},
        {"enablePrimaryIPv6": None},
        edited=ANEW,
        removed={},
        killed=("edited",),
    ),
    Field(
        "all that Create and Attach can carry",
        {
            "subnetID": DUAL_STACK,
            "securityGroupIDs": [SECURITY_GROUP, SECOND_GROUP],
            "description": "one",
            "tags": {"a": "1"},
            "connectionTracking": {"tcpEstablishedTimeout": 600, "udpStreamTimeout": 60, "udpTimeout": 60},
            "enaExpress": {"enabled": True, "udp": True},
            "enaQueueCount": 8,
            "secondaryPrivateIPCount": 2,
            "ipv6AddressCount": 2,
            "enablePrimaryIPv6": True,
        },
        {"description": "another"},
        {"description": None},
        killed=("made",),
        type="c6in.16xlarge",
    ),
)

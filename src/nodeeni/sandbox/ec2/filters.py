"""Filters of the describes: their names, their values, and EC2's matching (`*`, `?`, case-sensitive)."""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

from .account import Account
from .errors import EC2Error
from .model import INSTANCE_STATES, Attachment
from .wire import Parameters

MAX_VALUES = 200

# The values that a row (any of the model's classes) offers to a filter.
Values = Callable[[Account, Any], Iterable[str]]


def parse(parameters: Parameters) -> list[tuple[str, list[str]]]:
    """Name and values of each filter of the request."""
    wanted = []
    for each in parameters.children("Filter"):
        name = each.text("Name")
        values = each.texts("Value")
        if not name:
            raise EC2Error("InvalidParameterValue", "The filter name is missing")
        if not values:
            raise EC2Error("InvalidParameterValue", "The filter 'null' is invalid")
        wanted.append((name, values))
    if sum(len(values) for _, values in wanted) > MAX_VALUES:
        raise EC2Error(
            "FilterLimitExceeded",
            f"The maximum number of filter values specified on a single call is {MAX_VALUES}",
        )
    return wanted


def compile_filters(
    wanted: list[tuple[str, list[str]]], known: Mapping[str, Values]
) -> Callable[[Account, Any], bool]:
    """True for the rows that every filter accepts by one of its values. An unknown name is refused."""
    tests = [(_values_of(name, known), [_pattern(value) for value in values]) for name, values in wanted]

    def accepts(account: Account, row: Any) -> bool:
        return all(
            any(pattern(value) for value in values(account, row) for pattern in patterns)
            for values, patterns in tests
        )

    return accepts


def _values_of(name: str, known: Mapping[str, Values]) -> Values:
    if name.startswith("tag:"):
        key = name.removeprefix("tag:")
        return lambda _, row: [row.tags[key]] if key in row.tags else []
    if name not in known:
        raise EC2Error("InvalidParameterValue", f"The filter '{name}' is invalid")
    return known[name]


@lru_cache(maxsize=4096)
def _pattern(text: str) -> Callable[[str], object]:
    if not any(character in text for character in "*?\\"):
        return text.__eq__
    parts = re.split(r"(\\.|\*|\?)", text)
    wild = {"*": ".*", "?": "."}
    return re.compile(
        "".join(wild.get(part, re.escape(part.removeprefix("\\"))) for part in parts), re.DOTALL
    ).fullmatch


def _truth(value: bool) -> str:
    return "true" if value else "false"


def _attachment(read: Callable[[Attachment], str]) -> Values:
    return lambda _, row: [] if row.attachment is None else [read(row.attachment)]


def _of_interfaces(name: str) -> Values:
    """A filter of instances that looks at what is attached to them."""
    read = INTERFACE_FILTERS[name]
    return lambda account, row: [
        value for interface in account.seen_interfaces_of(row.id) for value in read(account, interface)
    ]


_COMMON: dict[str, Values] = {
    "owner-id": lambda account, _: [account.id],
    "tag-key": lambda _, row: row.tags.keys(),
    "tag-value": lambda _, row: row.tags.values(),
}

INTERFACE_FILTERS: dict[str, Values] = _COMMON | {
    "addresses.primary": lambda _, row: ["true"],
    "addresses.private-ip-address": lambda _, row: row.private_ips,
    "attachment.attach-time": _attachment(lambda each: each.attached_at),
    "attachment.attachment-id": _attachment(lambda each: each.id),
    "attachment.delete-on-termination": _attachment(lambda each: _truth(each.delete_on_termination)),
    "attachment.device-index": _attachment(lambda each: str(each.device_index)),
    "attachment.instance-id": _attachment(lambda each: each.instance_id),
    "attachment.instance-owner-id": lambda account, row: [] if row.attachment is None else [account.id],
    "attachment.network-card-index": _attachment(lambda each: str(each.network_card_index)),
    "attachment.status": _attachment(lambda each: each.status),
    "availability-zone": lambda _, row: [row.zone],
    "description": lambda _, row: [row.description],
    "group-id": lambda _, row: row.group_ids,
    "group-name": lambda account, row: [account.groups[each].group_name for each in row.group_ids],
    "interface-type": lambda _, row: [row.interface_type],
    "ipv6-addresses.ipv6-address": lambda _, row: row.ipv6_addresses,
    "mac-address": lambda _, row: [row.mac],
    "network-interface-id": lambda _, row: [row.id],
    "private-dns-name": lambda account, row: map(account.dns_name, row.private_ips[:1]),
    "private-ip-address": lambda _, row: row.private_ips[:1],
    "requester-id": lambda _, row: [row.requester_id] if row.requester_id else [],
    "requester-managed": lambda _, row: [str(row.requester_managed).lower()],
    "source-dest-check": lambda _, row: [_truth(row.source_dest_check)],
    "status": lambda _, row: [row.status],
    "subnet-id": lambda _, row: [row.subnet_id],
    "vpc-id": lambda _, row: [row.vpc_id],
}

INSTANCE_FILTERS: dict[str, Values] = _COMMON | {
    "availability-zone": lambda _, row: [row.zone],
    "image-id": lambda _, row: [row.image_id],
    "instance-id": lambda _, row: [row.id],
    "instance-state-code": lambda _, row: [str(INSTANCE_STATES[row.state])],
    "instance-state-name": lambda _, row: [row.state],
    "instance-type": lambda _, row: [row.type],
    "instance.group-id": lambda _, row: row.group_ids,
    "network-interface.attachment.attachment-id": _of_interfaces("attachment.attachment-id"),
    "network-interface.attachment.device-index": _of_interfaces("attachment.device-index"),
    "network-interface.attachment.status": _of_interfaces("attachment.status"),
    "network-interface.network-interface-id": _of_interfaces("network-interface-id"),
    "network-interface.status": _of_interfaces("status"),
    "network-interface.subnet-id": _of_interfaces("subnet-id"),
    "private-dns-name": lambda _, row: [row.private_dns_name],
    "private-ip-address": lambda _, row: [row.private_ip],
    "subnet-id": lambda _, row: [row.subnet_id],
    "vpc-id": lambda _, row: [row.vpc_id],
}

SUBNET_FILTERS: dict[str, Values] = _COMMON | {
    "owner-id": lambda account, row: [row.owner_id or account.id],
    "availability-zone": lambda _, row: [row.owners_zone or row.zone],
    "availability-zone-id": lambda _, row: [zone_id(row.zone)],
    "available-ip-address-count": lambda account, row: [str(account.pools[row.id].free)],
    "cidr": lambda _, row: [row.cidr],
    "cidr-block": lambda _, row: [row.cidr],
    "default-for-az": lambda *_: ["false"],
    "state": lambda *_: ["available"],
    "subnet-id": lambda _, row: [row.id],
    "vpc-id": lambda _, row: [row.vpc_id],
}

GROUP_FILTERS: dict[str, Values] = _COMMON | {
    "description": lambda _, row: [row.description],
    "group-id": lambda _, row: [row.id],
    "group-name": lambda _, row: [row.group_name],
    "vpc-id": lambda _, row: [row.vpc_id],
}

# Of GetSecurityGroupsForVpc.
USABLE_GROUP_FILTERS: dict[str, Values] = {
    "description": lambda _, row: [row.description],
    "group-id": lambda _, row: [row.id],
    "group-name": lambda _, row: [row.group_name],
    "owner-id": lambda account, _: [account.id],
    "primary-vpc-id": lambda _, row: [row.vpc_id],
}

VPC_FILTERS: dict[str, Values] = _COMMON | {
    "cidr": lambda _, row: [row.cidr],
    "is-default": lambda *_: ["false"],
    "state": lambda *_: ["available"],
    "vpc-id": lambda _, row: [row.id],
}

TYPE_FILTERS: dict[str, Values] = {
    "bare-metal": lambda _, row: [_truth(row.bare_metal)],
    "instance-type": lambda _, row: [row.name],
    "network-info.maximum-network-interfaces": lambda _, row: [str(row.interface_limit)],
    "network-info.maximum-network-cards": lambda _, row: [str(len(row.cards))],
}

ZONE_FILTERS: dict[str, Values] = {
    "region-name": lambda account, _: [account.region],
    "state": lambda *_: ["available"],
    "zone-id": lambda _, row: [zone_id(row)],
    "zone-name": lambda _, row: [row],
}


def zone_id(zone: str) -> str:
    """As in AWS's form: us-west-2a is usw2-az1. (The real numbering differs by account.)"""
    area, direction, rest = zone.split("-", 2)
    return f"{area}{direction[0]}{rest[:-1]}-az{ord(rest[-1]) - ord('a') + 1}"

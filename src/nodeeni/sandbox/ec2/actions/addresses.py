"""What an interface has of addresses and prefixes: given as it is created, assigned and given back later."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from nodeeni.sandbox.ec2.account import Account, instance_type
from nodeeni.sandbox.ec2.errors import EC2Error
from nodeeni.sandbox.ec2.instance_types import InstanceType
from nodeeni.sandbox.ec2.model import Interface, Subnet
from nodeeni.sandbox.ec2.pools import IPv6Pool
from nodeeni.sandbox.ec2.wire import Parameters

from .registry import Request, action

_replace = msgspec.structs.replace


def given_at_creation(account: Account, subnet: Subnet, asked: Parameters) -> dict[str, Any]:
    """The fields of a new interface that hold addresses, by one form of each family."""
    _one_form(asked, "SecondaryPrivateIpAddressCount", "PrivateIpAddresses", "Ipv4PrefixCount")
    _one_form(asked, "Ipv6AddressCount", "Ipv6PrefixCount")
    of_ipv6 = "Ipv6AddressCount" if "Ipv6AddressCount" in asked.flat else ""
    count, prefixes = asked.integer("Ipv6AddressCount"), asked.integer("Ipv6PrefixCount")
    if not of_ipv6 and not prefixes and subnet.gives_ipv6:
        count = 1
    if asked.boolean("EnablePrimaryIpv6") and not count:
        raise EC2Error("InvalidParameterCombination", "EnablePrimaryIpv6 needs an IPv6 address")
    if not subnet.cidr and not count:
        raise EC2Error("InvalidParameterCombination", "An IPv6-only subnet needs at least one IPv6 address")
    pool = ipv6_pool(account, subnet) if count or prefixes else None
    private_ips, ipv4_prefixes = _ipv4(account, subnet, asked)
    return {
        "private_ips": private_ips,
        "ipv4_prefixes": ipv4_prefixes,
        "ipv6_addresses": tuple(pool.take(count)) if pool else (),
        "ipv6_prefixes": tuple(pool.take_blocks(prefixes)) if pool else (),
        "primary_ipv6": asked.boolean("EnablePrimaryIpv6"),
    }


def _one_form(asked: Parameters, *forms: str) -> None:
    sent = [form for form in forms if asked.text(form) or asked.child(form)]
    if len(sent) > 1:
        raise EC2Error("InvalidParameterCombination", f"Specify only one of {', '.join(sent)}")


def _ipv4(account: Account, subnet: Subnet, asked: Parameters) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The primary address, chosen by the caller or by EC2, with the secondary ones; and the prefixes."""
    pool = account.pools[subnet.id]
    listed = asked.children("PrivateIpAddresses")
    primary = asked.text("PrivateIpAddress")
    secondary = []
    for each in listed:
        if each.boolean("Primary"):
            primary = each.required("PrivateIpAddress")
        else:
            secondary.append(each.required("PrivateIpAddress"))
    count, prefixes = asked.integer("SecondaryPrivateIpAddressCount"), asked.integer("Ipv4PrefixCount")
    if not subnet.cidr:
        if primary or secondary or count or prefixes:
            raise EC2Error("InvalidParameterCombination", f"The subnet '{subnet.id}' has no IPv4 CIDR block")
        return (), ()
    if pool.free < 1 + len(secondary) + count:
        raise EC2Error("InsufficientFreeAddressesInSubnet")
    blocks = tuple(pool.take_blocks(prefixes))
    chosen = [address for address in (primary, *secondary) if address]
    for address in chosen:
        pool.take_this(address)
    if not primary:
        chosen = pool.take(1) + chosen
    return (*chosen, *pool.take(count)), blocks


def ipv6_pool(account: Account, subnet: Subnet) -> IPv6Pool:
    if subnet.id not in account.ipv6_pools:
        raise EC2Error("InvalidParameterValue", f"The subnet '{subnet.id}' has no IPv6 CIDR block")
    return account.ipv6_pools[subnet.id]


def check_held(interface: Interface, kind: InstanceType) -> None:
    """What an interface of that type may hold; of one that is attached nowhere EC2 does not know yet."""
    of_ipv4 = len(interface.private_ips) + len(interface.ipv4_prefixes)
    of_ipv6 = len(interface.ipv6_addresses) + len(interface.ipv6_prefixes)
    if max(of_ipv4, of_ipv6) > kind.addresses_per_interface:
        raise EC2Error(
            "PrivateIpAddressLimitExceeded",
            f"The number of addresses on {interface.id} exceeds the limit for {kind.name}",
        )


def _put(account: Account, interface: Interface) -> None:
    if interface.attachment is not None:
        check_held(interface, instance_type(account.instance(interface.attachment.instance_id).type))
    account.put(interface)


def _counts(asked: Parameters, addresses: Sequence[str], count: str, prefix_count: str) -> tuple[int, int]:
    """How many addresses and prefixes EC2 is to choose; exactly one form of all is sent."""
    forms = [bool(addresses), asked.integer(count), asked.integer(prefix_count)]
    if sum(map(bool, forms)) != 1:
        raise EC2Error("InvalidParameterCombination", f"Specify one of addresses, {count} and {prefix_count}")
    return forms[1], forms[2]


@action("AssignPrivateIpAddresses", without="Ipv4Prefix")
def assign_private_ip_addresses(request: Request) -> Mapping[str, object]:
    account, asked = request.account, request.parameters
    interface = account.interface(asked.required("NetworkInterfaceId"))
    addresses = asked.texts("PrivateIpAddress")
    count, prefix_count = _counts(asked, addresses, "SecondaryPrivateIpAddressCount", "Ipv4PrefixCount")
    if not account.subnets[interface.subnet_id].cidr:
        raise EC2Error("InvalidParameterCombination", f"{interface.id} is of an IPv6-only subnet")
    pool = account.pools[interface.subnet_id]
    if pool.free < len(addresses):
        raise EC2Error("InsufficientFreeAddressesInSubnet")
    for address in addresses:
        pool.take_this(address)
    blocks = pool.take_blocks(prefix_count)
    addresses = addresses or pool.take(count)
    changed = _replace(
        interface,
        private_ips=(*interface.private_ips, *addresses),
        ipv4_prefixes=(*interface.ipv4_prefixes, *blocks),
    )
    try:
        _put(account, changed)
    except EC2Error:
        for each in (*addresses, *blocks):
            pool.give_back(each)
        raise
    return {
        "networkInterfaceId": interface.id,
        "assignedPrivateIpAddressesSet": [{"privateIpAddress": address} for address in addresses],
        "assignedIpv4PrefixSet": [{"ipv4Prefix": block} for block in blocks],
        "return": True,
    }


@action("UnassignPrivateIpAddresses")
def unassign_private_ip_addresses(request: Request) -> Mapping[str, object]:
    account, asked = request.account, request.parameters
    interface = account.interface(asked.required("NetworkInterfaceId"))
    addresses, blocks = asked.texts("PrivateIpAddress"), asked.texts("Ipv4Prefix")
    _refuse_others(interface, (*interface.private_ips[1:], *interface.ipv4_prefixes), addresses, blocks)
    changed = _replace(
        interface,
        private_ips=_without(interface.private_ips, addresses),
        ipv4_prefixes=_without(interface.ipv4_prefixes, blocks),
    )
    account.put(changed)
    for each in (*addresses, *blocks):
        account.pools[interface.subnet_id].give_back(each)
    return {"return": True}


@action("AssignIpv6Addresses", without="Ipv6Prefix Ipv6Addresses")
def assign_ipv6_addresses(request: Request) -> Mapping[str, object]:
    account, asked = request.account, request.parameters
    interface = account.interface(asked.required("NetworkInterfaceId"))
    count, prefix_count = _counts(asked, (), "Ipv6AddressCount", "Ipv6PrefixCount")
    pool = ipv6_pool(account, account.subnets[interface.subnet_id])
    addresses, blocks = pool.take(count), pool.take_blocks(prefix_count)
    changed = _replace(
        interface,
        ipv6_addresses=(*interface.ipv6_addresses, *addresses),
        ipv6_prefixes=(*interface.ipv6_prefixes, *blocks),
    )
    _put(account, changed)
    return {
        "networkInterfaceId": interface.id,
        "assignedIpv6Addresses": addresses,
        "assignedIpv6PrefixSet": blocks,
    }


@action("UnassignIpv6Addresses")
def unassign_ipv6_addresses(request: Request) -> Mapping[str, object]:
    account, asked = request.account, request.parameters
    interface = account.interface(asked.required("NetworkInterfaceId"))
    addresses, blocks = asked.texts("Ipv6Addresses"), asked.texts("Ipv6Prefix")
    if interface.primary_ipv6 and interface.ipv6_addresses[0] in addresses:
        raise EC2Error("InvalidParameterValue", "The primary IPv6 address cannot be unassigned")
    _refuse_others(interface, (*interface.ipv6_addresses, *interface.ipv6_prefixes), addresses, blocks)
    changed = _replace(
        interface,
        ipv6_addresses=_without(interface.ipv6_addresses, addresses),
        ipv6_prefixes=_without(interface.ipv6_prefixes, blocks),
    )
    account.put(changed)
    return {
        "networkInterfaceId": interface.id,
        "unassignedIpv6Addresses": addresses,
        "unassignedIpv6PrefixSet": blocks,
    }


def _refuse_others(interface: Interface, there: Sequence[str], *named: Sequence[str]) -> None:
    others = [each for listed in named for each in listed if each not in there]
    if not any(named):
        raise EC2Error("MissingParameter", "The request must name an address or a prefix")
    if others:
        raise EC2Error(
            "InvalidParameterValue",
            f"[{', '.join(others)}] is not a secondary address or a prefix of the interface {interface.id}",
        )


def _without(held: tuple[str, ...], given_back: Sequence[str]) -> tuple[str, ...]:
    return tuple(each for each in held if each not in given_back)

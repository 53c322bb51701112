"""Secondary private addresses of an interface."""

from collections.abc import Mapping

import msgspec

from nodeeni.sandbox.ec2.errors import EC2Error

from .registry import Request, action

_replace = msgspec.structs.replace


@action("AssignPrivateIpAddresses", without="Ipv4Prefix Ipv4PrefixCount")
def assign_private_ip_addresses(request: Request) -> Mapping[str, object]:
    account, asked = request.account, request.parameters
    interface = account.interface(asked.required("NetworkInterfaceId"))
    addresses, count = asked.texts("PrivateIpAddress"), asked.integer("SecondaryPrivateIpAddressCount")
    if bool(addresses) == bool(count):
        raise EC2Error(
            "InvalidParameterCombination",
            "Specify either privateIpAddresses or secondaryPrivateIpAddressCount",
        )
    pool = account.pools[interface.subnet_id]
    if addresses:
        if pool.free < len(addresses):
            raise EC2Error("InsufficientFreeAddressesInSubnet")
        for address in addresses:
            pool.take_this(address)
    else:
        addresses = pool.take(count)
    account.put(_replace(interface, private_ips=(*interface.private_ips, *addresses)))
    return {
        "networkInterfaceId": interface.id,
        "assignedPrivateIpAddressesSet": [{"privateIpAddress": address} for address in addresses],
        "return": True,
    }


@action("UnassignPrivateIpAddresses", required="PrivateIpAddress", without="Ipv4Prefix")
def unassign_private_ip_addresses(request: Request) -> Mapping[str, object]:
    account, asked = request.account, request.parameters
    interface = account.interface(asked.required("NetworkInterfaceId"))
    addresses = asked.texts("PrivateIpAddress")
    for address in addresses:
        if address not in interface.private_ips[1:]:
            raise EC2Error(
                "InvalidParameterValue",
                f"[{address}] is not a secondary address of the interface {interface.id}",
            )
    kept = tuple(address for address in interface.private_ips if address not in addresses)
    account.put(_replace(interface, private_ips=kept))
    for address in addresses:
        account.pools[interface.subnet_id].give_back(address)
    return {"return": True}

"""The CNI configuration of a pod network, pure: from what the controller wants of an ENI to the file's text.

EC2 delivers to an ENI every packet for its prefixes and drops foreign MAC addresses, which is what ipvlan and
a host-local range for each prefix make use of. Multus looks the file up by its `name`.
"""

import ipaddress
import json
import re
from typing import Any

from nodeeni.agent.spec import PodNetwork, WantedInterface

# The last version of the CNI specification that knows a file of one plugin (a `.conf`), which is what Multus
# undoes safely; every plugin that is in use speaks it.
CNI_VERSION = "0.4.0"

# The plugins that a file names.
PLUGINS = ("ipvlan", "host-local")

# Our mark: an entry that no plugin knows. A file without it is somebody else's.
MARK = "nodeeni"

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_MODES = {"L2": "l2", "L3": "l3", "L3S": "l3s"}

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Unfit(Exception):
    """There can be no file of it; the message is for people, with the way out."""


class NotYet(Unfit):
    """Nobody has to do anything."""


def file_name(network: str) -> str:
    """Unfit where the name cannot be a file's: it goes into a path that root writes."""
    if not _LABEL.fullmatch(network):
        raise Unfit(f"{network!r} is no DNS label, and names a file: choose another podNetwork.name")
    return f"90-nodeeni-{network}.conf"


def file_text(wanted: WantedInterface, network: PodNetwork) -> str:
    """The file's whole text. Never `mtu`: ipvlan takes one above its master's, and then large packets fail;
    without it the pod's link follows the ENI's. Unfit says what is missing, and who has to give it."""
    file_name(network.name)
    if network.type != "ipvlan":
        raise Unfit(f"podNetwork.type {network.type} is not known: this ENI manager writes ipvlan alone")
    if network.mode not in _MODES:
        raise Unfit(f"podNetwork.mode {network.mode} is not known: choose {', '.join(_MODES)}")
    if not wanted.interface_name:
        raise Unfit("the link has no fixed name: set interfaceName")
    ranges = _ranges(network.prefixes, wanted.subnet_cidrs)
    if not ranges:
        raise NotYet("the ENI has no prefix for pods yet")
    config = {
        "cniVersion": CNI_VERSION,
        "name": network.name,
        "type": "ipvlan",
        "master": wanted.interface_name,
        "mode": _MODES[network.mode],
        "ipam": {"type": "host-local", "ranges": ranges} | _routes(network, wanted.subnet_cidrs),
        MARK: {"nodeENI": wanted.node_eni, "eniID": wanted.eni_id, "prefixes": list(network.prefixes)},
    }
    return json.dumps(config, indent=2) + "\n"


def _routes(network: PodNetwork, cidrs: tuple[str, ...]) -> dict[str, Any]:
    """As the kernel takes them: one with bits behind the prefix's length fails the start of each pod, and so
    does one that is there already. One of a family that pods have no address of would be made without a next
    hop, and swallow what is sent there. One list is for all zones: to its own subnet the link has a route."""
    routes = [_route(to, gateway) for to, gateway in network.routes]
    families = {_block(prefix).version for prefix in network.prefixes}
    seen = set()
    for block in (ipaddress.ip_network(route["dst"]) for route in routes):
        if block in seen:
            raise Unfit(f"podNetwork.routes: dst {block} stands twice: take one of them out")
        if block.version not in families:
            raise NotYet(
                f"podNetwork.routes: {block} needs an IPv{block.version} prefix, which the ENI has not: "
                f"set ipv{block.version}PrefixCount, or take the route out"
            )
        seen.add(block)
    own = [{"dst": str(_block(cidr))} for cidr in cidrs]
    others = [route for route in routes if route not in own]
    return {"routes": others} if others else {}


def _route(to: str, gateway: str) -> dict[str, str]:
    try:
        block = ipaddress.ip_network(to, strict=False)
        hop = ipaddress.ip_address(gateway) if gateway else None
    except ValueError as error:
        raise Unfit(f"podNetwork.routes: {error}: mend dst or gw") from error
    if hop is not None and hop.version != block.version:
        raise Unfit(f"podNetwork.routes: gw {hop} is not of the family of dst {block}: mend one of them")
    return {"dst": str(block)} | ({"gw": str(hop)} if hop else {})


def _ranges(prefixes: tuple[str, ...], cidrs: tuple[str, ...]) -> list[list[dict[str, str]]]:
    """One set of ranges a family, since host-local gives a pod one address of each set. The subnet is the
    VPC's, so that a pod reaches its neighbours without a route, and the gateway the VPC's router."""
    subnets = [_block(cidr) for cidr in cidrs]
    sets: dict[int, list[dict[str, str]]] = {}
    for prefix in map(_block, prefixes):
        subnet = next((each for each in subnets if _within(prefix, each)), None)
        if subnet is None:
            among = " and ".join(cidrs) or "no subnet that is known"
            raise Unfit(f"the ENI's prefix {prefix} does not lie in its subnet, {among}")
        sets.setdefault(prefix.version, []).append(
            {
                "subnet": str(subnet),
                "rangeStart": str(prefix[0]),
                "rangeEnd": str(prefix[-1]),
                "gateway": str(subnet[1]),
            }
        )
    return [sets[version] for version in sorted(sets)]


def _block(cidr: str) -> _Network:
    try:
        return ipaddress.ip_network(cidr)
    except ValueError as error:
        raise Unfit(f"{cidr!r} is no block of addresses: {error}") from error


def _within(prefix: _Network, subnet: _Network) -> bool:
    return prefix.version == subnet.version and prefix[0] in subnet and prefix[-1] in subnet

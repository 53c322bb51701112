"""Which addresses pods have, by what the CNI plugin host-local keeps on the node: read, never written.

A folder a network, in it a file an address, named by it; beside them `lock` and `last_reserved_ip.N`
(containernetworking/plugins, plugins/ipam/host-local/backend/disk).
"""

import ipaddress
import os
from collections.abc import Iterator

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def addresses_in_use(state_dir: str) -> dict[str, frozenset[Address]]:
    """By network; of all networks, since a definition that somebody wrote by hand may use the ENI's prefixes
    too. OSError where it cannot be known, also where there is no such folder: perhaps it was not mounted."""
    with os.scandir(state_dir) as entries:
        networks = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    found = {name: frozenset(_addresses(os.path.join(state_dir, name))) for name in networks}
    return {name: addresses for name, addresses in found.items() if addresses}


def _addresses(folder: str) -> Iterator[Address]:
    try:
        names = os.listdir(folder)
    except FileNotFoundError:  # removed since
        return
    for name in names:
        try:
            yield ipaddress.ip_address(name)
        except ValueError:
            continue

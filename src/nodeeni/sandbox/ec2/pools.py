"""The free addresses and blocks of one subnet, by family: what is taken, and what EC2 refuses to give."""

import ipaddress
from collections.abc import Iterator
from itertools import islice

from .errors import EC2Error

BLOCK = 16  # addresses of an IPv4 prefix: a /28


class AddressPool:
    """IPv4. EC2 keeps the first four addresses and the last one for itself.

    An IPv6-only subnet (no `cidr`) has none.
    """

    def __init__(self, cidr: str) -> None:
        self._network = ipaddress.IPv4Network(cidr or "0.0.0.0/32")
        self._used: set[int] = set()
        self._reserved: set[int] = set()  # for prefixes, by a CIDR reservation
        self._last = 3

    @property
    def free(self) -> int:
        return max(0, self._network.num_addresses - 5 - len(self._used | self._reserved))

    def reserve(self, cidr: str) -> None:
        """A CIDR reservation of type prefix: its addresses go into prefixes only."""
        first = int(ipaddress.IPv4Network(cidr).network_address) - int(self._network.network_address)
        self._reserved.update(range(first, first + ipaddress.IPv4Network(cidr).num_addresses))

    def take(self, count: int) -> list[str]:
        """`count` addresses not in use, or `InsufficientFreeAddressesInSubnet` and none taken."""
        if count > self.free:
            raise EC2Error("InsufficientFreeAddressesInSubnet")
        offsets = self._next_free()
        taken = [next(offsets) for _ in range(count)]
        return [str(self._network[offset]) for offset in taken]

    def take_blocks(self, count: int) -> list[str]:
        """`count` prefixes, each in one piece, or `InsufficientCidrBlocks` and none taken."""
        blocks = range(0, self._network.num_addresses - BLOCK + 1, BLOCK)
        free = list(islice((first for first in blocks if self._is_free(first)), count))
        if len(free) < count:
            raise EC2Error("InsufficientCidrBlocks")
        for first in free:
            self._used.update(range(first, first + BLOCK))
        return [f"{self._network[first]}/28" for first in free]

    def _is_free(self, first: int) -> bool:
        """Whether the block that begins there is."""
        block = range(first, first + BLOCK)
        if first == 0 or self._network.num_addresses - 1 in block:  # of which EC2 keeps some for itself
            return False
        return self._used.isdisjoint(block)

    def take_this(self, address: str) -> None:
        try:
            offset = int(ipaddress.IPv4Address(address)) - int(self._network.network_address)
        except ValueError:
            raise EC2Error("InvalidParameterValue", f"Invalid value '{address}' for privateIp.") from None
        if not 4 <= offset < self._network.num_addresses - 1:
            raise EC2Error("InvalidParameterValue", "Address does not fall within the subnet's address range")
        if offset in self._used:
            raise EC2Error("InvalidIPAddress.InUse", f"The address '{address}' is in use.")
        self._used.add(offset)

    def give_back(self, address: str) -> None:
        """An address or a prefix."""
        block = ipaddress.IPv4Network(address)
        first = int(block.network_address) - int(self._network.network_address)
        self._used.difference_update(range(first, first + block.num_addresses))

    def _next_free(self) -> Iterator[int]:
        """Round the subnet, so that an address just given back is not the next one handed out."""
        highest = self._network.num_addresses - 2
        while True:
            self._last = self._last + 1 if self._last < highest else 4
            if self._last not in self._used and self._last not in self._reserved:
                self._used.add(self._last)
                yield self._last


class IPv6Pool:
    """Of a /64, which is never full: addresses come from its first half, prefixes (/80) from its second."""

    def __init__(self, cidr: str) -> None:
        self._first = int(ipaddress.IPv6Network(cidr).network_address)
        self._addresses = 0
        self._blocks = 0

    def take(self, count: int) -> list[str]:
        numbers = range(self._addresses + 1, self._addresses + count + 1)
        self._addresses += count
        # As scattered as EC2's: an odd factor never gives one twice.
        return [
            str(ipaddress.IPv6Address(self._first + number * 0x9E3779B97F4A7C15 % 2**63))
            for number in numbers
        ]

    def take_blocks(self, count: int) -> list[str]:
        numbers = range(self._blocks, self._blocks + count)
        self._blocks += count
        return [f"{ipaddress.IPv6Address(self._first + 2**63 + (number << 48))}/80" for number in numbers]

"""What some real instance types allow, for DescribeInstanceTypes and for the limits on attaching.

Source: "Network specifications" of the EC2 instance types guide (interfaces per network card, addresses
per interface); "Amazon EBS volume limits for Amazon EC2 instances" (28 attachments shared by volumes and
interfaces, or volumes counted apart).
"""

import msgspec


class Queues(msgspec.Struct, frozen=True):
    """ENA queues of a network card: of an interface by default and at most, and of all together."""

    default: int
    most: int
    all: int


class InstanceType(msgspec.Struct, frozen=True):
    """`cards` holds the most interfaces of each network card; the card's index is its position."""

    name: str
    vcpus: int
    memory_mib: int
    cards: tuple[int, ...]
    addresses_per_interface: int
    max_interfaces: int = 0  # 0: the sum over the cards
    efa: bool = False
    bare_metal: bool = False
    volumes: int = 28
    dedicated: bool = False  # volumes are counted apart from interfaces
    tcp_established_timeout: int = 432000  # seconds, of connection tracking
    ena_express: bool = False
    queues: Queues | None = None  # of ENA, where their number can be chosen
    additional: int = 0  # interfaces of each card beyond its most, where queues are left for them

    @property
    def interface_limit(self) -> int:
        return self.max_interfaces or sum(self.cards)


_GIB = 1024

INSTANCE_TYPES: dict[str, InstanceType] = {
    each.name: each
    for each in (
        InstanceType("t3.micro", 2, 1 * _GIB, (2,), 2),
        InstanceType("t3.small", 2, 2 * _GIB, (3,), 4),
        InstanceType("t3.medium", 2, 4 * _GIB, (3,), 6),
        InstanceType("t3.large", 2, 8 * _GIB, (3,), 12),
        InstanceType("t3.xlarge", 4, 16 * _GIB, (4,), 15),
        InstanceType("m5.large", 2, 8 * _GIB, (3,), 10),
        InstanceType("m5.xlarge", 4, 16 * _GIB, (4,), 15),
        InstanceType("m5.2xlarge", 8, 32 * _GIB, (4,), 15),
        InstanceType("m5.4xlarge", 16, 64 * _GIB, (8,), 30),
        InstanceType("m5.24xlarge", 96, 384 * _GIB, (15,), 50),
        InstanceType("m6i.large", 2, 8 * _GIB, (3,), 10, queues=Queues(2, 2, 6)),
        InstanceType("m6i.4xlarge", 16, 64 * _GIB, (8,), 30, queues=Queues(8, 16, 64)),
        InstanceType(
            "c6in.16xlarge",
            64,
            128 * _GIB,
            (15,),
            50,
            ena_express=True,
            queues=Queues(16, 32, 240),
            additional=1,
        ),
        InstanceType("m7i.large", 2, 8 * _GIB, (3,), 10, volumes=32, dedicated=True),
        InstanceType("m7i.xlarge", 4, 16 * _GIB, (4,), 15, volumes=32, dedicated=True),
        InstanceType(
            "m8i.xlarge",
            4,
            16 * _GIB,
            (4,),
            30,
            volumes=32,
            dedicated=True,
            tcp_established_timeout=350,
            queues=Queues(4, 4, 16),
        ),
        InstanceType("r5.large", 2, 16 * _GIB, (3,), 10),
        InstanceType("c5.large", 2, 4 * _GIB, (3,), 10),
        InstanceType("c5.4xlarge", 16, 32 * _GIB, (8,), 30),
        InstanceType("c5.metal", 96, 192 * _GIB, (15,), 50, bare_metal=True),
        InstanceType("c5n.18xlarge", 72, 192 * _GIB, (15,), 50, efa=True),
        InstanceType(
            "c6in.32xlarge",
            128,
            256 * _GIB,
            (8, 8),
            50,
            efa=True,
            ena_express=True,
            queues=Queues(32, 32, 256),
            additional=4,
        ),
        InstanceType("p4d.24xlarge", 96, 1152 * _GIB, (15, 15, 15, 15), 50, efa=True),
        InstanceType("trn1.32xlarge", 128, 512 * _GIB, (5,) * 8, 50, efa=True),
        InstanceType(
            "p5.48xlarge",
            192,
            2048 * _GIB,
            (2,) * 32,
            50,
            efa=True,
            volumes=128,
            dedicated=True,
            ena_express=True,
        ),
    )
}

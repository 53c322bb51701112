"""EC2's objects: what of an answer is read, and what the rest of the code sees of it, in EC2's own words.

A struct whose name ends in `Shape` is a shape of EC2's answers: botocore's answer is decoded by it, and
nothing that it does not name is even parsed (`READ`, see `ec2/models.py`). Beside it stands what is made of
it: frozen and small. All is data without behaviour of its own beyond reading itself, so that `plan/`, which
may not touch the network, can work on it.

Strings that repeat in thousands of interfaces (zones, tag keys, group ids) are interned, which is most of
what 5,000 interfaces weigh.
"""

from collections.abc import Mapping

from nodeeni.ec2.types.action import Action, Rehearsal
from nodeeni.ec2.types.instance import Instance, InstanceSlot, read_instance
from nodeeni.ec2.types.instance_type import USUAL_TRACKING, InstanceType, NetworkCard, read_instance_type
from nodeeni.ec2.types.interface import (
    NO_EXPRESS,
    NO_TRACKING,
    PLAIN,
    UNKNOWN_QUEUES,
    Attachment,
    EnaQueues,
    Interface,
    read_interface,
)
from nodeeni.ec2.types.network import (
    SecurityGroup,
    Subnet,
    fits,
    read_security_group,
    read_subnet,
    read_usable_group,
)
from nodeeni.ec2.types.shape import Answer, Shape, Unreadable, unreadable

__all__ = [
    "NO_EXPRESS",
    "NO_TRACKING",
    "PLAIN",
    "READ",
    "UNKNOWN_QUEUES",
    "USUAL_TRACKING",
    "Action",
    "Answer",
    "Attachment",
    "EnaQueues",
    "Instance",
    "InstanceSlot",
    "InstanceType",
    "Interface",
    "NetworkCard",
    "Rehearsal",
    "SecurityGroup",
    "Shape",
    "Subnet",
    "Unreadable",
    "fits",
    "read_instance",
    "read_instance_type",
    "read_interface",
    "read_security_group",
    "read_subnet",
    "read_usable_group",
    "unreadable",
]

# By EC2's name of the shape, what is read of it: nothing else of an answer is parsed. Times above all are
# dear, and 5,000 interfaces and instances have 15,000 of them.
READ: Mapping[str, frozenset[str]] = {
    shape.__name__.removesuffix("Shape"): frozenset(shape.__struct_encode_fields__)
    for shape in Shape.__subclasses__()
}

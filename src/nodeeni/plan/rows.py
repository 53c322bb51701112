"""How far one NodeENI has come on one node: what a plan says beside its actions."""

from enum import StrEnum

import msgspec

from nodeeni.api.reasons import RowReason
from nodeeni.ec2.types import Interface
from nodeeni.plan.link import NOTHING, Link


class State(StrEnum):
    """How far one interface of one node has come; the words of `status.attachments[].status`."""

    CREATING = "creating"
    ATTACHING = "attaching"
    ATTACHED = "attached"
    DETACHING = "detaching"
    DELETING = "deleting"
    FAILED = "failed"


class Row(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is to be reported of one NodeENI on one node. `generation` is of the NodeENI's spec when it was
    planned; 0: before any plan. `kept_from_pods` are prefixes that are to be given back.
    """

    uid: str
    nodeeni: str
    node: str
    generation: int = 0
    instance_id: str = ""
    state: State
    interface: Interface | None = None
    subnet_cidr: str = ""
    subnet_ipv6_cidr: str = ""
    device_index: int | None = None
    network_card_index: int | None = None
    link: Link = NOTHING
    kept_from_pods: frozenset[str] = frozenset()
    wanted: bool = True
    reason: RowReason | None = None
    message: str = ""

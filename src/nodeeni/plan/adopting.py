"""Interfaces of v1.x that can become ours: which one serves a NodeENI, and the tags that make it so. Pure.

What does not fit is left alone, with the way out: taking it over would mean to replace it at once.
"""

from collections.abc import Callable, Iterable

from nodeeni.api import names
from nodeeni.api.reasons import EventReason, RowReason
from nodeeni.ec2.types import Interface
from nodeeni.plan.actions import SetTags
from nodeeni.plan.desired import DesiredInterface
from nodeeni.plan.refusal import Refusal

LOOK_AGAIN = 300.0  # seconds: somebody has to change the NodeENI or the interface


def candidates(adoptable: Iterable[Interface], nodeeni: str) -> list[Interface]:
    return [interface for interface in adoptable if interface.tags.get(names.TAG_NODEENI) == nodeeni]


def fitting(found: Iterable[Interface], misplaced: Callable[[Interface], bool]) -> Interface | None:
    """v1.3.8 made one in each subnet of a NodeENI: the one that stands where ours would."""
    return next((interface for interface in found if not misplaced(interface)), None)


def take_over(interface: Interface, tags: dict[str, str], *, node: str, nodeeni: str, uid: str) -> SetTags:
    """`tags`: all that an interface of ours is to have."""
    missing = {key: value for key, value in tags.items() if interface.tags.get(key) != value}
    return SetTags(node=node, nodeeni=nodeeni, uid=uid, eni_id=interface.id, tags=missing)


def left_alone(wanted: DesiredInterface, interface: Interface) -> Refusal:
    attachment = interface.attachment
    assert attachment is not None  # only what is attached can be adopted
    return _not_adopted(
        wanted,
        f"{interface.id} of an older version stands at device index {attachment.device_index} in "
        f"{interface.subnet_id}, not where this NodeENI would have it, and is left alone: write its place "
        "into the spec (deviceIndex, or deviceIndexPolicy NextFree, and its subnet), or detach it",
    )


def surplus(wanted: DesiredInterface, interface: Interface) -> Refusal:
    """Another one of the same NodeENI and node: told of once, while a status still names it."""
    return _not_adopted(
        wanted,
        f"{interface.id} in {interface.subnet_id} is another ENI that v1.3.8 made for this NodeENI, "
        "which now gives a node one: it is left alone; detach and delete it when nothing uses it",
    )


def _not_adopted(wanted: DesiredInterface, message: str) -> Refusal:
    return Refusal.of(wanted, RowReason.NOT_ADOPTED, message, LOOK_AGAIN, EventReason.ENI_NOT_ADOPTED)

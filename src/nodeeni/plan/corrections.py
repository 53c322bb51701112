"""What of a standing interface differs from what is wanted, and can be put right in place. Pure."""

from collections.abc import Iterable

from nodeeni.api import names
from nodeeni.ec2.types import Interface
from nodeeni.plan.actions import Action, RemoveTags, SetDescription, SetGroups, SetSourceDestCheck, SetTags
from nodeeni.plan.desired import DesiredInterface, default_description

_V1_DESCRIPTION = "ENI created by nodeeni-controller for node "


def corrections(wanted: DesiredInterface, interface: Interface) -> Iterable[Action]:
    """What differs and can be put right without taking the interface away."""
    node, nodeeni, uid, eni_id = wanted.node, wanted.nodeeni, wanted.uid, interface.id
    if set(interface.group_ids) != set(wanted.group_ids):
        yield SetGroups(node=node, nodeeni=nodeeni, uid=uid, eni_id=eni_id, group_ids=wanted.group_ids)
    if interface.description != wanted.description and not _both_by_default(wanted, interface):
        yield SetDescription(
            node=node, nodeeni=nodeeni, uid=uid, eni_id=eni_id, description=wanted.description
        )
    if interface.source_dest_check != wanted.source_dest_check:
        yield SetSourceDestCheck(
            node=node, nodeeni=nodeeni, uid=uid, eni_id=eni_id, value=wanted.source_dest_check
        )
    listed = interface.tags.get(names.TAG_EXTRA, "").split(",")
    extra = {*filter(None, listed), *([names.TAG_EXTRA] if listed != [""] else [])}
    dropped = tuple(sorted(key for key in extra if key in interface.tags and key not in wanted.tags))
    if dropped:
        yield RemoveTags(node=node, nodeeni=nodeeni, uid=uid, eni_id=eni_id, keys=dropped)
    missing = {
        key: value
        for key, value in wanted.tags.items()
        if interface.tags.get(key) != value
        # The list of extra keys is renewed only when what it lists is gone: a crash in between loses nothing.
        and not (key == names.TAG_EXTRA and dropped)
    }
    if missing:
        yield SetTags(node=node, nodeeni=nodeeni, uid=uid, eni_id=eni_id, tags=missing)


def _both_by_default(wanted: DesiredInterface, interface: Interface) -> bool:
    """Whether no description was asked for, and v1.x gave it its own: an upgrade only tags."""
    asked_for_none = wanted.description == default_description(wanted.nodeeni, wanted.node)
    return asked_for_none and interface.description == f"{_V1_DESCRIPTION}{wanted.node}"

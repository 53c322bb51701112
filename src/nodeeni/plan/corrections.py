"""What of a standing interface differs from what is wanted, and can be put right in place. Pure."""

from collections.abc import Iterable, Sequence

from nodeeni.api import names
from nodeeni.api.reasons import EventReason, RowReason
from nodeeni.ec2.attributes import ATTRIBUTES, DESCRIPTION, ENA_EXPRESS, ENA_QUEUES, PRIMARY_IPV6
from nodeeni.ec2.types import Instance, Interface
from nodeeni.plan.actions import Action, Assign, Modify, RemoveTags, SetTags, Unassign
from nodeeni.plan.desired import DesiredInterface, default_description
from nodeeni.plan.refusal import Refusal

STOP_RETRY = 60.0  # seconds: no event tells that an instance has stopped
_V1_DESCRIPTION = "ENI created by nodeeni-controller for node "


def corrections(wanted: DesiredInterface, interface: Interface) -> Iterable[Action]:
    """What differs and can be put right without taking the interface away."""
    of = {"node": wanted.node, "nodeeni": wanted.nodeeni, "uid": wanted.uid, "eni_id": interface.id}
    values = wanted.values_in(interface.vpc_id)
    for attribute in ATTRIBUTES:
        value = values[attribute]
        if not attribute.differs(interface, value):
            continue
        if wanted.beyond_type is not None and attribute in (ENA_EXPRESS, ENA_QUEUES):
            continue  # EC2 would refuse it
        if attribute.stands_in_the_way(interface, value):
            continue  # it is replaced
        if attribute is PRIMARY_IPV6 and not interface.ipv6_addresses:
            continue  # it comes with the first address
        if attribute is DESCRIPTION and _is_by_default(wanted, interface):
            continue
        attachment_id = interface.attachment.id if attribute.of_attachment and interface.attachment else ""
        yield Modify(attribute=attribute, value=value, attachment_id=attachment_id, **of)
    listed = interface.tags.get(names.TAG_EXTRA, "").split(",")
    extra = {*filter(None, listed), *([names.TAG_EXTRA] if listed != [""] else [])}
    dropped = tuple(sorted(key for key in extra if key in interface.tags and key not in wanted.tags))
    if dropped:
        yield RemoveTags(keys=dropped, **of)
    missing = {
        key: value
        for key, value in wanted.tags.items()
        if interface.tags.get(key) != value
        # The list of extra keys is renewed only when what it lists is gone: a crash in between loses nothing.
        and not (key == names.TAG_EXTRA and dropped)
    }
    if missing:
        yield SetTags(tags=missing, **of)


def still_to_apply(actions: Sequence[Action]) -> list[str]:
    """What of the spec these corrections have still to put right, in words; our own tags are none of it."""
    labels = [action.attribute.label for action in actions if isinstance(action, Modify)]
    labels += [f"the {a.kind.many}" for a in actions if isinstance(a, Assign | Unassign)]
    keys = {key for action in actions if isinstance(action, SetTags) for key in action.tags}
    keys |= {key for action in actions if isinstance(action, RemoveTags) for key in action.keys}
    return [*labels, *(["tags"] if keys - set(names.OWN_TAGS) else [])]


def _is_by_default(wanted: DesiredInterface, interface: Interface) -> bool:
    """Whether none was asked for, and it has that of its launch, of v1.x, or ours with the name that the node
    had before: an adoption, an upgrade and a rename only tag."""
    asked_for_none = wanted.values[DESCRIPTION] == default_description(wanted.nodeeni, wanted.node)
    by_default = (f"{_V1_DESCRIPTION}", default_description(wanted.nodeeni, ""))
    of_launch = names.TAG_ADOPTION in interface.tags
    return asked_for_none and (of_launch or interface.description.startswith(by_default))


def needs_stop(action: Action, instance: Instance) -> bool:
    """Whether EC2 would refuse it, since the instance is not stopped."""
    return isinstance(action, Modify) and action.attribute.of_stopped and instance.state != "stopped"


def runs(wanted: DesiredInterface, interface: Interface, instance: Instance) -> Refusal | None:
    """A number of queues that is asked for has to wait for a stop. The default, where none is asked for any
    more, is put back then and nothing is said of it before: what runs is as it was.
    """
    asked = wanted.values[ENA_QUEUES]
    if instance.state == "stopped" or asked is None or asked.by_default:
        return None
    if not ENA_QUEUES.differs(interface, asked):
        return None
    return Refusal.of(
        wanted,
        RowReason.INSTANCE_RUNS,
        f"{interface.id} has {ENA_QUEUES.shown(interface)} ENA queues, and EC2 changes their number on a "
        f"stopped instance alone: stop {instance.id}, and it gets {asked.count} within minutes; or replace "
        "the node",
        STOP_RETRY,
        EventReason.ENI_UPDATE_FAILED,
    )

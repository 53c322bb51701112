"""ENIs that came with their instance's launch, by a launch template: whose they may be, and how one becomes
ours, by tagging alone. Pure.

Only a NodeENI with `adoption: LaunchTime` looks at them, and only where it has none of ours on the node. What
stands on its network card at the index that it asks for (`Exact`), or at that and those above (`NextFree`),
is taken over if all of this holds, asked in this order; the first that does not is what people are told:

    of the ENI                                        else
    ----------                                        ----
    not the primary one (index 0)                     it stays the instance's
    no AWS service made it or manages it              it is theirs
    tag `no_manage` is `true`, from the launch        the VPC CNI takes it for its own; with `NextFree` it is
                                                      one of others, and no word is said of it
    no mark of the VPC CNI                            it took it before the tag came
    no tag of a cluster's or a NodeENI's              it is that one's, or was
    a plain one, no EFA                               it could not be attached again
    attached, and that within 60 s of the launch      somebody attached it since
    deleted with the instance                         it was to outlive it
    in a candidate subnet                             the NodeENI would have another one made
    its groups are those that are asked for           it lets through what nobody asked for
    its addresses are as many as are asked for, or
      more where the spec counts none itself          pods may have them already

All else, such as source/destination check or MTU, is put right in place once it is ours. Where nothing stands
there, an ENI is made as ever: a node of an older launch template gets one too.
"""

from collections.abc import Iterable, Mapping

from nodeeni.api import names
from nodeeni.api.reasons import EventReason, RowReason
from nodeeni.ec2.addresses import ADDRESS_KINDS
from nodeeni.ec2.attributes import GROUPS, PRIMARY_IPV6
from nodeeni.ec2.types import PLAIN, Instance, InstanceSlot, Interface
from nodeeni.plan.actions import Adopt
from nodeeni.plan.desired import DesiredInterface
from nodeeni.plan.refusal import Refusal

LOOK_AGAIN = 300.0  # seconds: somebody has to change the NodeENI or the launch template
_CNI_TAG = "node.k8s.amazonaws.com/instance_id"
_CNI_DESCRIPTION = "aws-k8s-"
# Present, whatever the value: so the IAM policy has it, too.
_OF_A_CONTROLLER = (names.TAG_CLUSTER, names.TAG_NODEENI, names.TAG_UID, names.TAG_MANAGED_BY)
# Tags of one node alone: they follow, each in a call of its own, when the others are there.
OF_ONE_NODE = frozenset({names.TAG_NAME, names.TAG_NODE, names.TAG_INSTANCE})


def places(instance: Instance, card: int, index: int, next_free: bool) -> list[InstanceSlot]:
    """What stands where a NodeENI would have its ENI, lowest index first."""
    on_card = [s for s in instance.slots if s.network_card_index == card and not s.secondary]
    found = [s for s in on_card if s.device_index == index or (next_free and s.device_index > index)]
    return sorted(found, key=lambda slot: slot.device_index)


def candidates(
    wanted: DesiredInterface, instance: Instance, launched: Mapping[str, Interface]
) -> list[tuple[Interface, str]]:
    """Those that stand there, each with why it is not to be taken over; empty: it is. `launched`: by id,
    what EC2 has of those that are nobody's of ours.
    """
    where = places(instance, wanted.network_card_index, wanted.device_index, wanted.next_free)
    found = [(launched[slot.eni_id], slot) for slot in where if slot.eni_id in launched]
    meant = [(i, s) for i, s in found if not wanted.next_free or _is_meant(i)]
    return [(interface, misfit(wanted, interface, slot)) for interface, slot in meant]


def misfit(wanted: DesiredInterface, interface: Interface, slot: InstanceSlot) -> str:
    """The first point of the table that it does not meet, with the way out; empty: it meets all."""
    attachment = interface.attachment
    if slot.device_index == 0 or (attachment is not None and attachment.device_index == 0):
        return "it is the primary interface of its instance"
    if interface.managed_by:
        return f"it is managed by {interface.managed_by}"
    return _of_others(interface) or _of_launch(interface, slot) or _of_spec(wanted, interface)


def _of_others(interface: Interface) -> str:
    tags = interface.tags
    if not _is_meant(interface):
        return (
            f"it lacks the tag {names.TAG_NO_MANAGE}=true, without which the VPC CNI takes it for its own: "
            "have the launch template give that tag to network interfaces"
        )
    if _CNI_TAG in tags or interface.description.lower().startswith(_CNI_DESCRIPTION):
        return f"the VPC CNI made it, or took it before it had the tag {names.TAG_NO_MANAGE}"
    for key in _OF_A_CONTROLLER:
        if key in tags:
            return f"its tag {key} is {tags[key]!r}: a controller such as this one has it, or had"
    return ""


def _is_meant(interface: Interface) -> bool:
    return interface.tags.get(names.TAG_NO_MANAGE) == "true"


def _of_launch(interface: Interface, slot: InstanceSlot) -> str:
    attachment = interface.attachment
    if interface.kind != PLAIN:
        return f"it is of type {interface.kind}: only plain ENIs are taken over"
    if attachment is None or attachment.status != "attached":
        return f"it is {attachment.status if attachment else 'not attached'}, and not attached"
    if not slot.from_launch:
        return "it was not attached within 60 s of its instance's launch: somebody attached it later"
    if not attachment.delete_on_termination:
        return "it is not deleted with its instance: set DeleteOnTermination in the launch template"
    return ""


def _of_spec(wanted: DesiredInterface, interface: Interface) -> str:
    if interface.subnet_id not in {subnet.id for subnet in wanted.subnets}:
        subnets = ", ".join(subnet.id for subnet in wanted.subnets)
        return f"it is in {interface.subnet_id}, and the NodeENI's subnets are {subnets}"
    groups = wanted.values_in(interface.vpc_id)[GROUPS]
    if GROUPS.differs(interface, groups):
        return f"its security groups are {', '.join(interface.group_ids)}, and not {', '.join(groups)}"
    for kind in ADDRESS_KINDS:
        count, has = wanted.counts.get(kind), len(kind.on(interface))
        if count is None or has == count:
            continue
        if kind not in wanted.at_least:
            return f"it has {kind.numbered(has)}, and spec.{kind} is {count}"
        if has < count:
            return f"it has {kind.numbered(has)}, and spec.podNetwork needs {count}"
    if PRIMARY_IPV6.stands_in_the_way(interface, wanted.values[PRIMARY_IPV6]):
        return "it has a primary IPv6 address, and spec.enablePrimaryIPv6 is false"
    return ""


def take_over(wanted: DesiredInterface, interface: Interface) -> Adopt:
    """By the tags that all nodes of the NodeENI share: those of one node follow as corrections."""
    shared = {key: value for key, value in wanted.tags.items() if key not in OF_ONE_NODE}
    return Adopt(
        node=wanted.node,
        nodeeni=wanted.nodeeni,
        uid=wanted.uid,
        eni_id=interface.id,
        instance_id=wanted.instance_id,
        interface=interface,
        tags={**shared, names.TAG_ADOPTION: names.ADOPTED_AT_LAUNCH},
    )


def left_alone(wanted: DesiredInterface, misfits: Iterable[tuple[Interface, str]]) -> Refusal:
    told = "; ".join(f"{interface.id} is left alone: {why}" for interface, why in misfits)
    return Refusal.of(
        wanted,
        RowReason.NOT_ADOPTED,
        f"{told}; nothing is made beside it: mend the NodeENI or the launch template, or set spec.adoption "
        "to Never",
        LOOK_AGAIN,
        EventReason.ENI_NOT_ADOPTED,
    )

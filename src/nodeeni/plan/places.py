"""Where a wanted interface can be attached: a device index, or the reason why there is none. Pure."""

from nodeeni.api.reasons import RowReason
from nodeeni.ec2.attributes import ENA_QUEUES
from nodeeni.ec2.types import Instance, Subnet
from nodeeni.plan.addresses import has_room, missing_primary, needs
from nodeeni.plan.desired import DesiredInterface
from nodeeni.plan.observed import Observed
from nodeeni.plan.refusal import Refusal
from nodeeni.plan.slots import Slots

FULL_RETRY = 300.0  # seconds: an instance that is full stays so until something leaves it
INDEX_RETRY = 60.0  # seconds: whoever holds the index may go; the instance is looked at again
SUBNET_RETRY = 30.0  # seconds


def free_index(wanted: DesiredInterface, instance: Instance, full: bool, slots: Slots) -> int | Refusal:
    """The device index to use. `full`: EC2 said that the instance takes no more."""
    card, index = wanted.network_card_index, wanted.device_index
    if not slots.has_card(card):
        return Refusal.of(
            wanted,
            RowReason.NO_SUCH_NETWORK_CARD,
            f"{instance.id} ({instance.type}) has no network card {card}: lower spec.networkCardIndex",
            FULL_RETRY,
        )
    if not slots.takes_interfaces(card):
        return Refusal.of(
            wanted,
            RowReason.NO_SUCH_NETWORK_CARD,
            f"network card {card} of {instance.id} ({instance.type}) takes EFA interfaces alone: set "
            "spec.networkCardIndex to another",
            FULL_RETRY,
        )
    if full or not slots.has_room(card):
        beside, fewer = "", "NodeENIs"
        if slots.volumes_fill():
            beside, fewer = f" beside its {instance.volumes} EBS volumes", "NodeENIs or volumes"
        return Refusal.of(
            wanted,
            RowReason.INSTANCE_FULL,
            f"{instance.id} ({instance.type}) takes no more network interfaces{beside}: use a larger "
            f"instance type, or fewer {fewer} for this node",
            FULL_RETRY,
        )
    left, asked = slots.queues_left(card), wanted.values[ENA_QUEUES]
    # What a card gives by default is EC2's to say, unless it is beyond its maximum.
    chosen = asked is not None and (not asked.by_default or slots.is_beyond(card))
    if left is not None and asked is not None and chosen and asked.count > left:
        lower = "lower spec.enaQueueCount" if not asked.by_default else "set spec.enaQueueCount lower"
        return Refusal.of(
            wanted,
            RowReason.INSTANCE_FULL,
            f"network card {card} of {instance.id} ({instance.type}) has {left} ENA queues left, and "
            f"{asked.count} are needed: {lower}, here or in another NodeENI of this node",
            FULL_RETRY,
        )
    free = slots.lowest_free(card, index)
    holder = slots.holder(card, index)
    if holder is not None and not wanted.next_free:
        other = f"a free one (the next is {free})" if free is not None else "a free one"
        return Refusal.of(
            wanted,
            RowReason.DEVICE_INDEX_TAKEN,
            f"device index {index} of {instance.id} is taken by {slots.described_holder(card, index)}: "
            f"set spec.deviceIndex to {other}, or spec.deviceIndexPolicy to NextFree",
            INDEX_RETRY,
        )
    if free is None:
        return Refusal.of(
            wanted,
            RowReason.DEVICE_INDEX_TAKEN,
            f"no device index from {index} up is free on {instance.id}: lower spec.deviceIndex",
            INDEX_RETRY,
        )
    return free


def usable_subnet(
    wanted: DesiredInterface, observed: Observed, *, last_resort: bool = False
) -> Subnet | Refusal:
    """The candidate to create in: the one with most free addresses that was not lately found full; where all
    were, as a `last_resort` the first that shows room, and the call waits for its turn. One that gives the
    address which is asked to be the primary one comes before those that do not, which are refused.
    """
    avoided = observed.avoided_subnets
    if any(count for kind, count in wanted.counts.items() if kind.of_blocks):
        avoided |= observed.fragmented_subnets
    with_primary = [subnet for subnet in wanted.subnets if missing_primary(wanted, subnet) is None]
    subnets = with_primary or wanted.subnets
    with_addresses = [subnet for subnet in subnets if has_room(wanted, subnet)]
    preferred = [subnet for subnet in with_addresses if subnet.id not in avoided]
    if last_resort:
        preferred += with_addresses
    if preferred:
        return missing_primary(wanted, preferred[0]) or preferred[0]
    full = ", ".join(subnet.id for subnet in subnets)
    lacking = "no free address is left in"
    if with_addresses and not preferred:
        lacking = "no free address, or no free block for a prefix, was left a moment ago in"
    elif needs(wanted) > 1:
        lacking = f"{needs(wanted)} free addresses are needed, and so many are left in none of"
    return Refusal.of(
        wanted,
        RowReason.SUBNET_FULL,
        f"{lacking} {full}: add a subnet of this zone to spec.subnetIDs, or free addresses",
        SUBNET_RETRY,
    )

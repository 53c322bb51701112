"""ENA Express and the number of ENA queues: what an attachment is made with, and what is changed of it later.

Source: "ENA queues" and "ENA Express" of the EC2 user guide. The codes of EC2's refusals are not known.
"""

from nodeeni.sandbox.ec2.account import Account, instance_type
from nodeeni.sandbox.ec2.errors import EC2Error
from nodeeni.sandbox.ec2.instance_types import Queues
from nodeeni.sandbox.ec2.model import ATTACHMENT_ATTRIBUTES, Attachment, Instance
from nodeeni.sandbox.ec2.wire import Parameters

from .interfaces import sent_attributes

_EXPRESS = "EnaSrdSpecification"
_DEFAULT = "Attachment.DefaultEnaQueueCount"
_COUNT = "Attachment.EnaQueueCount"


def sent_of_ena(
    account: Account, instance: Instance, device_index: int, card: int, asked: Parameters
) -> dict[str, object]:
    """The fields of an attachment that an attach sets. The count is shown where it can be chosen."""
    limits = instance_type(instance.type)
    found: dict[str, object] = {}
    if limits.queues is not None:
        count = asked.integer("EnaQueueCount", limits.queues.default)
        _check_count(account, instance, limits.queues, (card, device_index), count)
        found["ena_queue_count"] = count
    elif "EnaQueueCount" in asked.flat:
        raise EC2Error("UnsupportedOperation", f"{instance.type} does not support flexible ENA queues.")
    if _EXPRESS in asked.names():
        found |= _express(instance, asked)
    return found


def changed_of_ena(
    account: Account, attachment: Attachment, parameter: str, asked: Parameters
) -> dict[str, object]:
    """The fields that a modify changes, none where it is about something else."""
    instance = account.instance(attachment.instance_id)
    limits = instance_type(instance.type)
    if parameter == _EXPRESS:
        return _express(instance, asked)
    if _DEFAULT not in asked.flat and _COUNT not in asked.flat:
        return {}
    if limits.queues is None:
        raise EC2Error("UnsupportedOperation", f"{instance.type} does not support flexible ENA queues.")
    if instance.state != "stopped":
        raise EC2Error(
            "IncorrectInstanceState", f"The instance '{instance.id}' is not in the 'stopped' state."
        )
    count = limits.queues.default if asked.boolean(_DEFAULT) else asked.integer(_COUNT)
    place = (attachment.network_card_index, attachment.device_index)
    _check_count(account, instance, limits.queues, place, count)
    return {"ena_queue_count": count}


def _express(instance: Instance, asked: Parameters) -> dict[str, object]:
    sent = sent_attributes(ATTACHMENT_ATTRIBUTES, _EXPRESS, asked)
    if sent.get("ena_srd_enabled") and not instance_type(instance.type).ena_express:
        raise EC2Error("UnsupportedOperation", f"{instance.type} does not support ENA Express.")
    if sent.get("ena_srd_udp_enabled") and not sent.get("ena_srd_enabled"):
        raise EC2Error("InvalidParameterCombination", "ENA Express for UDP requires ENA Express.")
    return sent


def _check_count(
    account: Account, instance: Instance, queues: Queues, place: tuple[int, int], count: int
) -> None:
    """`place`: network card and device index of the attachment that gets them."""
    if count < 1 or count & (count - 1):
        raise EC2Error("InvalidParameterValue", f"Value ({count}) for enaQueueCount is not a power of 2.")
    if count > queues.most:
        raise EC2Error(
            "InvalidParameterValue",
            f"Value ({count}) for enaQueueCount exceeds the maximum of {queues.most}.",
        )
    others = (each.attachment for each in account.interfaces_of(instance.id) if each.attachment is not None)
    taken = sum(
        each.ena_queue_count or queues.default
        for each in others
        if each.network_card_index == place[0] and each.device_index != place[1]
    )
    if taken + count > queues.all:
        raise EC2Error(
            "InvalidParameterValue",
            f"The ENA queues of network card {place[0]} of {instance.id} would exceed {queues.all}.",
        )

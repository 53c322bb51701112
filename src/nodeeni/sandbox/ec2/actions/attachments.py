"""Attaching, detaching and modifying network interfaces."""

from collections.abc import Mapping

import msgspec

from nodeeni.sandbox.ec2.account import Account, instance_type
from nodeeni.sandbox.ec2.errors import EC2Error, invalid_value, not_found
from nodeeni.sandbox.ec2.model import (
    ATTACHMENT_ATTRIBUTES,
    INTERFACE_ATTRIBUTES,
    Instance,
    Interface,
)
from nodeeni.sandbox.ec2.wire import Parameters

from .addresses import check_held
from .ena import changed_of_ena, sent_of_ena
from .interfaces import checked_description, sent_attributes
from .registry import Request, accepted, action

_replace = msgspec.structs.replace

_ATTACHABLE = ("running", "stopped")


@action("AttachNetworkInterface")
def attach_network_interface(request: Request) -> Mapping[str, object]:
    account, asked = request.account, request.parameters
    interface = account.interface(asked.required("NetworkInterfaceId"))
    instance = account.instance(asked.required("InstanceId"))
    device_index, card_index = asked.integer("DeviceIndex"), asked.integer("NetworkCardIndex")
    _check_state(instance)
    _refuse_managed(instance)
    if interface.zone != instance.zone:
        raise EC2Error(
            "InvalidParameterCombination",
            "You may not attach a network interface to an instance "
            "if they are not in the same availability zone",
        )
    if interface.attachment is not None:
        raise EC2Error("InvalidNetworkInterface.InUse", f"Interface: [{interface.id}] in use.")
    _check_slot(account, instance, device_index, card_index)
    check_held(interface, instance_type(instance.type))
    set_with_it = sent_of_ena(account, instance, device_index, card_index, asked)
    attachment = request.lifecycle.attach(
        interface, instance, device_index, card_index, stuck=request.stuck, **set_with_it
    )
    return {"attachmentId": attachment.id, "networkCardIndex": card_index}


def _refuse_managed(instance: Instance) -> None:
    if instance.managed_by:
        raise EC2Error(
            "OperationNotPermitted", f"The instance '{instance.id}' is managed by {instance.managed_by}."
        )


def _check_state(instance: Instance) -> None:
    if instance.state == "terminated":
        raise not_found("InvalidInstanceID", instance.id)
    if instance.state not in _ATTACHABLE:
        raise EC2Error("IncorrectState", f"Instance '{instance.id}' is not 'running' or 'stopped'.")


def _check_slot(account: Account, instance: Instance, device_index: int, card_index: int) -> None:
    """A slot is a device index of a network card; cards and the whole instance have limits."""
    limits = instance_type(instance.type)
    if not 0 <= card_index < len(limits.cards):
        raise EC2Error(
            "InvalidParameterValue",
            f"Network card index '{card_index}' exceeds the limit for {instance.type}.",
        )
    if not 0 <= device_index < 64:
        raise invalid_value(device_index, "deviceIndex")
    taken = [
        (each.attachment.network_card_index, each.attachment.device_index)
        for each in account.interfaces_of(instance.id)
        if each.attachment is not None
    ]
    burnt = (instance.id, card_index, device_index) in account.burnt
    secondary = [(card, index) for _, index, card in instance.secondary]
    if (card_index, device_index) in (*taken, *secondary) or burnt:
        raise EC2Error(
            "InvalidParameterValue",
            f"Instance '{instance.id}' already has an interface attached at device index '{device_index}'.",
        )
    on_card = sum(card == card_index for card, _ in taken)
    more = limits.additional
    too_many = len(taken) >= limits.interface_limit + more * len(limits.cards)
    if too_many or on_card >= limits.cards[card_index] + more:
        raise EC2Error(
            "AttachmentLimitExceeded",
            f"Interface count {len(taken) + 1} exceeds the limit for {instance.type}",
        )
    # The primary is not one of those that share.
    if not limits.dedicated and len(taken) - 1 + len(instance.volumes) >= limits.volumes:
        raise EC2Error(
            "AttachmentLimitExceeded",
            f"Attachment count exceeds the limit for {instance.type}: volumes share it",
        )


@action("DetachNetworkInterface")
def detach_network_interface(request: Request) -> Mapping[str, object]:
    account, asked = request.account, request.parameters
    interface, attachment = account.attached_by(asked.required("AttachmentId"))
    if attachment.device_index == 0:
        raise EC2Error(
            "OperationNotPermitted",
            f"The network interface at device index 0 and networkCard index {attachment.network_card_index} "
            "cannot be detached.",
        )
    _refuse_managed(account.instance(attachment.instance_id))
    force = asked.boolean("Force")
    if attachment.status == "attaching" and not force:
        raise EC2Error("IncorrectState", f"The attachment '{attachment.id}' is in the 'attaching' state.")
    request.lifecycle.detach(interface, attachment, force=force, stuck=request.stuck)
    return {"return": True}


_PATHS = {
    "Attachment.AttachmentId",
    "Attachment.DefaultEnaQueueCount",
    *(a.parameter for _, a in (*INTERFACE_ATTRIBUTES.values(), *ATTACHMENT_ATTRIBUTES.values())),
}
_BY_PARAMETER = {"SecurityGroupId", "EnablePrimaryIpv6", *(path.partition(".")[0] for path in _PATHS)}


@action(
    "ModifyNetworkInterfaceAttribute",
    without=" ".join(accepted("ModifyNetworkInterfaceAttribute") - {"NetworkInterfaceId", *_BY_PARAMETER}),
)
def modify_network_interface_attribute(request: Request) -> Mapping[str, object]:
    account, asked = request.account, request.parameters
    interface = account.interface(asked.required("NetworkInterfaceId"))
    sent = _BY_PARAMETER & set(asked.names())
    if len(sent) != 1:
        raise EC2Error(
            "InvalidParameterCombination",
            "Exactly one attribute of a network interface can be changed at a time",
        )
    _refuse_unread(asked)
    account.put(_modified(account, interface, sent.pop(), asked))
    return {"return": True}


def _modified(account: Account, interface: Interface, parameter: str, asked: Parameters) -> Interface:
    if parameter == "SecurityGroupId":
        group_ids = account.groups_in(
            interface.vpc_id, asked.texts("SecurityGroupId"), f"network interface {interface.id}"
        )
        return _replace(interface, group_ids=group_ids)
    if parameter == "EnablePrimaryIpv6":
        return _with_primary_ipv6(interface, asked.boolean("EnablePrimaryIpv6"))
    if parameter == "Description":
        checked_description(asked.text("Description.Value"))
    if any(each.parameter.startswith(f"{parameter}.") for _, each in INTERFACE_ATTRIBUTES.values()):
        return _replace(interface, **sent_attributes(INTERFACE_ATTRIBUTES, parameter, asked))
    return _with_attachment(account, interface, parameter, asked)


def _with_primary_ipv6(interface: Interface, enabled: bool) -> Interface:
    if interface.primary_ipv6 and not enabled:
        raise EC2Error(
            "InvalidParameterValue", "A primary IPv6 address cannot be disabled once it is enabled"
        )
    if enabled and not interface.ipv6_addresses:
        raise EC2Error(
            "InvalidParameterCombination", f"{interface.id} has no IPv6 address to be the primary one"
        )
    return _replace(interface, primary_ipv6=enabled)


def _with_attachment(account: Account, interface: Interface, parameter: str, asked: Parameters) -> Interface:
    attachment = interface.attachment
    if parameter == "Attachment":
        attachment_id = (asked.child("Attachment") or Parameters({})).required("AttachmentId")
        if attachment is None or attachment.id != attachment_id:
            raise not_found("InvalidAttachmentID", attachment_id)
    if attachment is None:
        raise EC2Error("IncorrectState", f"Interface '{interface.id}' is not attached.")
    changed = changed_of_ena(account, attachment, parameter, asked)
    if not changed:
        changed = sent_attributes(ATTACHMENT_ATTRIBUTES, parameter, asked)
    return _replace(interface, attachment=_replace(attachment, **changed))


def _refuse_unread(asked: Parameters) -> None:
    """Members that nothing here reads, like the parameters that no handler does."""
    for path in asked.flat:
        stem, _, member = path.partition(".")
        if member and stem in _BY_PARAMETER and stem != "SecurityGroupId" and path not in _PATHS:
            raise EC2Error("UnknownParameter", f"The parameter {path} is not recognized")

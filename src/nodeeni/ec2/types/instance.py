"""Instances, and what is on their network cards."""

from datetime import datetime
from sys import intern

import msgspec

from nodeeni.ec2.types.shape import Answer, Shape

AT_LAUNCH = 60.0  # seconds after the launch within which an attachment counts as a part of it


class InstanceNetworkInterfaceAttachmentShape(Shape):
    device_index: int | None = None
    status: str = ""
    network_card_index: int = 0
    ena_queue_count: int = 0
    attach_time: str = ""


class InstanceNetworkInterfaceShape(Shape):
    network_interface_id: str
    owner_id: str = ""
    attachment: InstanceNetworkInterfaceAttachmentShape | None = None


class InstanceSecondaryInterfaceAttachmentShape(Shape):
    device_index: int | None = None
    network_card_index: int = 0
    status: str = ""


class InstanceSecondaryInterfaceShape(Shape):
    secondary_interface_id: str = ""
    attachment: InstanceSecondaryInterfaceAttachmentShape | None = None


class CpuOptionsShape(Shape):
    core_count: int = 0
    threads_per_core: int = 0


class InstanceStateShape(Shape):
    name: str


class PlacementShape(Shape):
    availability_zone: str
    availability_zone_id: str = ""


class EbsInstanceBlockDeviceShape(Shape):
    volume_id: str = ""


class InstanceBlockDeviceMappingShape(Shape):
    ebs: EbsInstanceBlockDeviceShape | None = None


class OperatorResponseShape(Shape):
    managed: bool = False
    principal: str = ""


class InstanceShape(Shape):
    """A terminated one has neither subnet nor VPC."""

    instance_id: str
    instance_type: str
    state: InstanceStateShape
    placement: PlacementShape
    launch_time: str = ""
    vpc_id: str = ""
    subnet_id: str = ""
    network_interfaces: tuple[InstanceNetworkInterfaceShape, ...] = ()
    block_device_mappings: tuple[InstanceBlockDeviceMappingShape, ...] = ()
    secondary_interfaces: tuple[InstanceSecondaryInterfaceShape, ...] = ()
    cpu_options: CpuOptionsShape | None = None
    operator: OperatorResponseShape | None = None


class ReservationShape(Shape):
    instances: tuple[InstanceShape, ...] = ()


class InstanceSlot(msgspec.Struct, frozen=True, gc=False):
    """One occupied device index of an instance, whoever occupies it. `secondary`: a secondary interface
    (RDMA, from launch on), which has its index and does not count among the network interfaces.
    `from_launch`: it was attached when the instance was launched, as far as EC2's times tell.
    """

    eni_id: str
    device_index: int
    network_card_index: int
    status: str
    queues: int = 0  # of ENA; 0: EC2 does not tell
    secondary: bool = False
    from_launch: bool = False


class Instance(msgspec.Struct, frozen=True, gc=False):
    """An instance as DescribeInstances shows it.

    `state` is EC2's: `pending`, `running`, `shutting-down`, `terminated`, `stopping`, `stopped`. `volumes` is
    how many EBS volumes are attached to it, `vcpus` how many it has; 0: EC2 does not tell. `zone_id` names
    the zone for every account, `zone` for ours; `owner_id` is the account of its interfaces. Empty: not told.
    `managed_by` is the AWS service that manages it, such as EKS Auto Mode; empty: none does.
    """

    id: str
    type: str
    state: str
    zone: str
    vpc_id: str
    subnet_id: str
    slots: tuple[InstanceSlot, ...] = ()
    volumes: int = 0
    zone_id: str = ""
    owner_id: str = ""
    vcpus: int = 0
    managed_by: str = ""


def read_instance(answer: Answer) -> Instance:
    """One `Instance` of a `Reservation` of DescribeInstances."""
    shown = msgspec.convert(answer, InstanceShape)
    launched = _launched_at(shown)
    return Instance(
        id=intern(shown.instance_id),
        type=intern(shown.instance_type),
        state=intern(shown.state.name),
        zone=intern(shown.placement.availability_zone),
        vpc_id=intern(shown.vpc_id),
        subnet_id=intern(shown.subnet_id),
        slots=tuple(
            slot
            for slot in (
                *(_slot(each, launched) for each in shown.network_interfaces),
                *map(_secondary_slot, shown.secondary_interfaces),
            )
            if slot is not None
        ),
        volumes=sum(each.ebs is not None for each in shown.block_device_mappings),
        zone_id=intern(shown.placement.availability_zone_id),
        managed_by=managed_by(shown.operator),
        owner_id=intern(next((each.owner_id for each in shown.network_interfaces), "")),
        vcpus=cpus.core_count * cpus.threads_per_core if (cpus := shown.cpu_options) else 0,
    )


def managed_by(operator: OperatorResponseShape | None) -> str:
    """The AWS service; empty: none."""
    if operator is None or not operator.managed:
        return ""
    return intern(operator.principal or "an AWS service")


def _launched_at(shown: InstanceShape) -> datetime | None:
    """The primary interface's time of attachment, since nobody can take that one off; EC2's own time of the
    launch is that of the last start, and goes for an answer without the other. None: EC2 does not tell.
    """
    attachments = [each.attachment for each in shown.network_interfaces if each.attachment is not None]
    primary = [a.attach_time for a in attachments if a.device_index == 0 and a.network_card_index == 0]
    return _time(next(iter(primary), "")) or _time(shown.launch_time)


def _time(shown: str) -> datetime | None:
    try:
        return datetime.fromisoformat(shown)
    except ValueError:
        return None


def _slot(shown: InstanceNetworkInterfaceShape, launched: datetime | None) -> InstanceSlot | None:
    """None where the interface is not attached: without an attachment, or with an empty one."""
    attachment = shown.attachment
    if attachment is None or attachment == InstanceNetworkInterfaceAttachmentShape():
        return None
    if attachment.device_index is None or not attachment.status:
        raise msgspec.ValidationError(
            f"the attachment of {shown.network_interface_id} lacks status or device index"
        )
    return InstanceSlot(
        eni_id=intern(shown.network_interface_id),
        device_index=attachment.device_index,
        network_card_index=attachment.network_card_index,
        status=intern(attachment.status),
        queues=attachment.ena_queue_count,
        from_launch=_is_from_launch(attachment.attach_time, launched),
    )


def _is_from_launch(attach_time: str, launched: datetime | None) -> bool:
    attached = _time(attach_time)
    if attached is None or launched is None:
        return False
    try:
        return abs((attached - launched).total_seconds()) <= AT_LAUNCH
    except TypeError:  # one of them without a time zone
        return False


def _secondary_slot(shown: InstanceSecondaryInterfaceShape) -> InstanceSlot | None:
    attachment = shown.attachment
    if attachment is None or attachment.device_index is None:
        return None
    return InstanceSlot(
        eni_id=shown.secondary_interface_id,
        device_index=attachment.device_index,
        network_card_index=attachment.network_card_index,
        status=intern(attachment.status),
        secondary=True,
    )

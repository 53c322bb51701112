"""What an instance's type and network card make of ENA Express and of the number of queues. Pure.

Where DescribeInstanceTypes does not tell, EC2 decides when it is asked.
"""

from nodeeni.api.v1alpha1 import NodeENISpec
from nodeeni.ec2.types import EnaQueues, Instance, InstanceType


def queues(spec: NodeENISpec, instance: Instance, instance_type: InstanceType | None) -> EnaQueues | None:
    """The wanted number; None: whatever EC2 gives, where that is not known or cannot be changed."""
    if spec.ena_queue_count is not None:
        return EnaQueues(spec.ena_queue_count)
    if instance_type is None or not instance_type.flexible_queues:
        return None
    default = instance_type.card(spec.network_card_index).default_queues
    if instance.vcpus:
        default = min(default, instance.vcpus)  # no interface has more queues than the instance has CPUs
    return EnaQueues(default, by_default=True) if default else None


def cannot(spec: NodeENISpec, instance: Instance, instance_type: InstanceType | None) -> str:
    """Why type or card cannot do what the spec asks, with the way out; empty: they can, or EC2 decides."""
    if instance_type is None:
        return ""
    which = f"{instance.id} ({instance.type})"
    if spec.ena_express is not None and spec.ena_express.enabled and instance_type.ena_express is False:
        return f"{which} has no ENA Express: leave out spec.enaExpress, or use a type that has it"
    count, card = spec.ena_queue_count, instance_type.card(spec.network_card_index)
    if count is None:
        return ""
    if instance_type.flexible_queues is False:
        return (
            f"{which} has a fixed number of ENA queues: leave out spec.enaQueueCount, or use a type with "
            "flexible queues"
        )
    most = min(filter(None, (card.most_queues, instance.vcpus)), default=count)
    if count > most:
        of_card = f" on network card {spec.network_card_index}" if spec.network_card_index else ""
        return f"an ENI of {which} has {most} ENA queues at most{of_card}: lower spec.enaQueueCount to {most}"
    return ""

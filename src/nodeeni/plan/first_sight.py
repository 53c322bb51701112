"""An interface for an instance that nobody has looked at yet: made by what the labels of its Node say. Pure.

A Create needs a zone and a subnet alone, so it need not wait for the look at the instance, which goes on
beside it and is there before the Attach. What the look shows then decides: an interface that does not fit
goes, as any that cannot be attached.
"""

from collections.abc import Iterable, Mapping, Sequence

from nodeeni.api.core import INSTANCE_TYPE_LABEL, ZONE_ID_LABEL, ZONE_LABEL
from nodeeni.api.reasons import RowReason
from nodeeni.api.v1alpha1 import NodeENI
from nodeeni.ec2.types import Instance
from nodeeni.plan.actions import Create
from nodeeni.plan.desired import Desired
from nodeeni.plan.network import Network, strangers
from nodeeni.plan.observed import NodeView
from nodeeni.plan.refusal import Refusal


def as_labelled(node: NodeView, networks: Mapping[str, Network]) -> Instance | None:
    """The instance as far as its Node tells; None where that is not enough.

    Its VPC no label tells: that of the subnets in its zone, where these are all of one.
    """
    zone, kind = node.labels.get(ZONE_LABEL, ""), node.labels.get(INSTANCE_TYPE_LABEL, "")
    zone_id = node.labels.get(ZONE_ID_LABEL, "")
    if not zone or not kind:
        return None
    subnets = [subnet for network in networks.values() for subnet in network.subnets]
    vpcs = {s.vpc_id for s in subnets if s.zone == zone or (zone_id and s.zone_id == zone_id)}
    if len(vpcs) != 1:
        return None
    return Instance(
        id=node.instance_id,
        type=kind,
        state="running",
        zone=zone,
        vpc_id=vpcs.pop(),
        subnet_id="",
        zone_id=zone_id,
    )


def asks_more(nodeenis: Iterable[NodeENI], instance: Instance, networks: Mapping[str, Network]) -> bool:
    """Whether EC2 alone knows which groups one can have there, or whether one came with the launch."""
    of = ((n.spec, networks[n.metadata.uid]) for n in nodeenis)
    return any(
        spec.adopts_launched or strangers(spec, instance, network.subnets, network.groups)
        for spec, network in of
    )


def why_in_vain(made: Create, desired: Desired, refusals: Sequence[Refusal]) -> str | None:
    """Why the instance, which has been looked at since, cannot have what was made for it, for people; empty:
    it can, or it is no longer asked for. None: that is not known yet.
    """
    if made.uid in desired.unread:
        return None
    refused = [refusal for refusal in refusals if refusal.uid == made.uid]
    wanted = next((each for each in desired.interfaces if each.uid == made.uid), None)
    if wanted is not None and made.request.subnet_id not in {subnet.id for subnet in wanted.subnets}:
        fits = ", ".join(subnet.id for subnet in wanted.subnets)
        return f"{made.request.subnet_id} is not of the instance's zone, where {fits} is to be had"
    if any(refusal.reason is RowReason.EC2_ERROR for refusal in refused):
        return None
    # What waits for its instance to run is not in vain.
    against = (refusal for refusal in refused if refusal.reason is not RowReason.INSTANCE_NOT_RUNNING)
    return next((refusal.message for refusal in against), "")

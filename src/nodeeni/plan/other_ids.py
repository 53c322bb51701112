"""Interfaces of our NodeENIs that carry another cluster's id: they are left alone, and told of. Pure."""

from nodeeni.api import names
from nodeeni.api.reasons import EventReason, RowReason
from nodeeni.ec2.types import Interface
from nodeeni.plan.refusal import Refusal

LOOK_AGAIN = 300.0  # seconds: a change of its tags is seen with the next resync


def left_alone(interface: Interface, cluster_id: str, *, nodeeni: str, uid: str) -> Refusal:
    return Refusal(
        reason=RowReason.OTHER_CLUSTER_ID,
        message=f"{interface.id} {carries(interface.tags[names.TAG_CLUSTER], cluster_id)}",
        retry_after=LOOK_AGAIN,
        event=EventReason.ENI_UPDATE_FAILED,
        nodeeni=nodeeni,
        uid=uid,
    )


def carries(other: str, cluster_id: str) -> str:
    """What is told of one or more interfaces: whose id, and the way out."""
    return (
        f"carries cluster id {other}, not {cluster_id}, and is left alone: if that was this cluster's, set "
        f"--former-cluster-ids={other}"
    )

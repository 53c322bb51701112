"""Each NodeENI on each node: what EC2 has, what the controller last said, what the ENI manager says."""

from collections.abc import Iterator, Sequence

import msgspec

from nodeeni.api.v1alpha1 import AttachmentStatus, LinkStatus, NodeENI
from nodeeni.cli import pods
from nodeeni.cli.planned import LastWords
from nodeeni.controller.cluster import Cluster
from nodeeni.plan.plan import Plan
from nodeeni.plan.rows import Row, State


class Standing(msgspec.Struct, frozen=True, rename="camel"):
    """`state`, `reason` and `message` are what EC2 shows and a plan makes of it; where EC2 was not asked,
    what the controller reported. `reported` is the controller's last word, where that is another; `link` the
    ENI manager's, empty where it says nothing.
    """

    node: str
    node_eni: str = msgspec.field(name="nodeENI")
    eni_id: str = msgspec.field(name="eniID")
    state: str
    wanted: bool
    reason: str
    message: str
    reported: str
    link: str
    link_state: str

    @property
    def is_right(self) -> bool:
        return (
            self.state == State.ATTACHED
            and self.wanted
            and not (self.reason or self.message or self.reported)
            and self.link_state in ("", "Up")
        )

    @property
    def on_its_way(self) -> bool:
        return self.state not in (State.ATTACHED, State.FAILED)

    @property
    def text(self) -> str:
        """For people, without its subject."""
        what = " ".join(filter(None, (self.eni_id, self.state)))
        if self.state == State.ATTACHED and not self.wanted:
            what += ", though it is not to have it"
        why = ": ".join(filter(None, (self.reason, self.message)))
        reported = f"the controller's last word: {self.reported}" if self.reported else ""
        return "; ".join(filter(None, (f"{what}: {why}" if why else what, self.link, reported)))


def by_plan(plan: Plan, cluster: Cluster, said: LastWords) -> Iterator[Standing]:
    for row in plan.rows:
        entry = said.get((row.uid, row.node))
        mac = row.interface.mac if row.interface else ""
        link = cluster.link(row.node, mac) if mac else None
        yield Standing(
            node=row.node,
            node_eni=row.nodeeni,
            eni_id=row.interface.id if row.interface else "",
            state=row.state.value,
            wanted=row.wanted,
            reason=row.reason or "",
            message=row.message,
            reported=_reported(entry, row),
            link=_link(link),
            link_state=link.state if link else "",
        )


def by_report(nodeenis: Sequence[NodeENI], cluster: Cluster) -> Iterator[Standing]:
    """Where EC2 cannot be asked."""
    for nodeeni in nodeenis:
        for entry in nodeeni.status.attachments:
            link = cluster.link(entry.node_id, entry.mac_address) if entry.mac_address else None
            yield Standing(
                node=entry.node_id,
                node_eni=nodeeni.metadata.name,
                eni_id=entry.eni_id,
                state=entry.status,
                wanted=True,
                reason=entry.reason,
                message=entry.message,
                reported="",
                link=_link(link),
                link_state=link.state if link else "",
            )


def _reported(entry: AttachmentStatus | None, row: Row) -> str:
    """A plan made now does not know what EC2 refused before: the controller does, and tells."""
    if entry is None:
        return "nothing of it yet" if row.wanted else ""
    if (entry.status, entry.reason) == (row.state, row.reason or "") or (
        entry.status == row.state and not entry.message
    ):
        return ""
    return in_words(entry)


def in_words(entry: AttachmentStatus) -> str:
    """What a status says of one node."""
    what = " ".join(filter(None, (entry.eni_id, entry.status)))
    return ": ".join(filter(None, (what, entry.reason, entry.message)))


def _link(link: LinkStatus | None) -> str:
    if link is None:
        return ""
    told = ": ".join(filter(None, (link.message, link.note)))
    name = f"link {link.link_name}" if link.link_name else "its link"
    its = f"{name} is {link.state.lower()}{f' ({told})' if told else ''}"
    in_pod = "a pod has the link" if link.in_pod else ""
    network = pods.told(link.pod_network) if link.pod_network is not None else ""
    return "; ".join(filter(None, (its, in_pod, network)))

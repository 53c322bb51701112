"""Whose an ENI is, and by what: the words of `plan/ownership.py` about one interface."""

import msgspec

from nodeeni.api import names
from nodeeni.controller.cluster import Cluster
from nodeeni.controller.evidence import Evidence
from nodeeni.ec2.types import Interface
from nodeeni.plan.ownership import UNTOLD, Verdict, Vote, is_doubtful, votes

_VERDICTS = {
    Verdict.OURS: "of this cluster",
    Verdict.BEREFT: "of this cluster; its cluster tag is gone and will be put right",
    Verdict.OF_OTHER_ID: "left alone: it carries another cluster's id (--former-cluster-ids makes it ours)",
    Verdict.NOT_OURS: "not of this cluster: never touched",
}


class Witness(msgspec.Struct, frozen=True):
    """One thing that tells whose the ENI is; `says` is for people."""

    what: str
    says: str


_ADOPTED = Witness(f"tag {names.TAG_ADOPTION}", "it came with its instance's launch and was taken over")


class Ownership(msgspec.Struct, frozen=True, rename="camel"):
    """`verdict` is what the controller makes of it; `agreed`: all its tags say the same. `node_eni` and
    `node` are empty where nobody knows.
    """

    eni_id: str = msgspec.field(name="eniID")
    state: str
    verdict: str
    ours: bool
    agreed: bool
    node_eni: str = msgspec.field(name="nodeENI")
    node: str
    witnesses: list[Witness]


def ownership(interface: Interface, cluster: Cluster, evidence: Evidence) -> Ownership:
    verdict = evidence.verdict(interface, known=False)
    owners, told = cluster.owners(), cluster.told(interface.id)
    uid = cluster.owner_of(interface)
    owner = owners.get(uid)
    whose = f"of a NodeENI that is gone (uid {uid})" if uid and owner is None else ""
    return Ownership(
        eni_id=interface.id,
        state=_state(interface),
        verdict="; ".join(filter(None, (_VERDICTS[verdict], whose))),
        ours=verdict in (Verdict.OURS, Verdict.BEREFT),
        agreed=verdict is Verdict.OURS and not is_doubtful(interface, owners),
        node_eni=owner.name if owner else "",
        node=cluster.node_of(interface),
        witnesses=[
            Witness(f"tag {names.TAG_CLUSTER}", _tag(interface, names.TAG_CLUSTER)),
            *(_witness(each, interface, cluster) for each in votes(interface, owners, told)),
            *([Witness("status", "no NodeENI lists it")] if told == UNTOLD else []),
            Witness(f"tag {names.TAG_INSTANCE}", _place(interface, cluster)),
            *([_ADOPTED] if names.TAG_ADOPTION in interface.tags else []),
        ],
    )


def _state(interface: Interface) -> str:
    if interface.attachment is None:
        return f"{interface.status}, in {interface.subnet_id}"
    at = interface.attachment
    where = f"{at.instance_id} at index {at.device_index}"
    card = f" of card {at.network_card_index}" if at.network_card_index else ""
    return f"{at.status or interface.status} to {where}{card}, in {interface.subnet_id}"


def _witness(vote: Vote, interface: Interface, cluster: Cluster) -> Witness:
    owner = cluster.owners().get(vote.uid)
    names_it = f"names NodeENI {owner.name}" if owner else "names no NodeENI that is there"
    if vote.tag is None:
        node = cluster.told(interface.id).node
        return Witness("status", f"NodeENI {owner.name if owner else '?'} lists it on node {node}")
    if not interface.tags.get(vote.tag):
        return Witness(f"tag {vote.tag}", _tag(interface, vote.tag))
    return Witness(f"tag {vote.tag}", f"{_tag(interface, vote.tag)}: {names_it}")


def _place(interface: Interface, cluster: Cluster) -> str:
    made_for = interface.tags.get(names.TAG_INSTANCE, "")
    place = interface.attachment.instance_id if interface.attachment else made_for
    nodes = sorted(cluster.nodes_of(place))
    of = f", the instance of node {', '.join(nodes)}" if nodes else ", of which there is no Node"
    moved = f"; it hangs on {place}" if place != made_for else ""
    return f"{_tag(interface, names.TAG_INSTANCE)}{moved}{of if place else ''}"


def _tag(interface: Interface, key: str) -> str:
    value = interface.tags.get(key)
    return "absent" if value is None else value or "empty"

"""Whose an interface of ours is, and of which node, by all that is known of it. Pure.

One tag proves nothing: a person, a tag policy or another tool may have changed it. Each thing that names a
NodeENI which is there votes for that one, and the most votes have it:

    uid tag          its uid                      1
    NodeENI tag      its name                     1
    Name tag         `nodeeni-NODEENI-NODE`       1
    a status         lists the interface          2, since we wrote it there ourselves

So each tag by itself, and each two of them, may be changed, emptied or taken off: the owner is the same, and
the tags are put right in place. Where nothing names one that is there, the uid tag tells who it was: of a
NodeENI that is gone. Only those are orphans, and an interface without a uid tag is none: nobody knows whose
it was.

The node is that of the instance; names come and go:

    attached, to the instance that its tag names     the Node of that instance
    attached, and the two differ                     the Node that a status lists it on, else that of the
                                                     instance tag, if the Node tag names that too (somebody
                                                     moved it), else that of the instance it hangs on
    not attached                                     the Node of the instance that its tag names
    no Node has that instance                        the one that the Node tag names, there or not

Whether it is this cluster's to touch at all is `verdict`, by the cluster tag first:

    cluster tag           further evidence                                   verdict
    our id, or one that
      a person named      -                                                  OURS
    absent, or empty      the uid tag names a NodeENI that is there, or it
                          was known as ours before                           BEREFT: put right, then ours
                          none                                               NOT_OURS; of v1.x: `adopting.py`,
                                                                             of the launch: `launch_time.py`
    another cluster's     the uid tag names a NodeENI that is there, or the
                          status of one lists it and a Node has its instance OF_OTHER_ID: left alone, and told
                          none: names alone prove nothing                    NOT_OURS

Nothing is ever deleted but what is OURS; and of that, without a person's word on its NodeENI or its node,
only what `is_orphan` twice.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from enum import Enum, auto
from typing import NamedTuple

from nodeeni.api import names
from nodeeni.ec2.types import Interface
from nodeeni.plan.observed import Owner

_TOLD_WEIGHT = 2


class Told(NamedTuple):
    """What a status says of an interface: uid of the NodeENI and name of the node; empty: nothing."""

    uid: str = ""
    node: str = ""


UNTOLD = Told()


class Vote(NamedTuple):
    """For the NodeENI with this uid, by a tag, or by a status (None). An empty uid, or one that nobody has:
    for none that is there.
    """

    tag: str | None
    uid: str
    weight: int


class Verdict(Enum):
    """Whether an interface is this cluster's. See the table above."""

    OURS = auto()
    BEREFT = auto()
    OF_OTHER_ID = auto()
    NOT_OURS = auto()


def verdict(
    interface: Interface,
    cluster_ids: Collection[str],
    owners: Mapping[str, Owner],
    told: Told = UNTOLD,
    *,
    known: bool = False,
    here: bool = False,
) -> Verdict:
    """`cluster_ids`: ours, and those that a person named. `known`: it was this cluster's when it was read
    before. `here`: a Node of this cluster has the instance that it is attached to, or was made for.
    """
    cluster_id = interface.tags.get(names.TAG_CLUSTER, "")
    by_uid = interface.tags.get(names.TAG_UID, "") in owners
    if cluster_id in cluster_ids:
        return Verdict.OURS
    if not cluster_id:
        return Verdict.BEREFT if by_uid or known else Verdict.NOT_OURS
    return Verdict.OF_OTHER_ID if by_uid or (told.uid in owners and here) else Verdict.NOT_OURS


def is_doubtful(interface: Interface, owners: Mapping[str, Owner]) -> bool:
    """Whether its tags do not all name the same NodeENI, which is there: then what a status says counts."""
    tags = interface.tags
    owner = owners.get(tags.get(names.TAG_UID, ""))
    return (
        owner is None
        or tags.get(names.TAG_NODEENI) != owner.name
        or tags.get(names.TAG_NAME) != names.interface_name(owner.name, tags.get(names.TAG_NODE, ""))
    )


def owner_of(interface: Interface, owners: Mapping[str, Owner], told: Told = UNTOLD) -> str:
    """Uid of the NodeENI that owns it. If that is none of `owners` (by uid), it is gone; empty: not known."""
    tagged = interface.tags.get(names.TAG_UID, "")
    if not is_doubtful(interface, owners):
        return tagged
    counts = Counter[str]()
    for vote in votes(interface, owners, told):
        counts[vote.uid] += vote.weight
    living = {uid: count for uid, count in counts.items() if uid in owners}
    if not living:
        return tagged
    return max(living, key=lambda uid: (living[uid], uid == told.uid, uid == tagged))


def votes(interface: Interface, owners: Mapping[str, Owner], told: Told = UNTOLD) -> list[Vote]:
    """What each thing that can name an owner says."""
    by_name = {owner.name: uid for uid, owner in owners.items()}
    found = [
        Vote(names.TAG_UID, interface.tags.get(names.TAG_UID, ""), 1),
        Vote(names.TAG_NODEENI, by_name.get(interface.tags.get(names.TAG_NODEENI, ""), ""), 1),
        Vote(names.TAG_NAME, by_name.get(_of_name_tag(interface, by_name), ""), 1),
    ]
    return [*found, Vote(None, told.uid, _TOLD_WEIGHT)] if told.uid else found


def is_orphan(interface: Interface, owners: Mapping[str, Owner], told: Told = UNTOLD) -> bool:
    """Whether it was of a NodeENI that is gone, as far as `owners` tells: to be asked for a second time."""
    uid = owner_of(interface, owners, told)
    return bool(uid) and uid not in owners


def _of_name_tag(interface: Interface, living: Collection[str]) -> str:
    """The NodeENI that the Name tag names. With an odd Node tag nobody knows where its name ends: the longest
    that fits."""
    name, node = interface.tags.get(names.TAG_NAME, ""), interface.tags.get(names.TAG_NODE, "")
    exact = [each for each in living if name == names.interface_name(each, node)]
    fitting = exact or [each for each in living if name.startswith(names.interface_name(each, ""))]
    return max(fitting, key=len, default="")


def node_of(interface: Interface, nodes_of: Callable[[str], Collection[str]], told: Told = UNTOLD) -> str:
    """Name of the node whose it is; empty: nobody knows. `nodes_of`: names of an instance's Nodes."""
    tagged = interface.tags.get(names.TAG_NODE, "")
    made_for = interface.tags.get(names.TAG_INSTANCE, "")
    place = interface.attachment.instance_id if interface.attachment else made_for
    here = meant = nodes_of(place)
    if place != made_for:
        meant = nodes_of(made_for)
        if told.node and told.node in {*here, *meant}:
            return told.node
        if tagged in meant:
            return tagged
    for candidates in (here, meant):
        if candidates:
            return tagged if tagged in candidates else min(candidates)
    return tagged

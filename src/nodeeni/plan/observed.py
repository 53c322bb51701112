"""What a plan starts from: one node, its instance, and our interfaces on it, at one moment."""

import math
from collections.abc import Mapping

import msgspec

from nodeeni.api.packed import NO_ITEMS
from nodeeni.ec2.types import Instance, InstanceType, Interface
from nodeeni.plan.actions import Action
from nodeeni.plan.link import NOTHING, Link
from nodeeni.plan.pods import Pods
from nodeeni.plan.refusal import Refusal

ENDS = frozenset({"shutting-down", "terminated"})  # of an instance; it takes its interfaces along
RESTS = frozenset({"pending", "stopping", "stopped"})  # of an instance; it keeps them, at work or not
UNREAD = ""  # the state of an instance that EC2 could not be asked for: nothing says that it ends


class NodeView(msgspec.Struct, frozen=True, kw_only=True):
    """A Node object as far as planning needs it. `instance_id` is empty where its providerID is not
    set, or names no EC2 instance.
    """

    name: str
    uid: str = ""
    labels: Mapping[str, str] = NO_ITEMS
    provider_id: str = ""
    instance_id: str = ""
    deleting: bool = False
    out_of_service: bool = False
    auto_mode: bool = False

    @property
    def ends(self) -> bool:
        return self.deleting or self.out_of_service


class Owner(msgspec.Struct, frozen=True):
    """A NodeENI that exists in the API server, whatever its selector says."""

    name: str
    deleting: bool
    link: Link = NOTHING


class Observed(msgspec.Struct, frozen=True, kw_only=True):
    """One node at one moment.

    `node` is None when there is no Node object of that name, which happens when our interfaces still
    carry the name. `instance` is the node's own; None when EC2 does not know it, or could not be asked for
    it: then `instance_states` has it as UNREAD. `interfaces` are ours alone (cluster tag), and this node's by
    `ownership.node_of`. `instance_states` covers every instance that they hang on; one that is absent there
    is gone. `ages` gives the seconds since an interface was first seen in its present transition.
    """

    name: str
    node: NodeView | None
    cluster_id: str = ""
    # Of `interfaces`, those with another cluster's id: not to be touched.
    of_other_ids: frozenset[str] = frozenset()
    instance: Instance | None = None
    instance_type: InstanceType | None = None
    type_unread: Refusal | None = None  # why it is not known what the type allows
    instance_states: dict[str, str] = msgspec.field(default_factory=dict)
    interfaces: tuple[Interface, ...] = ()
    adoptable: tuple[Interface, ...] = ()  # of v1.x: in a NodeENI's status, on this instance, no cluster tag
    # By id, what stands on the instance where a NodeENI with `adoption: LaunchTime` would have its ENI, none
    # of ours among it.
    launched: dict[str, Interface] = msgspec.field(default_factory=dict)
    owners: dict[str, Owner] = msgspec.field(default_factory=dict)  # by uid
    told: dict[str, str] = msgspec.field(default_factory=dict)  # of doubtful ones, owner's uid by a status
    # Where the instance has several Nodes, all of them: name → `Ready`, `NotReady`, empty: not known.
    twins: dict[str, str] = msgspec.field(default_factory=dict)
    in_flight: tuple[Action, ...] = ()
    generations: dict[str, int] = msgspec.field(default_factory=dict)  # of client tokens, by NodeENI uid
    avoided_subnets: frozenset[str] = frozenset()  # lately found full
    fragmented_subnets: frozenset[str] = frozenset()  # lately found without a free block for a prefix
    taken_indexes: frozenset[tuple[int, int]] = frozenset()  # (card, index) that EC2 lately refused
    full: bool = False  # EC2 said that the instance takes no more interfaces, and nothing left it since
    gone: frozenset[str] = frozenset()  # interfaces that we removed, which EC2 may still show
    ages: dict[str, float] = msgspec.field(default_factory=dict)
    force_detach_after: float = float("inf")  # seconds
    undo_attach_after: float = float("inf")  # seconds
    undone: frozenset[str] = frozenset()  # interfaces whose attach hung before and was undone
    pods: dict[str, Pods] = msgspec.field(default_factory=dict)  # by interface, as the ENINode tells
    unread: frozenset[str] = frozenset()  # interfaces of this node that EC2 shows and that cannot be read

    def ends(self, instance_id: str) -> bool:
        """Whether the instance takes its interfaces with it, or has: EC2 is not to be helped."""
        return self.instance_states.get(instance_id, "terminated") in ENDS

    def rests(self, instance_id: str) -> bool:
        """Whether the instance is stopped, or on the way there or back: it keeps its interfaces."""
        return self.instance_states.get(instance_id) in RESTS

    @property
    def node_ends(self) -> bool:
        return self.node is None or self.node.ends

    def hangs_in(self, interface: Interface) -> float:
        """Seconds until its transition counts as hanging; infinite without one, or where it does already."""
        status = interface.attachment.status if interface.attachment else ""
        limits = {"detaching": self.force_detach_after, "attaching": self.undo_attach_after}
        left = limits.get(status, math.inf) - self.ages.get(interface.id, 0.0)
        return left + 0.05 if left >= 0 else math.inf

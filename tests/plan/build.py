"""Small builders of what a plan starts from, and a toy EC2 that a plan can be carried out on."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from nodeeni.api.names import FINALIZER, interface_tags
from nodeeni.api.v1alpha1 import NodeENI, NodeENIMeta, NodeENISpec
from nodeeni.ec2.addresses import AddressKind
from nodeeni.ec2.types import (
    Attachment,
    Instance,
    InstanceSlot,
    InstanceType,
    Interface,
    SecurityGroup,
    Subnet,
)
from nodeeni.plan import actions as act
from nodeeni.plan.desired import Desired, desired_interfaces, selecting
from nodeeni.plan.diff import Diff, diff
from nodeeni.plan.link import link_of
from nodeeni.plan.network import Network
from nodeeni.plan.observed import NodeView, Observed, Owner
from nodeeni.plan.policy import Circumstances, Decision, decide
from nodeeni.plan.refusal import Refusal
from nodeeni.plan.rows import Row, State

CLUSTER = "c-1"
VPC = "vpc-1"
ZONE = "us-west-2a"
OTHER_ZONE = "us-west-2b"
SUBNET = Subnet("subnet-a", VPC, ZONE, "10.1.0.0/16", 100, "multus-a")
SECOND_SUBNET = Subnet("subnet-a2", VPC, ZONE, "10.2.0.0/16", 200, "multus-a2")
FAR_SUBNET = Subnet("subnet-b", VPC, OTHER_ZONE, "10.3.0.0/16", 100, "multus-b")
GROUP = SecurityGroup("sg-1", VPC, "multus-sg", "Multus")
SECOND_GROUP = SecurityGroup("sg-2", VPC, "second-sg", "Second")
NETWORK = Network((SUBNET, SECOND_SUBNET, FAR_SUBNET), (GROUP, SECOND_GROUP))

NODE = NodeView(name="n1", uid="node-uid", labels={"ng": "multi"}, instance_id="i-1")
PRIMARY = InstanceSlot("eni-primary", 0, 0, "attached")
TYPE = InstanceType("m5.xlarge", 4, (4,))


def instance(
    instance_id: str = "i-1", *, state: str = "running", slots: Iterable[InstanceSlot] = (PRIMARY,)
) -> Instance:
    return Instance(instance_id, "m5.xlarge", state, ZONE, VPC, "subnet-nodes", tuple(slots))


def other(index: int, card: int = 0) -> InstanceSlot:
    """An index that somebody else's interface occupies."""
    return InstanceSlot(f"eni-other-{index}", index, card, "attached")


def nodeeni(
    name: str = "multus", *, deleting: bool = False, created: str = "2026-01-01T00:00:00Z", **spec: Any
) -> NodeENI:
    """One that selects NODE and can be had there, unless `spec` says otherwise. Its uid is `uid-NAME`."""
    given = {
        "node_selector": {"ng": "multi"},
        "subnet_id": SUBNET.id,
        "security_group_ids": [GROUP.id],
        "device_index": 2,
        **spec,
    }
    metadata = NodeENIMeta(
        name=name,
        uid=f"uid-{name}",
        generation=1,
        creation_timestamp=created,
        deletion_timestamp="2026-01-02T00:00:00Z" if deleting else None,
        finalizers=(FINALIZER,),
    )
    return NodeENI(metadata=metadata, spec=NodeENISpec(**given))


def attachment(index: int = 2, *, status: str = "attached", **changes: Any) -> Attachment:
    made = Attachment("eni-attach-1", "i-1", index, 0, status, delete_on_termination=True)
    return msgspec.structs.replace(made, **changes)


def interface(
    eni_id: str = "eni-1",
    *,
    owner: str = "multus",
    node: str = "n1",
    instance_id: str = "i-1",
    tags: Mapping[str, str] | None = None,
    attached: Attachment | None = None,
    **changes: Any,
) -> Interface:
    """As the controller makes it for `nodeeni(owner)` on a node; `available` unless `attached`."""
    own = interface_tags(
        cluster_id=CLUSTER, nodeeni=owner, uid=f"uid-{owner}", node=node, instance_id=instance_id
    )
    made = Interface(
        id=eni_id,
        status="in-use" if attached else "available",
        subnet_id=SUBNET.id,
        vpc_id=VPC,
        mac=f"02:00:00:00:00:{sum(eni_id.encode()) % 256:02x}",
        private_ips=("10.1.0.9",),
        description=f"NodeENI {owner} on node {node}",
        group_ids=(GROUP.id,),
        tags={**own, **(tags or {})},
        attachment=attached,
    )
    return msgspec.structs.replace(made, **changes)


def observed(
    *interfaces: Interface,
    nodeenis: Iterable[NodeENI] = (),
    node: NodeView | None = NODE,
    of: Instance | None = None,
    **changes: Any,
) -> Observed:
    """NODE on a running instance that lists our interfaces as well; `of` is another instance."""
    ours = tuple(
        InstanceSlot(i.id, i.attachment.device_index, i.attachment.network_card_index, i.attachment.status)
        for i in interfaces
        if i.attachment and i.attachment.instance_id == "i-1"
    )
    machine = of or instance(slots=(PRIMARY, *ours))
    given = {
        "name": "n1",
        "node": node,
        "instance": machine,
        "instance_type": TYPE,
        "instance_states": {machine.id: machine.state},
        "interfaces": interfaces,
        "owners": {n.metadata.uid: _owner(n) for n in nodeenis},
        **changes,
    }
    return Observed(**given)


def _owner(nodeeni: NodeENI) -> Owner:
    return Owner(nodeeni.metadata.name, nodeeni.metadata.deleting, link_of(nodeeni))


def networks(nodeenis: Iterable[NodeENI], network: Network = NETWORK) -> dict[str, Network | Refusal]:
    """The same for each of them."""
    return {nodeeni.metadata.uid: network for nodeeni in nodeenis}


def desire(
    *nodeenis: NodeENI, node: NodeView = NODE, of: Instance | None = None, network: Network = NETWORK
) -> Desired:
    chosen = selecting(node, nodeenis)
    return desired_interfaces(node, of or instance(), chosen, networks(chosen, network), CLUSTER)


def plan(*nodeenis: NodeENI, having: Iterable[Interface] = (), **changes: Any) -> Diff:
    """The plan for NODE with these NodeENIs and interfaces."""
    seen = observed(*having, nodeenis=nodeenis, **changes)
    chosen = selecting(seen.node or NODE, nodeenis)
    wanted = desired_interfaces(seen.node or NODE, seen.instance, chosen, networks(chosen), CLUSTER)
    return diff(wanted, seen)


def texts(found: Iterable[act.Action]) -> list[str]:
    return [action.text for action in found]


def states(rows: Iterable[Row]) -> dict[str, State]:
    return {row.nodeeni: row.state for row in rows}


class ToyEC2:
    """One instance and our interfaces; carries out actions at once, and fails on what EC2 would refuse."""

    def __init__(self, machine: Instance, kind: InstanceType, interfaces: Iterable[Interface]) -> None:
        self.machine = machine
        self.kind = kind
        self.interfaces = {found.id: found for found in interfaces}
        self.others = {slot.eni_id: slot for slot in machine.slots}
        self.tokens: dict[str, str] = {}
        self.given: tuple[str, ...] = ()  # addresses that were assigned so far

    def instance(self) -> Instance:
        """As DescribeInstances shows it: everybody's slots."""
        ours = tuple(InstanceSlot(eni_id, i, c, "attached") for (c, i), eni_id in self._ours().items())
        return msgspec.structs.replace(self.machine, slots=(*self.others.values(), *ours))

    def settle(self) -> None:
        """What is under way ends."""
        for found in list(self.interfaces.values()):
            if found.attachment and found.attachment.status == "attaching":
                self._attachment(found, msgspec.structs.replace(found.attachment, status="attached"))
            elif found.attachment and found.attachment.status == "detaching":
                self._attachment(found, None)

    def perform(self, action: act.Action) -> None:
        match action:
            case act.Create():
                self._create(action)
            case act.Attach():
                self._attach(action)
            case act.Detach():
                found = self.interfaces[action.eni_id]
                assert found.attachment
                assert found.attachment.id == action.attachment_id
                self._attachment(found, None)
            case act.Delete():
                assert self.interfaces[action.eni_id].attachment is None, "EC2 keeps an attached interface"
                del self.interfaces[action.eni_id]
            case _:
                self._modify(action)

    def _create(self, action: act.Create) -> None:
        request = action.request
        assert len(request.client_token) <= 64
        if self.tokens.get(request.client_token) in self.interfaces:
            return
        eni_id = f"eni-new-{len(self.tokens)}"
        self.tokens[request.client_token] = eni_id
        self.interfaces[eni_id] = Interface(
            id=eni_id,
            status="available",
            subnet_id=request.subnet_id,
            vpc_id=VPC,
            mac=f"02:00:00:00:01:{len(self.tokens):02x}",
            private_ips=(f"10.9.0.{len(self.tokens)}",),
            tags=dict(request.tags),
        )
        for attribute, value in request.values.items():
            self.interfaces[eni_id] = attribute.written(self.interfaces[eni_id], value)
        assert len({kind.family for kind, count in request.counts.items() if count}) == sum(
            map(bool, request.counts.values())
        ), "EC2 takes one form of a family"
        for kind, count in request.counts.items():
            self._assign(eni_id, kind, count)

    def _assign(self, eni_id: str, kind: AddressKind, count: int) -> None:
        added = tuple(f"{kind}-{len(self.given) + n}" for n in range(count))
        self.given += added
        found = kind.written(self.interfaces[eni_id], added, ())
        most = self.kind.addresses.get(kind.family, 99)
        assert len(found.private_ips) + len(found.ipv4_prefixes) <= most, (
            "EC2 refuses more than the type holds"
        )
        self.interfaces[eni_id] = found

    def _attach(self, action: act.Attach) -> None:
        found = self.interfaces[action.eni_id]
        place = (action.network_card_index, action.device_index)
        taken = {(slot.network_card_index, slot.device_index) for slot in self.others.values()}
        assert found.attachment is None
        assert place not in taken | self._ours().keys(), "EC2 refuses an index that is taken"
        assert len(taken) + len(self._ours()) < self.kind.max_interfaces, "EC2 refuses a full instance"
        attached = Attachment(
            f"eni-attach-{action.eni_id}", action.instance_id, action.device_index, action.network_card_index
        )
        self._attachment(found, attached)

    def _modify(self, action: act.Action) -> None:
        assert not isinstance(action, act.Create)
        found = self.interfaces[action.eni_id]
        match action:
            case act.Modify():
                attachment = found.attachment
                assert action.attachment_id in ("", attachment.id if attachment else None)
                self.interfaces[found.id] = action.attribute.written(found, action.value)
                return
            case act.Assign():
                self._assign(action.eni_id, action.kind, action.count)
                return
            case act.Unassign():
                assert set(action.addresses) <= set(action.kind.spare(found)), "EC2 keeps the primary one"
                self.interfaces[found.id] = action.kind.written(found, (), action.addresses)
                return
            case act.SetTags():
                changes: dict[str, Any] = {"tags": {**found.tags, **action.tags}}
            case act.RemoveTags():
                changes = {"tags": {k: v for k, v in found.tags.items() if k not in action.keys}}
            case _:
                raise AssertionError(action)
        self.interfaces[found.id] = msgspec.structs.replace(found, **changes)

    def _attachment(self, found: Interface, attached: Attachment | None) -> None:
        status = "in-use" if attached else "available"
        self.interfaces[found.id] = msgspec.structs.replace(found, attachment=attached, status=status)

    def _ours(self) -> dict[tuple[int, int], str]:
        return {
            (i.attachment.network_card_index, i.attachment.device_index): i.id
            for i in self.interfaces.values()
            if i.attachment and i.attachment.instance_id == self.machine.id
        }


class Scene(msgspec.Struct):
    """A node with a toy EC2 behind it, and everything else that a plan looks at."""

    nodeenis: list[NodeENI]
    ec2: ToyEC2
    network: Network = NETWORK
    node: NodeView = NODE
    memory: dict[str, Any] = {}

    def observe(self) -> Observed:
        return observed(
            *self.ec2.interfaces.values(),
            nodeenis=self.nodeenis,
            node=self.node,
            of=self.ec2.instance(),
            instance_type=self.ec2.kind,
            **self.memory,
        )

    def plan(self) -> Diff:
        seen = self.observe()
        chosen = selecting(self.node, self.nodeenis)
        return diff(
            desired_interfaces(self.node, seen.instance, chosen, networks(chosen, self.network), CLUSTER),
            seen,
        )

    def decide(self, found: Diff) -> Decision:
        """With every orphan confirmed and every NodeENI finalized."""
        at = Circumstances(
            now=0.0,
            finalized=frozenset(n.metadata.uid for n in self.nodeenis),
            confirmed_orphans=frozenset(self.ec2.interfaces),
        )
        return decide(found.actions, at)

    def step(self) -> Diff:
        """Plan once, and do what is allowed."""
        found = self.plan()
        for action in self.decide(found).allowed:
            self.ec2.perform(action)
        self.ec2.settle()
        return found

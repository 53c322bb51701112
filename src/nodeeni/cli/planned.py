"""One node's plan as `nodeeni plan` tells it: steps now and later, what EC2 has yet to finish, refusals."""

import math
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from nodeeni.api.v1alpha1 import AttachmentStatus, ENINode, ENINodeInterface, NodeENI, NodePodNetwork
from nodeeni.plan.actions import Action, Create, Detach
from nodeeni.plan.brake import HeldRemoval
from nodeeni.plan.plan import Plan
from nodeeni.plan.pods import NO_PODS
from nodeeni.plan.report import eninode_spec
from nodeeni.plan.rows import Row, State

SET_LINK = "SetLink"  # beside the names of EC2's actions: what the node's ENI manager does
_DRY_RUN = "dry run"


LastWords = Mapping[tuple[str, str], AttachmentStatus]  # by uid of a NodeENI and name of a node


class Step(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """One action; `reason` is why it has to wait: of one that nothing known here holds up, what the
    controller said last, which remembers what EC2 refused. It is looked at again within `after` seconds, or
    at an event before (absent: only then).
    """

    action: str
    node_eni: str = msgspec.field(name="nodeENI")
    text: str
    reason: str = ""
    after: float | None = None


class Progress(msgspec.Struct, frozen=True):
    """What was asked for and has not ended: nothing is to be done but wait."""

    node_eni: str = msgspec.field(name="nodeENI")
    eni_id: str = msgspec.field(name="eniID")
    state: str
    text: str


class Refused(msgspec.Struct, frozen=True):
    node_eni: str = msgspec.field(name="nodeENI")
    reason: str
    message: str


class Hold(msgspec.Struct, frozen=True, rename="camel"):
    """A removal that the brake holds; `id` is what the annotation lets go."""

    id: str
    node_eni: str = msgspec.field(name="nodeENI")
    reason: str
    message: str
    nodes: list[str]
    eni_ids: list[str] = msgspec.field(name="eniIDs")


class NodePlan(msgspec.Struct, frozen=True, rename="camel"):
    node: str
    instance_id: str = msgspec.field(name="instanceID")
    now: list[Step]
    in_progress: list[Progress]
    later: list[Step]
    refused: list[Refused]

    @property
    def empty(self) -> bool:
        return not (self.now or self.in_progress or self.later or self.refused)


def told_holds(holds: Iterable[HeldRemoval]) -> list[Hold]:
    return [
        Hold(h.id, h.nodeeni, h.reason.value, h.told.message, list(h.nodes), list(h.eni_ids)) for h in holds
    ]


def last_words(nodeenis: Iterable[NodeENI]) -> LastWords:
    """What the statuses say of each node."""
    return {
        (nodeeni.metadata.uid, entry.node_id): entry
        for nodeeni in nodeenis
        for entry in nodeeni.status.attachments
    }


def told(node: str, plan: Plan, eninode: ENINode | None, said: LastWords, *, dry_run: bool) -> NodePlan:
    """`eninode`: the node's as it is now."""
    links = [] if eninode is None else list(_links(plan, eninode))
    later = [
        Step(
            action=refused.action.word,
            node_eni=refused.action.nodeeni,
            text=_text(plan, refused.action),
            reason=refused.why.message,
            after=refused.why.retry_after if math.isfinite(refused.why.retry_after) else None,
        )
        for refused in plan.decision.refused
    ]
    if dry_run:
        later += [msgspec.structs.replace(step, reason=_DRY_RUN) for step in links]
    return NodePlan(
        node=node,
        instance_id=_instance_id(plan),
        now=[
            *(_step(plan, action, said.get((action.uid, node))) for action in plan.decision.allowed),
            *([] if dry_run else links),
        ],
        in_progress=list(_in_progress(plan)),
        later=later,
        refused=[Refused(r.nodeeni, r.reason or "", r.message) for r in plan.refusals],
    )


def _instance_id(plan: Plan) -> str:
    """Of a Node that is gone, the instance that its interfaces hang on: it may well run."""
    node = plan.observed.node
    if node is not None:
        return node.instance_id
    return next((i.attachment.instance_id for i in plan.observed.interfaces if i.attachment), "")


def _text(plan: Plan, action: Action) -> str:
    """With what pods lose by it."""
    pods = plan.observed.pods.get(action.target, NO_PODS) if isinstance(action, Detach) else NO_PODS
    return f"{action.text} ({pods.lose})" if pods.lose else action.text


def _step(plan: Plan, action: Action, said: AttachmentStatus | None) -> Step:
    reason = f"the controller's last word: {said.reason}: {said.message}" if said and said.reason else ""
    return Step(action=action.word, node_eni=action.nodeeni, text=_text(plan, action), reason=reason)


def _in_progress(plan: Plan) -> Iterator[Progress]:
    """Interfaces on their way of which nothing else is told."""
    spoken_of = {action.target for action in plan.actions if not isinstance(action, Create)}
    refused = {refusal.uid for refusal in plan.refusals}
    for row in plan.rows:
        interface = row.interface
        if interface is None or interface.id in spoken_of or (row.wanted and row.uid in refused):
            continue
        if row.state not in (State.ATTACHED, State.FAILED):
            why = ", as its instance ends" if interface.id in plan.vanishing else ""
            yield Progress(row.nodeeni, interface.id, row.state, f"{interface.id} is {row.state}{why}")


def _links(plan: Plan, eninode: ENINode) -> Iterator[Step]:
    """What the ENINode is to say otherwise of the links that stay, to be done by the node's ENI manager."""
    stay = {row.interface.id for row in plan.rows if row.interface is not None and _stays(row)}
    known = {entry.eni_id: entry for entry in eninode.spec.interfaces}
    for entry in eninode_spec(eninode.spec.instance_id, plan.rows).interfaces:
        before = known.get(entry.eni_id)
        changes = _changes(before, entry) if before is not None and entry.eni_id in stay else ""
        if changes:
            text = f"link of {entry.eni_id}: {changes}, set by the node's ENI manager"
            yield Step(action=SET_LINK, node_eni=entry.node_eni, text=text)


def _stays(row: Row) -> bool:
    return row.wanted and row.state in (State.ATTACHING, State.ATTACHED, State.FAILED)


def _changes(before: ENINodeInterface, after: ENINodeInterface) -> str:
    fields = {
        "mtu": (before.mtu, after.mtu),
        "interfaceName": (before.interface_name, after.interface_name),
        "podNetwork": (_shown(before.pod_network), _shown(after.pod_network)),
    }
    changed = {name: values for name, values in fields.items() if values[0] != values[1]}
    return ", ".join(f"{name} {old or 'none'} → {new or 'none'}" for name, (old, new) in changed.items())


def _shown(network: NodePodNetwork | None) -> str:
    if network is None:
        return ""
    routes = [f"route {route.dst}{f' via {route.gw}' if route.gw else ''}" for route in network.routes]
    return f"{network.name} ({', '.join((network.mode, *network.prefixes, *routes))})"

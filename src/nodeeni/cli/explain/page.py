"""Everything about one subject, brought together: the page that `nodeeni explain` shows."""

from collections.abc import Callable, Collection, Iterable, Sequence

import msgspec

from nodeeni.api.core import Node
from nodeeni.api.names import NODE_CONDITION
from nodeeni.api.v1alpha1 import NodeENI
from nodeeni.cli.explain import history
from nodeeni.cli.explain.history import Event, Moment
from nodeeni.cli.explain.selecting import Selection, near_misses, selection
from nodeeni.cli.explain.standings import Standing, by_plan, by_report
from nodeeni.cli.explain.subject import Kind, Subject
from nodeeni.cli.explain.whose import Ownership, ownership
from nodeeni.cli.findings import counted, some
from nodeeni.cli.planned import Hold, NodePlan, Progress, Step, last_words, told, told_holds
from nodeeni.controller.cluster import Cluster
from nodeeni.controller.planning import Planning
from nodeeni.ec2.types import Interface
from nodeeni.kube.client import KubeClient
from nodeeni.plan.desired import matches
from nodeeni.plan.plan import Plan


class Explanation(msgspec.Struct, rename="camel", kw_only=True):
    """`near_misses`: of a NodeENI, what Nodes lack that meet all but one of its requirements. `unread`: what
    could not be asked, each with the way out; what it would have told is not here.
    """

    subject: Subject
    headline: str
    standings: list[Standing] = []
    selections: list[Selection] = []
    near_misses: list[str] = []
    enis: list[Ownership] = msgspec.field(name="enis", default_factory=list)
    plans: list[NodePlan] = []
    holds: list[Hold] = []
    history: list[Moment] = []
    unread: list[str] = []


class Reader:
    """`planning`: None where EC2 cannot be asked; `unread` says why."""

    def __init__(
        self, client: KubeClient, cluster: Cluster, planning: Planning | None, unread: list[str]
    ) -> None:
        self._client = client
        self._cluster = cluster
        self._planning = planning
        self._unread = unread

    async def page(self, subject: Subject) -> Explanation:
        """Raises KubeError, EC2Error."""
        match subject.kind:
            case Kind.NODE:
                page = await self._of_node(subject)
            case Kind.NODEENI:
                page = await self._of_nodeeni(subject)
            case Kind.ENI:
                page = await self._of_eni(subject)
        page.unread = self._unread
        return page

    # -- a node --------------------------------------------------------------------------------------

    async def _of_node(self, subject: Subject) -> Explanation:
        name, store = subject.name, self._cluster.nodeenis.store
        node = self._cluster.nodes.store.get(name)
        selections = [selection(each, node) for each in store.values()] if node else []
        plans = await self._plans([name])
        standings = [each for each in self._standings(plans) if each.node == name]
        selected = {each.node_eni for each in selections if each.selected}
        concerned = [
            store[each] for each in sorted(selected | {s.node_eni for s in standings}) if each in store
        ]
        enis = [each.eni_id for each in standings if each.eni_id]
        keys = {key for nodeeni in concerned for key in _keys(nodeeni)}
        moments = [
            *(await history.edits_of_labels(self._client, name, keys) if node else []),
            *[m for each in concerned for m in await history.edits_of_nodeeni(self._client, _name(each))],
            *await self._events("Node", name),
            *await self._events_of(concerned, [name, *enis]),
            *[m for each in concerned for m in history.of_rows(each, [name])],
            *history.of_links(self._cluster.eninodes.store.get(name), self._macs(concerned, [name])),
        ]
        right = sum(each.is_right for each in standings if each.node_eni in selected)
        there = "" if node else ", and there is no Node of that name"
        headline = (
            f"node {name}: selected by {len(selected)} of {counted(len(store), 'NodeENI')}, "
            f"{right} of {len(selected)} as asked{there or _readiness(node)}"
        )
        return Explanation(
            subject=subject,
            headline=headline,
            standings=standings,
            selections=selections,
            enis=self._whose(i for plan in plans for i in plan.observed.interfaces),
            plans=self._told(plans),
            holds=[hold for hold in self._holds() if name in hold.nodes],
            history=history.in_order(moments),
        )

    # -- a NodeENI -----------------------------------------------------------------------------------

    async def _of_nodeeni(self, subject: Subject) -> Explanation:
        name, nodes = subject.name, self._cluster.nodes.store
        nodeeni = self._cluster.nodeenis.store[name]
        selected = [
            each
            for each, node in nodes.items()
            if not nodeeni.metadata.deleting and matches(nodeeni.spec, node.metadata.labels)
        ]
        plans = await self._plans(self._planning.nodes() if self._planning else [])
        standings = [each for each in self._standings(plans) if each.node_eni == name]
        uid = nodeeni.metadata.uid
        moments = [
            *history.of_life(nodeeni),
            *await history.edits_of_nodeeni(self._client, name),
            *await self._events("NodeENI", name),
            *history.of_conditions(nodeeni),
        ]
        wanted = [each for each in standings if each.wanted]
        right = sum(each.is_right for each in wanted)
        headline = (
            f"NodeENI {name} selects {len(selected)} of {counted(len(nodes), 'Node')}, "
            f"and {right} of {len(selected)} have what it asks"
        )
        if nodeeni.metadata.deleting:
            headline = f"NodeENI {name} is being deleted, and {counted(len(standings), 'node')} still have"
            headline += " an ENI of it, or had one just now"
        theirs = (i for plan in plans for i in plan.observed.interfaces if self._is_of(i, uid))
        return Explanation(
            subject=subject,
            headline=headline,
            standings=standings,
            near_misses=[
                f"{lack.label} is asked, and {lack.found}: {some(sorted(names))}"
                for lack, names in near_misses(nodeeni, nodes.values()).items()
            ],
            enis=self._whose(theirs),
            plans=self._told(plans, lambda step: step.node_eni == name),
            holds=[hold for hold in self._holds() if hold.node_eni == name],
            history=history.in_order(moments),
        )

    # -- an ENI --------------------------------------------------------------------------------------

    async def _of_eni(self, subject: Subject) -> Explanation:
        eni_id, store = subject.name, self._cluster.nodeenis.store
        interface = await self._planning.interface(eni_id) if self._planning else None
        whose = self._whose([interface] if interface else [])
        told_node = self._cluster.told(eni_id).node
        node = (whose[0].node if whose and whose[0].ours else "") or told_node
        plans = await self._plans([node] if node else [])
        standings = [each for each in self._standings(plans) if each.eni_id == eni_id]
        moments = [
            *await self._events("NodeENI", None, [eni_id]),
            *[
                moment
                for nodeeni in store.values()
                for moment in history.of_rows(nodeeni, [node])
                if eni_id in moment.text
            ],
            *history.of_links(
                self._cluster.eninodes.store.get(node), [interface.mac] if interface is not None else []
            ),
        ]
        if interface is not None:
            headline = f"{eni_id}: {whose[0].verdict}; {whose[0].state}"
        elif self._planning is None:
            headline = f"{eni_id}: EC2 cannot be asked"
        else:
            headline = f"{eni_id}: EC2 shows no such ENI in this account and region, or no more"
        return Explanation(
            subject=subject,
            headline=headline,
            standings=standings,
            enis=whose,
            plans=self._told(plans, lambda step: eni_id in step.text),
            holds=[hold for hold in self._holds() if eni_id in hold.eni_ids],
            history=history.in_order(moments),
        )

    # -- of all --------------------------------------------------------------------------------------

    async def _plans(self, nodes: Sequence[str]) -> list[Plan]:
        if self._planning is None:
            return []
        return [await self._planning.plan(node) for node in nodes]

    def _standings(self, plans: Sequence[Plan]) -> list[Standing]:
        if self._planning is None:
            return list(by_report(list(self._cluster.nodeenis.store.values()), self._cluster))
        said = last_words(self._cluster.nodeenis.store.values())
        return [each for plan in plans for each in by_plan(plan, self._cluster, said)]

    def _told(
        self, plans: Iterable[Plan], concerns: Callable[[Step | Progress], bool] = lambda _: True
    ) -> list[NodePlan]:
        """Without the refusals and the controller's last words: the standings have them."""
        eninodes = self._cluster.eninodes.store
        found = []
        for plan in plans:
            node = plan.observed.name
            whole = told(node, plan, eninodes.get(node), {}, dry_run=False)
            part = msgspec.structs.replace(
                whole,
                now=list(filter(concerns, whole.now)),
                in_progress=list(filter(concerns, whole.in_progress)),
                later=list(filter(concerns, whole.later)),
                refused=[],
            )
            if not part.empty:
                found.append(part)
        return found

    def _whose(self, interfaces: Iterable[Interface]) -> list[Ownership]:
        if self._planning is None:
            return []
        return [ownership(each, self._cluster, self._planning.evidence) for each in interfaces]

    def _is_of(self, interface: Interface, uid: str) -> bool:
        return self._cluster.owner_of(interface) == uid

    def _holds(self) -> list[Hold]:
        return told_holds(self._planning.holds()) if self._planning else []

    def _macs(self, nodeenis: Iterable[NodeENI], nodes: Collection[str]) -> list[str]:
        return [
            entry.mac_address
            for nodeeni in nodeenis
            for entry in nodeeni.status.attachments
            if entry.node_id in nodes
        ]

    async def _events_of(self, nodeenis: Iterable[NodeENI], mentioning: Sequence[str]) -> list[Moment]:
        return [m for each in nodeenis for m in await self._events("NodeENI", _name(each), mentioning)]

    async def _events(self, kind: str, name: str | None, mentioning: Sequence[str] = ()) -> list[Moment]:
        events: list[Event] | None = await history.events_of(self._client, kind, name)
        if events is None:
            note = "events: listing them in namespace default is not allowed: kubectl get events"
            if note not in self._unread:
                self._unread.append(note)
            return []
        return list(history.of_events(events, mentioning))


def _readiness(node: Node | None) -> str:
    """What the Node itself is told, where it is told anything."""
    told = node.told if node else None
    return f"; {NODE_CONDITION} is {told.status}, {told.reason}: {told.message}" if told else ""


def _keys(nodeeni: NodeENI) -> list[str]:
    return [*nodeeni.spec.node_selector, *(each.key for each in nodeeni.spec.match_expressions)]


def _name(nodeeni: NodeENI) -> str:
    return nodeeni.metadata.name

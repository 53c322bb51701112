"""People are told here: every event that this program writes about a NodeENI is built on this page.

What EC2 did is read off the inventory's changes, so that it is told once, whoever did it; what it refused
comes from the executor, and what a plan refused from the reconciler, told when it changes.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from enum import Enum, auto
from typing import Literal

from nodeeni.api import names
from nodeeni.api.core import Node
from nodeeni.api.reasons import EventReason
from nodeeni.api.v1alpha1 import NodeENI
from nodeeni.controller.cluster import Cluster
from nodeeni.controller.fights import AT_ONCE
from nodeeni.controller.first_sight import LOOKS_FIRST
from nodeeni.controller.memory import attachment_stage
from nodeeni.ec2.errors import EC2Error, ErrorClass
from nodeeni.ec2.types import Interface
from nodeeni.kube.events import EventRecorder, ObjectRef
from nodeeni.logs import Lasting
from nodeeni.plan.actions import Action, Adopt, Create, Detach
from nodeeni.plan.brake import HeldRemoval
from nodeeni.plan.pods import Pods
from nodeeni.plan.policy import Decision, Hold
from nodeeni.plan.refusal import Refusal

log = logging.getLogger(__name__)

THROTTLES_GATHER = 60.0  # seconds: one line for the throttles of one EC2 action in that time


class Departure(Enum):
    """How an interface left its node."""

    OURS = auto()
    WITH_INSTANCE = auto()
    BY_SOMEBODY = auto()


class Announcer:
    def __init__(self, recorder: EventRecorder, cluster: Cluster) -> None:
        self._recorder = recorder
        self._cluster = cluster
        self._refused: dict[str, dict[str, str]] = {}  # node → NodeENI uid → what was told last
        self._log = Lasting(log)
        self._refused_for: dict[str, frozenset[tuple[str, str]]] = {}  # node → (NodeENI uid, reason)
        self._nodes_refused: dict[tuple[str, str], set[str]] = {}  # the other way round
        self._would_do: dict[str, frozenset[str]] = {}  # node → lines of a dry run
        self._held: dict[str, frozenset[str]] = {}  # NodeENI uid → interfaces of which was told
        self._throttles: Counter[str] = Counter()  # by EC2 action, since the last line about it

    # -- what happened to interfaces -----------------------------------------------------------------

    def interface_changed(self, before: Interface | None, after: Interface | None) -> None:
        """A listener of the inventory."""
        was, now = attachment_stage(before), attachment_stage(after)
        if before is None or was == now:
            return  # what was there when we came is no news
        if now == "attached" and after is not None and after.attachment is not None:
            where = f"{after.attachment.instance_id} at device index {after.attachment.device_index}"
            self._tell(
                after,
                EventReason.ENI_ATTACHED,
                f"{after.id} is attached to {where} (node {self._node(after)})",
            )

    def adopted(self, action: Adopt) -> None:
        """An interface that came with its instance's launch is ours now."""
        ref = self._ref(action.uid)
        if ref is not None:
            text = f"{action.eni_id}, which came with the launch of {action.instance_id}, is taken over"
            self._recorder.event(ref, "Normal", EventReason.ENI_ADOPTED, f"{text} (node {action.node})")

    def startup_taint_gone(self, node: Node, message: str) -> None:
        """A Node's network is there, and pods may come."""
        ref = ObjectRef(kind="Node", api_version="v1", name=node.metadata.name, uid=node.metadata.uid)
        self._recorder.event(ref, "Normal", EventReason.STARTUP_TAINT_GONE, message)

    def detached(self, interface: Interface, how: Departure) -> None:
        """`interface` is as it was before."""
        text = f"{interface.id} is detached from node {self._node(interface)}"
        match how:
            case Departure.OURS:
                self._tell(interface, EventReason.ENI_DETACHED, text)
            case Departure.WITH_INSTANCE:
                self._tell_of_end(interface, EventReason.ENI_DETACHED, text)
            case Departure.BY_SOMEBODY:
                self._warn(
                    interface,
                    EventReason.ENI_DETACHED,
                    f"{text}, by somebody else than this controller: {_WHO}",
                )

    def deleted(self, interface: Interface, how: Departure) -> None:
        """`interface` is as it was before."""
        text = f"{interface.id} of node {self._node(interface)} is deleted"
        match how:
            case Departure.OURS:
                self._tell(interface, EventReason.ENI_DELETED, text)
            case Departure.WITH_INSTANCE:
                self._tell_of_end(interface, EventReason.ENI_DELETED, text)
            case Departure.BY_SOMEBODY:
                text += ", or lost the tag of this cluster, by somebody else than this controller"
                self._warn(interface, EventReason.ENI_DELETED, f"{text}: {_WHO}")

    def _node(self, interface: Interface) -> str:
        return self._cluster.node_of(interface) or "?"

    def _tell_of_end(self, interface: Interface, reason: EventReason, text: str) -> None:
        message = f"{text}: its instance has ended"
        log.info(message, extra=_where(self._node(interface), interface.tags.get(names.TAG_NODEENI, "?")))
        self._tell(interface, reason, message)

    def _warn(self, interface: Interface, reason: EventReason, message: str) -> None:
        log.warning(message, extra=_where(self._node(interface), interface.tags.get(names.TAG_NODEENI, "?")))
        self._tell(interface, reason, message, "Warning")

    def _tell(
        self,
        interface: Interface,
        reason: EventReason,
        message: str,
        type: Literal["Normal", "Warning"] = "Normal",
    ) -> None:
        ref = self._ref(self._cluster.owner_of(interface))
        if ref is not None:
            self._recorder.event(ref, type, reason, message)

    # -- what was refused ----------------------------------------------------------------------------

    def call_failed(self, action: Action, error: EC2Error, hold: Hold) -> None:
        """EC2 refused a call; people are told of what they can do something about."""
        if error.error_class is ErrorClass.THROTTLED and not hold.reported:
            self._throttled(action.call)
            return
        log.debug(
            "cannot %s: %s", action.text, hold.why.message, extra=_where(action.node, action.nodeeni)
        )  # `causes` tells of it, once for all nodes
        ref = self._ref(action.uid)
        # As it lasts ever more seldom: rows and conditions say it all the time.
        if ref is not None and hold.why.event is not None and hold.attempts.bit_count() == 1:
            self._recorder.event(ref, "Warning", hold.why.event, f"{action.node}: {hold.why.message}")

    def _throttled(self, call: str) -> None:
        """The first throttle is told at once, those of the minute after it together."""
        self._throttles[call] += 1
        if self._throttles[call] == 1:
            self._tell_of_throttles(call, "")
            asyncio.get_running_loop().call_later(THROTTLES_GATHER, self._sum_up_throttles, call)

    def _sum_up_throttles(self, call: str) -> None:
        more = self._throttles.pop(call) - 1
        if more:
            self._tell_of_throttles(call, f" {more} more times within {THROTTLES_GATHER:g} s")

    def _tell_of_throttles(self, call: str, how_often: str) -> None:
        log.info(
            "EC2 throttled %s%s, which slows it down: something else in the account spends from the same "
            "bucket, or --ec2-rate is set too high",
            call,
            how_often,
        )

    def made_in_vain(self, action: Create, why: str, first: bool) -> None:
        """What was made by a Node's labels does not fit its instance. Each node is told of, the log of the
        `first` alone: the others have the same cause.
        """
        message = (
            f"an ENI was made for {action.instance_id} by the labels of its Node, before the instance had "
            f"been looked at, and is deleted: {why}; for {LOOKS_FIRST / 60:g} minutes instances are looked "
            "at first"
        )
        if first:
            log.warning(message, extra=_where(action.node, action.nodeeni))
        ref = self._ref(action.uid)
        if ref is not None:
            self._recorder.event(ref, "Warning", EventReason.ENI_MADE_IN_VAIN, f"{action.node}: {message}")

    def undoing(self, action: Detach, after: float) -> None:
        """An attach hangs and is about to be undone."""
        ref = self._ref(action.uid)
        if ref is not None:
            self._recorder.event(
                ref,
                "Warning",
                EventReason.ENI_ATTACHMENT_UNDONE,
                f"{action.node}: {action.eni_id} has been attaching to {action.instance_id} for over "
                f"{after:g} s and is detached by force: {action.cause}",
            )

    def forcing(self, action: Detach, after: float) -> None:
        """A detach hangs and is about to be forced, which can leave the device index unusable."""
        ref = self._ref(action.uid)
        if ref is not None:
            self._recorder.event(
                ref,
                "Warning",
                EventReason.ENI_DETACHMENT_FORCED,
                f"{action.node}: {action.eni_id} has been detaching for over {after:g} s and is detached "
                f"by force; if its index stays unusable, restart instance {action.instance_id}",
            )

    def leaving(self, action: Detach, pods: Pods) -> None:
        """It is about to be taken off its node, and pods are on it."""
        ref = self._ref(action.uid)
        if ref is not None:
            message = f"{action.node}: {action.text}; {pods.lose}"
            log.warning("%s", message, extra=_where(action.node, action.nodeeni))
            self._recorder.event(ref, "Warning", EventReason.PODS_LOSE_NETWORK, message)

    def would_do(self, node: str, decision: Decision) -> None:
        """What a dry run keeps from doing: each line once, until it is different."""
        said = {f"would: {action.text}": action for action in decision.allowed}
        said |= {f"not now: {r.action.text}; {r.why.message}": r.action for r in decision.refused}
        for line in said.keys() - self._would_do.get(node, frozenset()):
            log.info(line, extra=_where(node, said[line].nodeeni))
        if said:
            self._would_do[node] = frozenset(said)
        else:
            self._would_do.pop(node, None)

    def refusals(self, node: str, refusals: Sequence[Refusal]) -> None:
        """A plan could not be made for these NodeENIs on this node."""
        told = self._refused.get(node, {})
        self._log_refusals(node, refusals)
        for refusal in refusals:
            ref = self._ref(refusal.uid)
            if ref is not None and refusal.event and told.get(refusal.uid) != refusal.message:
                self._recorder.event(
                    ref, "Warning", refusal.event, f"{node}: {refusal.reason}: {refusal.message}"
                )
        if refusals:
            self._refused[node] = {refusal.uid: refusal.message for refusal in refusals}
        else:
            self._refused.pop(node, None)

    def _log_refusals(self, node: str, refusals: Sequence[Refusal]) -> None:
        """A line for a NodeENI and a reason, however many nodes it is told of."""
        now = {(refusal.uid, str(refusal.reason)): refusal for refusal in refusals if refusal.event}
        for cause in self._refused_for.get(node, frozenset()) - now.keys():
            nodes = self._nodes_refused[cause]
            nodes.discard(node)
            if not nodes:
                del self._nodes_refused[cause]
                self._log.over(
                    cause, f"no node is refused with {cause[1]} any more", nodeeni=self._name(cause[0])
                )
        for cause, refusal in now.items():
            nodes = self._nodes_refused.setdefault(cause, set())
            if node not in nodes:
                nodes.add(node)
                text = f"{refusal.reason}: {refusal.message}"
                still = f"{len(nodes)} {'node' if len(nodes) == 1 else 'nodes'}: {text}"
                self._log.met(cause, text, still=still, node=node, nodeeni=refusal.nodeeni)
        if now:
            self._refused_for[node] = frozenset(now)
        else:
            self._refused_for.pop(node, None)

    def _name(self, uid: str) -> str:
        nodeeni = self._cluster.by_uid(uid)
        return nodeeni.metadata.name if nodeeni is not None else "?"

    # -- what was changed of what is ours ------------------------------------------------------------

    def status_put_right(self, nodeeni: NodeENI, who: str, times: int) -> None:
        """Somebody changed a status, and it was put right."""
        name, uid = nodeeni.metadata.name, nodeeni.metadata.uid
        ref = ObjectRef(kind="NodeENI", api_version=names.API_VERSION, name=name, uid=uid)
        self._put_right(ref, "status", who, times, EventReason.STATUS_OVERWRITTEN)

    def eninode_put_right(self, name: str, who: str, times: int) -> None:
        """Somebody changed the spec or the owner of an ENINode, and it was put right."""
        eninode = self._cluster.eninodes.store.get(name)
        uid = eninode.metadata.uid if eninode is not None else ""
        ref = ObjectRef(kind="ENINode", api_version=names.API_VERSION, name=name, uid=uid)
        self._put_right(ref, "spec or owner", who, times, EventReason.SPEC_OVERWRITTEN)

    def _put_right(self, ref: ObjectRef, what: str, who: str, times: int, reason: EventReason) -> None:
        """What is done by hand is a line of the log; what is done again and again is told."""
        by = f"{who!r}, as its managedFields say" if who else "somebody whom its managedFields do not name"
        extra = {"nodeeni": ref.name} if ref.kind == "NodeENI" else {"node": ref.name}
        if times <= AT_ONCE:
            log.info(
                "the %s of %s %s was changed by %s: put right", what, ref.kind, ref.name, by, extra=extra
            )
            return
        message = (
            f"the {what} is changed again and again by {by}, and put right ever more slowly: this controller "
            "alone writes it; stop what does so too, such as a second controller"
        )
        log.warning("%s %s: %s", ref.kind, ref.name, message, extra=extra)
        self._recorder.event(ref, "Warning", reason, message)

    def all_wait(self, trouble: Refusal) -> None:
        """Every NodeENI is told what it waits for; the log has it once."""
        for nodeeni in self._cluster.nodeenis.store.values():
            self.waits(nodeeni, trouble)

    def waits(self, nodeeni: NodeENI, trouble: Refusal) -> None:
        ref = self._ref(nodeeni.metadata.uid)
        if ref is not None:
            message = f"{trouble.reason}: {trouble.message}"
            self._recorder.event(ref, "Warning", EventReason.WAITING_FOR_EC2, message)

    def removals_held(self, nodeeni: NodeENI, holds: Sequence[HeldRemoval]) -> None:
        """Of those that grew since people were told last, and of the end; one that shrinks is no news."""
        uid = nodeeni.metadata.uid
        ref, told = self._ref(uid), self._held.get(uid, frozenset())
        for hold in holds:
            if ref is not None and not told.issuperset(hold.eni_ids):
                log.warning(hold.told.message, extra={"nodeeni": nodeeni.metadata.name})
                self._recorder.event(ref, "Warning", EventReason.REMOVAL_HELD, hold.told.message)
        now = frozenset(eni_id for hold in holds for eni_id in hold.eni_ids)
        if now:
            self._held[uid] = now
        elif self._held.pop(uid, None):
            log.info("no removal is held any more", extra={"nodeeni": nodeeni.metadata.name})

    def removal_released(self, nodeeni: NodeENI, hold_id: str) -> None:
        self._of_release(nodeeni, "Normal", f"the removal {hold_id} goes on, as the annotation says")

    def release_unknown(self, nodeeni: NodeENI, hold_id: str) -> None:
        message = f"no removal {hold_id} is held (any more): the annotation {names.RELEASE_HOLD} is taken off"
        self._of_release(nodeeni, "Warning", message)

    def _of_release(self, nodeeni: NodeENI, type: Literal["Normal", "Warning"], message: str) -> None:
        log.info("%s", message, extra={"nodeeni": nodeeni.metadata.name})
        ref = self._ref(nodeeni.metadata.uid)
        if ref is not None:
            self._recorder.event(ref, type, EventReason.REMOVAL_HELD, message)

    def orphan_swept(self, interface: Interface) -> None:
        """There is no NodeENI to tell it of, so the namespace of the controller hears it."""
        ref = ObjectRef(kind="Namespace", api_version="v1", name=names.NAMESPACE, uid="")
        name = interface.tags.get(names.TAG_NODEENI, "?")
        self._recorder.event(
            ref,
            "Normal",
            EventReason.ENI_ORPHAN_SWEPT,
            f"{interface.id} is taken away: its NodeENI {name} is gone",
        )

    def orphans_held(self, hold: HeldRemoval) -> None:
        """As above."""
        ref = ObjectRef(kind="Namespace", api_version="v1", name=names.NAMESPACE, uid="")
        log.warning(hold.told.message)
        self._recorder.event(ref, "Warning", EventReason.REMOVAL_HELD, hold.told.message)

    def _ref(self, uid: str) -> ObjectRef | None:
        nodeeni = self._cluster.by_uid(uid)
        if nodeeni is None:
            return None
        return ObjectRef(kind="NodeENI", api_version=names.API_VERSION, name=nodeeni.metadata.name, uid=uid)


_WHO = "CloudTrail tells who"


def _where(node: str, nodeeni: str) -> dict[str, str]:
    return {"node": node, "nodeeni": nodeeni}

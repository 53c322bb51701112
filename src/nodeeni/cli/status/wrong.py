"""What is to be looked at: rows that failed, links that are not as asked, what conditions say beyond that."""

import datetime
import re
import shlex
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from nodeeni.api.reasons import DEGRADED, READY, ConditionReason, RowReason
from nodeeni.api.v1alpha1 import Condition, ENINode, LabelRequirement, NodeENI, NodeENISpec, PodNetworkStatus
from nodeeni.cli import pods, tables
from nodeeni.cli.findings import Finding, Mark, counted, note, wrong
from nodeeni.cli.status.lines import Line, NodeState
from nodeeni.plan.desired import requirements
from nodeeni.plan.pods import Pods
from nodeeni.plan.rows import State

LONG = 600  # seconds: by default an attach that hangs is undone after 90 s, a detach forced after 5 minutes


class Cause(msgspec.Struct, frozen=True):
    """What one cause brought about, on one node as a rule or on many: at least one finding. `of` is what each
    of them is about.
    """

    findings: tuple[Finding, ...]
    of: str = "node"

    @property
    def summary(self) -> Finding:
        """That of the first one, as the Degraded condition has it."""
        first, *others = self.findings
        more = f" (and {counted(len(others), self.of)} more)" if others else ""
        return msgspec.structs.replace(first, message=first.message + more)


# Reasons of rows whose ENI stays for a while, or for longer, and whose message says why.
_STAYS = frozenset({RowReason.LABEL_GONE, RowReason.REMOVAL_DELAYED, RowReason.REMOVAL_HELD})
# Reasons of rows whose ENI leaves its node, sooner or later.
_GOES = frozenset({*_STAYS, RowReason.TO_BE_REPLACED, RowReason.NODE_GONE, RowReason.POD_NETWORK_ENDING})
_Key = tuple[str, ...]  # what findings of one cause have in common
_OWN = re.compile(r"\b(?:i|eni)-[0-9a-f]{8,17}\b")  # ids, which differ from node to node


def findings(
    leader: Finding,
    forgotten: Iterable[Finding],
    nodeenis: Iterable[NodeENI],
    lines: Iterable[Line],
    now: datetime.datetime,
) -> list[Cause]:
    """What is wrong comes before what is only to be known; `leader` is told of where it is wrong."""
    found = [Cause((leader,))] if leader.mark is Mark.WRONG else []
    found += [Cause((each,)) for each in forgotten]
    by_cause: dict[_Key, list[Finding]] = {}
    for line in lines:
        for key, finding in [*_of_line(line), *_of_step(line, leader, now)]:
            by_cause.setdefault((line.node_eni, *key), []).append(finding)
    found += [Cause(tuple(each)) for each in by_cause.values()]
    by_message: dict[str, list[Finding]] = {}  # many wait for the same, say for EC2
    for nodeeni in nodeenis:
        for finding in _of_nodeeni(nodeeni):
            by_message.setdefault(finding.message, []).append(finding)
    found += [Cause(tuple(each), of="NodeENI") for each in by_message.values()]
    return sorted(found, key=lambda cause: cause.summary.mark is not Mark.WRONG)


def ownerless(nodeenis: Sequence[NodeENI], eninodes: Iterable[ENINode], name: str | None) -> list[Finding]:
    """Where nothing else is shown of them: ENIs on nodes, of NodeENIs that are not there. `name`: of a node
    that is looked at alone."""
    known = {nodeeni.metadata.name for nodeeni in nodeenis}
    found = [
        eninode.metadata.name
        for eninode in eninodes
        if name in (None, eninode.metadata.name)
        and any(interface.node_eni not in known for interface in eninode.spec.interfaces)
    ]
    if not found:
        return []
    still = f"{counted(len(found), 'ENINode')} still {'lists' if len(found) == 1 else 'list'} some"
    return [wrong("ENIs without a NodeENI", f"{still}: `nodeeni doctor`")]


def _of_step(line: Line, leader: Finding, now: datetime.datetime) -> Iterator[tuple[_Key, Finding]]:
    if line.on_its_way and line.reason and line.node_state is NodeState.PRESENT:
        cause = ("waits", line.reason, _OWN.sub("", line.message))
        yield cause, note(f"{line.node} {line.node_eni}", f"{line.reason}: {line.message}")
        return
    if (tables.seconds(line.since, now) or 0) <= LONG:
        return
    if line.state == State.ATTACHED and line.reason == RowReason.UPDATING:
        told = f"being changed for {tables.age(line.since, now)}: {line.message}"
        yield ("changes",), note(f"{line.node} {line.node_eni}", told)
    if not line.on_its_way:
        return
    ask = "is the controller running?"
    if leader.mark is Mark.RIGHT:
        ask = f"`nodeeni plan {line.node}` tells what comes next"
    told = f"has been {line.state} for {tables.age(line.since, now)}: {ask}"
    yield ("step", line.state), wrong(f"{line.node} {line.node_eni}", told)


def _of_line(line: Line) -> Iterator[tuple[_Key, Finding]]:
    subject = f"{line.node} {line.node_eni}"
    link = f"link {line.link_name}".rstrip() + f" of {line.eni_id}"
    told = f": {line.link_message}" if line.link_message else ""
    if line.state == State.FAILED:
        cause = ("failed", line.reason, _OWN.sub("", line.message))
        yield cause, wrong(subject, f"{line.reason}: {line.message}")
    if line.node_state is NodeState.ENDING:
        yield ("ending",), note(subject, line.message)
    elif line.left_behind:
        gone = line.node_state is NodeState.GONE
        why = "its Node is gone" if gone else "its Node no longer matches the selector"
        if line.reason in _STAYS:
            why = line.message
        yield ("left", why), note(subject, f"{line.eni_id} is still attached, and {why}")
    elif line.link_is_not_up:
        message = f"{link} is {line.link_state.lower()}{told}"
        yield ("link", line.link_state, _OWN.sub("", line.link_message)), wrong(subject, message)
    elif told and line.state in (State.ATTACHED, State.FAILED):  # on its way, a link has yet to appear
        mark = wrong if line.state == State.ATTACHED else note  # as the controller's LinkNotAsAsked
        yield ("link", "", _OWN.sub("", line.link_message)), mark(subject, f"{link}{told}")
    elif line.link_note and line.state == State.ATTACHED:
        yield ("note",), note(subject, f"{link}: {line.link_note}")
    if line.state == State.ATTACHED and line.reason == RowReason.PREFIX_IN_USE:
        yield ("prefix", line.node), note(subject, f"{line.reason}: {line.message}")
    lost = Pods(told=line.pod_network, has_link=line.in_pod).lose
    if lost and line.state == State.ATTACHED and line.reason in _GOES:
        yield ("lost", line.node), note(subject, f"{line.eni_id} is to leave the node: {lost}")
    elif line.pod_network is not None and line.state == State.ATTACHED and not line.left_behind:
        yield from _of_pods(line, line.pod_network)
    elif line.pod_network_off and line.state == State.ATTACHED and not line.left_behind:
        yield ("pods", "off"), wrong(subject, pods.OFF)


def _of_pods(line: Line, network: PodNetworkStatus) -> Iterator[tuple[_Key, Finding]]:
    """That pods cannot be on the ENI, or no more of them. The message is told once, with its node."""
    subject = f"{line.node} {line.node_eni}"
    if network.state == "Refused" or network.message:
        mark = wrong if network.state == "Refused" else note
        yield ("pods", network.state, _OWN.sub("", network.message)), mark(subject, pods.told(network))
    elif network.state == "Ready" and network.free == 0:
        way_out = "the next pod finds none: raise spec.ipv4PrefixCount or spec.ipv6PrefixCount"
        yield ("pods", "full"), note(subject, f"{pods.in_words(network)} addresses in use, {way_out}")


def _of_nodeeni(nodeeni: NodeENI) -> Iterable[Finding]:
    name, status = nodeeni.metadata.name, nodeeni.status
    degraded = condition_of(nodeeni, DEGRADED)
    failed = degraded is not None and any(
        entry.status == State.FAILED and entry.reason == degraded.reason for entry in status.attachments
    )
    links = (
        degraded is not None
        and degraded.reason == RowReason.LINK_NOT_AS_ASKED
        and not status.attachments_truncated
    )
    told = failed or links  # line by line, of which this is a summary
    if degraded is not None and degraded.status == "True" and not told:
        yield wrong(name, f"{degraded.reason}: {degraded.message}")
    ready = condition_of(nodeeni, READY)
    if not status.conditions or (ready is not None and ready.reason == ConditionReason.PENDING):
        yield wrong(name, "nothing is reported: is the controller running?")
    elif status.observed_generation < nodeeni.metadata.generation:
        yield wrong(name, "its last edit is not reported on: is the controller running?")
    elif status.desired == 0 and not nodeeni.metadata.deleting:
        command = f"kubectl get nodes -l {shlex.quote(selector(nodeeni.spec))}"
        yield note(name, f"no node matches its selector: {command}")


def condition_of(nodeeni: NodeENI, kind: str) -> Condition | None:
    return next((entry for entry in nodeeni.status.conditions if entry.type == kind), None)


def selector(spec: NodeENISpec) -> str:
    """As kubectl takes it: `ng=multi-eni,zone in (a,b),!gpu`."""
    return ",".join(map(requirement_text, requirements(spec)))


def requirement_text(requirement: LabelRequirement) -> str:
    """As kubectl takes it."""
    values = f"({','.join(requirement.values)})"
    match requirement.operator:
        case "In" if len(requirement.values) == 1:
            return f"{requirement.key}={requirement.values[0]}"
        case "In":
            return f"{requirement.key} in {values}"
        case "NotIn":
            return f"{requirement.key} notin {values}"
        case "Exists":
            return requirement.key
        case "DoesNotExist":
            return f"!{requirement.key}"

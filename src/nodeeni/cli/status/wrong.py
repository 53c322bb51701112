"""What is to be looked at: rows that failed, links that are not as asked, what conditions say beyond that."""

import shlex
from collections.abc import Iterable

from nodeeni.api.conditions import DEGRADED
from nodeeni.api.v1alpha1 import Condition, LabelRequirement, NodeENI, NodeENISpec
from nodeeni.cli.findings import Finding, Mark, note, wrong
from nodeeni.cli.status.lines import Line, NodeState
from nodeeni.plan.rows import State


def findings(leader: Finding, nodeenis: Iterable[NodeENI], lines: Iterable[Line]) -> list[Finding]:
    """What is wrong comes before what is only to be known; `leader` is told of where it is wrong."""
    found = [leader] if leader.mark is Mark.WRONG else []
    for line in lines:
        found += _of_line(line)
    for nodeeni in nodeenis:
        found += _of_nodeeni(nodeeni)
    return sorted(found, key=lambda finding: finding.mark is not Mark.WRONG)


def _of_line(line: Line) -> Iterable[Finding]:
    subject = f"{line.node} {line.node_eni}"
    link = f"link {line.link_name}".rstrip() + f" of {line.eni_id}"
    told = f": {line.link_message}" if line.link_message else ""
    if line.state == State.FAILED:
        yield wrong(subject, f"{line.reason}: {line.message}")
    if line.left_behind:
        gone = line.node_state is NodeState.GONE
        why = "its Node is gone" if gone else "its Node no longer matches the selector"
        yield note(subject, f"{line.eni_id} is still attached, and {why}")
    elif line.link_is_not_up:
        yield wrong(subject, f"{link} is {line.link_state.lower()}{told}")
    elif told and line.state in (State.ATTACHED, State.FAILED):  # on its way, a link has yet to appear
        yield note(subject, f"{link}{told}")


def _of_nodeeni(nodeeni: NodeENI) -> Iterable[Finding]:
    name, status = nodeeni.metadata.name, nodeeni.status
    degraded = condition_of(nodeeni, DEGRADED)
    failed = any(entry.status == State.FAILED for entry in status.attachments)
    if degraded is not None and degraded.status == "True" and not failed:
        yield wrong(name, f"{degraded.reason}: {degraded.message}")
    if not status.conditions:
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
    labels = [f"{key}={value}" for key, value in spec.node_selector.items()]
    return ",".join([*labels, *map(_requirement, spec.match_expressions)])


def _requirement(requirement: LabelRequirement) -> str:
    values = f"({','.join(requirement.values)})"
    match requirement.operator:
        case "In":
            return f"{requirement.key} in {values}"
        case "NotIn":
            return f"{requirement.key} notin {values}"
        case "Exists":
            return requirement.key
        case "DoesNotExist":
            return f"!{requirement.key}"

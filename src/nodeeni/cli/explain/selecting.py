"""Labels against selectors, one requirement at a time."""

from collections.abc import Iterable, Mapping

import msgspec

from nodeeni.api.core import Node
from nodeeni.api.v1alpha1 import LabelRequirement, NodeENI
from nodeeni.cli.status.wrong import requirement_text
from nodeeni.flags import meaning
from nodeeni.plan.desired import meets, requirements


class Asked(msgspec.Struct, frozen=True):
    """One requirement of a selector, as kubectl writes it, and what the Node has of it."""

    label: str
    met: bool
    found: str


class Selection(msgspec.Struct, frozen=True):
    """`because`: in one line, why the Node is not selected; empty where it is."""

    node: str
    node_eni: str = msgspec.field(name="nodeENI")
    selected: bool
    asked: list[Asked]
    because: str


def selection(nodeeni: NodeENI, node: Node) -> Selection:
    labels = node.metadata.labels
    asked = [
        Asked(requirement_text(each), meets(each, labels), _found(each.key, labels))
        for each in requirements(nodeeni.spec)
    ]
    because = "; ".join(f"{each.label} is asked, and {each.found}" for each in asked if not each.met)
    if nodeeni.metadata.deleting:
        because = "it is being deleted"
    return Selection(
        node=node.metadata.name,
        node_eni=nodeeni.metadata.name,
        selected=not because and bool(asked),
        asked=asked,
        because=because,
    )


def near_misses(nodeeni: NodeENI, nodes: Iterable[Node]) -> dict[Asked, list[str]]:
    """By the one requirement that they lack, the names of Nodes that meet all others. One who asks for one
    label has no such nodes: then those that have something like it."""
    asked = requirements(nodeeni.spec)
    found: dict[Asked, list[str]] = {}
    for node in nodes:
        labels = node.metadata.labels
        unmet = [each for each in asked if not meets(each, labels)]
        if len(unmet) == 1 and (len(asked) > 1 or _is_like(unmet[0], labels)):
            lack = Asked(requirement_text(unmet[0]), False, _found(unmet[0].key, labels))
            found.setdefault(lack, []).append(node.metadata.name)
    return found


def _is_like(requirement: LabelRequirement, labels: Mapping[str, str]) -> bool:
    return requirement.key in labels or bool(meaning(requirement.key, labels))


def _found(key: str, labels: Mapping[str, str]) -> str:
    if key in labels:
        return f"the Node has {key}={labels[key]}"
    return f"the Node has no label {key}{meaning(key, labels)}"

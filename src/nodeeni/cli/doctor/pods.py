"""Networks of pods, as the ENI managers report: CNI files that are not there, and addresses that ran out."""

import collections
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from nodeeni.api.v1alpha1 import ENINode, PodNetworkStatus
from nodeeni.cli import pods
from nodeeni.cli.findings import Finding, counted, note, right, some, wrong

SUBJECT = "pod networks"

_SILENT = (
    "no ENI manager has reported there yet: see that its DaemonSet, or `nodeeni manager`, runs on the node"
)

# Characters. CNI plugins before 1.6.0 find no link by a longer name, and say no more than that.
LONGEST_NAME = 15
_LONG = (
    f"CNI plugins before 1.6.0 find no link by a name of more than {LONGEST_NAME} characters, and pods fail "
    "with `numerical result out of range`: set a shorter spec.interfaceName, or put newer plugins on the node"
)


class _Asked(NamedTuple):
    """One network that a node is to have; `told` None: the ENI manager says nothing of it."""

    node: str
    name: str
    told: PodNetworkStatus | None


def findings(eninodes: Iterable[ENINode]) -> Iterator[Finding]:
    """One for each cause, on however many nodes; nothing where no pods' network is asked for."""
    nodes = list(eninodes)
    asked = [each for node in nodes for each in _asked(node)]
    for state, found in (("Refused", wrong), ("Absent", note), ("Ready", note)):
        for message, places in _by_message(asked, state).items():
            yield found(SUBJECT, f"{some(places)}: {message}")
    if off := [_place(each) for each in asked if each.told is None]:
        yield wrong(SUBJECT, f"{some(off)}: {pods.OFF}")
    if silent := [place for node in nodes for place in _silent(node)]:
        yield note(SUBJECT, f"{some(silent)}: {_SILENT}")
    if long := list(dict.fromkeys(name for node in nodes for name in _long_names(node))):
        yield note(SUBJECT, f"{some(long)}: {_LONG}")
    if full := [_place(each) for each in asked if each.told is not None and each.told.free == 0]:
        yield note(
            SUBJECT,
            f"{some(full)}: no address is left for pods; raise the NodeENI's ipv4PrefixCount or "
            "ipv6PrefixCount",
        )
    for prefix, holders in _held_twice(nodes).items():
        yield wrong(
            SUBJECT,
            f"{prefix} is held on {some(holders)}, and EC2 delivers to one: delete the pods of that network "
            "on the others",
        )
    ready = [each for each in asked if each.told is not None and each.told.state == "Ready"]
    if ready:
        yield right(SUBJECT, f"{counted(len(ready), 'CNI file')} of {len(asked) + len(silent)}")


def _asked(node: ENINode) -> Iterator[_Asked]:
    for interface, told in pods.asked(node):
        if interface.pod_network is not None:
            yield _Asked(node.metadata.name, interface.pod_network.name, told)


def _silent(node: ENINode) -> Iterator[str]:
    """Networks of a node of which no ENI manager has ever said a word."""
    if node.status.observed_generation or node.status.interfaces:
        return
    for interface in node.spec.interfaces:
        if interface.pod_network is not None:
            yield f"{interface.pod_network.name} on {node.metadata.name}"


def _long_names(node: ENINode) -> Iterator[str]:
    """Of links that CNI files name."""
    for interface in node.spec.interfaces:
        if interface.pod_network is not None and len(interface.interface_name) > LONGEST_NAME:
            yield interface.interface_name


def _place(asked: _Asked) -> str:
    return f"{asked.name} on {asked.node}"


def _by_message(asked: Iterable[_Asked], state: str) -> Mapping[str, list[str]]:
    places: dict[str, list[str]] = collections.defaultdict(list)
    for each in asked:
        if each.told is not None and each.told.state == state and each.told.message:
            places[each.told.message].append(_place(each))
    return places


def _held_twice(nodes: Iterable[ENINode]) -> Mapping[str, list[str]]:
    holders: dict[str, set[str]] = collections.defaultdict(set)
    for node in nodes:
        for link in node.status.interfaces:
            for prefix in link.pod_network.prefixes if link.pod_network is not None else ():
                holders[prefix].add(node.metadata.name)
    return {prefix: sorted(names) for prefix, names in sorted(holders.items()) if len(names) > 1}

"""What a name is of: a node, a NodeENI, or an ENI."""

import re
from enum import StrEnum

import msgspec

from nodeeni.cli.reach import NotThere
from nodeeni.controller.cluster import Cluster
from nodeeni.flags import UsageError, meaning

_ENI = re.compile(r"eni-[0-9a-f]{8,17}")


class Kind(StrEnum):
    NODE = "node"
    NODEENI = "nodeeni"
    ENI = "eni"


class Subject(msgspec.Struct, frozen=True):
    """`name` is an id where the kind is `eni`."""

    kind: Kind
    name: str


def subject(given: str, cluster: Cluster) -> Subject:
    """`given`: a name, an ENI's id, or KIND/NAME. Raises NotThere, and UsageError for a kind or a name that
    could be two things.
    """
    kind, slash, name = given.rpartition("/")
    kinds = _kinds_of(name, cluster) if not slash else [_kind(kind, given)]
    if len(kinds) > 1:
        raise UsageError(f"{name} is a node and a NodeENI: say node/{name} or nodeeni/{name}")
    found = next(iter(kinds), None)
    if found is None or (found is not Kind.ENI and found not in _kinds_of(name, cluster)):
        known: dict[Kind, list[str]] = {
            Kind.NODE: list(cluster.nodes.store),
            Kind.NODEENI: list(cluster.nodeenis.store),
        }
        candidates = known[found] if found else [each for stored in known.values() for each in stored]
        what = {None: "node, NodeENI or ENI", Kind.NODE: "node", Kind.NODEENI: "NodeENI"}[found]
        raise NotThere(f"there is no {what} of the name {name}{meaning(name, candidates)}")
    return Subject(found, name)


def _kind(word: str, given: str) -> Kind:
    short = {"neni": "nodeeni", "nodeenis": "nodeeni", "nodes": "node", "no": "node"}
    try:
        return Kind(short.get(word.lower(), word.lower()))
    except ValueError:
        raise UsageError(f"{given}: {word} is none of {', '.join(Kind)}") from None


def _kinds_of(name: str, cluster: Cluster) -> list[Kind]:
    """A node that is gone has a name as long as an ENINode or a status has it."""
    if _ENI.fullmatch(name):
        return [Kind.ENI]
    kinds = []
    if name in cluster.nodes.store or name in cluster.eninodes.store or _is_listed(name, cluster):
        kinds.append(Kind.NODE)
    if name in cluster.nodeenis.store:
        kinds.append(Kind.NODEENI)
    return kinds


def _is_listed(node: str, cluster: Cluster) -> bool:
    return any(
        entry.node_id == node
        for nodeeni in cluster.nodeenis.store.values()
        for entry in nodeeni.status.attachments
    )

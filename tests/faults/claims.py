"""What the statuses claim, held against EC2 and the API server: each difference at one moment.

Simple on purpose, and of its own: nothing here knows how the controller counts or decides.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from tests.faults.right import is_ending, not_as_asked, selects

from nodeeni.api.names import GROUP, TAG_UID
from nodeeni.sandbox.ec2 import Interface
from nodeeni.sandbox.world import World

Object = dict[str, Any]


class Difference(NamedTuple):
    """`what` differs, in words that change when either side does. `eni_id` is of the ENI that has to be read
    for it to be known; without one the API server's objects alone tell it."""

    what: str
    eni_id: str = ""


class Objects(NamedTuple):
    """What the API server has at one moment."""

    nodes: list[Object]
    nodeenis: list[Object]
    eninodes: list[Object]

    @classmethod
    def of(cls, world: World) -> "Objects":
        kube = world.kube
        return cls(
            kube.objects("", "nodes"), kube.objects(GROUP, "nodeenis"), kube.objects(GROUP, "eninodes")
        )

    @property
    def entries(self) -> int:
        """Of all statuses: what a writer has to write at most."""
        return sum(len((each.get("status") or {}).get("attachments", ())) for each in self.nodeenis)


class Specs:
    """The specs of each NodeENI by generation, as they were seen."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, int], Object] = {}

    def note(self, nodeeni: Object) -> None:
        metadata = nodeeni["metadata"]
        self._seen[metadata["uid"], metadata["generation"]] = nodeeni["spec"]

    def of(self, nodeeni: Object, generation: int) -> Object | None:
        return self._seen.get((nodeeni["metadata"]["uid"], generation))


def differences(world: World, objects: Objects, specs: Specs) -> Iterator[Difference]:
    """What is claimed of the generation that a status speaks of, and is not so at this moment."""
    up = _links_up(objects)
    for nodeeni in objects.nodeenis:
        specs.note(nodeeni)
        name = nodeeni["metadata"]["name"]
        for what, eni_id in _of_one(world, nodeeni, specs, objects.nodes, up):
            yield Difference(f"{name}: {what}", eni_id)


def _of_one(
    world: World, nodeeni: Object, specs: Specs, nodes: list[Object], up: set[str]
) -> Iterator[Difference]:
    status = nodeeni.get("status") or {}
    generation = status.get("observedGeneration", 0)
    spec = specs.of(nodeeni, generation)
    ready = _ready(status)
    if nodeeni["metadata"].get("deletionTimestamp"):
        if ready == "True":
            yield Difference("it is being deleted, and Ready is True")
        return
    if spec is None:
        if ready == "True":
            yield Difference(f"Ready is True of generation {generation}, which never was")
        return
    matching = [node for node in nodes if selects(spec, node)]
    desired = [node for node in matching if not is_ending(world, node)]
    rows = {row["nodeID"]: row for row in status.get("attachments", ())}
    yield from _counts(status, rows, len(desired), len(matching))
    yield from _rows(world, rows.values(), up)
    if ready != "True":
        return
    at = f"Ready is True at generation {generation}"
    for node in desired:
        node_name = node["metadata"]["name"]
        row = rows.get(node_name, {})
        if row.get("status") != "attached":
            if row or not status.get("attachmentsTruncated"):
                yield Difference(f"{at}, {node_name} has {row.get('status', 'no row')}")
            continue
        interface = world.ec2.account.interfaces.get(row.get("eniID", ""))
        if interface is not None and interface.tags.get(TAG_UID) == nodeeni["metadata"]["uid"]:
            for text in not_as_asked(world, interface, spec):
                yield Difference(f"{at}, and on {node_name} {interface.id} {text}", interface.id)


def _counts(status: Object, rows: Mapping[str, Object], fewest: int, most: int) -> Iterator[Difference]:
    """Nodes that end may still be counted: when it is known that they do is nobody's promise."""
    if "desired" not in status:
        return
    if not fewest <= status["desired"] <= most:
        yield Difference(f"desired is {status['desired']}, {fewest} nodes match")
    if status.get("attachmentsTruncated"):
        return
    by_state = {state: [r for r in rows.values() if r["status"] == state] for state in ("attached", "failed")}
    failed, attached = status.get("failed", 0), status.get("attached", 0)
    if failed != len(by_state["failed"]):
        yield Difference(f"failed is {failed}, {len(by_state['failed'])} rows are")
    # One that stands and cannot be changed as asked has failed, and is attached nevertheless.
    standing = sum(1 for row in by_state["failed"] if row.get("attachmentID"))
    if not attached <= len(by_state["attached"]) + standing:
        yield Difference(f"attached is {attached}, {len(by_state['attached'])} rows are")
    if attached > status["desired"]:
        yield Difference(f"attached is {attached}, of {status['desired']}")


def _rows(world: World, rows: Any, up: set[str]) -> Iterator[Difference]:
    for row in rows:
        eni_id, on = row.get("eniID", ""), f"the row of {row['nodeID']}"
        if row["status"] == "attached" and not eni_id:
            yield Difference(f"{on} is attached and names no ENI")
        if not eni_id:
            continue
        interface = world.ec2.account.interfaces.get(eni_id)
        if interface is None:
            yield Difference(f"{on} names {eni_id}, which does not exist", eni_id)
        elif row["status"] == "attached" and not _is_attached(interface, row, up):
            told = interface.attachment and (interface.attachment.instance_id, interface.attachment.status)
            yield Difference(f"{on} says that {eni_id} is attached, it is {told or interface.status}", eni_id)


def _is_attached(interface: Interface, row: Object, up: set[str]) -> bool:
    """As EC2 says it; or the node's ENI manager, who is the first to see the link."""
    attachment = interface.attachment
    if attachment is None or attachment.instance_id != row.get("instanceID"):
        return False
    return attachment.status == "attached" or (attachment.status == "attaching" and interface.mac in up)


def _links_up(objects: Objects) -> set[str]:
    """MACs of the links that ENI managers report."""
    return {
        link["macAddress"]
        for eninode in objects.eninodes
        for link in (eninode.get("status") or {}).get("interfaces", ())
        if link.get("state") != "Missing"
    }


def _ready(status: Object) -> str:
    return next((str(c["status"]) for c in status.get("conditions", ()) if c["type"] == "Ready"), "Unknown")

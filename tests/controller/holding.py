"""Looks at removals that the brake holds, and the word that lets one go on."""

from nodeeni.api.names import RELEASE_HOLD
from nodeeni.sandbox.world import WorldNode

from .conftest import NAME, Object, Stage


def identities(stage: Stage, name: str = NAME) -> set[tuple[str, str, str]]:
    """ENI, MAC and attachment of each of ours."""
    return {(i.id, i.mac, i.attachment.id if i.attachment else "") for i in stage.ours(name)}


def reasons(stage: Stage, nodes: list[WorldNode]) -> set[str]:
    return {stage.row(node).get("reason", "") for node in nodes}


def degraded(stage: Stage) -> str:
    return str(stage.condition("Degraded").get("reason"))


def hold_id(stage: Stage) -> str:
    """As the condition tells it."""
    return str(stage.condition("Degraded")["message"]).rpartition(f"{RELEASE_HOLD}=")[2]


def annotate(stage: Stage, value: str) -> None:
    body = {"metadata": {"annotations": {RELEASE_HOLD: value}}}
    stage.kube.patch("networking.k8s.aws", "nodeenis", NAME, body)


def annotation(stage: Stage) -> str | None:
    nodeeni = stage.world.nodeeni(NAME)
    assert nodeeni is not None
    value = (nodeeni["metadata"].get("annotations") or {}).get(RELEASE_HOLD)
    return None if value is None else str(value)


def vanish(stage: Stage, *nodes: WorldNode) -> list[Object]:
    """The Nodes are deleted, their instances run on. The manifests, to bring them back."""
    found = [stage.kube.get("", "nodes", node.name) for node in nodes]
    for node in nodes:
        stage.kube.delete("", "nodes", node.name)
    return [node for node in found if node is not None]


def bring_back(stage: Stage, manifests: list[Object]) -> None:
    for manifest in manifests:
        fresh = {key: manifest["metadata"][key] for key in ("name", "labels")}
        stage.kube.create({**manifest, "metadata": fresh})

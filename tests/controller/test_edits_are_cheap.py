"""An edit of a NodeENI is held against each Node once, however many listeners ask whom it concerns."""

from pathlib import Path
from typing import Any

from nodeeni.api.core import Node
from nodeeni.api.meta import ObjectMeta
from nodeeni.controller import wiring
from nodeeni.ec2.client import EC2Client
from nodeeni.kube.client import KubeClient
from nodeeni.settings import controller_settings

from .conftest import QUICK, Stage

BLUE, GREEN = {"ng": "blue"}, {"ng": "green"}


class Labels(dict[str, str]):
    """Those of a Node, that know how often anybody looked at them."""

    looks = 0

    def get(self, key: str, default: Any = None) -> Any:
        self.looks += 1
        return super().get(key, default)


async def test_an_edited_selector_wakes_whom_it_takes_in_and_leaves_out_with_one_look_at_each_node(
    stage: Stage, tmp_path: Path
) -> None:
    client = KubeClient.connect(str(tmp_path / "kubeconfig"))
    labels = {f"{colour}-{n}": Labels(ng=colour) for colour in ("blue", "green", "red") for n in range(3)}
    async with EC2Client.connect("us-west-2") as ec2:
        parts = wiring.Parts(controller_settings([*QUICK], stage.environment), client)
        works = wiring.works(parts, ec2, "cluster")
        nodeenis = parts.cluster.nodeenis
        for name, given in labels.items():
            parts.cluster.nodes.store[name] = Node(metadata=ObjectMeta(name=name, labels=given))
        await wiring.listen_for_trouble(parts, works)
        await wiring.listen(parts, works)
        await woken(parts)

        async def seen(wakes: set[str], **spec: Any) -> None:
            """The NodeENI is applied like this: who is woken, and how many looks at a Node that takes."""
            before = {name: given.looks for name, given in labels.items()}
            stage.apply(**spec)
            await nodeenis.read_once()
            assert await woken(parts) == wakes
            assert {given.looks - before[name] for name, given in labels.items()} == {1}

        await seen({"blue-0", "blue-1", "blue-2"}, nodeSelector=BLUE)
        await seen({f"{c}-{n}" for c in ("blue", "green") for n in range(3)}, nodeSelector=GREEN)
        await seen({"green-0", "green-1", "green-2"}, nodeSelector=GREEN, deviceIndex=3)
        await works.lookups.close()
    await client.close()


async def woken(parts: wiring.Parts) -> set[str]:
    """The nodes that wait to be reconciled; none waits after that."""
    names = set[str]()
    parts.queue.add("last")
    while (name := await parts.queue.get()) != "last":
        parts.queue.done(name)
        names.add(name)
    parts.queue.done("last")
    return names

"""A node's ENI manager as far as the pods' network goes, with pods that hold addresses, by its ENINode."""

import asyncio
import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.controller.conftest import Stage

from nodeeni.sandbox.world import WorldNode

Object = dict[str, Any]


class Manager:
    """`pods` are the addresses in use. `files`: by name, the prefixes that each CNI file has; `history` of
    what the files said, and of what EC2 had at each moment in which one went: whether its ENI was attached.
    """

    def __init__(self, stage: Stage, node: WorldNode) -> None:
        self.stage = stage
        self.node = node
        self.pods: set[str] = set()
        self.files: dict[str, tuple[str, ...]] = {}
        self.attached_when_it_went: list[bool] = []
        self.answers = True
        self.tells_counts = True  # the real one tells of a pod more within a minute, of what goes at once
        self._told_of: set[str] = set()
        self._generation = 0
        self.link_in_pod = False

    def start_pods(self, many: int) -> list[str]:
        """As host-local does: the first addresses that are free in the files' ranges."""
        prefixes = [prefix for file in self.files.values() for prefix in file]
        ranges = [str(address) for prefix in prefixes for address in ipaddress.ip_network(prefix)]
        found = [address for address in ranges if address not in self.pods][:many]
        self.pods.update(found)
        return found

    def look(self) -> None:
        eninode = self.stage.world.eninode(self.node.name)
        if eninode is None or not self.answers:
            return
        entries, generation = eninode["spec"]["interfaces"], eninode["metadata"]["generation"]
        if self.tells_counts or generation != self._generation:
            self._told_of, self._generation = set(self.pods), generation
        wanted = {e["podNetwork"]["name"]: tuple(e["podNetwork"]["prefixes"]) for e in entries if _ready(e)}
        if self.files.keys() - wanted.keys():
            attached = [i.attachment for i in self.stage.ours(node=self.node)]
            self.attached_when_it_went.append(any(a is not None and a.status == "attached" for a in attached))
        self.files = wanted
        status: Object = {
            "observedGeneration": generation,
            "linksUp": len(entries),
            "interfaces": [self._link(entry) for entry in entries],
        }
        if eninode.get("status") != status:
            self.stage.kube.patch(
                "networking.k8s.aws", "eninodes", self.node.name, {"status": status}, subresource="status"
            )

    def _link(self, entry: Object) -> Object:
        link: Object = {"macAddress": entry["macAddress"], "linkName": "eth1", "state": "Up"}
        if self.link_in_pod:
            link |= {"state": "Missing", "inPod": True}
        own = [*entry.get("ipv4Prefixes", ()), *entry.get("ipv6Prefixes", ())]
        asked = entry.get("podNetwork", {}).get("prefixes", [])
        used = {prefix: [a for a in sorted(self._told_of) if _in(a, prefix)] for prefix in own}
        held = [prefix for prefix in own if prefix in asked or used[prefix]]
        if held or "podNetwork" in entry:
            in_use = [address for prefix in own for address in used[prefix]]
            link["podNetwork"] = {
                "state": "Ready" if asked else "Withdrawn",
                "prefixes": held,
                "used": len(in_use),
                "free": 16 * len(asked) - len(in_use),
                "inUse": in_use,
            }
        return link


def _ready(entry: Object) -> bool:
    return bool(entry.get("podNetwork", {}).get("prefixes"))


def _in(address: str, prefix: str) -> bool:
    return ipaddress.ip_address(address) in ipaddress.ip_network(prefix)


@asynccontextmanager
async def manager(stage: Stage, node: WorldNode) -> AsyncIterator[Manager]:
    made = Manager(stage, node)

    async def work() -> None:
        while True:
            made.look()
            await asyncio.sleep(0.02)

    task = asyncio.create_task(work())
    try:
        yield made
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

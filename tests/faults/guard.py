"""What must hold at every moment, whatever breaks: looked at all the time that a run lasts."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable

from tests.faults.claims import Objects
from tests.faults.lies import Lies, Writer
from tests.faults.right import cluster_id

from nodeeni.api.names import TAG_CLUSTER, TAG_INSTANCE, TAG_UID
from nodeeni.sandbox.ec2 import Interface
from nodeeni.sandbox.world import World

LOOK, MOST = 0.02, 0.18  # seconds between two looks
LOOKS: Counter[str] = Counter()  # of all guards of this process


class Guard:
    """`broken` collects what did not hold, each once. `writer` tells who can write statuses."""

    def __init__(self, world: World, foreign: list[Interface], writer: Callable[[], Writer | None]) -> None:
        self.broken: dict[str, None] = {}
        self.lies = Lies(world)
        self.looks_away = False  # of statuses: a test sets it that fights for one, which nobody can keep true
        self.torn_away: set[str] = set()  # uids of NodeENIs whose finalizer somebody took off
        self._world = world
        self._foreign = foreign
        self._writer = writer
        self._cluster = ""
        self._known: dict[str, str] = {}  # uid → NodeENI

    async def run(self) -> None:
        while True:
            started = time.monotonic()
            self.look()
            # It is not to be the load, and a busy machine is not to blind it.
            await asyncio.sleep(min(MOST, max(LOOK, 30 * (time.monotonic() - started))))

    def look(self) -> None:
        ours, objects = self._ours(), Objects.of(self._world)
        self._look_for_doubles(ours)
        self._look_for_the_abandoned(ours, objects)
        for text in (*self.touched(), *self._lies(objects)):
            self._note(text)

    def touched(self) -> list[str]:
        """Foreign interfaces that are not as they were, while their instance lives."""
        found = {interface.id: interface for interface in self._world.ec2.interfaces()}
        return [
            f"foreign {each.id} was {each}, is {found.get(each.id)}"
            for each in self._foreign
            if found.get(each.id) != each and not self._went_with_its_instance(each)
        ]

    def _ours(self) -> list[Interface]:
        self._cluster = self._cluster or cluster_id(self._world)
        return self._world.ec2.interfaces(**{TAG_CLUSTER: self._cluster})

    def _lies(self, objects: Objects) -> list[str]:
        writer = None if self.looks_away else self._writer()
        LOOKS["looks"] += 1
        LOOKS["with a controller at work"] += writer is not None
        return self.lies.look(writer, objects)

    def _look_for_doubles(self, ours: list[Interface]) -> None:
        counted = Counter((i.tags.get(TAG_UID), i.tags.get(TAG_INSTANCE)) for i in ours)
        for (uid, instance_id), count in counted.items():
            if count > 1 and uid and instance_id:
                self._note(f"{count} interfaces of {self._known.get(uid)} for {instance_id} at once")

    def _look_for_the_abandoned(self, ours: list[Interface], objects: Objects) -> None:
        present = {n["metadata"]["uid"]: n for n in objects.nodeenis}
        self._known |= {uid: n["metadata"]["name"] for uid, n in present.items()}
        for interface in ours:
            uid = interface.tags.get(TAG_UID, "")
            if uid in self._known and uid not in present and uid not in self.torn_away:
                self._note(f"{self._known[uid]} went before its interface {interface.id}")

    def _note(self, text: str) -> None:
        self.broken[text] = None

    def _went_with_its_instance(self, interface: Interface) -> bool:
        attachment = interface.attachment
        return attachment is not None and self._world.ec2.instance(attachment.instance_id).state != "running"

"""Looks at the world many times a second and tells what was reached: to the screen, and to who waits."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from nodeeni.cli.demo.sights import (
    NodeENISight,
    NodeSight,
    look_at_node,
    look_at_nodeeni,
    node_events,
    nodeeni_events,
)
from nodeeni.cli.stage import Stage
from nodeeni.sandbox.world import WorldNode

LOOK = 0.02  # seconds between two looks


class StepFailed(Exception):
    """Something did not come about; the message says what was waited for."""


@dataclass
class Milestones:
    """When a node reached what, in seconds since the NodeENI was applied; None: not yet."""

    created: float | None = None
    attached: float | None = None
    link_up: float | None = None

    def note(self, sight: NodeSight, at: float) -> None:
        if self.created is None and sight.eni:
            self.created = at
        if self.attached is None and sight.attachment == "attached":
            self.attached = at
        if self.link_up is None and sight.link_is_up:
            self.link_up = at


class Audience(Protocol):
    """Who is told. `seconds` since the apply; `subject` is a node's or a NodeENI's name."""

    def event(self, seconds: float, subject: str, text: str) -> None: ...

    def nodes(self, sights: dict[str, NodeSight], milestones: dict[str, Milestones]) -> None: ...


class Observer:
    def __init__(self, stage: Stage, nodes: list[WorldNode], nodeeni: str, audience: Audience) -> None:
        self.sights = {node.name: NodeSight() for node in nodes}
        self.milestones = {node.name: Milestones() for node in nodes}
        self.nodeeni = NodeENISight()
        self._nodes = nodes
        self._name = nodeeni
        self._stage = stage
        self._audience = audience
        self._applied_at = asyncio.get_running_loop().time()

    def start_clock(self) -> None:
        """The NodeENI is applied now."""
        self._applied_at = asyncio.get_running_loop().time()

    @property
    def seconds(self) -> float:
        return asyncio.get_running_loop().time() - self._applied_at

    async def until(self, reached: Callable[[], bool], what: str, timeout: float) -> None:
        """Look until `reached()`. Raises StepFailed after `timeout` seconds, or when a process has ended."""
        deadline = asyncio.get_running_loop().time() + timeout
        while True:
            self.look()
            if reached():
                return
            if ended := [running.name for running in self._stage.processes if running.ended]:
                raise StepFailed(f"{ended[0]} has ended while waiting for: {what}")
            if asyncio.get_running_loop().time() > deadline:
                raise StepFailed(f"not within {timeout:.0f} s: {what}")
            await asyncio.sleep(LOOK)

    def look(self) -> None:
        at = self.seconds
        for node in self._nodes:
            old, new = self.sights[node.name], look_at_node(self._stage.world, node)
            self.sights[node.name] = new
            self.milestones[node.name].note(new, at)
            for text in node_events(old, new):
                self._audience.event(at, node.name, text)
        before, self.nodeeni = self.nodeeni, look_at_nodeeni(self._stage.world, self._name)
        for text in nodeeni_events(before, self.nodeeni):
            self._audience.event(at, self._name, text)
        self._audience.nodes(self.sights, self.milestones)

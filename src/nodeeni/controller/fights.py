"""Of somebody who changes what is ours again and again: how long we hold back, and who it is.

What was changed by hand is put right at once. A program that does it each time has it in its code, and would
have us both write without end: each time the pause doubles, until there is peace.
"""

import time

import msgspec

from nodeeni.kube.client import KubeClient
from nodeeni.kube.resources import Resource

AT_ONCE = 5  # times without a pause: who has some tries at something by hand is no program
FIRST_PAUSE, LONGEST_PAUSE = 4.0, 300.0  # seconds
PEACE = 60.0  # seconds without a change, at the least twice the last pause: what comes then is new
US = "nodeeni"  # as what managedFields have us, by the User-Agent of our requests


class _Fight:
    __slots__ = ("last", "times")

    def __init__(self) -> None:
        self.times = 0
        self.last = 0.0  # time.monotonic()

    @property
    def pause(self) -> float:
        more = self.times - AT_ONCE
        return 0.0 if more < 0 else float(min(FIRST_PAUSE * 2**more, LONGEST_PAUSE))


class Fights:
    """By any key."""

    def __init__(self) -> None:
        self._fights: dict[str, _Fight] = {}

    def wait(self, key: str) -> float:
        """Seconds until what was undone may be put right; 0: now."""
        fight = self._fights.get(key)
        if fight is None:
            return 0.0
        since = time.monotonic() - fight.last
        if since > max(PEACE, 2 * fight.pause):
            del self._fights[key]
            return 0.0
        return max(0.0, fight.pause - since)

    def put_right(self, key: str) -> int:
        """It was put right: how many times by now."""
        fight = self._fights.setdefault(key, _Fight())
        fight.times += 1
        fight.last = time.monotonic()
        return fight.times

    def forget(self, key: str) -> None:
        self._fights.pop(key, None)


class _Entry(msgspec.Struct, rename="camel"):
    manager: str = ""
    subresource: str = ""
    time: str = ""


class _ManagedMeta(msgspec.Struct, rename="camel"):
    managed_fields: list[_Entry] = []


class _Managed(msgspec.Struct):
    metadata: _ManagedMeta


async def last_manager(client: KubeClient, resource: Resource, name: str, subresource: str = "") -> str:
    """Who of others wrote last, as `metadata.managedFields` have it; empty where it names us alone. Raises
    KubeError.
    """
    found, _ = await client.list(resource, _Managed, field_selector=f"metadata.name={name}")
    entries = [
        entry
        for each in found
        for entry in each.metadata.managed_fields
        if entry.manager != US and entry.subresource == subresource
    ]
    return max(entries, key=lambda entry: entry.time).manager if entries else ""

"""What a controller could know, and by when: no status is blamed for what nobody could tell its writer.

What EC2 has it knows by the answer to its own call, or by a read that came late enough to show it; what is
gone, by two of those. What the API server has it knows from the moment on when it is there.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable

from nodeeni.api.names import TAG_CLUSTER, TAG_UID
from nodeeni.sandbox.ec2 import Interface
from nodeeni.sandbox.ec2.calls import OK, Call
from nodeeni.sandbox.kube import Faults
from nodeeni.sandbox.world import World

INVENTORY_GAP = 5.0  # seconds between two reads that prove an absence; the lag, where that is less
LATE = 0.4  # seconds after an own call, within which a look sees what it did


class Reads:
    """The reads of interfaces that were answered, and the calls that changed one, from the log of the
    simulated EC2. Times are the log's.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._taken = 0
        self._of_all: list[float] = []  # what they show is as it was then
        self._of: dict[str, list[float]] = defaultdict(list)  # by ENI, and by uid of the NodeENI
        self._called: dict[str, list[Call]] = defaultdict(list)  # by ENI, and by attachment
        self._born: dict[str, float] = {}
        self._changed: dict[str, tuple[Interface, float]] = {}

    def look(self, now: float) -> None:
        for call in self._new_calls():
            if call.code == OK:
                self._note(call)
        for interface in self._world.ec2.account.interfaces.values():
            before = self._changed.get(interface.id)
            if before is None or before[0] is not interface:
                self._born.setdefault(interface.id, now)
                self._changed[interface.id] = (interface, now)

    def of_all(self, since: float) -> bool:
        """Whether all interfaces were read after that moment."""
        return bool(self._of_all) and self._of_all[-1] >= since

    def tell(self, eni_id: str, since: float, lag: float) -> bool:
        """Whether since that moment an answer has told what this ENI is now, or that it is no more.

        For `lag` after a call of its own a controller does not believe a read that shows something else.
        """
        last, changed_at = self._changed.get(eni_id, (None, since))
        called = [*self._called[eni_id]]
        if last is not None and last.attachment is not None:
            called += self._called[last.attachment.id]
        called = [call for call in called if call.time >= since]
        believed = max([since, *(call.time + call.seconds + lag for call in called)])
        if eni_id in self._world.ec2.account.interfaces:
            by_own_call = any(abs(call.time - changed_at) <= LATE for call in called)
            return by_own_call or self._first_read(eni_id, last, max(believed, changed_at)) > 0
        if any(call.action == "DeleteNetworkInterface" for call in called):
            return True
        first = self._first_read(eni_id, last, max(believed, self._born.get(eni_id, 0.0) + lag, changed_at))
        return first > 0 and self._first_read(eni_id, last, first + min(INVENTORY_GAP, lag)) > 0

    def _first_read(self, eni_id: str, interface: Interface | None, after: float) -> float:
        """Of all interfaces, of those of its NodeENI, or of it; 0 if there is none."""
        uid = interface.tags.get(TAG_UID, "") if interface is not None else ""
        found = []
        for reads in (self._of_all, self._of[eni_id], self._of[uid]):
            position = bisect_left(reads, after)
            found += reads[position : position + 1]
        return min(found, default=0.0)

    def _new_calls(self) -> Iterable[Call]:
        calls = self._world.ec2.calls
        if len(calls) < self._taken:
            self._taken = 0  # a test has cleared the log
        new = calls.last(len(calls) - self._taken)
        self._taken = len(calls)
        return new

    def _note(self, call: Call) -> None:
        if call.action == "DescribeNetworkInterfaces":
            filters = _filters(call.parameters)
            if "network-interface-id" in filters:
                reads = [self._of[eni_id] for eni_id in filters["network-interface-id"]]
            elif f"tag:{TAG_UID}" in filters:
                reads = [self._of[uid] for uid in filters[f"tag:{TAG_UID}"]]
            else:
                reads = [self._of_all] if f"tag:{TAG_CLUSTER}" in filters else []
            shown = call.time - self._world.ec2.account.interfaces.lag
            for moments in reads:
                moments.insert(bisect_left(moments, shown), shown)  # logged when answered: nearly in order
        elif not call.action.startswith("Describe"):
            for named in _named(call.parameters):
                self._called[named].append(call)


def _filters(parameters: dict[str, str]) -> dict[str, list[str]]:
    names = {
        key.removesuffix("Name"): value
        for key, value in parameters.items()
        if key.startswith("Filter.") and key.endswith(".Name")
    }
    return {
        name: [value for key, value in parameters.items() if key.startswith(f"{prefix}Value.")]
        for prefix, name in names.items()
    }


def _named(parameters: dict[str, str]) -> list[str]:
    """Interfaces and attachments."""
    keys = ("NetworkInterfaceId", "AttachmentId", "Attachment.AttachmentId")
    return [value for key, value in parameters.items() if key in keys or key.startswith("ResourceId.")]


class Way:
    """The way to the API server, on which a status is written and a watch tells what is new."""

    def __init__(self, world: World) -> None:
        # To ask a real API server for faults skips the test where it has no proxy; this only looks at them.
        self._faults: Faults = getattr(world.kube, "asked", None) or world.kube.faults
        self._planned: list[tuple[int, int]] = []
        self._watches: set[int] = set()

    def is_troubled(self) -> bool:
        """Whether somebody could not get through since the last look, or cannot now."""
        planned, watches = self._planned, self._watches
        self._planned = [(id(fault), fault.served) for fault in self._faults.planned]
        self._watches = {id(watch) for watch in self._faults.watches}
        met = any(each not in self._planned for each in planned)
        broken = bool(watches - self._watches)
        mute = any(watch.broken is not None for watch in self._faults.watches)
        watched = {watch.resource for watch in self._faults.watches}
        return met or broken or mute or not {"nodes", "nodeenis"} <= watched

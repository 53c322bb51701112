"""What is told of one pod network of the node, in the ENINode's status and in `/metrics`."""

import enum
from typing import NamedTuple

from nodeeni.agent.spec import JSON

# Addresses that a status lists; the count is exact.
LISTED = 64


class NetworkState(enum.Enum):
    READY = "Ready"  # the file is there
    ABSENT = "Absent"  # none yet, and it comes by itself
    REFUSED = "Refused"  # none, until a person changes something
    WITHDRAWN = "Withdrawn"  # none any more, and pods may still have addresses


class NetworkReport(NamedTuple):
    """`used` and `free` count pods, of both families the scarcer; None: not known, or no file."""

    mac: str
    node_eni: str
    name: str
    state: NetworkState
    message: str = ""
    held: tuple[str, ...] = ()  # prefixes that pods may get, or have, addresses of
    used: int | None = None
    free: int | None = None
    in_use: tuple[str, ...] = ()

    def entry(self) -> JSON:
        """As it stands in `status.interfaces[].podNetwork`."""
        entry: JSON = {"name": self.name, "state": self.state.value}
        counts = {"used": self.used, "free": self.free}
        lists = {"prefixes": list(self.held), "inUse": list(self.in_use[:LISTED])}
        return (
            entry
            | ({"message": self.message} if self.message else {})
            | {key: count for key, count in counts.items() if count is not None}
            | {key: values for key, values in lists.items() if values}
        )

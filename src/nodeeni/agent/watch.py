"""The watch's thread: keeps this node's ENINode in view and hands every new spec to the main thread."""

import http.client
import logging
import random
import threading
import time
from collections.abc import Callable

from nodeeni.agent.api import ApiError, ENINodeApi, Forbidden, Gone, NotFound, Unauthorized
from nodeeni.agent.counters import Counters
from nodeeni.agent.spec import JSON
from nodeeni.logs import Lasting

log = logging.getLogger(__name__)

# Seconds. A balancer that cuts what is idle after so long is no failing server: the next watch begins soon,
# since what comes in a pause is not heard. Less, and a server that ends all watches at once would have the
# agents of a whole cluster at it.
STANDS = 10.0


class Pause:
    """Seconds to wait before the next try: doubling from `first` to `longest`, each spread by half, so that
    a cluster's agents do not come back all at once."""

    def __init__(self, first: float = 0.25, longest: float = 30.0) -> None:
        self._first = first
        self._longest = longest
        self._next = first

    def reset(self) -> None:
        self._next = self._first

    def stood(self, seconds: float) -> None:
        """A connection that has ended had stood for so long."""
        if seconds >= STANDS:
            self.reset()

    def next(self) -> float:
        seconds = self._next
        self._next = min(self._next * 2, self._longest)
        return seconds * random.uniform(0.5, 1.0)


class Watch:
    def __init__(
        self, api: ENINodeApi, see: Callable[[JSON | None], None], counters: Counters, stop: threading.Event
    ) -> None:
        """`see` is called with the object whenever it may have changed; None: there is none."""
        self._api = api
        self._see = see
        self._counters = counters
        self._stop = stop
        self._version: str | None = None  # to resume from; None: list first
        self._pause = Pause()
        self._log = Lasting(log)
        self._failing: set[str] = set()

    def run(self) -> None:
        while not self._stop.is_set():
            try:
                self._follow()
            except Gone:
                self._version = None
            except ApiError as error:
                self._counters.add("api_failures")
                self._tell(error)
            self._stop.wait(self._pause.next())

    def _follow(self) -> None:
        """List if need be, then watch until the server ends the stream."""
        connection = self._api.open()
        try:
            if self._version is None:
                found, self._version = self._api.list(connection)
                self._see(found)
            self._counters.add("watches")
            self._watch(connection, self._version)
        finally:
            connection.close()

    def _watch(self, connection: http.client.HTTPConnection, version: str) -> None:
        opened = time.monotonic()
        try:
            for kind, found in self._api.watch(connection, version):
                for trouble in self._failing:
                    self._log.over(trouble, "the API server is back")
                self._failing.clear()
                self._pause.reset()
                self._version = str(found["metadata"]["resourceVersion"])
                if kind != "BOOKMARK":
                    self._see(None if kind == "DELETED" else found)
        finally:
            self._pause.stood(time.monotonic() - opened)

    def _tell(self, error: ApiError) -> None:
        """As each kind of trouble begins and lasts, not at each try."""
        message = _TROUBLES.get(type(error), "the API server cannot be used, links are served meanwhile")
        self._failing.add(message)
        self._log.met(message, message, error=str(error))


_TROUBLES: dict[type[ApiError], str] = {
    NotFound: "the cluster knows no ENINodes: is the CRD applied?",
    Forbidden: "the API server does not let us read our ENINode, links are served meanwhile",
    Unauthorized: "the API server refuses the token, links are served meanwhile",
}

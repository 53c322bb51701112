"""The reporter's thread: writes what the main thread found into the ENINode's status, when it changed."""

import datetime
import logging
import threading
import time

from nodeeni.agent.api import ApiError, ENINodeApi, Forbidden, NotFound, status_of
from nodeeni.agent.attempts import Corrections
from nodeeni.agent.counters import Counters
from nodeeni.agent.spec import JSON
from nodeeni.agent.status import Found, status_patch
from nodeeni.agent.watch import Pause
from nodeeni.logs import Lasting

log = logging.getLogger(__name__)

# Links of one burst come within milliseconds of each other: one patch for all of them.
COALESCE = 0.1


_REFUSED = "refused"


class Reporter:
    def __init__(self, api: ENINodeApi, counters: Counters, stop: threading.Event) -> None:
        self._api = api
        self._counters = counters
        self._stop = stop
        self._changed = threading.Condition()
        self._found = Found(0, ())
        self._observed: JSON | None = None  # the status that the server holds; None: there is no object
        self._version = 0  # of `_observed`
        self._due = False
        # What was found and what the server had of it after our last patch: it may know less than we tell
        # (an older CRD drops a field), and to tell it again would go on for ever.
        self._told: tuple[object, ...] = ()
        self._corrections = Corrections()
        self._held_until: float | None = (
            None  # time.monotonic(): what somebody undid is not told again before
        )
        self._fought_until = 0.0  # the last one that was said
        self._pause = Pause()
        self._log = Lasting(log)

    def offer(self, found: Found) -> None:
        """From the main thread, after every look: cheap when nothing changed."""
        if found == self._found:
            return
        with self._changed:
            self._found = found
            self._due = True
            self._changed.notify()

    def see(self, eninode: JSON | None) -> None:
        """From the watch: the object as the server has it. An echo older than our last patch says nothing."""
        with self._changed:
            if eninode is None:
                self._observed, self._version = None, 0
                return
            version = _version(eninode)
            if version < self._version:
                return
            self._observed, self._version = status_of(eninode), version
            self._due = True
            self._changed.notify()

    def run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._due, self._rest())
            if self._stop.wait(COALESCE):
                return
            try:
                self._patch()
                self._pause.reset()
                self._log.over(_REFUSED, "status patched again")
            except NotFound:
                pass  # deleted meanwhile: the watch will say so, or show its successor
            except ApiError as error:
                self._counters.add("api_failures")
                self._tell(error)
                with self._changed:
                    self._due = True
                self._stop.wait(self._pause.next())

    def _tell(self, error: ApiError) -> None:
        """Of an API server that is away the watch tells; that we may not report, nobody else would."""
        if isinstance(error, Forbidden):
            self._log.met(_REFUSED, "status not patched", error=str(error))

    def _patch(self) -> None:
        with self._changed:
            self._due = False
            found, observed = self._found, self._observed
        if observed is None or found.generation == 0 or self._told == (found, observed):
            return
        moment = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        patch = status_patch(found, observed, moment)
        if patch is None:
            return
        undone = bool(self._told) and self._told[0] == found
        if undone and self._holds_back():
            return
        self._counters.add("patches")
        answer = self._api.patch_status(patch)
        self._told = (found, status_of(answer))
        if undone:
            self._corrections.add(time.monotonic())
        with self._changed:
            version = _version(answer)
            if version >= self._version:
                self._observed, self._version = status_of(answer), version

    def _holds_back(self) -> bool:
        """Whether somebody undoes what we tell so often that it is not told again yet."""
        until = self._corrections.until
        if time.monotonic() >= until:
            return False
        if until != self._fought_until:
            log.warning(
                "another program keeps changing our ENINode's status: put right ever more slowly",
                extra={"who": "see its managedFields"},
            )
        self._held_until = self._fought_until = until
        return True

    def _rest(self) -> float | None:
        """Seconds until what is held back may be told; None: nothing is."""
        until, self._held_until = self._held_until, None
        return None if until is None else max(0.0, until - time.monotonic())


def _version(eninode: JSON) -> int:
    """Resource versions of one object can be compared as numbers (Kubernetes says so since 1.35; etcd's
    revisions always could)."""
    version = str((eninode.get("metadata") or {}).get("resourceVersion") or "")
    return int(version) if version.isdecimal() else 0

"""What we told the API server of each object, and what it holds of that: what somebody else changed is put
right, and our own echo is no work.

While the informer is behind our last write, the answer to that stands for what is there. What that answer
lacks was dropped by an older CRD: to tell it again would go on for ever.
"""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

# Seconds after a write. Where the informer has shown another version by then and not that of our write, this
# was jumped over (by a list, or by who wrote next while the answer was on its way): what it shows is there.
PATIENCE = 5.0


class _Write(Generic[T]):
    __slots__ = ("awaited", "held", "said", "version")

    def __init__(self, said: T, held: T, version: str) -> None:
        self.said = said
        self.held = held  # the very same object where the answer said what we did
        self.version = version
        self.awaited = True


class Told(Generic[T]):
    """By uid. `shown_version` gives the resourceVersion that the informer shows; `again` is called with one
    that is to be looked at, for it may be otherwise than we told.
    """

    def __init__(
        self,
        shown_version: Callable[[str], str],
        again: Callable[[str], None],
        patience: float = PATIENCE,
    ) -> None:
        self._shown_version = shown_version
        self._again = again
        self._patience = patience
        self._writes: dict[str, _Write[T]] = {}

    def said(self, uid: str, shown: T) -> T:
        """What we said last; before that, what the informer shows."""
        write = self._writes.get(uid)
        return shown if write is None else write.said

    def held(self, uid: str, shown: T) -> T:
        """What is there, as far as can be known."""
        write = self._writes.get(uid)
        return write.held if write is not None and write.awaited else shown

    def stands(self, uid: str, wanted: T, shown: T) -> bool:
        """Whether what is there is what is wanted, as far as the CRD lets it."""
        held, write = self.held(uid, shown), self._writes.get(uid)
        if wanted == held:
            if write is None or not write.awaited:  # as if we had written it; and one copy in memory
                write = self._writes[uid] = _Write(shown, shown, self._shown_version(uid))
                write.awaited = False
            return True
        return write is not None and wanted == write.said and held == write.held

    def is_undone(self, uid: str, wanted: T) -> bool:
        """Of what does not stand: whether we have said just that before, so that somebody has changed it."""
        write = self._writes.get(uid)
        return write is not None and wanted == write.said

    def wrote(self, uid: str, said: T, held: T, version: str, sent_at: str) -> None:
        """`held` and `version` are of the answer; `sent_at` is the version that the informer showed when the
        write was sent.
        """
        write = self._writes[uid] = _Write(said, said if held == said else held, version)
        write.awaited = self._shown_version(uid) != version
        if write.awaited:
            self._doubt_later(uid, write, sent_at)

    def shows(self, uid: str, shown: T, version: str) -> bool:
        """The informer shows this now: whether it is to be looked at."""
        write = self._writes.get(uid)
        if write is None:
            return True
        if write.awaited and version != write.version:
            return False  # older than our write, as a rule; `_doubt` sees to the rest
        write.awaited = False
        if shown != write.held:
            return True
        if write.said is write.held:
            write.said = shown
        write.held = shown  # one copy in memory
        return False

    def forget(self, uid: str) -> None:
        self._writes.pop(uid, None)

    def _doubt_later(self, uid: str, write: _Write[T], sent_at: str) -> None:
        asyncio.get_running_loop().call_later(self._patience, self._doubt, uid, write, sent_at)

    def _doubt(self, uid: str, write: _Write[T], sent_at: str) -> None:
        if self._writes.get(uid) is not write or not write.awaited:
            return
        if self._shown_version(uid) == sent_at:
            self._doubt_later(uid, write, sent_at)  # the informer has heard nothing since: it is behind
            return
        write.awaited = False
        self._again(uid)

"""Whether reads of EC2 prove that nothing of a NodeENI is left: how many did, and how far apart they must be.

Pure: times are seconds of the caller's clock. `inventory.py` tells of reads, and of what our calls came to.
"""

from bisect import insort
from collections.abc import Iterable

_READS_KEPT = 32  # of all interfaces, and of each NodeENI: enough for the finalizer's rule of two
_NEVER = float("-inf")


class Proofs:
    """`gap`: least time between two reads that both count, where not all is accounted for."""

    def __init__(self, gap: float) -> None:
        self._gap = gap
        self._full_reads: list[float] = []
        self._uid_reads: dict[str, list[float]] = {}
        # By uid, from when on reads count again: after one that showed an interface, or after the time in
        # which none is sure to show what a Create without an answer made.
        self._counts_from: dict[str, float] = {}
        self._known_from: dict[str, float] = {}  # from when on a read shows what our calls may have left
        self._deleted_at: dict[str, float] = {}  # the last Delete that EC2 acknowledged

    # -- what happened -----------------------------------------------------------------------------------

    def read(self, began: float, uid: str | None) -> None:
        """A complete read, of all interfaces or of one NodeENI, in which nothing was spoilt."""
        reads = self._full_reads if uid is None else self._uid_reads.setdefault(uid, [])
        insort(reads, began)
        del reads[:-_READS_KEPT]
        if uid is None:
            self._forget(reads[0])

    def shown(self, uid: str, began: float) -> None:
        """A read begun then showed an interface of it."""
        self._counts_from[uid] = max(self._counts_from.get(uid, _NEVER), began)

    def uncertain(self, uid: str, until: float) -> None:
        """A Create had no answer: up to then no read is sure to show what it made."""
        self.shown(uid, until)
        self._known_from[uid] = max(self._known_from.get(uid, _NEVER), until)

    def vanished(self, uid: str, now: float) -> None:
        """One went without our Delete: how, nobody has told us."""
        self._known_from[uid] = max(self._known_from.get(uid, _NEVER), now)

    def deleted(self, uid: str, now: float) -> None:
        """EC2 acknowledged our Delete of one."""
        self._deleted_at[uid] = now

    # -- what it proves ----------------------------------------------------------------------------------

    def listed(self, uid: str, since: float) -> bool:
        """Whether a read after `since` listed all of it that we do not know from our own calls."""
        return self._listed_by(uid, since, float("inf"))

    def accounted(self, uid: str, since: float) -> bool:
        """Whether all that it had after `since` is known to have gone: listed while it was there, or made by
        a Create that was answered, and the last of it gone by a Delete that was acknowledged.
        """
        return self._listed_by(uid, since, self._deleted_at.get(uid, _NEVER))

    def _listed_by(self, uid: str, since: float, until: float) -> bool:
        since = max(since, self._known_from.get(uid, _NEVER))
        return any(since < began <= until for began in self._of(uid))

    def count(self, uid: str, since: float, settled_at: float) -> int:
        """How many reads begun after `since` showed nothing of it: the gap apart, or, where all is accounted
        for since `settled_at`, one after the other. At most 1 without a read by uid: what carries another
        cluster's tag is in no other.
        """
        gap = 0.0 if self.accounted(uid, settled_at) else self._gap
        since = max(since, self._counts_from.get(uid, _NEVER))
        counted, again = 0, _NEVER
        for began in sorted(self._of(uid)):
            if began > since and began >= again:
                counted, again = counted + 1, began + gap
        by_uid = self._uid_reads.get(uid, ())
        return counted if any(began > since for began in by_uid) else min(counted, 1)

    def _of(self, uid: str) -> Iterable[float]:
        return [*self._full_reads, *self._uid_reads.get(uid, ())]

    def _forget(self, oldest: float) -> None:
        """Of NodeENIs that went: what is older than all reads that are kept decides nothing any more."""
        kept = {uid: own for uid, own in self._uid_reads.items() if own[-1] >= oldest}
        self._counts_from, self._known_from, self._deleted_at = (
            {uid: at for uid, at in times.items() if at >= oldest or uid in kept}
            for times in (self._counts_from, self._known_from, self._deleted_at)
        )
        self._uid_reads = kept

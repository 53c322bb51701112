"""ENIs attached over time since the first Create of a wave, beside what EC2's buckets and times allow."""

import msgspec

from nodeeni.sandbox.ec2 import EC2Settings
from nodeeni.sandbox.ec2.calls import OK, Calls

_CREATE, _ATTACH = "CreateNetworkInterface", "AttachNetworkInterface"
KEPT = 2_000  # points of a curve: the last ones of one that is longer


class Curve(msgspec.Struct, frozen=True):
    """`attached` are (seconds since the first Create, how many then); `limit` is when the last of `total`
    could be attached at the earliest, `line` the corners of that line. `settled`: all of them are.
    """

    total: int
    attached: list[tuple[float, int]]
    line: list[tuple[float, int]]
    limit: float
    settled: bool


class Tracker:
    """A wave begins with a Create while nothing was under way. Times are seconds of the event loop."""

    def __init__(self, settings: EC2Settings) -> None:
        self._settings = settings
        self._begun: float | None = None
        self._created = 0  # calls
        self._had = 0  # attached before this wave
        self._last = 0  # attached when it was looked at last
        self._total = 0
        self._points: list[tuple[float, int]] = []
        self._settled = True

    def look(self, now: float, wanted: int, attached: int, calls: Calls) -> None:
        """`wanted` without those that cannot be had."""
        created = calls.by_code[_CREATE, OK]
        new, self._created = created - self._created, created
        before, self._last = min(self._last, attached), attached
        if self._settled and new > 0 and wanted > before:  # it may be over already
            self._begun = min(call.time for call in calls.of(_CREATE, OK)[-new:])
            self._had, self._points, self._settled = before, [(0.0, 0)], False
        if self._begun is None or self._settled:
            return
        self._total = max(0, wanted - self._had)
        count = max(0, attached - self._had)
        if self._points[-1][1] != count:
            self._points = [*self._points[-KEPT:], (round(now - self._begun, 2), count)]
        self._settled = attached >= wanted

    @property
    def curve(self) -> Curve | None:
        """None before the first wave."""
        if self._begun is None:
            return None
        capacity, refill = (self._settings.buckets or {}).get(_ATTACH, (float("inf"), 1.0))
        scale = self._settings.bucket_scale
        each = self._settings.reply_to(_CREATE).seconds + self._settings.attaching.seconds
        at_once = int(min(self._total, capacity * scale))
        limit = each + max(0, self._total - at_once) / (refill * scale)
        return Curve(
            total=self._total,
            attached=self._points,
            line=[(each, 0), (each, at_once), (limit, self._total)],
            limit=limit,
            settled=self._settled,
        )

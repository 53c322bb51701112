"""EC2's own clock: each answer carries its Date, and a signature that is too old or of the future is refused.

Source of the five minutes: "Troubleshoot Signature Version 4 signing for AWS API requests".
"""

import datetime
from email.utils import format_datetime

from .errors import EC2Error

TAKEN = 300.0  # seconds between the signer's clock and ours
_SIGNED = "%Y%m%dT%H%M%SZ"


class Clock:
    """`ahead`: seconds that it is ahead of this machine's clock, which may be changed at any time."""

    def __init__(self, ahead: float = 0.0) -> None:
        self.ahead = ahead

    def date(self) -> str:
        """As the header Date has it."""
        return format_datetime(self._now(), usegmt=True)

    def admit(self, signed: str, *, sts: bool = False) -> None:
        """`signed` is X-Amz-Date. EC2 and STS refuse in different words."""
        try:
            at = datetime.datetime.strptime(signed, _SIGNED).replace(tzinfo=datetime.UTC)
        except ValueError:
            raise EC2Error("AuthFailure") from None
        off = (at - self._now()).total_seconds()
        if abs(off) <= TAKEN:
            return
        if sts:
            limit = f"{self._now():{_SIGNED}}"
            said = f"Signature not yet current: {signed} is still later than {limit}"
            if off < 0:
                said = f"Signature expired: {signed} is now earlier than {limit}"
            raise EC2Error("SignatureDoesNotMatch", said, 403)
        raise EC2Error("RequestExpired" if off < 0 else "AuthFailure")

    def _now(self) -> datetime.datetime:
        return datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=self.ahead)

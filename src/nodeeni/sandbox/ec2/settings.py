"""How the simulated EC2 behaves: delays, buckets, quotas. Defaults are the documented or measured ones."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from random import Random

# Capacity and refill per second, by action. Source: "Request throttling for the Amazon EC2 API".
DOCUMENTED_BUCKETS: Mapping[str, tuple[float, float]] = {
    "CreateNetworkInterface": (100, 5),
    "AttachNetworkInterface": (50, 5),
    "DetachNetworkInterface": (50, 5),
    "DeleteNetworkInterface": (100, 5),
    "ModifyNetworkInterfaceAttribute": (100, 5),
    "AssignPrivateIpAddresses": (100, 5),
    "UnassignPrivateIpAddresses": (100, 5),
    "AssignIpv6Addresses": (100, 5),
    "UnassignIpv6Addresses": (100, 5),
    "CreateTags": (100, 10),
    "DeleteTags": (100, 10),
    "RunInstances": (5, 2),
    "StartInstances": (5, 2),
    "StopInstances": (50, 5),
    "TerminateInstances": (100, 5),
}
DESCRIBE_BUCKET = (100.0, 20.0)
UNFILTERED_DESCRIBE_BUCKET = (50.0, 10.0)
OTHER_BUCKET = (50.0, 5.0)


@dataclass(frozen=True)
class Delay:
    """A duration in seconds: `seconds` give or take the fraction `spread`, and now and then `tail`."""

    seconds: float
    spread: float = 0.0
    tail: float = 0.0
    tail_probability: float = 0.0

    def draw(self, random: Random) -> float:
        if self.tail_probability and random.random() < self.tail_probability:
            return self.tail
        if self.spread:
            return self.seconds * (1 + self.spread * (2 * random.random() - 1))
        return self.seconds

    @property
    def least(self) -> float:
        """Seconds; no draw is below."""
        return self.seconds * (1 - self.spread)

    def scaled(self, factor: float) -> "Delay":
        return replace(self, seconds=self.seconds * factor, tail=self.tail * factor)


_READ = Delay(0.15, spread=1 / 3)
_WRITE = Delay(0.3, spread=1 / 3)
USUAL_REPLIES: Mapping[str, Delay] = {
    **dict.fromkeys(DOCUMENTED_BUCKETS, _WRITE),
    "CreateNetworkInterface": Delay(0.8, spread=1 / 4),
}


@dataclass(frozen=True, kw_only=True)
class EC2Settings:
    """All times in seconds."""

    replies: Mapping[str, Delay] = field(default_factory=lambda: USUAL_REPLIES)
    """From the request's arrival to its answer, by action."""
    reply: Delay = _READ
    """The same for every action not named in `replies`."""
    attaching: Delay = Delay(1.5, spread=1 / 3, tail=4.0, tail_probability=0.1)
    """From the attach request to the state `attached`."""
    detaching: Delay = Delay(3.0, spread=1 / 3, tail=10.0, tail_probability=0.1)
    """From the detach request to the state `available`."""
    pending: Delay = Delay(0.0)
    """From the answer to a create to the state `available`."""
    launching: Delay = Delay(0.5)
    stopping: Delay = Delay(0.5)
    terminating: Delay = Delay(0.5)
    terminated_kept: float = 3600.0
    """How long a terminated instance is still described."""
    stale_reads: float = 0.0
    """Describes show every object as it was this long ago."""
    stale_lookups: bool = False
    """Mutating calls, too, find an interface only once describes show it."""
    buckets: Mapping[str, tuple[float, float]] | None = field(default_factory=lambda: DOCUMENTED_BUCKETS)
    """Capacity and refill per second by action; None: nothing is metered."""
    bucket_scale: float = 1.0
    """Multiplies capacity and refill of every bucket."""
    rates_told: bool = True
    """Whether IAM lets the caller read the rates of `buckets` from Service Quotas."""
    interface_quota: int = 5000
    """Network interfaces per region. Source: "Amazon VPC quotas"."""
    unpaginated_limit: int = 1000
    """A describe without MaxResults, ids or filters that would give more than this is refused."""
    hides_managed: bool = False
    """The account's *managed resource visibility*: what AWS services manage is shown to who asks for it."""
    force_burns_index: bool = False
    """A forced detach leaves its device index unusable until the instance is stopped and started."""
    seed: int = 1
    """Of identifiers and delays: two runs with the same calls in the same order look alike."""

    def reply_to(self, action: str) -> Delay:
        return self.replies.get(action, self.reply)


def quick_settings(**changes: object) -> EC2Settings:
    """Settings for tests of something else: nothing metered, states settle in hundredths of a second."""
    quick: dict[str, object] = {
        "replies": {},
        "reply": Delay(0.0),
        "attaching": Delay(0.02),
        "detaching": Delay(0.02),
        "launching": Delay(0.02),
        "stopping": Delay(0.02),
        "terminating": Delay(0.02),
        "buckets": None,
        "rates_told": False,
    }
    return EC2Settings(**(quick | changes))  # type: ignore[arg-type]  # the names are checked by the class

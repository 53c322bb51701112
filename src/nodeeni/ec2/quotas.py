"""From Service Quotas' words to the size of a bucket: pure, and by structure alone.

A quota of a request rate names the CloudWatch usage metric that counts the calls: `CallCount` in
`AWS/Usage`, of type `API`, with the action as its resource. Where it has a period it is the refill, where
it has none the capacity. Names and codes of quotas are not read: they are AWS's to change.
Source: "ServiceQuota", "MetricInfo" and "QuotaPeriod" of the Service Quotas API reference; "AWS usage
metrics" of CloudWatch's user guide.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from nodeeni.ec2.buckets import DOCUMENTED
from nodeeni.ec2.types import Action

_SECONDS = {
    "MICROSECOND": 1e-6,
    "MILLISECOND": 1e-3,
    "SECOND": 1.0,
    "MINUTE": 60.0,
    "HOUR": 3600.0,
    "DAY": 86400.0,
    "WEEK": 604800.0,
}
_ACTIONS = frozenset(action.value for action in Action)


class RateQuota(msgspec.Struct, frozen=True):
    """`value` requests of `action` within `seconds`, or at once where there is no period."""

    action: Action
    value: float
    seconds: float | None


def rate_quota(answer: Mapping[str, Any]) -> RateQuota | None:
    """One `ServiceQuota` of ListServiceQuotas; None unless it limits one of our actions."""
    metric = answer.get("UsageMetric") or {}
    dimensions = metric.get("MetricDimensions") or {}
    counted = (metric.get("MetricNamespace"), metric.get("MetricName"), dimensions.get("Type"))
    action, value = dimensions.get("Resource"), answer.get("Value")
    if counted != ("AWS/Usage", "CallCount", "API") or action not in _ACTIONS or not value:
        return None
    period = answer.get("Period")
    seconds = period["PeriodValue"] * _SECONDS[period["PeriodUnit"]] if period else None
    return RateQuota(Action(action), float(value), seconds)


def granted(quotas: Iterable[RateQuota]) -> dict[Action, tuple[float, float]]:
    """Capacity and refill a second of each action that is told of; what is not told is as documented."""
    told = list(quotas)
    refills = {quota.action: quota.value / quota.seconds for quota in told if quota.seconds}
    capacities = {quota.action: quota.value for quota in told if quota.seconds is None}
    sizes = {}
    for action in refills.keys() | capacities.keys():
        refill = refills.get(action, DOCUMENTED[action].refill)
        sizes[action] = (capacities.get(action, max(DOCUMENTED[action].capacity, refill)), refill)
    return sizes

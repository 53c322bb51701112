"""The account's request rates as Service Quotas tells them, over the real protocol and by structure."""

from collections.abc import Mapping
from typing import Any

import pytest

from nodeeni.ec2.account import rate_quotas
from nodeeni.ec2.errors import EC2Error, ErrorClass
from nodeeni.ec2.quotas import granted, rate_quota
from nodeeni.ec2.types import Action

from .conftest import OpenSite


def _quota(value: float, period: Mapping[str, Any] | None = None, **dimensions: str) -> dict[str, Any]:
    counted = {"Class": "None", "Service": "EC2", "Type": "API", "Resource": "AttachNetworkInterface"}
    quota: dict[str, Any] = {
        "Value": value,
        "UsageMetric": {
            "MetricNamespace": "AWS/Usage",
            "MetricName": "CallCount",
            "MetricDimensions": counted | dimensions,
        },
    }
    return quota | ({"Period": period} if period else {})


def _granted(*quotas: dict[str, Any]) -> dict[Action, tuple[float, float]]:
    read = [rate_quota(quota) for quota in quotas]
    return granted(quota for quota in read if quota is not None)


async def test_the_rates_of_an_account_are_read_over_several_pages(
    open_site: OpenSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates = {f"Describe{number:03}": (10.0, 1.0) for number in range(120)}
    site = await open_site(
        buckets=rates | {"AttachNetworkInterface": (80.0, 8.0), "CreateTags": (200.0, 40.0)}, rates_told=True
    )
    monkeypatch.setenv("AWS_ENDPOINT_URL", site.ec2.url)
    assert granted(await rate_quotas("us-west-2")) == {Action.ATTACH: (80, 8), Action.CREATE_TAGS: (200, 40)}


async def test_an_account_that_may_not_ask_is_told_so(
    open_site: OpenSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = await open_site(buckets={"AttachNetworkInterface": (80.0, 8.0)})
    monkeypatch.setenv("AWS_ENDPOINT_URL", site.ec2.url)
    with pytest.raises(EC2Error) as refused:
        await rate_quotas("us-west-2")
    assert refused.value.error_class is ErrorClass.DENIED
    assert refused.value.denial is not None
    assert refused.value.denial.permission == "servicequotas:ListServiceQuotas"


def test_a_rate_by_the_minute_is_a_refill_by_the_second() -> None:
    period = {"PeriodValue": 1, "PeriodUnit": "MINUTE"}
    assert _granted(_quota(600, period)) == {Action.ATTACH: (50, 10)}


def test_a_refill_above_the_documented_burst_is_a_burst_too() -> None:
    period = {"PeriodValue": 1, "PeriodUnit": "SECOND"}
    assert _granted(_quota(90, period)) == {Action.ATTACH: (90, 90)}


def test_a_burst_that_is_told_alone_leaves_the_documented_refill() -> None:
    assert _granted(_quota(75)) == {Action.ATTACH: (75, 5)}


@pytest.mark.parametrize(
    "quota",
    [
        {"Value": 5.0, "QuotaCode": "L-1216C47A"},
        _quota(5, Type="Resource"),
        _quota(5, Resource="RunInstances"),
        {**_quota(5), "Value": 0.0},
    ],
    ids=["of instances", "of a resource", "of an action that is not ours", "of nothing"],
)
def test_other_quotas_change_nothing(quota: dict[str, Any]) -> None:
    assert _granted(quota) == {}

"""Service Quotas on the endpoint of EC2, as far as it tells EC2's request rates: one action of the JSON
protocol.

Source of the shapes: "ListServiceQuotas", "ServiceQuota" and "QuotaPeriod" of the Service Quotas API
reference, "AWS usage metrics" of CloudWatch's. That an account is told each bucket as two quotas, and their
names, is our reading: AWS was never asked.
"""

import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from .account import Account

ACTION = "ListServiceQuotas"
TARGET = f"ServiceQuotasV20190624.{ACTION}"
_INSTANCES = {"QuotaCode": "L-1216C47A", "QuotaName": "Running On-Demand Standard instances", "Value": 5.0}
_DENIED = {"__type": "AccessDeniedException", "Message": f"not authorized to perform: servicequotas:{ACTION}"}


def list_service_quotas(
    text: str, account: Account, buckets: Mapping[str, tuple[float, float]], permitted: bool
) -> web.Response:
    """The answer to a request with the body `text`; `buckets` holds capacity and refill by action."""
    if not permitted:
        return _json(_DENIED, 400)
    asked = json.loads(text)
    known = _quotas(buckets) if asked.get("ServiceCode") == "ec2" else []
    start, most = int(asked.get("NextToken", 0)), int(asked.get("MaxResults", 100))
    arn = f"arn:aws:servicequotas:{account.region}:{account.id}:ec2/"
    shown = [{**quota, "QuotaArn": arn + quota["QuotaCode"]} for quota in known[start : start + most]]
    more = {"NextToken": str(start + most)} if start + most < len(known) else {}
    return _json({"Quotas": shown, **more})


def _quotas(buckets: Mapping[str, tuple[float, float]]) -> list[dict[str, Any]]:
    quotas: list[dict[str, Any]] = [{"ServiceCode": "ec2", "Unit": "None", **_INSTANCES}]
    for number, (action, (capacity, refill)) in enumerate(sorted(buckets.items())):
        counted = {
            "ServiceCode": "ec2",
            "Unit": "None",
            "UsageMetric": {
                "MetricNamespace": "AWS/Usage",
                "MetricName": "CallCount",
                "MetricDimensions": {"Class": "None", "Resource": action, "Service": "EC2", "Type": "API"},
                "MetricStatisticRecommendation": "Sum",
            },
        }
        second = {"PeriodValue": 1, "PeriodUnit": "SECOND"}
        quotas += [
            {**counted, "QuotaCode": f"L-{number:08X}", "QuotaName": f"{action} burst", "Value": capacity},
            {
                **counted,
                "QuotaCode": f"L-{number + 0x80000000:08X}",
                "QuotaName": f"{action} rate",
                "Value": refill,
                "Period": second,
            },
        ]
    return quotas


def _json(body: Mapping[str, Any], status: int = 200) -> web.Response:
    text = json.dumps(body)
    return web.Response(status=status, text=text, content_type="application/x-amz-json-1.1")

"""What other services of AWS tell of the account: who we are, and its request rates."""

from nodeeni.ec2 import sdk
from nodeeni.ec2.quotas import RateQuota, rate_quota

_PAGE_OF_QUOTAS = 100  # ListServiceQuotas allows no more


async def caller_identity(region: str) -> tuple[str, float]:
    """The ARN behind the credentials in use, by STS, and how many seconds our clock is ahead of that.

    Raises EC2Error.
    """
    async with sdk.other("sts", "GetCallerIdentity", region) as sts:
        answer = await sts.get_caller_identity()
        arn = sdk.decoded("GetCallerIdentity", lambda told: str(told["Arn"]), answer)
        return arn, sdk.clock_ahead(answer)


async def rate_quotas(region: str) -> list[RateQuota]:
    """What Service Quotas tells of the account's request rates in EC2, nothing where it tells nothing.

    Raises EC2Error: `denied` above all, since most policies do not permit `servicequotas:ListServiceQuotas`.
    """
    told: list[RateQuota | None] = []
    more: dict[str, str] = {}
    async with sdk.other("service-quotas", "ListServiceQuotas", region) as quotas:
        while True:
            answer = await quotas.list_service_quotas(ServiceCode="ec2", MaxResults=_PAGE_OF_QUOTAS, **more)
            told += [
                sdk.decoded("ListServiceQuotas", rate_quota, item) for item in answer.get("Quotas") or ()
            ]
            if not answer.get("NextToken"):
                return [quota for quota in told if quota is not None]
            more = {"NextToken": answer["NextToken"]}

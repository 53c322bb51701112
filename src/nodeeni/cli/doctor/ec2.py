"""AWS's side: credentials, what IAM permits to read, and by dry runs what it permits to change."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator

from nodeeni.api import names
from nodeeni.api.reasons import RowReason
from nodeeni.cli.findings import Finding, note, right, wrong
from nodeeni.controller.cluster import Cluster
from nodeeni.controller.permissions import EC2_READS
from nodeeni.ec2.account import caller_identity
from nodeeni.ec2.addresses import ADDRESS_KINDS
from nodeeni.ec2.client import REHEARSED, EC2Client
from nodeeni.ec2.denials import Denial
from nodeeni.ec2.errors import EC2Error, ErrorClass
from nodeeni.ec2.types import Interface, Rehearsal

CLOCK_TOLD = 60.0  # seconds off

# Well-formed ids of things that do not exist, for a cluster that has none of them yet.
_NO_SUBNET, _NO_GROUP, _NO_ENI = "subnet-00000000000000000", "sg-00000000000000000", "eni-00000000000000000"
_NO_INSTANCE, _NO_ATTACHMENT = "i-00000000000000000", "eni-attach-00000000000000000"


async def credentials(region: str) -> tuple[list[Finding], str]:
    """With the ARN behind them, which is empty where they do not work."""
    check = "AWS credentials"
    try:
        arn, clock_ahead = await caller_identity(region)
    except EC2Error as error:
        message = f"{str(error).removesuffix('.')}: is the endpoint of STS in {region} reached from here?"
        if error.reason is RowReason.CLOCK_WRONG:
            message = error.explanation
        elif error.error_class is ErrorClass.CREDENTIALS:
            message = (
                f"{error.code}: {error.message}: give the controller a role (EKS Pod Identity or IRSA), or "
                "set AWS_PROFILE"
            )
        return [wrong(check, message)], ""
    found = [right(check, f"{arn} in {region}")]
    if abs(clock_ahead) > CLOCK_TOLD:
        off = f"{abs(clock_ahead):.0f} s {'ahead of' if clock_ahead > 0 else 'behind'}"
        found.append(note("clock", f"this machine's is {off} that of AWS, which bears 5 minutes: set it"))
    return found, arn


async def reads(ec2: EC2Client, cluster: Cluster, arn: str, denials: list[Denial]) -> AsyncIterator[Finding]:
    """Each describe call that the controller makes, made once, for as little as can be. What is denied comes
    into `denials` too.

    Raises EC2Error for what is no matter of permissions.
    """
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "DescribeNetworkInterfaces": lambda: _no_interface(ec2),
        "DescribeInstances": lambda: ec2.describe_instances([_instance_id(cluster)]),
        "DescribeInstanceTypes": lambda: ec2.describe_instance_types(["m5.large"]),
        "DescribeSubnets": lambda: ec2.describe_subnets({"subnet-id": [_NO_SUBNET]}),
        "DescribeSecurityGroups": lambda: ec2.describe_security_groups({"group-id": [_NO_GROUP]}),
        "GetSecurityGroupsForVpc": lambda: _group_of_a_vpc(ec2, cluster),
    }
    found = []
    for action in EC2_READS:
        try:
            await calls[action]()
        except EC2Error as error:
            if error.denial is None:
                raise
            found.append(error.denial)
    denials += found
    for finding in _denied("IAM, reading", found, arn):
        yield finding
    if not found:
        yield right("IAM, reading", f"{len(EC2_READS)} actions that look are permitted to {arn}")


def _denied(check: str, denials: Iterable[Denial], arn: str) -> Iterator[Finding]:
    """What a grant mends in one line, and each that it does not mend."""
    grants = dict.fromkeys(denial.permission for denial in denials if denial.grantable)
    if grants:
        yield wrong(check, f"grant {', '.join(grants)} to {arn}")
    for explanation in dict.fromkeys(denial.explanation for denial in denials if not denial.grantable):
        yield wrong(check, explanation)


def decodings(denials: Iterable[Denial]) -> Iterator[Finding]:
    """The command that shows the whole decision, for each denial that EC2 has encoded."""
    for denial in denials:
        if denial.decoding:
            yield note(
                f"denial of {denial.permission}",
                f"who has sts:DecodeAuthorizationMessage reads it: {denial.decoding}",
            )


async def _no_interface(ec2: EC2Client) -> None:
    async for _ in ec2.describe_interfaces({"network-interface-id": [_NO_ENI]}):
        pass


async def _group_of_a_vpc(ec2: EC2Client, cluster: Cluster) -> None:
    """That of an instance: EC2 may look at the VPC before it asks IAM. Without one nothing is learnt."""
    for instance in await ec2.describe_instances([_instance_id(cluster)]):
        if instance.vpc_id:
            await ec2.groups_for_vpc(instance.vpc_id, [_NO_GROUP])


async def writes(
    ec2: EC2Client,
    cluster: Cluster,
    ours: Iterable[Interface],
    cluster_id: str,
    arn: str,
    denials: list[Denial],
) -> AsyncIterator[Finding]:
    """Each mutating call as a dry run: EC2 says whether it would be done and does nothing. What is denied
    comes into `denials` too.

    Raises EC2Error where credentials or region are refused.
    """
    rehearsal = _rehearsal(cluster, ours, cluster_id, await _a_subnet(ec2, cluster))
    permitted, found, undecided = [], [], []
    for action in REHEARSED:
        try:
            await ec2.rehearse(action, rehearsal)
            permitted.append(action)
        except EC2Error as error:
            if error.denial is not None:
                found.append(error.denial)
            elif error.error_class is ErrorClass.CREDENTIALS:
                raise
            else:
                undecided.append(f"{action} ({error.code})")
    denials += found
    for finding in _denied("IAM, changing", found, arn):
        yield finding
    if undecided:
        yield note(
            "IAM, changing",
            f"EC2 tells only with an ENI of ours in place; ask again then: {', '.join(undecided)}",
        )
    if permitted:
        yield right("IAM, changing", f"permitted to {arn}: {', '.join(permitted)}")
    for finding in _of_addresses(cluster, arn):
        yield finding


def _of_addresses(cluster: Cluster, arn: str) -> Iterator[Finding]:
    """Of these EC2 has no dry run; they are asked for by edits of what a NodeENI counts."""
    specs = [nodeeni.spec for nodeeni in cluster.nodeenis.store.values()]
    counted = [k for k in ADDRESS_KINDS if any(getattr(spec, k.field) is not None for spec in specs)]
    if counted:
        calls = dict.fromkeys(f"ec2:{call}" for kind in counted for call in (kind.assign, kind.unassign))
        fields = ", ".join(f"spec.{kind}" for kind in counted)
        yield note(
            "IAM, addresses",
            f"edits of {fields} need {', '.join(calls)}, of which EC2 has no dry run: see that they are "
            f"granted to {arn}",
        )


def _rehearsal(cluster: Cluster, ours: Iterable[Interface], cluster_id: str, subnet_id: str) -> Rehearsal:
    """On an interface of ours if there is one, an attached one above all."""
    best = min(ours, key=lambda i: (i.attachment is None, i.id), default=None)
    attachment = best.attachment if best else None
    instance_id = attachment.instance_id if attachment else _instance_id(cluster)
    return Rehearsal(
        subnet_id=subnet_id,
        eni_id=best.id if best else _NO_ENI,
        instance_id=instance_id,
        attachment_id=attachment.id if attachment else _NO_ATTACHMENT,
        tags=names.interface_tags(
            cluster_id=cluster_id, nodeeni="doctor", uid="doctor", node="doctor", instance_id=instance_id
        ),
    )


def _instance_id(cluster: Cluster) -> str:
    return next((n.instance_id for n in cluster.nodes.store.values() if n.instance_id), _NO_INSTANCE)


async def _a_subnet(ec2: EC2Client, cluster: Cluster) -> str:
    """One that a NodeENI names, else that of a node."""
    for nodeeni in cluster.nodeenis.store.values():
        filters = {"subnet-id": nodeeni.spec.all_subnet_ids, "tag:Name": nodeeni.spec.all_subnet_names}
        for name, values in filters.items():
            found = await ec2.describe_subnets({name: values}) if values else []
            if found:
                return found[0].id
    instances = await ec2.describe_instances([_instance_id(cluster)])
    return instances[0].subnet_id if instances else _NO_SUBNET

"""Things that go wrong: how each is brought about in the sandbox, what to do, and which alert tells of it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from tests.cli.looking import NAME, Site, until

from nodeeni.api.names import TAG_CLUSTER
from nodeeni.sandbox.ec2.faults import Fault

Play = Callable[[Site], Awaitable[None]]
FAILING = "`NodeENIFailing`, after 15 minutes"
DENIED = "`NodeENICallsDenied`, at once; `NodeENIFailing`, after 15 minutes"
NONE = "none: it is no fault of nodeeni's that one could be woken for"


@dataclass(frozen=True)
class Situation:
    """`reason` is what the condition Degraded says in the end; empty: it does not say anything. `node` is
    explained, or else the NodeENI. `flags` are the controller's.
    """

    title: str
    play: Play
    reason: str
    do: str
    alert: str = FAILING
    node: str = "node-1"
    flags: tuple[str, ...] = ()
    controlled: bool = True

    @property
    def warns(self) -> bool:
        """Whether an event tells of it: what an ENI manager says is no event."""
        return self.reason not in ("", "LinkNotAsAsked")


async def no_controller(site: Site) -> None:
    await site.node("node-1")
    site.apply()


async def selects_nothing(site: Site) -> None:
    await site.node("node-1")
    site.apply(nodeSelector={"ng": "multi-enis"})
    await until(lambda: site.condition("Ready").get("status") == "True")


async def zone_without_subnet(site: Site) -> None:
    await site.node("node-1", zone="b")
    site.apply()


async def no_such_subnet(site: Site) -> None:
    await site.node("node-1")
    site.apply(subnetID=None, subnetName="multus-subnet")


async def no_such_group(site: Site) -> None:
    await site.node("node-1")
    site.apply(securityGroupIDs=["sg-0123456789abcdef0"])


async def index_taken(site: Site) -> None:
    node = await site.node("node-1")
    site.world.ec2.vpc_cni_interface(site.world.ec2.instance(node.instance_id), 2)
    site.apply()


async def instance_full(site: Site) -> None:
    node = await site.node("node-1")
    for index in (1, 2, 3):
        site.world.ec2.vpc_cni_interface(site.world.ec2.instance(node.instance_id), index)
    site.apply(deviceIndex=4)


def create_refused(code: str, message: str, **spec: Any) -> Play:
    """By EC2, in these words, each time."""

    async def play(site: Site) -> None:
        await site.node("node-1")
        site.world.ec2.faults.error("CreateNetworkInterface", code, message=message, times=None)
        site.apply(**spec)

    return play


async def not_granted(site: Site) -> None:
    await site.node("node-1")
    denied = Fault(action="CreateNetworkInterface", denied="no identity-based policy", times=None)
    site.world.ec2.faults.add(denied)
    site.apply()


async def denied_by_scp(site: Site) -> None:
    await site.node("node-1")
    site.world.ec2.faults.add(
        Fault(action="AttachNetworkInterface", denied="service control policy, with its ARN", times=None)
    )
    site.apply()


async def credentials_expired(site: Site) -> None:
    await site.node("node-1")
    site.apply()
    await site.until_attached(1)
    site.world.ec2.faults.error("*", "ExpiredToken", message="The security token is expired", times=None)


async def ec2_away(site: Site) -> None:
    await site.node("node-1")
    site.apply()
    await site.until_attached(1)
    site.world.ec2.faults.add(Fault(action="*", status=503, body="", times=None))


async def attach_hangs(site: Site) -> None:
    await site.node("node-1")
    site.world.ec2.faults.stick("AttachNetworkInterface", times=None)
    site.apply()


async def instance_stopped(site: Site) -> None:
    node = await site.node("node-1")
    site.world.ec2.stop_instance(node.instance_id)
    await until(lambda: site.world.ec2.instance(node.instance_id).state == "stopped")
    site.apply()
    await until(lambda: site.condition("Ready").get("reason") == "Attaching")


async def link_down(site: Site) -> None:
    await site.node("node-1")
    site.apply(mtu=9001)
    await site.until_attached(1)
    (eni,) = site.world.ec2.interfaces(NodeENI=NAME)
    link = {
        "macAddress": eni.mac,
        "linkName": "ens7",
        "state": "Down",
        "message": "MTU 9001: the kernel refuses it: Numerical result out of range",
    }
    site.report_link("node-1", link)


async def nodes_vanish(site: Site) -> None:
    for name in ("node-1", "node-2", "node-3"):
        await site.node(name)
    site.apply()
    await site.until_attached(3)
    for name in ("node-1", "node-2", "node-3"):
        site.world.kube.delete("", "nodes", name)


async def labels_vanish(site: Site) -> None:
    for name in ("node-1", "node-2", "node-3"):
        await site.node(name)
    site.apply()
    await site.until_attached(3)
    for name in ("node-1", "node-2", "node-3"):
        site.world.label(name, ng=None)


async def other_cluster_id(site: Site) -> None:
    await site.node("node-1")
    site.apply()
    await site.until_attached(1)
    (eni,) = site.world.ec2.interfaces(NodeENI=NAME)
    tags = {**eni.tags, TAG_CLUSTER: "prod-1"}
    site.world.ec2.account.put(msgspec.structs.replace(site.world.ec2.interface(eni.id), tags=tags))


async def stays_in_terminating(site: Site) -> None:
    await site.node("node-1")
    site.apply()
    await site.until_attached(1)
    denied = Fault(action="DetachNetworkInterface", denied="no identity-based policy", times=None)
    site.world.ec2.faults.add(denied)
    site.delete()


async def edit_refused(site: Site) -> None:
    await site.node("node-1")
    site.apply()
    await site.until_attached(1)
    site.apply(securityGroupIDs=["sg-0123456789abcdef0"])


subnet_full = create_refused(
    "InsufficientFreeAddressesInSubnet",
    "The specified subnet does not have enough free addresses to satisfy the request.",
)
quota = create_refused(
    "NetworkInterfaceLimitExceeded", "The maximum number of network interfaces has been reached."
)
tag_policy = create_refused(
    "TagPolicyViolation",
    "The tag policy does not allow the specified value for the following tag key: 'team'.",
    tags={"team": "packets"},
)

SITUATIONS = (
    Situation(
        "Nothing happens at all",
        no_controller,
        "",
        "Look at the controller's pods and their log; `nodeeni doctor`.",
        "`NodeENIControllerNotLeading`, after 5 minutes",
        node="",
        controlled=False,
    ),
    Situation(
        "It is Ready, and no node has an ENI",
        selects_nothing,
        "",
        "Correct the selector or the label; `nodeeni explain` names the Nodes that lack one label.",
        NONE,
        node="",
    ),
    Situation(
        "Nodes of one zone have no ENI",
        zone_without_subnet,
        "NoSubnetInZone",
        "Add a subnet of that zone to `subnetIDs` or `subnetNames`.",
    ),
    Situation("A subnet's name is wrong", no_such_subnet, "SubnetNotFound", "Correct it, or tag the subnet."),
    Situation("A security group does not exist", no_such_group, "SecurityGroupNotFound", "Correct it."),
    Situation(
        "The device index is taken",
        index_taken,
        "DeviceIndexTaken",
        "Another `deviceIndex`, or `deviceIndexPolicy: NextFree`; the VPC CNI takes indices too.",
    ),
    Situation(
        "The instance has no room",
        instance_full,
        "InstanceFull",
        "A larger type, or a lower `MAX_ENI` of the VPC CNI.",
    ),
    Situation("The subnet is full", subnet_full, "SubnetFull", "Name another candidate of that zone."),
    Situation(
        "The account's quota is used up", quota, "QuotaExceeded", 'Raise "Network interfaces per Region".'
    ),
    Situation(
        "IAM does not grant a call",
        not_granted,
        "NotAuthorized",
        "Grant it: deploy/iam/policy.json has all of them.",
        DENIED,
    ),
    Situation(
        "A service control policy denies a call",
        denied_by_scp,
        "NotAuthorized",
        "The policy has to except the controller's role; `nodeeni doctor --denials` has EC2's message.",
        DENIED,
    ),
    Situation(
        "A tag policy refuses a tag",
        tag_policy,
        "RejectedByEC2",
        "A value of `spec.tags` that the policy allows.",
    ),
    Situation(
        "The controller's credentials have expired",
        credentials_expired,
        "CredentialsRefused",
        "Look at the role and its trust policy (IRSA, Pod Identity); new ones are used at once.",
        "`NodeENIInventoryStale`, after 25 minutes",
        flags=("--resync-period=1s",),
    ),
    Situation(
        "EC2 does not answer",
        ec2_away,
        "EC2Unreachable",
        "Look at the way to EC2's endpoint; what stands goes on working.",
        "`NodeENIInventoryStale`, after 25 minutes",
        flags=("--resync-period=1s",),
    ),
    Situation(
        "An attach does not end",
        attach_hangs,
        "AttachHangs",
        "Restart or replace the instance; the ENI was detached and is tried again.",
        flags=("--undo-attach-after=2s",),
    ),
    Situation(
        "The instance is stopped",
        instance_stopped,
        "",
        "Nothing: the ENI comes when it runs.",
    ),
    Situation(
        "The ENI is attached, and its link is not as asked",
        link_down,
        "LinkNotAsAsked",
        "What the ENI manager says; its log is in the node's pod of `eni-manager`.",
        "`NodeENILinksRefused`, at once, where the kernel refuses",
    ),
    Situation(
        "Many Nodes are gone, and their instances run",
        nodes_vanish,
        "RemovalHeld",
        "Bring the Nodes back; or annotate the NodeENI as the message says.",
        "`NodeENIRemovalHeld`, at once",
    ),
    Situation(
        "Many nodes lost their label at once",
        labels_vanish,
        "RemovalDelayed",
        "Bring the label back within 10 minutes; or annotate the NodeENI as the message says.",
        "`NodeENIRemovalHeld`, at once",
        flags=("--label-grace=2s",),  # all are gone before the first is acted on
    ),
    Situation(
        "An ENI carries another cluster's id",
        other_cluster_id,
        "OtherClusterID",
        "If that id was this cluster's: `--former-cluster-ids`.",
        flags=("--resync-period=1s",),
    ),
    Situation(
        "A NodeENI stays in Terminating",
        stays_in_terminating,
        "NotAuthorized",
        "What `Degraded` says; the finalizer goes by itself once nothing is left. Never take it off by hand.",
        DENIED,
    ),
    Situation(
        "An edit is not applied",
        edit_refused,
        "SecurityGroupNotFound",
        "Correct the spec; the ENI that is there goes on working.",
    ),
)

"""Every reason that people and machines read of us: of conditions, of rows in a status, of events.

The one page of them: code names a reason by its member, and `make generate` makes the tables of
docs/concepts.md and docs/troubleshooting.md from here. Alerts, scripts and `kubectl wait` stand on the words:
one that was released stays as it is. Meanings are Markdown, one line each.
"""

from enum import StrEnum
from typing import Self


class ConditionType(StrEnum):
    """The conditions of a NodeENI, in the order in which its status has them, and what True means of each."""

    meaning: str

    def __new__(cls, word: str, meaning: str) -> Self:
        member = str.__new__(cls, word)
        member._value_ = word
        member.meaning = meaning
        return member

    READY = (
        "Ready",
        "on every matching node the ENI is **attached in EC2** as `spec` asks, or no node matches",
    )
    PROGRESSING = (
        "Progressing",
        "something is being created, attached, detached, deleted or replaced right now",
    )
    DEGRADED = (
        "Degraded",
        "something needs a person; the message says what to change. What works stays",
    )
    RECONCILING = (
        "Reconciling",
        "something is in progress, as in `Progressing`; absent else. For [tools that wait](gitops.md)",
    )
    STALLED = (
        "Stalled",
        "for 2 minutes (`--stalled-after`) only a person could mend what fails; absent else, like that one",
    )


READY, PROGRESSING, DEGRADED, RECONCILING, STALLED = ConditionType


class ConditionReason(StrEnum):
    """Reasons of conditions: each belongs to one condition, and is given while that is True, while False, or
    (None) while Unknown.

    Degraded is True by the reason of a row, or by that of what every row waits for, before its own; Stalled
    by the reason of a row.
    """

    condition: ConditionType
    holds: bool | None
    meaning: str

    def __new__(cls, word: str, condition: ConditionType, holds: bool | None, meaning: str) -> Self:
        member = str.__new__(cls, word)
        member._value_ = word
        member.condition = condition
        member.holds = holds
        member.meaning = meaning
        return member

    PENDING = "Pending", READY, None, "no controller has looked at it yet: so it is born"
    ALL_ATTACHED = "AllAttached", READY, True, "every matching node has its ENI as `spec` asks"
    NO_MATCHING_NODES = "NoMatchingNodes", READY, True, "no node matches the selector"
    NODES_ENDING = "NodesEnding", READY, True, "every node that matches the selector is about to end"
    ATTACHING = (
        "Attaching",
        READY,
        False,
        "some are on their way, or a replacement has come to the last node",
    )
    REPLACING = ("Replacing", READY, False, "an edit goes from node to node: some are still as before it")
    EC2_NOT_READ = (
        "EC2NotRead",
        READY,
        None,
        "the controller cannot read EC2, so nobody knows: `Degraded` says why",
    )
    UPDATING = ("Updating", READY, False, "an edit in place, or a repair, is not yet in EC2 on every node")
    FAILING = (
        "Failing",
        READY,
        False,
        "some node cannot have it as `spec` asks; also while an edit goes from node to node",
    )
    DELETING = "Deleting", READY, False, "the NodeENI is being deleted"
    WORKING = ("Working", PROGRESSING, True, "some nodes are on their way, others may have to follow")
    WAITING = ("Waiting", PROGRESSING, True, "nodes that are to follow wait for one that has failed")
    SETTLED = "Settled", PROGRESSING, False, "nothing is in progress"
    IN_PROGRESS = "InProgress", RECONCILING, True, "as `Working` of `Progressing`"
    AS_DESIRED = "AsDesired", DEGRADED, False, "nothing is wrong"
    FIELDS_NOT_APPLIED = (
        "FieldsNotApplied",
        DEGRADED,
        True,
        "`spec` has fields that are accepted and not acted on: the DPDK fields of v1.3.8",
    )


class NodeReason(StrEnum):
    """Reasons of the condition NodeENIsReady of a Node, which is True by the first one alone."""

    meaning: str

    def __new__(cls, word: str, meaning: str) -> Self:
        member = str.__new__(cls, word)
        member._value_ = word
        member.meaning = meaning
        return member

    ENIS_READY = (
        "ENIsReady",
        "each NodeENI that selects the node has its ENI attached, and its link up, where that is told",
    )
    NOT_ATTACHED = "NotAttached", "an ENI is not attached yet, or cannot be: the NodeENI says why"
    LINK_NOT_UP = (
        "LinkNotUp",
        "attached, but the node's ENI manager has its link down, missing or not as asked",
    )
    LINK_NOT_REPORTED = (
        "LinkNotReported",
        "attached, and no ENI manager of that node has told of its link (`--require-link-up`)",
    )


class Mender(StrEnum):
    """Who can mend what is wrong."""

    TIME = "time"  # it may pass by itself, whether or not a person can do something too
    PERSON = "person"  # it stays until somebody changes something


class RowReason(StrEnum):
    """Reasons of `status.attachments[]`: why one NodeENI is not, or not for long, as asked on one node."""

    mender: Mender
    meaning: str

    def __new__(cls, word: str, mender: Mender, meaning: str) -> Self:
        member = str.__new__(cls, word)
        member._value_ = word
        member.mender = mender
        member.meaning = meaning
        return member

    # Of rows that failed, of refusals in events and `nodeeni plan`, and of Degraded.
    NO_INSTANCE = (
        "NoInstance",
        Mender.TIME,
        "the node has no `spec.providerID` yet; the cloud controller sets it",
    )
    NOT_AN_INSTANCE = (
        "NotAnInstance",
        Mender.PERSON,
        "the node's `spec.providerID` names no EC2 instance: Fargate, or no cloud controller of AWS",
    )
    INSTANCE_NOT_FOUND = (
        "InstanceNotFound",
        Mender.TIME,
        "EC2 knows no such instance in this account and region: `--aws-region`, or a Node that is left over",
    )
    INSTANCE_HAS_TWO_NODES = (
        "InstanceHasTwoNodes",
        Mender.PERSON,
        "the message names both: nothing is done until one of them is deleted, as a rule the `NotReady` one",
    )
    NODE_LEFT_OVER = (
        "NodeLeftOver",
        Mender.PERSON,
        "its instance was terminated minutes ago, and the Node still stands: delete the Node",
    )
    INSTANCE_NOT_RUNNING = (
        "InstanceNotRunning",
        Mender.TIME,
        "the instance is stopped, starts or stops: the ENI comes when it runs",
    )
    SUBNET_NOT_FOUND = (
        "SubnetNotFound",
        Mender.PERSON,
        "in this region by id, in `vpcID` or the node's VPC by tag `Name`; looked at again within 5 minutes",
    )
    SUBNET_IN_OTHER_VPC = (
        "SubnetInOtherVPC",
        Mender.PERSON,
        "a subnet of that name is in another VPC than the node's: set `vpcID`, or name it by its id",
    )
    NO_SUBNET_NAMED = "NoSubnetNamed", Mender.PERSON, "`spec` names no subnet at all"
    SECURITY_GROUP_NOT_FOUND = (
        "SecurityGroupNotFound",
        Mender.PERSON,
        "in the subnet's VPC by id, group name or tag `Name`; looked at again within 5 minutes",
    )
    SECURITY_GROUP_IN_OTHER_VPC = (
        "SecurityGroupInOtherVPC",
        Mender.PERSON,
        "it is neither of the subnet's VPC nor associated with it: the message has the command",
    )
    INVALID_REFERENCE = (
        "InvalidReference",
        Mender.PERSON,
        "EC2 refuses what the spec names, in the words of the message; tried again within 5 minutes",
    )
    NO_SUBNET_IN_ZONE = (
        "NoSubnetInZone",
        Mender.PERSON,
        "none of the candidates is in the node's zone: add one to `subnetIDs` or `subnetNames`",
    )
    ADDRESS_FAMILY_MISSING = (
        "AddressFamilyMissing",
        Mender.PERSON,
        "`spec` asks for addresses of a family (IPv4, IPv6) that no candidate of the node's zone has",
    )
    TOO_MANY_ADDRESSES = (
        "TooManyAddresses",
        Mender.PERSON,
        "the instance type has fewer addresses per interface than `spec` asks for: lower the count",
    )
    POD_NETWORK_TAKEN = (
        "PodNetworkTaken",
        Mender.PERSON,
        "two NodeENIs ask for one pods' network on a node, which one of them has: another `podNetwork.name`",
    )
    NO_FREE_PREFIX = (
        "NoFreePrefix",
        Mender.TIME,
        "the subnet has no free block in one piece; a CIDR reservation of type `prefix` keeps some",
    )
    SUBNET_FULL = "SubnetFull", Mender.TIME, "the next candidate is taken; with none left it is tried again"
    DEVICE_INDEX_TAKEN = (
        "DeviceIndexTaken",
        Mender.TIME,
        "the message says by what: another `deviceIndex`, or `deviceIndexPolicy: NextFree`",
    )
    INSTANCE_FULL = (
        "InstanceFull",
        Mender.TIME,
        "the instance type takes no more (below generation 7 EBS volumes count): lower the CNI's `MAX_ENI`",
    )
    UNSUPPORTED_BY_TYPE = (
        "UnsupportedByType",
        Mender.PERSON,
        "the instance type, or its network card, has no ENA Express or fewer ENA queues than `spec` asks for",
    )
    INSTANCE_RUNS = (
        "InstanceRuns",
        Mender.PERSON,
        "EC2 changes the number of ENA queues of a stopped instance alone: stop it, or replace the node",
    )
    NO_SUCH_NETWORK_CARD = (
        "NoSuchNetworkCard",
        Mender.PERSON,
        "`networkCardIndex` is not on this instance type, or takes no plain ENIs",
    )
    NOT_AUTHORIZED = (
        "NotAuthorized",
        Mender.PERSON,
        "the message names the IAM action, or the policy that denies: [deploy/iam/](../deploy/iam/README.md)",
    )
    CREDENTIALS_REFUSED = (
        "CredentialsRefused",
        Mender.PERSON,
        "EC2 does not take the controller's credentials, or there are none: its role, region, account",
    )
    CLOCK_WRONG = (
        "ClockWrong",
        Mender.PERSON,
        "EC2 takes no signature of a clock that is over 5 minutes off: set that of the controller's node",
    )
    EC2_UNREACHABLE = (
        "EC2Unreachable",
        Mender.TIME,
        "no call is answered: the way to EC2's endpoint, or EC2 itself; it is tried again",
    )
    NOT_PERMITTED = (
        "NotPermitted",
        Mender.PERSON,
        "EC2 refuses for good, as for [Auto Mode nodes](limits.md)",
    )
    REJECTED_BY_EC2 = (
        "RejectedByEC2",
        Mender.PERSON,
        "EC2 refuses the call, as for a tag policy: the message has why; tried again in minutes",
    )
    QUOTA_EXCEEDED = (
        "QuotaExceeded",
        Mender.TIME,
        'creating pauses in the whole cluster: raise "Network interfaces per Region"',
    )
    NOT_ADOPTED = (
        "NotAdopted",
        Mender.PERSON,
        "one [of v1.x](upgrade.md) or [of the launch](how-to.md#enis-that-come-with-the-launch) does not fit",
    )
    OTHER_CLUSTER_ID = (
        "OtherClusterID",
        Mender.PERSON,
        "its tag has another cluster's id: left alone; if that was this one's: `--former-cluster-ids`",
    )
    ATTACHED_ELSEWHERE = "AttachedElsewhere", Mender.PERSON, "somebody moved it by hand: detach it there"
    ATTACH_HANGS = (
        "AttachHangs",
        Mender.PERSON,
        "it was undone and tried again: restart or replace the instance",
    )
    THROTTLED = (
        "Throttled",
        Mender.TIME,
        "again and again: something else in the account spends EC2's rate, or `--ec2-rate` is too high",
    )
    LINK_NOT_AS_ASKED = (
        "LinkNotAsAsked",
        Mender.TIME,
        "it is created and attached, and its link [is not as asked](#a-link-stays-down)",
    )
    EC2_ERROR = "EC2Error", Mender.TIME, "the message has EC2's own words and code; it is tried again"
    # Of rows that are `attached`, and will not stay so or are not yet as asked.
    UPDATING = "Updating", Mender.TIME, "what the message lists has still to be changed in EC2, in place"
    PREFIX_IN_USE = (
        "PrefixInUse",
        Mender.TIME,
        "a prefix is given back once no pod has an address of it, as the node's ENI manager tells",
    )
    POD_NETWORK_ENDING = (
        "PodNetworkEnding",
        Mender.TIME,
        "the CNI file of its pods' network goes before the detach: 30 s at most",
    )
    TO_BE_REPLACED = "ToBeReplaced", Mender.TIME, "its turn in an edit that replaces ENIs has not come"
    NODE_ENDING = (
        "NodeEnding",
        Mender.TIME,
        "its Node is being deleted or out of service, or its instance ends: neither desired nor failed",
    )
    NODE_GONE = (
        "NodeGone",
        Mender.TIME,
        "its Node is gone or goes: removed after `--node-grace-period`, unless it is back, or does not run",
    )
    LABEL_GONE = (
        "LabelGone",
        Mender.TIME,
        "its Node lost the label: removed after `--label-grace`, unless the label comes back",
    )
    # The same of many nodes at once; also of Degraded.
    REMOVAL_DELAYED = (
        "RemovalDelayed",
        Mender.TIME,
        "many nodes lost the label at once: removed after `--mass-removal-delay`, unless it comes back",
    )
    REMOVAL_HELD = (
        "RemovalHeld",
        Mender.PERSON,
        "many Nodes are gone while their instances run: nothing is removed unless a person says so",
    )

    @property
    def of_failure(self) -> bool:
        """Whether what has it is not as it should be, as against attached, and about to change or to go."""
        return self not in (
            RowReason.UPDATING,
            RowReason.PREFIX_IN_USE,
            RowReason.POD_NETWORK_ENDING,
            RowReason.TO_BE_REPLACED,
            RowReason.NODE_ENDING,
            RowReason.NODE_GONE,
            RowReason.LABEL_GONE,
            RowReason.REMOVAL_DELAYED,
            RowReason.REMOVAL_HELD,
        )


_NORMAL, _WARNING = ("Normal",), ("Warning",)
_EITHER = ("Normal", "Warning")


class EventReason(StrEnum):
    """Reasons of events. A Normal one can have a Warning beside it, for the same done by somebody else."""

    types: tuple[str, ...]
    meaning: str

    def __new__(cls, word: str, types: tuple[str, ...], meaning: str) -> Self:
        member = str.__new__(cls, word)
        member._value_ = word
        member.types = types
        member.meaning = meaning
        return member

    ENI_ATTACHED = "ENIAttached", _NORMAL, "EC2 shows the ENI attached"
    ENI_DETACHED = (
        "ENIDetached",
        _EITHER,
        "it left its node: by us or with its instance; a Warning where somebody else did it",
    )
    ENI_DELETED = (
        "ENIDeleted",
        _EITHER,
        "it is gone from EC2; a Warning where somebody else did it, or took our tag off",
    )
    ENI_ORPHAN_SWEPT = (
        "ENIOrphanSwept",
        _NORMAL,
        "an ENI is removed whose NodeENI is gone; told of the Namespace `eni-controller-system`",
    )
    REMOVAL_HELD = (
        "RemovalHeld",
        _EITHER,
        "ENIs of many nodes [stay for now](#what-stays-for-a-while); Normal where somebody lets them go",
    )
    STATUS_OVERWRITTEN = (
        "StatusOverwritten",
        _WARNING,
        "somebody, whom it names, changes a status again and again: it is put right ever more slowly",
    )
    SPEC_OVERWRITTEN = "SpecOverwritten", _WARNING, "the same of the spec or the owner of an ENINode"
    STARTUP_TAINT_GONE = (
        "StartupTaintGone",
        _NORMAL,
        "told of the Node: its network is there, and `--startup-taint` was taken off, so that pods come",
    )
    ENI_ADOPTED = "ENIAdopted", _NORMAL, "an ENI that came with its instance's launch is taken over"
    ENI_NOT_ADOPTED = "ENINotAdopted", _WARNING, "an ENI of v1.x, or of the launch, is left alone"
    WAITING_FOR_EC2 = (
        "WaitingForEC2",
        _WARNING,
        "EC2 cannot be read, or takes no call of the controller: every NodeENI is told why",
    )
    ENI_CREATION_FAILED = (
        "ENICreationFailed",
        _WARNING,
        "a node cannot have its ENI: the event names node, reason and way out, like the four that follow",
    )
    ENI_MADE_IN_VAIN = (
        "ENIMadeInVain",
        _WARNING,
        "an ENI was made before its instance had been looked at, which cannot have it: it is deleted",
    )
    ENI_ATTACHMENT_FAILED = "ENIAttachmentFailed", _WARNING, "it cannot be attached"
    ENI_UPDATE_FAILED = ("ENIUpdateFailed", _WARNING, "it is attached, and an edit cannot be had on it")
    PREFIX_IN_USE = "PrefixInUse", _WARNING, "a prefix is not given back while pods have addresses of it"
    PODS_LOSE_NETWORK = (
        "PodsLoseNetwork",
        _WARNING,
        "an ENI is taken off a node while pods have addresses of it, or its link",
    )
    ENI_DETACHMENT_FAILED = "ENIDetachmentFailed", _WARNING, "it cannot be detached"
    ENI_DELETION_FAILED = "ENIDeletionFailed", _WARNING, "it cannot be deleted"
    ENI_ATTACHMENT_UNDONE = (
        "ENIAttachmentUndone",
        _WARNING,
        "an attach hangs, and is undone after `--undo-attach-after`",
    )
    ENI_DETACHMENT_FORCED = (
        "ENIDetachmentForced",
        _WARNING,
        "a detach hangs, and is forced after `--force-detach-after`",
    )

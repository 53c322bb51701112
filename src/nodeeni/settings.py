"""The controller's settings: the only place that reads its flags and the environment.

Each setting is declared once, with its flag, variables, default and reason; `--help`, the parser and the
reference in the docs all come from the declaration.
"""

import os
import re
from collections.abc import Mapping, Sequence

import msgspec

from nodeeni.flags import (
    LOG_FORMAT,
    Flags,
    Setting,
    address,
    duration_or_none,
    positive_duration,
    positive_int,
    read_settings,
    truth,
)

# Those that the controller meters.
_EC2_ACTIONS = (
    "CreateNetworkInterface",
    "AttachNetworkInterface",
    "DetachNetworkInterface",
    "DeleteNetworkInterface",
    "ModifyNetworkInterfaceAttribute",
    "CreateTags",
    "DeleteTags",
    "AssignPrivateIpAddresses",
    "UnassignPrivateIpAddresses",
    "AssignIpv6Addresses",
    "UnassignIpv6Addresses",
)
_MOST_IDS = 199  # beside the present one: EC2 takes 200 values of a filter
# A qualified name: a DNS name and a slash, or nothing, before a name.
_LABEL_KEY = re.compile(
    r"([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?"
    r"[A-Za-z0-9]([-\w.]{0,61}[A-Za-z0-9])?",
    re.ASCII,
)
_RATE = re.compile(r"(\w+)=(\d+(?:\.\d+)?)/(\d+(?:\.\d+)?)")


def _ec2_rates(text: str) -> dict[str, tuple[float, float]]:
    """`AttachNetworkInterface=100/10,CreateTags=200/20` → capacity and refill a second, by action."""
    rates = {}
    for part in text.split(","):
        found = _RATE.fullmatch(part.strip())
        if found is None:
            raise ValueError(f"{part!r} is not ACTION=CAPACITY/REFILL, as AttachNetworkInterface=100/10")
        action, capacity, refill = found[1], float(found[2]), float(found[3])
        if action not in _EC2_ACTIONS:
            raise ValueError(f"{action!r} is not metered here; these are: {', '.join(_EC2_ACTIONS)}")
        if capacity < 1 or refill <= 0:
            raise ValueError(f"{part!r}: a capacity is at least 1, and a refill above 0 a second")
        rates[action] = (capacity, refill)
    return rates


def _cluster_ids(text: str) -> tuple[str, ...]:
    """`old-1,old-2` → both."""
    ids = tuple(part.strip() for part in text.split(","))
    if not all(ids):
        raise ValueError(f"{text!r} has an empty id: write one, or several with a comma between them")
    if len(ids) > _MOST_IDS:
        raise ValueError(
            f"{len(ids)} ids are more than the {_MOST_IDS} that EC2 takes beside the present one"
        )
    return ids


def _taint_key(text: str) -> str:
    if not _LABEL_KEY.fullmatch(text):
        raise ValueError(
            f"{text!r} is not the key of a taint, such as example.com/no-eni-yet: write it without value and "
            "effect"
        )
    return text


def _verbosity(text: str) -> int:
    names = {"info": 0, "debug": 5}
    if text.lower() in names:
        return names[text.lower()]
    if not text.isdecimal():
        raise ValueError(f"{text!r} is not a log verbosity: write 0 (info) to 5 (debug)")
    return int(text)


CONTROLLER_SETTINGS = (
    Setting("--metrics-addr", address, ":8080", "Address of /metrics, /healthz and /readyz."),
    Setting(
        "--enable-leader-election",
        truth,
        "false",
        "Take the lease before acting, so that of several replicas one acts.",
    ),
    Setting("--leader-election-namespace", str, None, "Namespace of the lease. Default: the pod's own, else "
            "eni-controller-system.", ("POD_NAMESPACE",)),
    Setting("--lease-duration", positive_duration, "15s", "How long a lease is valid without renewal."),
    Setting("--kubeconfig", str, None, "Kubeconfig file. Default: in-cluster, else ~/.kube/config.",
            ("KUBECONFIG",)),
    Setting("--aws-region", str, None,
            "AWS region. Default: instance metadata, else a Node's region label, else us-west-2 with a "
            "warning.", ("AWS_REGION", "AWS_DEFAULT_REGION")),
    Setting("--cluster-id", str, None, "Value of the cluster tag of our ENIs. Default: the uid of namespace "
            "kube-system.", ("CLUSTER_ID",)),
    Setting("--former-cluster-ids", _cluster_ids, None,
            "Ids that this cluster had before, comma between several: ENIs that carry one of them are this "
            "cluster's, and get its present id. Those of any other id are left alone.",
            ("FORMER_CLUSTER_IDS",)),
    Setting("--v", _verbosity, "0", "Log verbosity: 0 is info, 5 is debug.", ("LOG_LEVEL",)),
    LOG_FORMAT,
    Setting("--resync-period", positive_duration, "5m",
            "Interval at which the inventory of ENIs is read anew from EC2.", ("RECONCILE_PERIOD",)),
    Setting("--force-detach-after", positive_duration, "5m", "A detach that hangs this long is forced.",
            ("DETACHMENT_TIMEOUT",)),
    Setting("--undo-attach-after", positive_duration, "90s",
            "An attach that hangs this long is undone and tried once more; then it is reported."),
    # Little's law: 100 creates in a burst of 0.6 s each is the most that the documented buckets allow
    # to be under way at once; more would only queue at EC2.
    Setting("--max-concurrent-nodes", positive_int, "100",
            "EC2 calls under way at once, each for another node.", ("MAX_CONCURRENT_RECONCILES",)),
    # AWS raises an account's rates on a support case. Service Quotas may tell them, if IAM lets us ask.
    Setting("--ec2-rate", _ec2_rates, None,
            "Request rates that AWS grants this account, or the share of them to be used: "
            "ACTION=CAPACITY/REFILL, refill a second, comma between several. "
            "Default: what Service Quotas tells, where IAM permits, else EC2's documented ones.",
            ("EC2_RATE",)),
    Setting("--node-grace-period", positive_duration, "2m",
            "How long the ENIs of a vanished Node stay while its instance runs."),
    # Operators that set labels take them off and put them on again within a second or two of a restart.
    Setting("--label-grace", duration_or_none, "5s",
            "How long an ENI stays on a node that lost the label by which it was selected; 0: not at all. An "
            "edit of the selector, a deletion of the NodeENI, and another NodeENI that waits for the place "
            "are acted on at once."),
    Setting("--mass-removal-delay", duration_or_none, "10m",
            "How long ENIs stay where 2 nodes or more, and over a quarter of those that have one of that "
            "NodeENI, lose the label within --label-grace; 0: no longer than of one node."),
    # Longer than the 30 s by which EC2's reads have been seen to lag behind writes.
    Setting("--read-lag", positive_duration, "35s",
            "How long EC2's reads may lag behind writes; absences are believed only after it."),
    Setting("--orphan-grace-period", positive_duration, "5m",
            "Age at which an ENI of ours whose NodeENI is gone is swept."),
    Setting("--deaf-timeout", positive_duration, "10m",
            "After so long, and up to half as long again, /healthz fails where the API server does not "
            "believe us, is not believed, or says nothing at all: a restart reads the credentials anew. "
            "Not where it is away."),
    Setting("--stalled-after", positive_duration, "2m",
            "How long a NodeENI waits for a person before its condition Stalled says so: Helm and Flux, "
            "waiting for it, give up then."),
    Setting("--node-condition", truth, "false",
            "Tell each Node that a NodeENI selects, by its condition NodeENIsReady, whether its ENIs are "
            "attached as asked, and their links up.", ("NODE_CONDITION",)),
    Setting("--startup-taint", _taint_key, None,
            "Key of a taint that nodes are born with: it is taken off once NodeENIs select the node, and "
            "their ENIs are attached and up. It is never put on.", ("STARTUP_TAINT",)),
    Setting("--require-link-up", truth, "false",
            "For --node-condition and --startup-taint: wait for the word of the ENI manager also on nodes "
            "where none has reported. The chart sets it where it installs the ENI manager."),
    Setting("--dry-run", truth, "false",
            "Log what would be done, as `nodeeni plan` tells it, and do nothing: no call that changes EC2, "
            "no ENINode, no status."),
)  # fmt: skip


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Parsed settings of one controller process. Durations are seconds."""

    metrics_addr: tuple[str, int]
    enable_leader_election: bool
    leader_election_namespace: str | None
    lease_duration: float
    kubeconfig: str | None
    aws_region: str | None
    cluster_id: str | None
    former_cluster_ids: tuple[str, ...] | None
    verbosity: int
    log_format: str | None
    resync_period: float
    force_detach_after: float
    undo_attach_after: float
    max_concurrent_nodes: int
    ec2_rate: dict[str, tuple[float, float]] | None
    node_grace_period: float
    label_grace: float
    mass_removal_delay: float
    read_lag: float
    orphan_grace_period: float
    deaf_timeout: float
    stalled_after: float
    node_condition: bool
    startup_taint: str | None
    require_link_up: bool
    dry_run: bool


def controller_settings(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> Settings:
    """Flags before environment before defaults. UsageError names the flag or variable, and the way out."""
    flags = Flags("controller", "Create, attach and remove the ENIs that NodeENI objects ask for.")
    return Settings(**read_settings(flags, CONTROLLER_SETTINGS, arguments, environment))

"""The controller's settings: the only place that reads flags and the environment.

Each setting is declared once, with its flag, variables, default and reason; `--help`, the parser and the
reference in the docs all come from the declaration.
"""

import argparse
import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import msgspec

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h))+")
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")


def parse_duration(text: str) -> float:
    """`1h30m`, `5m`, `30s`, `500ms` → seconds. ValueError for anything else."""
    if not _DURATION.fullmatch(text):
        raise ValueError(f"{text!r} is not a duration: write it as 30s, 5m or 1h30m")
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))


def _positive_duration(text: str) -> float:
    seconds = parse_duration(text)
    if seconds <= 0:
        raise ValueError(f"{text!r} is not above zero: write it as 30s, 5m or 1h30m")
    return seconds


def _positive_int(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"{text!r} is not a whole number from 1 up")
    return int(text)


# Those that the controller meters.
_EC2_ACTIONS = (
    "CreateNetworkInterface",
    "AttachNetworkInterface",
    "DetachNetworkInterface",
    "DeleteNetworkInterface",
    "ModifyNetworkInterfaceAttribute",
    "CreateTags",
    "DeleteTags",
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


def _verbosity(text: str) -> int:
    names = {"info": 0, "debug": 5}
    if text.lower() in names:
        return names[text.lower()]
    if not text.isdecimal():
        raise ValueError(f"{text!r} is not a log verbosity: write 0 (info) to 5 (debug)")
    return int(text)


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise ValueError(f"{text!r} is not an address: write it as :8080 or 127.0.0.1:8080")
    return host.strip("[]"), int(port)


def _truth(text: str) -> bool:
    answers = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if text.lower() not in answers:
        raise ValueError(f"{text!r} is neither true nor false")
    return answers[text.lower()]


class Setting(msgspec.Struct, frozen=True):
    """One setting. `default` is written as a user would write it; None: left unset."""

    flag: str
    parse: Callable[[str], Any]
    default: str | None
    help: str
    environment: tuple[str, ...] = ()

    @property
    def field(self) -> str:
        return "verbosity" if self.flag == "--v" else self.flag.lstrip("-").replace("-", "_")


CONTROLLER_SETTINGS = (
    Setting("--metrics-addr", _address, ":8080", "Address of /metrics, /healthz and /readyz."),
    Setting(
        "--enable-leader-election",
        _truth,
        "false",
        "Take the lease before acting, so that of several replicas one acts.",
    ),
    Setting("--leader-election-namespace", str, None, "Namespace of the lease. Default: the pod's own, else "
            "eni-controller-system.", ("POD_NAMESPACE",)),
    Setting("--lease-duration", _positive_duration, "15s", "How long a lease is valid without renewal."),
    Setting("--kubeconfig", str, None, "Kubeconfig file. Default: in-cluster, else ~/.kube/config.",
            ("KUBECONFIG",)),
    Setting("--aws-region", str, None,
            "AWS region. Default: instance metadata, else a Node's region label, else us-west-2 with a "
            "warning.", ("AWS_REGION", "AWS_DEFAULT_REGION")),
    Setting("--cluster-id", str, None, "Value of the cluster tag of our ENIs. Default: the uid of namespace "
            "kube-system.", ("CLUSTER_ID",)),
    Setting("--v", _verbosity, "0", "Log verbosity: 0 is info, 5 is debug.", ("LOG_LEVEL",)),
    Setting("--resync-period", _positive_duration, "5m",
            "Interval at which the inventory of ENIs is read anew from EC2.", ("RECONCILE_PERIOD",)),
    Setting("--force-detach-after", _positive_duration, "5m", "A detach that hangs this long is forced.",
            ("DETACHMENT_TIMEOUT",)),
    Setting("--undo-attach-after", _positive_duration, "90s",
            "An attach that hangs this long is undone and tried once more; then it is reported."),
    # Little's law: 100 creates in a burst of 0.6 s each is the most that the documented buckets allow
    # to be under way at once; more would only queue at EC2.
    Setting("--max-concurrent-nodes", _positive_int, "100",
            "EC2 calls under way at once, each for another node.", ("MAX_CONCURRENT_RECONCILES",)),
    # AWS raises an account's rates on a support case. Service Quotas may tell them, if IAM lets us ask.
    Setting("--ec2-rate", _ec2_rates, None,
            "Request rates that AWS grants this account, or the share of them to be used: "
            "ACTION=CAPACITY/REFILL, refill a second, comma between several. "
            "Default: what Service Quotas tells, where IAM permits, else EC2's documented ones.",
            ("EC2_RATE",)),
    Setting("--node-grace-period", _positive_duration, "2m",
            "How long the ENIs of a vanished Node stay while its instance lives."),
    # Longer than the 30 s by which EC2's reads have been seen to lag behind writes.
    Setting("--read-lag", _positive_duration, "35s",
            "How long EC2's reads may lag behind writes; absences are believed only after it."),
    Setting("--orphan-grace-period", _positive_duration, "5m",
            "Age at which an ENI of ours whose NodeENI is gone is swept."),
    Setting("--dry-run", _truth, "false",
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
    verbosity: int
    resync_period: float
    force_detach_after: float
    undo_attach_after: float
    max_concurrent_nodes: int
    ec2_rate: dict[str, tuple[float, float]] | None
    node_grace_period: float
    read_lag: float
    orphan_grace_period: float
    dry_run: bool


class UsageError(Exception):
    """A flag or variable that cannot be used: one line that says what to change. Exit status 2."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see {self.prog} --help")


def controller_settings(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> Settings:
    """Flags before environment before defaults. UsageError names the flag or variable, and the way out."""
    parser = _Parser(
        prog="nodeeni controller",
        description="Create, attach and remove the ENIs that NodeENI objects ask for.",
        allow_abbrev=False,
    )
    for setting in CONTROLLER_SETTINGS:
        parser.add_argument(setting.flag, **_argument(setting))
    given = vars(parser.parse_args([_two_dashes(argument) for argument in arguments]))
    return Settings(**{s.field: _value(s, given[s.field], environment) for s in CONTROLLER_SETTINGS})


def _two_dashes(argument: str) -> str:
    """v1.x is a Go program, whose flags are written with one dash as well. `-h` stays what it is."""
    return f"-{argument}" if re.match(r"-(v\b|[a-z]{2})", argument) else argument


def _argument(setting: Setting) -> dict[str, Any]:
    notes = [f"default {setting.default}"] if setting.default is not None else []
    notes += [f"variable {', '.join(setting.environment)}"] if setting.environment else []
    argument: dict[str, Any] = {
        "dest": setting.field,
        "help": f"{setting.help} ({'; '.join(notes)})" if notes else setting.help,
    }
    if setting.parse is _truth:  # `--dry-run` and, as Go's flag package has it, `--dry-run=false`
        argument |= {"nargs": "?", "const": "true"}
    return argument


def _value(setting: Setting, given: str | None, environment: Mapping[str, str]) -> Any:
    sources = [(setting.flag, given)] if given is not None else []
    sources += [(name, environment[name]) for name in setting.environment if environment.get(name)]
    if setting.default is not None:
        sources.append((setting.flag, setting.default))
    for name, text in sources[:1]:
        try:
            return setting.parse(text)
        except ValueError as error:
            raise UsageError(f"{name}: {error}") from error
    return None

"""The ENI manager's settings: its flags and environment, declared once."""

import os
import re
import socket
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from nodeeni.flags import LOG_FORMAT, Flags, Setting, address, positive_duration, read_settings, truth


class AgentSettings(NamedTuple):
    node_name: str
    check_interval: float  # seconds
    primary_interface: str | None
    udev_timeout: float  # seconds
    debug: bool
    log_format: str | None
    physical: bool  # --manage-links physical, not listed
    eni_pattern: re.Pattern[str] | None
    ignore_interfaces: frozenset[str]
    kubeconfig: str | None
    metrics_addr: tuple[str, int] | None
    spec_file: str | None
    cni_conf_dir: str | None
    cni_files: bool  # --cni-files write, not remove
    cni_state_dir: str
    cni_bin_dir: str | None
    cni_look: float  # seconds
    sysfs: str
    service_account: str
    keepalive: float  # seconds


def _physical(text: str) -> bool:
    if text not in ("physical", "listed"):
        raise ValueError(f"{text!r} is neither physical nor listed")
    return text == "physical"


def _written(text: str) -> bool:
    if text not in ("write", "remove"):
        raise ValueError(f"{text!r} is neither write nor remove")
    return text == "write"


def _folder(text: str) -> str:
    if not os.path.isabs(text):
        raise ValueError(f"{text!r} is no absolute path")
    return text


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise ValueError(f"{text!r} is not a regular expression: {error}") from error


def _names(text: str) -> frozenset[str]:
    return frozenset(filter(None, (name.strip() for name in text.split(","))))


AGENT_SETTINGS = (
    Setting("--check-interval", positive_duration, "30s",
            "A safety re-check of all links; the work itself is driven by kernel events."),
    Setting("--primary-interface", str, None,
            "The link that is never touched. Default: that of the default route with the best metric, "
            "decided once, as soon as there is one; never a listed one."),
    Setting("--udev-timeout", positive_duration, "10s",
            "How long a new link is left alone while udev, which names links, has not said that it is done "
            "with it. Where there is no udev: not at all."),
    Setting("--debug", truth, "false", "Log more."),
    LOG_FORMAT,
    Setting("--manage-links", _physical, "physical",
            "physical: links that the ENINode lists, and other PCI network devices, which are only "
            "brought up; listed: the listed ones alone.", ("MANAGE_LINKS",)),
    Setting("--eni-pattern", _pattern, None,
            "Unlisted links are brought up only if their name matches this expression.", ("ENI_PATTERN",)),
    Setting("--ignore-interfaces", _names, "",
            "Names, with commas between, of unlisted links to leave alone.", ("IGNORE_INTERFACES",)),
    Setting("--kubeconfig", str, None,
            "Kubeconfig file, in JSON or YAML. Default: in-cluster, else none: physical links are still "
            "brought up, except at a terminal, where it refuses.",
            ("KUBECONFIG",)),
    Setting("--node-name", str, None, "Name of this Node and ENINode. Default: the host name.",
            ("NODE_NAME",)),
    Setting("--metrics-addr", address, None, "Address of /metrics and /healthz. Default: off."),
    Setting("--spec-file", str, None,
            "Where the last spec is kept, so that links come up after a reboot without an API server. "
            "Default: nowhere.", ("SPEC_FILE",)),
    Setting("--cni-conf-dir", _folder, None,
            "Folder of the node's CNI files of podNetwork, where Multus looks for them: one of its own, such "
            "as /etc/cni/multus/net.d, never the container runtime's. Default: none is written.",
            ("CNI_CONF_DIR",)),
    Setting("--cni-files", _written, "write",
            "write: the files of podNetwork are kept as they are to be; remove: those that an ENI manager "
            "wrote are taken away, and none is written.", ("CNI_FILES",)),
    Setting("--cni-state-dir", _folder, "/var/lib/cni/networks",
            "Folder where the CNI plugin host-local keeps which addresses pods have; only read.",
            ("CNI_STATE_DIR",)),
    Setting("--cni-bin-dir", _folder, None,
            "Folder of the node's CNI plugins, such as /opt/cni/bin: whether those that the files name are "
            "there is looked at. Default: not looked at.", ("CNI_BIN_DIR",)),
    Setting("--cni-look", positive_duration, "5s", None),
    Setting("--sysfs", str, "/sys", None),
    Setting("--service-account", str, "/var/run/secrets/kubernetes.io/serviceaccount", None),
    Setting("--keepalive", positive_duration, "30s", None),
)  # fmt: skip


def agent_settings(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> AgentSettings:
    """Flags before environment before defaults. UsageError names the flag or variable and the way out."""
    flags = Flags("manager", "Bring this node's ENIs up in its kernel, and report them.")
    values = read_settings(flags, AGENT_SETTINGS, arguments, environment)
    values["node_name"] = values["node_name"] or socket.gethostname()
    return AgentSettings(physical=values.pop("manage_links"), **values)

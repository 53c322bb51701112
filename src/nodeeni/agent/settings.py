"""The agent's settings: its flags and environment, declared once. Apart from the controller's, which
need more than the standard library."""

import argparse
import os
import re
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h))+")
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_TRUTH = {"true": True, "1": True, "t": True, "false": False, "0": False, "f": False}


class UsageError(Exception):
    """Settings that cannot be used: one line that says what to change. Exit status 2."""


class AgentSettings(NamedTuple):
    node_name: str
    check_interval: float  # seconds
    primary_interface: str | None
    udev_timeout: float  # seconds
    debug: bool
    physical: bool  # --manage-links physical, not listed
    eni_pattern: re.Pattern[str] | None
    ignore_interfaces: frozenset[str]
    kubeconfig: str | None
    metrics_addr: tuple[str, int] | None
    spec_file: str | None
    sysfs: str
    service_account: str
    keepalive: float  # seconds


def _duration(text: str) -> float:
    if not _DURATION.fullmatch(text):
        raise ValueError(f"{text!r} is not a duration: write it as 30s, 5m or 1h30m")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    if seconds <= 0:
        raise ValueError(f"{text!r} is not above zero: write it as 30s, 5m or 1h30m")
    return seconds


def _truth(text: str) -> bool:
    if text.lower() not in _TRUTH:
        raise ValueError(f"{text!r} is neither true nor false")
    return _TRUTH[text.lower()]


def _physical(text: str) -> bool:
    if text not in ("physical", "listed"):
        raise ValueError(f"{text!r} is neither physical nor listed")
    return text == "physical"


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise ValueError(f"{text!r} is not a regular expression: {error}") from error


def _names(text: str) -> frozenset[str]:
    return frozenset(filter(None, (name.strip() for name in text.split(","))))


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise ValueError(f"{text!r} is not an address: write it as :8081 or 127.0.0.1:8081")
    return host.strip("[]"), int(port)


class Setting(NamedTuple):
    """One setting; `default` as a user would write it, None: unset. `help` None: not shown, for tests."""

    flag: str
    parse: Callable[[str], Any]
    default: str | None
    help: str | None
    variable: str = ""


AGENT_SETTINGS = (
    Setting("--check-interval", _duration, "30s",
            "A safety re-check of all links; the work itself is driven by kernel events."),
    Setting("--primary-interface", str, None,
            "The link that is never touched. Default: that of the default route with the best metric, "
            "decided once, as soon as there is one; never a listed one."),
    Setting("--udev-timeout", _duration, "10s",
            "How long a new link is left alone while udev, which names links, has not said that it is done "
            "with it. Where there is no udev: not at all."),
    Setting("--debug", _truth, "false", "Log more."),
    Setting("--manage-links", _physical, "physical",
            "physical: links that the ENINode lists, and other PCI network devices, which are only "
            "brought up; listed: the listed ones alone.", "MANAGE_LINKS"),
    Setting("--eni-pattern", _pattern, None,
            "Unlisted links are brought up only if their name matches this expression.", "ENI_PATTERN"),
    Setting("--ignore-interfaces", _names, "",
            "Names, with commas between, of unlisted links to leave alone.", "IGNORE_INTERFACES"),
    Setting("--kubeconfig", str, None,
            "Kubeconfig file. Default: in-cluster, else none: physical links are still brought up.",
            "KUBECONFIG"),
    Setting("--node-name", str, None, "Name of this Node and ENINode. Default: the host name.", "NODE_NAME"),
    Setting("--metrics-addr", _address, None, "Address of /metrics and /healthz. Default: off."),
    Setting("--spec-file", str, None,
            "Where the last spec is kept, so that links come up after a reboot without an API server. "
            "Default: nowhere.", "SPEC_FILE"),
    Setting("--sysfs", str, "/sys", None),
    Setting("--service-account", str, "/var/run/secrets/kubernetes.io/serviceaccount", None),
    Setting("--keepalive", _duration, "30s", None),
)  # fmt: skip


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see {self.prog} --help")


def agent_settings(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> AgentSettings:
    """Flags before environment before defaults. UsageError names the flag or variable and the way out."""
    parser = _Parser(
        prog="nodeeni manager",
        description="Bring this node's ENIs up in its kernel, and report them.",
        allow_abbrev=False,
    )
    for setting in AGENT_SETTINGS:
        parser.add_argument(setting.flag, **_argument(setting))
    given = vars(parser.parse_args([_two_dashes(argument) for argument in arguments]))
    values = {s.flag: _value(s, given[s.flag], environment) for s in AGENT_SETTINGS}
    return AgentSettings(
        node_name=values["--node-name"] or socket.gethostname(),
        check_interval=values["--check-interval"],
        primary_interface=values["--primary-interface"],
        udev_timeout=values["--udev-timeout"],
        debug=values["--debug"],
        physical=values["--manage-links"],
        eni_pattern=values["--eni-pattern"],
        ignore_interfaces=values["--ignore-interfaces"],
        kubeconfig=values["--kubeconfig"],
        metrics_addr=values["--metrics-addr"],
        spec_file=values["--spec-file"],
        sysfs=values["--sysfs"],
        service_account=values["--service-account"],
        keepalive=values["--keepalive"],
    )


def _two_dashes(argument: str) -> str:
    """v1.1.0 is a Go program, whose flags are written with one dash as well."""
    return f"-{argument}" if re.match(r"-[a-z]{2}", argument) else argument


def _argument(setting: Setting) -> dict[str, Any]:
    argument: dict[str, Any] = {"dest": setting.flag, "metavar": "VALUE", "help": argparse.SUPPRESS}
    if setting.help is not None:
        notes = [f"default {setting.default}"] if setting.default else []
        notes += [f"variable {setting.variable}"] if setting.variable else []
        argument["help"] = f"{setting.help} ({'; '.join(notes)})" if notes else setting.help
    if setting.parse is _truth:
        argument |= {"nargs": "?", "const": "true"}
    return argument


def _value(setting: Setting, given: str | None, environment: Mapping[str, str]) -> Any:
    name, text = setting.flag, given
    if text is None and setting.variable and environment.get(setting.variable):
        name, text = setting.variable, environment[setting.variable]
    if text is None or (text == "" and setting.default is None):
        text = setting.default
    if text is None:
        return None
    try:
        return setting.parse(text)
    except ValueError as error:
        raise UsageError(f"{name}: {error}") from error

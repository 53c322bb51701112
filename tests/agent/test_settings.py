"""Flags and variables: what is taken, and the one line that refuses the rest."""

import re
import socket

import pytest

from nodeeni.agent.app import main
from nodeeni.agent.settings import AgentSettings, agent_settings

DEFAULTS = AgentSettings(
    node_name=socket.gethostname(),
    check_interval=30.0,
    primary_interface=None,
    udev_timeout=10.0,
    debug=False,
    log_format=None,
    physical=True,
    eni_pattern=None,
    ignore_interfaces=frozenset(),
    kubeconfig=None,
    metrics_addr=None,
    spec_file=None,
    cni_conf_dir=None,
    cni_files=True,
    cni_state_dir="/var/lib/cni/networks",
    cni_bin_dir=None,
    cni_look=5.0,
    sysfs="/sys",
    service_account="/var/run/secrets/kubernetes.io/serviceaccount",
    keepalive=30.0,
)


def test_without_flags_the_contracts_defaults() -> None:
    assert agent_settings([], {}) == DEFAULTS


def test_every_flag() -> None:
    arguments = [
        *("--check-interval=1h30m", "--primary-interface", "eth0", "--debug", "--manage-links=listed"),
        *("--eni-pattern=^ens", "--ignore-interfaces=a,b", "--kubeconfig=/k", "--node-name=n"),
        *("--metrics-addr=:8081", "--spec-file=/s", "--udev-timeout=2500ms", "--log-format=text"),
        *(
            "--cni-conf-dir=/etc/cni/multus/net.d",
            "--cni-files=remove",
            "--cni-state-dir=/n",
            "--cni-bin-dir=/opt/cni/bin",
        ),
    ]
    assert agent_settings(arguments, {}) == AgentSettings(
        node_name="n",
        check_interval=5400.0,
        primary_interface="eth0",
        udev_timeout=2.5,
        debug=True,
        log_format="text",
        physical=False,
        eni_pattern=re.compile("^ens"),
        ignore_interfaces=frozenset({"a", "b"}),
        kubeconfig="/k",
        metrics_addr=("", 8081),
        spec_file="/s",
        cni_conf_dir="/etc/cni/multus/net.d",
        cni_files=False,
        cni_state_dir="/n",
        cni_bin_dir="/opt/cni/bin",
        cni_look=5.0,
        sysfs="/sys",
        service_account="/var/run/secrets/kubernetes.io/serviceaccount",
        keepalive=30.0,
    )


def test_variables_stand_in_for_flags_and_flags_win() -> None:
    environment = {
        "NODE_NAME": "n",
        "MANAGE_LINKS": "listed",
        "ENI_PATTERN": "x",
        "IGNORE_INTERFACES": "a, b",
        "KUBECONFIG": "/k",
    }
    settings = agent_settings(["--manage-links=physical"], environment)
    assert settings == DEFAULTS._replace(
        node_name="n",
        eni_pattern=re.compile("x"),
        ignore_interfaces=frozenset({"a", "b"}),
        kubeconfig="/k",
    )


@pytest.mark.parametrize("arguments", [["-debug"], ["--debug=true"], ["-check-interval", "30s", "-debug=1"]])
def test_flags_as_go_programs_take_them(arguments: list[str]) -> None:
    assert agent_settings(arguments, {}) == DEFAULTS._replace(debug=True)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ["--chek"],
            "unrecognized arguments: --chek, did you mean --check-interval?; see nodeeni manager --help",
        ),
        (["--check-interval=5"], "--check-interval: '5' is not a duration: write it as 30s, 5m or 1h30m"),
        (["--check-interval=0s"], "--check-interval: '0s' is not above zero: write it as 30s, 5m or 1h30m"),
        (["--manage-links=all"], "--manage-links: 'all' is neither physical nor listed"),
        (["--debug=perhaps"], "--debug: 'perhaps' is neither true nor false"),
        (
            ["--eni-pattern=*"],
            "--eni-pattern: '*' is not a regular expression: nothing to repeat at position 0",
        ),
        (
            ["--metrics-addr=8080"],
            "--metrics-addr: '8080' is not an address: write it as :8080 or 127.0.0.1:8080",
        ),
        (
            ["--kubeconfig=/nowhere"],
            "kubeconfig /nowhere cannot be read: [Errno 2] No such file or directory: '/nowhere'",
        ),
    ],
)
def test_what_cannot_be_used_ends_in_one_line_and_status_2(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err == f"nodeeni manager: {line}\n"


def test_a_bad_variable_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("MANAGE_LINKS", "none")
    assert main([]) == 2
    assert capsys.readouterr().err == "nodeeni manager: MANAGE_LINKS: 'none' is neither physical nor listed\n"

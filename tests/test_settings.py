"""The controller's flags and variables: what is taken, and the one line that refuses the rest."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nodeeni.ec2.types import Action
from nodeeni.flags import UsageError, parse_duration
from nodeeni.settings import CONTROLLER_SETTINGS, Settings, controller_settings

DEFAULTS = Settings(
    metrics_addr=("", 8080),
    enable_leader_election=False,
    leader_election_namespace=None,
    lease_duration=15.0,
    kubeconfig=None,
    aws_region=None,
    cluster_id=None,
    former_cluster_ids=None,
    verbosity=0,
    log_format=None,
    resync_period=300.0,
    force_detach_after=300.0,
    undo_attach_after=90.0,
    max_concurrent_nodes=100,
    ec2_rate=None,
    node_grace_period=120.0,
    label_grace=5.0,
    mass_removal_delay=600.0,
    read_lag=35.0,
    orphan_grace_period=300.0,
    stalled_after=120.0,
    deaf_timeout=600.0,
    node_condition=False,
    startup_taint=None,
    require_link_up=False,
    dry_run=False,
)


def with_changes(**changes: Any) -> Settings:
    return msgspec.structs.replace(DEFAULTS, **changes)


def test_without_flags_the_contracts_defaults() -> None:
    assert controller_settings([], {}) == DEFAULTS


def test_every_flag() -> None:
    arguments = [
        *("--metrics-addr=127.0.0.1:9090", "--enable-leader-election", "--leader-election-namespace=ns"),
        *("--lease-duration", "30s", "--kubeconfig=/k", "--aws-region", "eu-west-1", "--cluster-id=c"),
        *(
            "--v=5",
            "--resync-period=1m30s",
            "--force-detach-after=10m",
            "--undo-attach-after=45s",
            "--max-concurrent-nodes=7",
            "--ec2-rate=AttachNetworkInterface=100/10,CreateTags=20/2.5",
        ),
        "--former-cluster-ids=b, a",
        *("--node-grace-period=1h", "--read-lag=500ms", "--orphan-grace-period=1.5m", "--dry-run"),
        *("--label-grace=1s", "--mass-removal-delay=0"),
        "--stalled-after=1m",
        "--deaf-timeout=20m",
        "--log-format=json",
        *("--node-condition", "--startup-taint=example.com/no-eni-yet", "--require-link-up"),
    ]
    assert controller_settings(arguments, {}) == Settings(
        metrics_addr=("127.0.0.1", 9090),
        enable_leader_election=True,
        leader_election_namespace="ns",
        lease_duration=30.0,
        kubeconfig="/k",
        aws_region="eu-west-1",
        cluster_id="c",
        former_cluster_ids=("b", "a"),
        verbosity=5,
        log_format="json",
        resync_period=90.0,
        force_detach_after=600.0,
        undo_attach_after=45.0,
        max_concurrent_nodes=7,
        ec2_rate={"AttachNetworkInterface": (100.0, 10.0), "CreateTags": (20.0, 2.5)},
        node_grace_period=3600.0,
        label_grace=1.0,
        mass_removal_delay=0.0,
        read_lag=0.5,
        orphan_grace_period=90.0,
        stalled_after=60.0,
        deaf_timeout=1200.0,
        node_condition=True,
        startup_taint="example.com/no-eni-yet",
        require_link_up=True,
        dry_run=True,
    )


def test_variables_stand_in_for_flags() -> None:
    environment = {
        "POD_NAMESPACE": "ns",
        "KUBECONFIG": "/k",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-2",
        "CLUSTER_ID": "c",
        "FORMER_CLUSTER_IDS": "b",
        "LOG_LEVEL": "debug",
        "RECONCILE_PERIOD": "1m",
        "DETACHMENT_TIMEOUT": "2m",
        "MAX_CONCURRENT_RECONCILES": "3",
        "NODE_CONDITION": "true",
        "STARTUP_TAINT": "no-eni-yet",
    }
    assert controller_settings([], environment) == with_changes(
        leader_election_namespace="ns",
        kubeconfig="/k",
        aws_region="eu-west-1",
        cluster_id="c",
        former_cluster_ids=("b",),
        verbosity=5,
        resync_period=60.0,
        force_detach_after=120.0,
        max_concurrent_nodes=3,
        node_condition=True,
        startup_taint="no-eni-yet",
    )


def test_flags_come_before_variables_and_the_first_variable_before_the_second() -> None:
    environment = {"AWS_DEFAULT_REGION": "eu-west-2", "RECONCILE_PERIOD": "nonsense", "CLUSTER_ID": ""}
    settings = controller_settings(["--resync-period=7s"], environment)
    assert settings == with_changes(aws_region="eu-west-2", resync_period=7.0)


@pytest.mark.parametrize(
    ("arguments", "changes"),
    [
        (["--dry-run"], {"dry_run": True}),
        (["--dry-run=false"], {}),
        (["--dry-run", "--v=5"], {"dry_run": True, "verbosity": 5}),
        (["--enable-leader-election=true"], {"enable_leader_election": True}),
        (["--v", "0"], {}),
        (["-v=5", "-dry-run", "-cluster-id", "c"], {"verbosity": 5, "dry_run": True, "cluster_id": "c"}),
        (["--metrics-addr=[::1]:0"], {"metrics_addr": ("::1", 0)}),
    ],
)
def test_flags_as_go_programs_take_them(arguments: list[str], changes: dict[str, Any]) -> None:
    assert controller_settings(arguments, {}) == with_changes(**changes)


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("5m", 300), ("1h30m", 5400), ("500ms", 0.5), ("1.5h", 5400)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "5 m", "m", "-5m", "5d", "1h 30m", "5m!"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration: write it as 30s, 5m or 1h30m"):
        parse_duration(text)


REFUSED = [
    (["--nope"], {}, "unrecognized arguments: --nope; see nodeeni controller --help"),
    (
        ["--resync"],
        {},
        "unrecognized arguments: --resync, did you mean --resync-period?; see nodeeni controller --help",
    ),
    (
        ["--resync-period"],
        {},
        "argument --resync-period: expected one argument; see nodeeni controller --help",
    ),
    (["--resync-period=5"], {}, "--resync-period: '5' is not a duration: write it as 30s, 5m or 1h30m"),
    (
        ["--ec2-rate=AttachNetworkInterface=100"],
        {},
        (
            "--ec2-rate: 'AttachNetworkInterface=100' is not ACTION=CAPACITY/REFILL, as "
            "AttachNetworkInterface=100/10"
        ),
    ),
    (
        [],
        {"EC2_RATE": "CreateTags=20/0"},
        "EC2_RATE: 'CreateTags=20/0': a capacity is at least 1, and a refill above 0 a second",
    ),
    (
        ["--ec2-rate=RunInstances=5/2"],
        {},
        (
            "--ec2-rate: 'RunInstances' is not metered here; these are: CreateNetworkInterface, "
            "AttachNetworkInterface, DetachNetworkInterface, DeleteNetworkInterface, "
            "ModifyNetworkInterfaceAttribute, CreateTags, DeleteTags, AssignPrivateIpAddresses, "
            "UnassignPrivateIpAddresses, AssignIpv6Addresses, UnassignIpv6Addresses"
        ),
    ),
    (["--read-lag=0s"], {}, "--read-lag: '0s' is not above zero: write it as 30s, 5m or 1h30m"),
    (
        [],
        {"DETACHMENT_TIMEOUT": "x"},
        "DETACHMENT_TIMEOUT: 'x' is not a duration: write it as 30s, 5m or 1h30m",
    ),
    ([], {"LOG_LEVEL": "loud"}, "LOG_LEVEL: 'loud' is not a log verbosity: write 0 (info) to 5 (debug)"),
    (["--v=-1"], {}, "--v: '-1' is not a log verbosity: write 0 (info) to 5 (debug)"),
    (["--max-concurrent-nodes=0"], {}, "--max-concurrent-nodes: '0' is not a whole number from 1 up"),
    (
        ["--metrics-addr=8080"],
        {},
        "--metrics-addr: '8080' is not an address: write it as :8080 or 127.0.0.1:8080",
    ),
    (
        ["--metrics-addr=:70000"],
        {},
        "--metrics-addr: ':70000' is not an address: write it as :8080 or 127.0.0.1:8080",
    ),
    (
        ["--startup-taint=example.com/no-eni-yet:NoSchedule"],
        {},
        (
            "--startup-taint: 'example.com/no-eni-yet:NoSchedule' is not the key of a taint, such as "
            "example.com/no-eni-yet: write it without value and effect"
        ),
    ),
    (["--dry-run=perhaps"], {}, "--dry-run: 'perhaps' is neither true nor false"),
]


@pytest.mark.parametrize(("arguments", "environment", "line"), REFUSED, ids=[row[2][:24] for row in REFUSED])
def test_what_cannot_be_used_is_named_with_the_way_out(
    arguments: list[str], environment: dict[str, str], line: str
) -> None:
    with pytest.raises(UsageError) as refusal:
        controller_settings(arguments, environment)
    assert str(refusal.value) == line


def test_every_setting_is_declared_once_and_has_a_field() -> None:
    flags = [setting.flag for setting in CONTROLLER_SETTINGS]
    assert len(flags) == len(set(flags))
    assert {setting.field for setting in CONTROLLER_SETTINGS} == {
        field.name for field in msgspec.structs.fields(Settings)
    }


def test_every_metered_action_can_be_given_a_rate() -> None:
    given = ",".join(f"{action}=10/1" for action in Action)
    assert controller_settings([f"--ec2-rate={given}"], {}).ec2_rate == dict.fromkeys(Action, (10.0, 1.0))


def run(*arguments: str, **environment: str) -> tuple[int, str, str]:
    command = [sys.executable, "-m", "nodeeni.cli.main", *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )
    return done.returncode, done.stdout, done.stderr


def test_the_process_ends_with_one_line_on_an_unknown_flag() -> None:
    line = "nodeeni controller: unrecognized arguments: --nope; see nodeeni controller --help\n"
    assert run("controller", "--nope") == (2, "", line)


def test_the_process_ends_with_one_line_on_an_unknown_command() -> None:
    assert run("controler") == (
        2,
        "",
        "nodeeni: unknown command 'controler', did you mean controller?; see nodeeni --help\n",
    )


def test_the_process_ends_with_one_line_on_an_unreadable_kubeconfig(tmp_path: Path) -> None:
    broken = tmp_path / "config"
    broken.write_text("current-context: [")
    status, out, err = run("controller", "--metrics-addr=127.0.0.1:0", KUBECONFIG=str(broken))
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"nodeeni controller: {broken} is not a kubeconfig that can be read: ")


def test_the_process_ends_with_one_line_on_a_missing_kubeconfig(tmp_path: Path) -> None:
    missing = tmp_path / "config"
    assert run("controller", f"--kubeconfig={missing}", "--metrics-addr=127.0.0.1:0") == (
        2,
        "",
        f"nodeeni controller: kubeconfig {missing} does not exist; give an existing file with --kubeconfig\n",
    )

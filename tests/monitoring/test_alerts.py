"""Each alert fires where it is to, with the words that people read, and does not fire where it is not."""

import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from tests.monitoring.prometheus import ALERTS, promtool


class Case(NamedTuple):
    """Of one alert at one moment. `labels`: those of each that fires; none: it does not fire. Series are
    promtool's: `1x9` is 1, and nine more of it, a minute apart."""

    alert: str
    situation: str
    series: dict[str, str]
    at: str
    labels: dict[str, str] | None
    value: str = ""


CALLS = "nodeeni_ec2_calls_total"


def _of_pods(metric: str, node: str, more: str = "") -> str:
    return f'nodeeni_agent_pod_{metric}{{instance="{node}",nodeeni="a",network="pods"{more}}}'


CASES = [
    Case(
        "NodeENIControllerNotLeading",
        "one of two leads",
        {'nodeeni_leader{pod="a"}': "1x30", 'nodeeni_leader{pod="b"}': "0x30"},
        "20m",
        None,
    ),
    Case(
        "NodeENIControllerNotLeading",
        "a handover of two minutes",
        {"nodeeni_leader": "1x5 0x1 1x20"},
        "9m",
        None,
    ),
    Case(
        "NodeENIControllerNotLeading",
        "none leads",
        {'nodeeni_leader{pod="a"}': "1x5 0x30", 'nodeeni_leader{pod="b"}': "0x30"},
        "15m",
        {},
    ),
    Case("NodeENIControllerNotLeading", "none is there", {"up": "0x30"}, "15m", {}),
    Case(
        "NodeENIInventoryStale",
        "read each five minutes",
        {"nodeeni_inventory_age_seconds": "0 60 120 180 240 300 0x30"},
        "20m",
        None,
    ),
    Case(
        "NodeENIInventoryStale",
        "unread for half an hour",
        {"nodeeni_inventory_age_seconds": "0+60x40"},
        "35m",
        {},
    ),
    Case(
        "NodeENICallsDenied",
        "denied once",
        {f'{CALLS}{{action="AttachNetworkInterface",outcome="denied"}}': "0x5 1x5"},
        "8m",
        {"action": "AttachNetworkInterface"},
    ),
    Case(
        "NodeENICallsDenied",
        "denied before anybody looked",
        {f'{CALLS}{{action="AttachNetworkInterface",outcome="denied"}}': "_x5 2x30"},
        "8m",
        {"action": "AttachNetworkInterface"},
    ),
    Case(
        "NodeENICallsDenied",
        "denied long ago",
        {f'{CALLS}{{action="AttachNetworkInterface",outcome="denied"}}': "3x60"},
        "50m",
        None,
    ),
    Case(
        "NodeENICallsThrottled",
        "a storm of ten minutes",
        {
            f'{CALLS}{{action="X",outcome="throttled"}}': "0+10x10 100x60",
            f'{CALLS}{{action="X",outcome="ok"}}': "0+10x70",
        },
        "20m",
        None,
    ),
    Case(
        "NodeENICallsThrottled",
        "one in ten for an hour",
        {
            f'{CALLS}{{action="X",outcome="throttled"}}': "0+1x70",
            f'{CALLS}{{action="X",outcome="ok"}}': "0+9x70",
        },
        "60m",
        {},
    ),
    Case(
        "NodeENIFailing",
        "fails for two minutes while a subnet is full",
        {'nodeeni_attachments{nodeeni="a",state="failed"}': "0x5 3x2 0x30"},
        "12m",
        None,
    ),
    Case(
        "NodeENIFailing",
        "fails for 20 minutes",
        {
            'nodeeni_attachments{nodeeni="a",state="failed"}': "0x5 3x30",
            'nodeeni_attachments{nodeeni="b",state="failed"}': "0x35",
        },
        "25m",
        {"nodeeni": "a"},
        "3",
    ),
    Case(
        "NodeENIRemovalHeld",
        "nothing is held",
        {'nodeeni_removals_held{nodeeni="a",sign="vanished"}': "0x30"},
        "10m",
        None,
    ),
    Case(
        "NodeENIRemovalHeld",
        "12 nodes vanished",
        {'nodeeni_removals_held{nodeeni="a",sign="vanished"}': "0x5 12x30"},
        "6m",
        {"nodeeni": "a", "sign": "vanished"},
        "12",
    ),
    Case(
        "NodeENILinksRefused",
        "changes that the kernel takes",
        {
            'nodeeni_agent_link_failures_total{instance="n1"}': "0x30",
            'nodeeni_agent_link_changes_total{instance="n1"}': "0+1x30",
        },
        "10m",
        None,
    ),
    Case(
        "NodeENILinksRefused",
        "one that it refused before anybody looked, long ago",
        {'nodeeni_agent_link_failures_total{instance="n1"}': "1x60"},
        "40m",
        None,
    ),
    Case(
        "NodeENILinksRefused",
        "one that it refuses",
        {'nodeeni_agent_link_failures_total{instance="n1"}': "0x5 1x30"},
        "10m",
        {"instance": "n1"},
    ),
    Case(
        "NodeENIPodAddressesExhausted",
        "the last address for a moment, and some left elsewhere",
        {
            _of_pods("addresses", "n1", ',state="free"'): "3x5 0x3 1x30",
            _of_pods("addresses", "n1", ',state="used"'): "0x60",
            _of_pods("addresses", "n2", ',state="free"'): "16x60",
        },
        "20m",
        None,
    ),
    Case(
        "NodeENIPodAddressesExhausted",
        "none left for ten minutes",
        {
            _of_pods("addresses", "n1", ',state="free"'): "3x5 0x30",
            _of_pods("addresses", "n2", ',state="free"'): "16x60",
        },
        "16m",
        {"instance": "n1", "nodeeni": "a", "network": "pods"},
    ),
    Case(
        "NodeENIPodNetworkNotReady",
        "a file that comes with its link",
        {_of_pods("network_ready", "n1"): "0x5 1x60"},
        "30m",
        None,
    ),
    Case(
        "NodeENIPodNetworkNotReady",
        "refused",
        {_of_pods("network_ready", "n1"): "0x60", _of_pods("network_ready", "n2"): "1x60"},
        "30m",
        {"instance": "n1", "nodeeni": "a", "network": "pods"},
    ),
]


def rules() -> dict[str, dict[str, Any]]:
    (group,) = yaml.safe_load(ALERTS.read_text())["groups"]
    return {rule["alert"]: rule for rule in group["rules"]}


def rendered(text: str, labels: dict[str, str], value: str) -> str:
    """As Prometheus fills in a template, of those that ours use."""
    text = re.sub(r"{{ \$labels\.(\w+) }}", lambda found: labels[found[1]], text)
    return text.replace("{{ $value }}", value)


def expected(case: Case) -> list[dict[str, Any]]:
    if case.labels is None:
        return []
    rule = rules()[case.alert]
    words = {key: rendered(text, case.labels, case.value) for key, text in rule["annotations"].items()}
    return [{"exp_labels": {**rule["labels"], **case.labels}, "exp_annotations": words}]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.alert}: {case.situation}")
def test_an_alert(case: Case, tmp_path: Path) -> None:
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in case.series.items()],
        "alert_rule_test": [
            {"eval_time": case.at, "alertname": case.alert, "exp_alerts": expected(case)},
        ],
    }
    file = tmp_path / "test.yaml"
    file.write_text(yaml.safe_dump({"rule_files": [str(ALERTS)], "tests": [test]}))
    result = promtool("test", "rules", str(file))
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_rules_are_such() -> None:
    result = promtool("check", "rules", "--lint-fatal", str(ALERTS))
    assert result.returncode == 0, result.stdout + result.stderr


def test_each_alert_has_a_case_that_fires_and_one_that_does_not() -> None:
    for fires in (True, False):
        assert {case.alert for case in CASES if (case.labels is not None) is fires} == set(rules())

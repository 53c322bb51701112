"""What stays broken, however many wait for it: one of them tries for all, the log has a line, rows say why.

Times are turned: what EC2's error classes wait for in seconds is waited for in hundredths of a second, so a
minute of what lasts is 0.6 s, and what is counted are calls and lines.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator

import pytest

from nodeeni.controller import sweeper, troubles
from nodeeni.ec2.errors import ErrorClass, RetryRule
from nodeeni.kube import reach
from nodeeni.logs import Lasting
from nodeeni.sandbox.ec2 import Fault
from nodeeni.sandbox.kube.faults import Fault as KubeFault
from nodeeni.sandbox.world import WorldNode

from .conftest import OpenStage, Stage

NODES = 40
SCALE = 100.0
PROBES_A_MINUTE, LINES_A_MINUTE = 6, 3
Setup = Callable[[Stage], None]


@pytest.fixture(autouse=True)
def hundred_times_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    for error_class in ErrorClass:
        rule = error_class.retry
        scaled = RetryRule(rule.first / SCALE, rule.factor, rule.most / SCALE, rule.jitter)
        monkeypatch.setattr(error_class, "retry", scaled)
    monkeypatch.setattr(troubles, "PROBE", troubles.PROBE / SCALE)
    monkeypatch.setattr(troubles, "PATIENCE", troubles.PATIENCE / SCALE)
    monkeypatch.setattr(sweeper, "READ_AGAIN", RetryRule(1 / SCALE, 2, 30 / SCALE))
    monkeypatch.setattr(Lasting, "FIRST", 60 / SCALE)
    monkeypatch.setattr(Lasting, "MOST", 960 / SCALE)


class Log(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    caplog.set_level("INFO", "nodeeni")
    log = Log()
    logging.getLogger("nodeeni").addHandler(log)
    yield log.lines
    logging.getLogger("nodeeni").removeHandler(log)


def _denied(stage: Stage) -> None:
    stage.ec2.faults.add(
        Fault(action="CreateNetworkInterface", denied="no identity-based policy", times=None)
    )


def _tag_policy(stage: Stage) -> None:
    stage.ec2.faults.error("CreateNetworkInterface", "TagPolicyViolation", times=None)


def _no_block(stage: Stage) -> None:
    stage.ec2.faults.error("CreateNetworkInterface", "InsufficientCidrBlocks", times=None)


def _unanswered(stage: Stage) -> None:
    stage.ec2.faults.error("CreateNetworkInterface", "Unavailable", times=None)


@pytest.mark.parametrize(
    ("breaks", "reason"),
    [
        (_denied, "NotAuthorized"),
        (_tag_policy, "RejectedByEC2"),
        (_no_block, "NoFreePrefix"),
        (_unanswered, "EC2Error"),
    ],
    ids=["no permission", "tag policy", "no block of addresses", "not answered"],
)
async def test_one_of_all_tries_and_the_first_success_lets_all_go_on(
    stage: Stage, lines: list[str], breaks: Setup, reason: str
) -> None:
    nodes = [await stage.node() for _ in range(NODES)]
    breaks(stage)
    stage.apply()
    async with stage.controller():
        await stage.until(lambda: _all_wait(stage, nodes, reason))
        calls, said = stage.calls()["CreateNetworkInterface"], len(lines)
        writes = _version(stage)
        minutes = await _minutes(3)
        tried = stage.calls()["CreateNetworkInterface"] - calls
        assert 0 < tried <= minutes * PROBES_A_MINUTE
        assert len(lines) - said <= minutes * LINES_A_MINUTE, lines[said:]
        assert _version(stage) == writes, "what changes nothing is not written"
        assert _all_wait(stage, nodes, reason)
        stage.ec2.faults.clear()
        await stage.until_attached(*nodes)
    assert len(stage.ours()) == NODES
    about = [line for line in lines if "CreateNetworkInterface" in line]
    assert len([line for line in about if line.startswith(("EC2 refused", "not known whether EC2"))]) == 1


async def test_nothing_is_answered_and_one_call_asks_for_all(stage: Stage, lines: list[str]) -> None:
    nodes = [await stage.node() for _ in range(NODES)]
    late = [await stage.node(matching=False) for _ in range(NODES)]
    stage.apply()
    async with stage.controller():
        await stage.until_attached(*nodes)
        stage.ec2.faults.error("*", "Unavailable", times=None)
        for node in late:
            stage.world.label(node.name, ng="multi-eni")
        await stage.until(lambda: stage.condition("Degraded")["reason"] == "EC2Unreachable")
        await _minutes(2)
        calls, said = stage.ec2.calls.by_action.total(), len(lines)
        minutes = await _minutes(3)
        assert 0 < stage.ec2.calls.by_action.total() - calls <= minutes * PROBES_A_MINUTE
        assert len(lines) - said <= minutes * LINES_A_MINUTE, lines[said:]
        stage.ec2.faults.clear()
        await stage.until_attached(*nodes, *late)
    assert len(stage.ours()) == 2 * NODES


async def test_where_the_node_that_tries_goes_another_takes_over(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = [await stage.node() for _ in range(4)]
    _denied(stage)
    stage.apply()
    async with stage.controller():
        await stage.until(lambda: _all_wait(stage, nodes, "NotAuthorized"))
        for node in nodes[:3]:
            stage.world.label(node.name, ng=None)
        await stage.until(lambda: stage.status()["desired"] == 1)
        stage.ec2.faults.clear()
        await stage.until_attached(nodes[3])


async def test_what_one_nodeeni_is_refused_in_one_subnet_stops_no_other(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ErrorClass.DENIED, "retry", RetryRule(first=600, factor=1, most=600))
    other = stage.ec2.add_subnet(stage.world.vpc, "a", "10.30.0.0/24")
    nodes = [await stage.node() for _ in range(4)]
    refused = stage.world.subnets["a"].id
    stage.ec2.faults.add(
        Fault(
            action="CreateNetworkInterface",
            denied="no identity-based policy",
            times=None,
            match={"SubnetId": refused},
        )
    )
    stage.apply("refused")
    stage.apply("granted", subnetID=other.id, deviceIndex=3)
    async with stage.controller():
        await stage.until_attached(*nodes, name="granted")
        await stage.until(
            lambda: all(stage.row(node, "refused").get("reason") == "NotAuthorized" for node in nodes)
        )
    assert len(stage.ours("granted")) == 4


async def test_a_quota_that_is_used_up_is_probed_by_one(
    open_stage: OpenStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nodeeni.controller.memory.QUOTA_PROBE", 0.6)
    async with open_stage() as stage:
        nodes = [await stage.node() for _ in range(NODES)]
        stage.ec2.faults.error("CreateNetworkInterface", "NetworkInterfaceLimitExceeded", times=None)
        stage.apply()
        async with stage.controller():
            await stage.until(lambda: stage.condition("Degraded").get("reason") == "QuotaExceeded")
            await _minutes(2)  # until those have come that were on their way
            calls = stage.calls()["CreateNetworkInterface"]
            minutes = await _minutes(3)  # of one probe each
            assert stage.calls()["CreateNetworkInterface"] - calls <= minutes + 1
            stage.ec2.faults.clear()
            await stage.until_attached(*nodes)


async def _minutes(count: float) -> float:
    """Wait for so many, scaled down; how many it were, which on a busy machine are more."""
    began = time.monotonic()
    await asyncio.sleep(count * 60 / SCALE)
    return (time.monotonic() - began) * SCALE / 60


def _all_wait(stage: Stage, nodes: list[WorldNode], reason: str) -> bool:
    return [stage.row(node).get("reason") for node in nodes] == [reason] * len(nodes)


def _version(stage: Stage) -> str:
    nodeeni = stage.world.nodeeni("multus-eni-config")
    assert nodeeni is not None
    return str(nodeeni["metadata"]["resourceVersion"])


@pytest.fixture
def soon_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the API server, too, a minute is 0.6 s."""
    monkeypatch.setattr(reach, "FIRST_PROBE", reach.FIRST_PROBE / SCALE)
    monkeypatch.setattr(reach, "PROBE", reach.PROBE / SCALE)
    monkeypatch.setattr("nodeeni.kube.backoff.Backoff.__init__.__defaults__", (0.001, 30 / SCALE))


@pytest.mark.usefixtures("soon_asked")
async def test_the_api_server_goes_in_the_midst_of_it(stage: Stage, lines: list[str]) -> None:
    nodes = [await stage.node() for _ in range(NODES)]
    for action in ("CreateNetworkInterface", "AttachNetworkInterface"):
        stage.ec2.faults.delay(action, 0.5, times=None)
    stage.apply()
    async with stage.controller("--enable-leader-election", "--lease-duration=2s"):
        await stage.until(lambda: stage.calls()["CreateNetworkInterface"] > NODES / 2)
        said = len(lines)
        stage.kube.refuse_connections()
        await stage.until(lambda: any("until it is ours again" in line for line in lines))
        minutes = await _minutes(5)
        outage = [line for line in lines[said:] if "did:" not in line and "EC2" not in line]
        await stage.kube.listen()
        stage.ec2.faults.clear()
        await stage.until_attached(*nodes)
    assert len([line for line in outage if not line.startswith("still")]) <= LINES_A_MINUTE, outage
    assert len(outage) <= minutes * LINES_A_MINUTE
    assert len([line for line in lines if "the API server answers again" in line]) == 1
    assert len(stage.ours()) == NODES


@pytest.mark.usefixtures("soon_asked")
async def test_while_it_is_away_one_request_asks_for_all(stage: Stage, lines: list[str]) -> None:
    """It is there, and answers nothing: so that what is asked of it can be counted."""
    nodes = [await stage.node() for _ in range(NODES)]
    late = [await stage.node(matching=False) for _ in range(NODES)]
    stage.apply()
    async with stage.controller():
        await stage.until_attached(*nodes)
        for node in late:
            stage.world.label(node.name, ng="multi-eni")
        fault = stage.kube.faults.plan(KubeFault(status=503, times=10**6))
        stage.kube.faults.break_watches("reset")
        await stage.until(lambda: any("the API server fails us" in line for line in lines))
        await _minutes(2)
        asked, said = fault.served, len(lines)
        minutes = await _minutes(3)
        assert 0 < fault.served - asked <= minutes * PROBES_A_MINUTE
        assert len(lines) - said <= minutes * LINES_A_MINUTE, lines[said:]
        stage.kube.faults.clear()
        await stage.until_attached(*nodes, *late)
    assert len(stage.ours()) == 2 * NODES

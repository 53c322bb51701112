"""A Node is told whether its network is there: by its condition NodeENIsReady, and by the startup taint that
goes. With `--require-link-up`, as the chart has it, the ENI manager's word is waited for.
"""

from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import REGISTRY

from nodeeni.kube.errors import Forbidden
from nodeeni.sandbox.ec2 import Delay
from nodeeni.sandbox.kube.faults import Fault
from nodeeni.sandbox.world import WorldNode

from .conftest import NAME, OpenStage, Stage

TAINT = "example.com/no-eni-yet"
CONDITION = ("--node-condition", "--require-link-up")
Object = dict[str, Any]


def conditions(stage: Stage, node: WorldNode) -> dict[str, Object]:
    found = stage.kube.get("", "nodes", node.name)
    assert found is not None
    return {entry["type"]: entry for entry in found["status"].get("conditions", ())}


def ready(stage: Stage, node: WorldNode) -> tuple[str, str, str] | None:
    found = conditions(stage, node).get("NodeENIsReady")
    return (found["status"], found["reason"], found["message"]) if found else None


def is_ready(stage: Stage, node: WorldNode) -> bool:
    return (ready(stage, node) or ("",))[0] == "True"


def taints(stage: Stage, node: WorldNode) -> list[str]:
    found = stage.kube.get("", "nodes", node.name)
    assert found is not None
    return [f"{taint['key']}:{taint['effect']}" for taint in found["spec"].get("taints", ())]


def taint(stage: Stage, node: WorldNode, *more: Object) -> None:
    born = [{"key": TAINT, "effect": "NoSchedule"}, {"key": TAINT, "effect": "NoExecute", "value": "x"}]
    stage.kube.patch("", "nodes", node.name, {"spec": {"taints": [*more, *born]}})


def writes(stage: Stage) -> tuple[int, int]:
    return stage.kube.requests["patch", "nodes/status"], stage.kube.requests["patch", "nodes"]


async def test_a_node_is_ready_once_its_link_is_up_and_no_longer_when_it_is_down(stage: Stage) -> None:
    node, other = await stage.node(), await stage.node(matching=False)
    stage.apply()
    async with stage.controller(*CONDITION):
        await stage.until(lambda: ready(stage, node))
        await stage.until_attached(node)
        told = f"{NAME} is attached, and the node's ENI manager has not told of its link"
        await stage.until(lambda: ready(stage, node) == ("False", "LinkNotReported", told))
        stage.report_link(node, "Missing", message="no link with this MAC address yet")
        await stage.until(lambda: (ready(stage, node) or "")[1] == "LinkNotUp")
        first = conditions(stage, node)["NodeENIsReady"]["lastTransitionTime"]
        stage.report_link(node, "Up")
        await stage.until(lambda: ready(stage, node) == ("True", "ENIsReady", f"attached and up: {NAME}"))
        stage.report_link(node, "Down", message="setting it up failed: EBUSY")
        told = f"{NAME}: its link is Down: setting it up failed: EBUSY"
        await stage.until(lambda: ready(stage, node) == ("False", "LinkNotUp", told))
        assert conditions(stage, node)["NodeENIsReady"]["lastTransitionTime"] >= first
        assert conditions(stage, node)["Ready"]["status"] == "True"
        assert ready(stage, other) is None


async def test_in_steady_state_nothing_is_written_nor_after_a_restart(stage: Stage) -> None:
    nodes = [await stage.node() for _ in range(3)]
    stage.apply()
    async with stage.controller(*CONDITION):
        await stage.until_attached(*nodes)
        for node in nodes:
            stage.report_link(node, "Up")
        await stage.until(lambda: all(is_ready(stage, node) for node in nodes))
        before = writes(stage)
        assert before[0] <= 3 * len(nodes)  # not attached, no word, ready
        for number in range(20):
            beat = {"type": "Ready", "status": "True", "lastHeartbeatTime": f"2026-01-01T00:00:{number:02}Z"}
            for node in nodes:
                kept = [c for kind, c in conditions(stage, node).items() if kind != "Ready"]
                body = {"status": {"conditions": [beat, *kept]}}
                stage.kube.patch("", "nodes", node.name, body, subresource="status")
        await stage.stays(lambda: writes(stage) == before, 1.0)
    stands = [ready(stage, node) for node in nodes]
    async with stage.controller(*CONDITION):
        await stage.until(lambda: stage.kube.requests["watch", "nodes"] >= 2)
        await stage.stays(lambda: writes(stage) == before, 1.5)
    assert [ready(stage, node) for node in nodes] == stands


async def test_no_nodeeni_selects_it_any_more_and_the_condition_goes(stage: Stage) -> None:
    node = await stage.node()
    stage.apply()
    async with stage.controller("--node-condition"):
        await stage.until(lambda: is_ready(stage, node))
        stage.delete()
        await stage.until_deleted()
        await stage.until(lambda: ready(stage, node) is None)
        assert "Ready" in conditions(stage, node)


async def test_each_nodeeni_counts_and_one_that_cannot_be_had_is_named(stage: Stage) -> None:
    node = await stage.node()
    stage.apply()
    async with stage.controller("--node-condition"):
        await stage.until(lambda: is_ready(stage, node))
        stage.apply("broken", subnetID="subnet-0dead0000dead0000", deviceIndex=3)
        told = ("False", "NotAttached", "broken is not attached: SubnetNotFound")
        await stage.until(lambda: ready(stage, node) == told)
        stage.delete("broken")
        await stage.until(lambda: ready(stage, node) == ("True", "ENIsReady", f"attached: {NAME}"))


async def test_an_edit_that_cannot_be_had_takes_no_readiness_away(stage: Stage) -> None:
    """The node works as before: else whoever keeps pods away by it would empty every node for a typo."""
    old = await stage.node()
    stage.apply()
    async with stage.controller("--node-condition"):
        await stage.until(lambda: is_ready(stage, old))
        stands = ready(stage, old)
        stage.apply(securityGroupIDs=["sg-0dead0000dead0000"])
        await stage.until(lambda: stage.status().get("failed") == 1)
        new = await stage.node()
        await stage.until(lambda: (ready(stage, new) or ("",))[0] == "False")
        assert ready(stage, old) == stands


async def test_a_link_that_a_pod_has_taken_leaves_the_node_ready(stage: Stage) -> None:
    node = await stage.node()
    stage.apply()
    async with stage.controller(*CONDITION):
        await stage.until_attached(node)
        stage.report_link(node, "Up")
        await stage.until(lambda: is_ready(stage, node))
        stage.report_link(node, "Missing", message="the link was moved into another network namespace")
        await stage.until(lambda: stage.status().get("linksUp") == 0)
        await stage.stays(lambda: is_ready(stage, node), 0.7)


async def test_the_startup_taint_goes_when_the_link_is_up_and_other_taints_stay(stage: Stage) -> None:
    node = await stage.node()
    taint(stage, node, {"key": "a", "effect": "NoSchedule"}, {"key": "b", "effect": "NoSchedule"})
    stage.apply()
    async with stage.controller(f"--startup-taint={TAINT}", "--require-link-up"):
        await stage.until_attached(node)
        await stage.stays(lambda: len(taints(stage, node)) == 4, 0.7)
        stage.report_link(node, "Up")
        await stage.until(lambda: taints(stage, node) == ["a:NoSchedule", "b:NoSchedule"])
        told = f"the startup taint {TAINT} is taken off: attached and up: {NAME}"
        await stage.until(lambda: stage.told("StartupTaintGone") == [("Normal", told)])
        stage.report_link(node, "Down")
        await stage.until(lambda: stage.status().get("linksUp") == 0)
        await stage.stays(lambda: taints(stage, node) == ["a:NoSchedule", "b:NoSchedule"], 0.7)
        assert ready(stage, node) is None


async def test_the_startup_taint_of_a_node_that_nothing_selects_stays(stage: Stage) -> None:
    node, other = await stage.node(), await stage.node(matching=False)
    for each in (node, other):
        taint(stage, each)
    stage.apply()
    async with stage.controller(f"--startup-taint={TAINT}", "--node-condition"):
        await stage.until(lambda: taints(stage, node) == [])
        assert is_ready(stage, node)
        await stage.stays(lambda: len(taints(stage, other)) == 2, 0.7)
        assert ready(stage, other) is None


async def test_taints_that_changed_a_moment_ago_are_not_overwritten(stage: Stage) -> None:
    """The index of ours is another by then: the patch does not apply, and the next one does."""
    node = await stage.node()
    taint(stage, node)
    stage.apply()
    async with stage.controller(f"--startup-taint={TAINT}", "--require-link-up"):
        await stage.until_attached(node)
        stage.report_link(node, "Up")
        taint(stage, node, {"key": "urgent", "effect": "NoSchedule"})
        await stage.until(lambda: taints(stage, node) == ["urgent:NoSchedule"])


async def test_a_condition_that_somebody_changes_is_put_right_ever_more_slowly(stage: Stage) -> None:
    node = await stage.node()
    stage.apply()
    async with stage.controller("--node-condition"):
        await stage.until(lambda: is_ready(stage, node))
        right = ready(stage, node)
        for _ in range(3):
            wrong = [{**c, "status": "False"} for c in conditions(stage, node).values()]
            stage.kube.patch("", "nodes", node.name, {"status": {"conditions": wrong}}, subresource="status")
            await stage.until(lambda: ready(stage, node) == right)


async def test_while_the_controller_is_away_the_last_word_stands_and_then_it_is_put_right(
    stage: Stage,
) -> None:
    node = await stage.node()
    stage.apply()
    async with stage.controller(*CONDITION):
        await stage.until_attached(node)
        stage.report_link(node, "Up")
        await stage.until(lambda: is_ready(stage, node))
    stage.report_link(node, "Down")
    assert is_ready(stage, node)
    async with stage.controller(*CONDITION):
        await stage.until(lambda: (ready(stage, node) or "")[:2] == ("False", "LinkNotUp"))


async def test_a_node_that_comes_anew_under_its_name_is_told_anew(stage: Stage) -> None:
    old = await stage.node()
    stage.apply()
    async with stage.controller("--node-condition"):
        await stage.until(lambda: is_ready(stage, old))
        stage.kube.delete("", "nodes", old.name)
        stage.ec2.terminate(old.instance_id)
        new = await stage.world.add_node(old.name, labels={"ng": "multi-eni"})
        await stage.until(lambda: is_ready(stage, new))
        (interface,) = stage.ours(node=new)
        assert interface.attachment is not None
        assert interface.attachment.instance_id == new.instance_id


async def test_a_dry_run_tells_nodes_nothing(stage: Stage) -> None:
    node = await stage.node()
    taint(stage, node)
    before = writes(stage)
    stage.apply()
    async with stage.controller("--dry-run", "--node-condition", f"--startup-taint={TAINT}"):
        await stage.stays(lambda: writes(stage) == before, 1.5)


@pytest.fixture
async def slow_stage(open_stage: OpenStage) -> Any:
    async with open_stage(attaching=Delay(1.0)) as made:
        yield made


async def test_how_long_a_node_waited_is_measured(slow_stage: Stage) -> None:
    def measured() -> tuple[float, float]:
        count = REGISTRY.get_sample_value("nodeeni_node_ready_seconds_count") or 0.0
        return count, REGISTRY.get_sample_value("nodeeni_node_ready_seconds_sum") or 0.0

    count, seconds = measured()
    node = await slow_stage.node()
    slow_stage.apply()
    async with slow_stage.controller("--node-condition"):
        await slow_stage.until(lambda: is_ready(slow_stage, node))
        assert measured()[0] == count + 1
        assert measured()[1] - seconds > 0.5


TROUBLES = {
    "the connection breaks before": Fault(verb="patch", times=2, drop="before"),
    "the answer is lost": Fault(verb="patch", times=1, drop="after"),
    "overloaded": Fault(verb="patch", times=4, status=429, retry_after=1),
    "somebody was faster": Fault(verb="patch", times=2, status=409, reason="Conflict"),
}


@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES.keys())
@pytest.mark.parametrize("resource", ["nodes", "nodes/status"])
async def test_whatever_the_api_server_does_the_node_is_told_in_the_end(
    stage: Stage, resource: str, trouble: Fault
) -> None:
    node = await stage.node()
    taint(stage, node)
    stage.apply()
    async with stage.controller("--node-condition", f"--startup-taint={TAINT}", "--require-link-up"):
        await stage.until(lambda: (ready(stage, node) or "")[1:2] == ("LinkNotReported",))
        fault = stage.kube.faults.plan(replace(trouble, resource=resource))
        stage.report_link(node, "Up")
        await stage.until(lambda: fault.served == fault.times)
        await stage.until(lambda: is_ready(stage, node) and taints(stage, node) == [])


async def test_a_right_that_is_lacking_is_told_once_and_nothing_else_waits_for_it(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    nodes = [await stage.node() for _ in range(5)]
    stage.kube.faults.fail(403, verb="patch", resource="nodes/status", times=1000, reason="Forbidden")
    stage.apply()
    with caplog.at_level("INFO"):
        async with stage.controller("--node-condition"):
            await stage.until_attached(*nodes)
            await stage.until(lambda: "telling Nodes of their ENIs fails" in caplog.text)
            stage.kube.faults.clear()
            await stage.until(lambda: all(is_ready(stage, node) for node in nodes))
    told = [record for record in caplog.records if "telling Nodes" in record.getMessage()]
    assert ["fails" in record.getMessage() for record in told] == [True, False]


async def test_what_is_new_of_a_node_does_not_wait_for_what_was_refused_of_it(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Forbidden, "delay", 10.0**6)
    node = await stage.node()
    stage.apply()
    async with stage.controller(*CONDITION):
        await stage.until(lambda: (ready(stage, node) or "")[1:2] == ("LinkNotReported",))
        refused = stage.kube.faults.fail(403, verb="patch", resource="nodes/status", reason="Forbidden")
        stage.report_link(node, "Down")
        await stage.until(lambda: refused.served == 1)
        stage.report_link(node, "Up")
        await stage.until(lambda: is_ready(stage, node))
